//! The grants whose tokens a key signed.

use chancery_domain::ids::{AggregateKind, ClientId, GrantId, KeyId, SubjectId};
use chancery_projections::Value;
use chancery_projections::audit::KEY_USES;
use schemars::JsonSchema;
use serde::Serialize;

use super::as_of::Stated;
use super::error::AuditError;
use super::happening::Happening;
use super::lineage::{Issue, Lineage};
use super::moment::{Moment, Timestamp};
use super::part::{Filling, Part};
use super::records::Records;
use crate::lookups::{KeyUseRow, Order};
use crate::stores::{Bounds, Query};

/// A key, and what it signed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SignedBy {
    pub kid: KeyId,
    /// When the key was published, began to sign, and signed no more.
    pub history: Vec<Happening>,
    /// The grants with tokens signed by it, in order of their making.
    pub grants: Vec<SignedGrant>,
    /// Where the next grants begin (`after`); absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A grant with tokens signed by the key.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SignedGrant {
    pub grant_id: GrantId,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    pub tokens: Vec<SignedToken>,
}

/// A token signed by the key.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SignedToken {
    /// `access_token` or `id_token`
    pub kind: &'static str,
    /// Of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    pub issued: Moment,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it was revoked before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Moment>,
}

/// The grants (of a client, or all) whose tokens this key signed.
pub async fn signed_by(
    records: &Records,
    kid: &KeyId,
    client_id: Option<&ClientId>,
    part: Part,
) -> Result<Stated<SignedBy>, AuditError> {
    let after = match &part.after {
        None => None,
        Some(after) => {
            let wrong =
                |_| AuditError::Invalid("after must be the `next` of the list before".into());
            let grant: GrantId = after.parse().map_err(wrong)?;
            Some(format!("{kid}/{grant}"))
        }
    };
    let client = client_id.map(|id| ("client_id", Value::from(id.as_str())));
    let query = Query {
        equals: client.into_iter().collect(),
        // What comes after a slash, comes before a zero.
        within: vec![Bounds {
            column: KEY_USES.key,
            from: Some(format!("{kid}/").into()),
            below: Some(format!("{kid}0").into()),
        }],
        ..Query::all(&KEY_USES)
    };
    let (as_of, answer) = records
        .settled(&["audit"], async |position| {
            let history =
                records.history(AggregateKind::SigningKey, kid.as_str(), position).await?;
            if history.is_empty() {
                return Err(AuditError::not_found("key", kid));
            }
            let mut filling = Filling::new(part.limit);
            let ended = filling
                .take(
                    (Order::FirstToLast, after.clone()),
                    async |part| Ok(records.lookups.key_uses(query.clone(), part).await?),
                    |row: &KeyUseRow| row.grant_id.to_string(),
                    async |row| {
                        let lineage = records.lineage(row.grant_id, position).await?;
                        Ok(lineage.map(|own| SignedGrant::of(&own, kid)))
                    },
                )
                .await?;
            let (grants, next) = filling.done(ended);
            let history = history.iter().map(Happening::of).collect();
            Ok(SignedBy { kid: kid.clone(), history, grants, next })
        })
        .await?;
    Ok(Stated { as_of, answer })
}

impl SignedGrant {
    fn of(lineage: &Lineage, kid: &KeyId) -> Self {
        Self {
            grant_id: lineage.grant_id,
            state: lineage.state.clone(),
            client_id: lineage.client_id.clone(),
            subject: lineage.subject,
            tokens: lineage.issues().flat_map(|issue| signed(issue, kid)).collect(),
        }
    }
}

fn signed<'a>(issue: &'a Issue, kid: &'a KeyId) -> impl Iterator<Item = SignedToken> + use<'a> {
    let access = issue.access_token.as_ref().filter(|token| token.kid.as_ref() == Some(kid));
    let access = access.map(|token| SignedToken {
        kind: "access_token",
        jti: Some(token.jti.clone()),
        issued: issue.issued.clone(),
        issued_at: token.issued_at.clone(),
        expires_at: token.expires_at.clone(),
        revoked: token.revoked.clone(),
    });
    let id = issue.id_token.as_ref().filter(|token| token.kid.as_ref() == Some(kid));
    let id = id.map(|token| SignedToken {
        kind: "id_token",
        jti: None,
        issued: issue.issued.clone(),
        issued_at: token.issued_at.clone(),
        expires_at: token.expires_at.clone(),
        revoked: None,
    });
    access.into_iter().chain(id)
}
