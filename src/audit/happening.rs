//! One event, in words.

use schemars::JsonSchema;
use serde::Serialize;

use super::moment::Moment;
use super::records::Told;
use crate::timeline;

/// One event, in words. Nothing of it is personal.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Happening {
    #[serde(flatten)]
    pub at: Moment,
    pub event_type: String,
    pub summary: String,
    pub actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The event that this one answers: `aggregate_type/aggregate_id/sequence`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<String>,
    /// SHA-256 of the event, in hexadecimal digits.
    pub digest: String,
}

impl Happening {
    pub(super) fn of(told: &Told) -> Self {
        Self {
            at: told.moment.clone(),
            event_type: told.stored.event.event_type.to_string(),
            summary: timeline::summary(&told.event),
            actor: timeline::actor(&told.envelope),
            reason: timeline::reason(&told.event, &told.envelope),
            because_of: told.envelope.causation_id.clone(),
            digest: told.stored.event.digest.to_string(),
        }
    }
}
