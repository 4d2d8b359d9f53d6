//! Tokens that are still alive after they were revoked: JWT access tokens, at
//! resource servers that read them without asking us, until they end.

use chancery_domain::ids::{ClientId, GrantId, KeyId, SubjectId};
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::{Lifetime, UnixTime};
use chancery_projections::grants::GRANTS;
use schemars::JsonSchema;
use serde::Serialize;

use super::as_of::Stated;
use super::error::AuditError;
use super::lineage::{Lineage, Revocation};
use super::moment::{Moment, Period, Timestamp};
use super::part::{Filling, Part};
use super::records::Records;
use crate::lookups::{GrantRow, Order, Part as Rows};
use crate::stores::{Bounds, Query, StoreError};

/// A grant, and those of its revoked tokens that are still alive elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StillAlive {
    pub grant_id: GrantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// The moment that this is about.
    pub at: Timestamp,
    /// The end of the whole grant; absent: single tokens were revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
    /// Empty: none is alive any more.
    pub tokens: Vec<LivingToken>,
}

/// A revoked access token that resource servers take which do not ask.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LivingToken {
    pub jti: String,
    pub kid: KeyId,
    pub scope: Scope,
    /// Who takes it; empty: this server, which asks itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    pub revoked: Moment,
    pub expires_at: Timestamp,
    /// How long it lived on after it was revoked, in seconds.
    pub outlives_revocation_by: u32,
    /// How long it lives from the moment on, in seconds.
    pub lives_for: u32,
}

/// Grants with revoked tokens that are still alive elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StillAliveList {
    /// The moment that this is about.
    pub at: Timestamp,
    /// What was revoked from then on (inclusive; no token that was revoked before lives) …
    pub revoked_from: Timestamp,
    /// … up to then (exclusive) was looked at.
    pub revoked_below: Timestamp,
    /// In order of the (last) revocation.
    pub items: Vec<StillAlive>,
    /// Where the next part begins (`after`); absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What of a grant is still alive at a moment although it was revoked before.
pub async fn of_grant(
    records: &Records,
    grant_id: GrantId,
    at: UnixTime,
) -> Result<Stated<StillAlive>, AuditError> {
    let as_of = records.log_end().await?;
    let lineage = records.lineage(grant_id, as_of.position).await?;
    let lineage = lineage.ok_or_else(|| AuditError::not_found("grant", &grant_id))?;
    Ok(Stated { as_of, answer: StillAlive::of(lineage, at) })
}

/// Grants of which something was revoked in that period and is still alive at that moment, in
/// order of the (last) revocation.
pub async fn still_alive(
    records: &Records,
    (revoked, at): (Period, UnixTime),
    part: Part,
) -> Result<Stated<StillAliveList>, AuditError> {
    let after = part.after.map(|after| match after.parse::<GrantId>() {
        Ok(grant_id) => Ok(grant_id.to_string()),
        Err(_) => Err(AuditError::Invalid("after must be the `next` of the list before".into())),
    });
    let after = after.transpose()?;
    let (as_of, answer) = records
        .settled(&["grants"], async |position| {
            let from = revoked.from.max(at - longest(records).await?);
            let revoked = Period { from, ..revoked };
            let query = withdrawn(revoked, at);
            let mut filling = Filling::new(part.limit);
            let ended = filling
                .take(
                    (Order::FirstToLast, after.clone()),
                    async |part| Ok(records.lookups.grants_by(query.clone(), part).await?),
                    |row: &GrantRow| row.grant_id.to_string(),
                    async |row| {
                        let lineage = records.lineage(row.grant_id, position).await?;
                        let found = lineage.map(|lineage| StillAlive::of(lineage, at));
                        Ok(found.filter(|found| !found.tokens.is_empty()))
                    },
                )
                .await?;
            let (items, next) = filling.done(ended);
            Ok(StillAliveList {
                at: at.into(),
                revoked_from: revoked.from.into(),
                revoked_below: revoked.below.into(),
                items,
                next,
            })
        })
        .await?;
    Ok(Stated { as_of, answer })
}

/// How long tokens live on after their revocation at most: what was revoked longer ago is dead.
async fn longest(records: &Records) -> Result<Lifetime, StoreError> {
    let query = Query {
        within: vec![Bounds { column: "outlives", from: Some(1.into()), below: None }],
        order_by: "outlives",
        ..Query::all(&GRANTS)
    };
    let first = Rows { order: Order::LastToFirst, after: None, limit: 1 };
    let found = records.lookups.grants_by(query, first).await?;
    let row = found.rows.into_iter().next();
    let ends = row.and_then(|row| Some(row.jwt_until?.since(row.withdrawn_at?)));
    Ok(ends.unwrap_or(Lifetime::from_seconds(0)))
}

/// The grants of which something was revoked in that time, and JWTs live beyond that moment.
fn withdrawn(revoked: Period, at: UnixTime) -> Query {
    let column = "withdrawn_at";
    let (from, below) = (Some(revoked.from.into()), Some(revoked.below.into()));
    let beyond = Some(at.seconds().saturating_add(1).into());
    Query {
        within: vec![
            Bounds { column, from, below },
            Bounds { column: "jwt_until", from: beyond, below: None },
        ],
        order_by: column,
        ..Query::all(&GRANTS)
    }
}

impl StillAlive {
    fn of(lineage: Lineage, at: UnixTime) -> Self {
        let living = lineage.access_tokens().filter_map(|token| {
            let (kid, revoked) = (token.kid.clone()?, token.revoked.clone()?);
            let ended = revoked.happened();
            (ended <= at && at < token.expires).then(|| LivingToken {
                jti: token.jti.clone(),
                kid,
                scope: token.scope.clone(),
                audience: token.audience.clone(),
                expires_at: token.expires_at.clone(),
                outlives_revocation_by: token.expires.since(ended).seconds(),
                lives_for: token.expires.since(at).seconds(),
                revoked,
            })
        });
        let tokens = living.collect();
        Self {
            grant_id: lineage.grant_id,
            client_id: lineage.client_id,
            subject: lineage.subject,
            at: at.into(),
            revoked: lineage.revoked,
            tokens,
        }
    }
}
