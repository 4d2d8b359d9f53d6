//! What an event led to: the grants that ended because of it.

use chancery_domain::ids::{AggregateKind, ClientId, GrantId, SubjectId};
use chancery_projections::Value;
use chancery_projections::grants::GRANTS;
use schemars::JsonSchema;
use serde::Serialize;

use super::as_of::Stated;
use super::error::AuditError;
use super::happening::Happening;
use super::lineage::{Lineage, Revocation};
use super::part::{Filling, Part};
use super::records::Records;
use crate::lookups::{GrantRow, Order};
use crate::stores::Query;

/// An event, and what it led to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cascade {
    pub event: Happening,
    #[serde(flatten)]
    pub led_to: LedTo,
}

/// The grants that ended because of an event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LedTo {
    /// In order of their making.
    pub grants: Vec<EndedGrant>,
    /// Where the next grants begin (`after`); absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A grant that ended because of something else.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EndedGrant {
    pub grant_id: GrantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    pub revoked: Revocation,
}

/// An event (`aggregate_type/aggregate_id/sequence`), and the grants that ended because of it.
pub async fn cascade(
    records: &Records,
    reference: &str,
    part: Part,
) -> Result<Stated<Cascade>, AuditError> {
    let (kind, id, sequence) = parsed(reference)?;
    let (as_of, answer) = records
        .settled(&["grants"], async |position| {
            let history = records.history(kind, id, position).await?;
            let event = history.iter().find(|told| told.moment.sequence == sequence);
            let event = event.ok_or_else(|| AuditError::not_found("event", &reference))?;
            let led_to = led_to(records, (reference, position), part.clone()).await?;
            Ok(Cascade { event: Happening::of(event), led_to })
        })
        .await?;
    Ok(Stated { as_of, answer })
}

/// The grants that ended because of an event, as far as a position knows of it.
pub(super) async fn led_to(
    records: &Records,
    (reference, position): (&str, u64),
    part: Part,
) -> Result<LedTo, AuditError> {
    let query = Query { equals: vec![("ended_by", Value::from(reference))], ..Query::all(&GRANTS) };
    let mut filling = Filling::new(part.limit);
    let ended = filling
        .take(
            (Order::FirstToLast, part.after),
            async |part| Ok(records.lookups.grants_by(query.clone(), part).await?),
            |row: &GrantRow| row.grant_id.to_string(),
            async |row| {
                let lineage = records.lineage(row.grant_id, position).await?;
                Ok(lineage.and_then(EndedGrant::of))
            },
        )
        .await?;
    let (grants, next) = filling.done(ended);
    Ok(LedTo { grants, next })
}

impl EndedGrant {
    fn of(lineage: Lineage) -> Option<Self> {
        Some(Self {
            grant_id: lineage.grant_id,
            client_id: lineage.client_id,
            subject: lineage.subject,
            revoked: lineage.revoked?,
        })
    }
}

/// `aggregate_type/aggregate_id/sequence`; the id may hold slashes.
fn parsed(reference: &str) -> Result<(AggregateKind, &str, u64), AuditError> {
    let parts = || {
        let (kind, rest) = reference.split_once('/')?;
        let (id, sequence) = rest.rsplit_once('/')?;
        Some((kind.parse().ok()?, id, sequence.parse().ok()?))
    };
    let wrong = "an event is named by aggregate type, id and sequence, like client/web/4";
    parts().ok_or_else(|| AuditError::Invalid(wrong.to_owned()))
}
