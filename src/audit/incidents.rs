//! Was a code or a refresh token presented again, and what was revoked for it?

use chancery_domain::grant::RefusalReason;
use chancery_domain::ids::{ClientId, GrantId, SubjectId};
use chancery_projections::Value;
use chancery_projections::audit::{CODE_REPLAYED, REFRESH_TOKEN_REUSED};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::as_of::StatedList;
use super::error::AuditError;
use super::lineage::{Lineage, Revocation};
use super::moment::{Moment, Timestamp};
use super::part::{Filling, Part};
use super::records::Records;
use crate::lookups::{IncidentRow, Order};
use crate::stores::{Bounds, Query};

/// What a genuine credential was refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A code was presented again (RFC 6749 §4.1.2).
    CodeReplayed,
    /// A refresh token was presented after it had been replaced (RFC 9700 §4.14.2).
    RefreshTokenReused,
    /// `code_verifier` is missing, or not that of the challenge (RFC 7636 §4.6).
    PkceMismatch,
    /// `code_verifier` came without a challenge before it (RFC 9700 §4.8.2).
    PkceUnexpected,
    /// Another client presented it.
    WrongClient,
    /// `redirect_uri` is not that of the request (RFC 6749 §4.1.3).
    RedirectUriMismatch,
}

impl IncidentKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::CodeReplayed,
        Self::RefreshTokenReused,
        Self::PkceMismatch,
        Self::PkceUnexpected,
        Self::WrongClient,
        Self::RedirectUriMismatch,
    ];

    /// Its name, as it stands in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CodeReplayed => CODE_REPLAYED,
            Self::RefreshTokenReused => REFRESH_TOKEN_REUSED,
            Self::PkceMismatch => "pkce_mismatch",
            Self::PkceUnexpected => "pkce_unexpected",
            Self::WrongClient => "wrong_client",
            Self::RedirectUriMismatch => "redirect_uri_mismatch",
        }
    }
}

impl From<RefusalReason> for IncidentKind {
    fn from(reason: RefusalReason) -> Self {
        match reason {
            RefusalReason::PkceMismatch => Self::PkceMismatch,
            RefusalReason::PkceUnexpected => Self::PkceUnexpected,
            RefusalReason::WrongClient => Self::WrongClient,
            RefusalReason::RedirectUriMismatch => Self::RedirectUriMismatch,
        }
    }
}

/// A genuine credential, presented when or by whom it should not be. Each kind is noted once
/// for each grant.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Incident {
    /// Its position in the log, in sixteen hexadecimal digits.
    pub incident_id: String,
    pub kind: IncidentKind,
    pub presented_by: ClientId,
    /// Of a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    #[serde(flatten)]
    pub at: Moment,
    #[serde(skip)]
    pub(super) command_id: String,
}

/// An incident, and what was revoked for it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct IncidentAnswer {
    #[serde(flatten)]
    pub incident: Incident,
    pub grant_id: GrantId,
    /// Whose grant it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// What was revoked in the same commit; absent: nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<RevokedForIt>,
}

/// What was revoked for an incident.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RevokedForIt {
    /// The whole grant was.
    pub grant: Revocation,
    /// The access tokens that this ended before their time: their jti.
    pub access_tokens: Vec<String>,
    /// The refresh tokens that this ended before their time: their generations.
    pub refresh_tokens: Vec<u32>,
}

/// Which incidents.
#[derive(Debug, Clone, Default)]
pub struct Which {
    pub grant_id: Option<GrantId>,
    /// Who presented the credential.
    pub client_id: Option<ClientId>,
    pub kind: Option<IncidentKind>,
    /// That happened from then on (inclusive).
    pub since: Option<Timestamp>,
    /// That happened up to then (exclusive).
    pub until: Option<Timestamp>,
}

/// Credentials that were presented when or by whom they should not be, the newest first.
pub async fn incidents(
    records: &Records,
    which: &Which,
    part: Part,
) -> Result<StatedList<IncidentAnswer>, AuditError> {
    let text = |text: String| Value::Text(text);
    let by = [
        which.grant_id.map(|id| ("grant_id", text(id.to_string()))),
        which.client_id.as_ref().map(|id| ("client_id", text(id.to_string()))),
        which.kind.map(|kind| ("kind", kind.as_str().into())),
    ];
    let bound = |time: &Option<Timestamp>| time.as_ref().map(|time| text(time.to_string()));
    let (from, below) = (bound(&which.since), bound(&which.until));
    let query = Query {
        within: vec![Bounds { column: "happened_at", from, below }],
        ..Query::by(&chancery_projections::audit::INCIDENTS, by)
    };
    let (as_of, (items, next)) = records
        .settled(&["audit"], async |position| {
            let mut filling = Filling::new(part.limit);
            let ended = filling
                .take(
                    (Order::LastToFirst, part.after.clone()),
                    async |part| Ok(records.lookups.incidents(query.clone(), part).await?),
                    |row: &IncidentRow| row.incident_id.clone(),
                    async |row| {
                        let lineage = records.lineage(row.grant_id, position).await?;
                        Ok(lineage.and_then(|lineage| IncidentAnswer::of(row, &lineage)))
                    },
                )
                .await?;
            Ok(filling.done(ended))
        })
        .await?;
    Ok(StatedList { as_of, items, next })
}

impl IncidentAnswer {
    fn of(row: &IncidentRow, lineage: &Lineage) -> Option<Self> {
        let own = |incident: &&Incident| incident.incident_id == row.incident_id;
        let incident = lineage.incidents.iter().find(own)?.clone();
        Some(Self {
            grant_id: lineage.grant_id,
            client_id: lineage.client_id.clone(),
            subject: lineage.subject,
            revoked: RevokedForIt::of(&incident, lineage),
            incident,
        })
    }
}

impl RevokedForIt {
    /// What one command did is one commit.
    fn of(incident: &Incident, lineage: &Lineage) -> Option<Self> {
        let revocation = lineage.revoked.as_ref();
        let grant = revocation.filter(|end| end.command_id == incident.command_id)?;
        let by_it = |revoked: &Option<Moment>| revoked.as_ref() == Some(&grant.at);
        let access = lineage.access_tokens().filter(|token| by_it(&token.revoked));
        let refresh = lineage.refresh_tokens.iter().filter(|token| by_it(&token.revoked));
        Some(Self {
            grant: grant.clone(),
            access_tokens: access.map(|token| token.jti.clone()).collect(),
            refresh_tokens: refresh.map(|token| token.generation).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_name_everywhere() {
        for kind in IncidentKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for reason in [
            RefusalReason::PkceMismatch,
            RefusalReason::PkceUnexpected,
            RefusalReason::WrongClient,
            RefusalReason::RedirectUriMismatch,
        ] {
            let name = serde_json::to_value(reason).unwrap();
            assert_eq!(name, IncidentKind::from(reason).as_str(), "as the read model has it");
        }
    }
}
