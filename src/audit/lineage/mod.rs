//! Everything that descends from a consent: its grants, their codes, their
//! tokens by generation.

mod fold;

use chancery_domain::grant::Presented;
use chancery_domain::ids::{
    AggregateKind, ClientId, ConsentId, GrantId, KeyId, SessionId, SubjectId,
};
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::UnixTime;
use schemars::JsonSchema;
use serde::Serialize;

use super::as_of::Stated;
use super::error::AuditError;
use super::happening::Happening;
use super::incidents::Incident;
use super::moment::{Moment, Timestamp};
use super::part::{Filling, Part};
use super::records::Records;
use crate::lookups::{GrantFilter, GrantRow, Order};

/// A consent, and all that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConsentLineage {
    pub consent_id: ConsentId,
    pub subject: SubjectId,
    pub client_id: ClientId,
    /// When it was given, added to and taken back.
    pub history: Vec<Happening>,
    /// What it allows at that position; empty: it was taken back.
    pub scope: Scope,
    /// The grants of this client for this person, in order of their making.
    pub grants: Vec<Lineage>,
    /// Where the next grants begin (`after`); absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A grant, and all that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Lineage {
    pub grant_id: GrantId,
    /// As it stands at the end of what is told here.
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// A pseudonym; absent where the client acts for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    pub grant_type: String,
    /// What was granted; before that, what was asked for.
    pub scope: Scope,
    pub began: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentInGrant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What the browser brought with the authorization response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_browser: Option<Issue>,
    /// What the client got without a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct: Option<Issue>,
    /// By generation: each names what its use brought, the next generation among it.
    pub refresh_tokens: Vec<RefreshToken>,
    /// Genuine credentials presented when or by whom they should not be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
    /// Why the request ended without a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declined: Option<Revocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
}

/// The consent as the grant has it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConsentInGrant {
    pub given: Moment,
    /// Was a page shown for it? Else they had consented before, or the client needs none.
    pub page_shown: bool,
    pub scope: Scope,
    /// Claims by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    #[serde(skip)]
    pub presented: Option<Presented>,
}

/// An authorization code.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Code {
    pub issued: Moment,
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Moment>,
    /// What it was redeemed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brought: Option<Issue>,
}

/// The tokens of one answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Issue {
    pub issued: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<AccessToken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<IdToken>,
    /// The generation of the refresh token among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<u32>,
}

/// An access token.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AccessToken {
    pub jti: String,
    /// Counts those of its grant, from 1.
    pub number: u32,
    /// The key that signed it (JWTs); absent for an opaque one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<KeyId>,
    pub scope: Scope,
    /// Whom it is for; empty: this server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it was revoked before its end, by itself or with its grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Moment>,
    #[serde(skip)]
    pub issued: UnixTime,
    #[serde(skip)]
    pub expires: UnixTime,
}

/// An ID token.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct IdToken {
    /// The key that signed it; absent where the client's secret did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<KeyId>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(skip)]
    pub issued: UnixTime,
    #[serde(skip)]
    pub expires: UnixTime,
}

/// A refresh token.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RefreshToken {
    /// Counts those of its grant, from 1.
    pub generation: u32,
    pub issued: Moment,
    pub expires_at: Timestamp,
    /// When it was replaced by the next generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Moment>,
    /// When it was presented although it had been replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reused: Option<Moment>,
    /// When it was revoked before its end, with its grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Moment>,
    /// What its use brought.
    pub brought: Vec<Issue>,
    #[serde(skip)]
    pub expires: UnixTime,
}

/// The end of a grant.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Revocation {
    #[serde(flatten)]
    pub at: Moment,
    /// In one word.
    pub cause: String,
    /// The operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who did it.
    pub actor: String,
    /// The event that it answers: `aggregate_type/aggregate_id/sequence`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<String>,
    /// Names the command: what it did is one commit.
    #[serde(skip)]
    pub command_id: String,
}

/// Everything that descends from a consent.
pub async fn of_consent(
    records: &Records,
    consent_id: ConsentId,
    part: Part,
) -> Result<Stated<ConsentLineage>, AuditError> {
    let (as_of, answer) = records
        .settled(&["consents", "grants"], async |position| {
            let row = records.lookups.consent(consent_id).await?;
            let row = row.ok_or_else(|| AuditError::not_found("consent", &consent_id))?;
            let id = consent_id.to_string();
            let history = records.history(AggregateKind::Consent, &id, position).await?;
            let filter = GrantFilter {
                subject: Some(row.subject),
                client_id: Some(row.client_id.clone()),
                ..GrantFilter::default()
            };
            let mut filling = Filling::new(part.limit);
            let ended = filling
                .take(
                    (Order::FirstToLast, part.after.clone()),
                    async |part| Ok(records.lookups.grants(&filter, part).await?),
                    |row: &GrantRow| row.grant_id.to_string(),
                    async |row| {
                        let lineage = records.lineage(row.grant_id, position).await?;
                        Ok(lineage.filter(|own| own.consent.is_some()))
                    },
                )
                .await?;
            let (grants, next) = filling.done(ended);
            Ok(ConsentLineage {
                consent_id,
                subject: row.subject,
                client_id: row.client_id,
                history: history.iter().map(Happening::of).collect(),
                scope: row.scope,
                grants,
                next,
            })
        })
        .await?;
    Ok(Stated { as_of, answer })
}

/// Everything that came of a grant.
pub async fn of_grant(records: &Records, grant_id: GrantId) -> Result<Stated<Lineage>, AuditError> {
    let as_of = records.log_end().await?;
    let lineage = records.lineage(grant_id, as_of.position).await?;
    let answer = lineage.ok_or_else(|| AuditError::not_found("grant", &grant_id))?;
    Ok(Stated { as_of, answer })
}

impl Lineage {
    /// All answers with tokens, in order.
    pub fn issues(&self) -> impl Iterator<Item = &Issue> {
        let by_code = self.code.as_ref().and_then(|code| code.brought.as_ref());
        let refreshed = self.refresh_tokens.iter().flat_map(|token| &token.brought);
        [self.by_browser.as_ref(), self.direct.as_ref(), by_code]
            .into_iter()
            .flatten()
            .chain(refreshed)
    }

    /// All access tokens, in order.
    pub fn access_tokens(&self) -> impl Iterator<Item = &AccessToken> {
        self.issues().filter_map(|issue| issue.access_token.as_ref())
    }
}
