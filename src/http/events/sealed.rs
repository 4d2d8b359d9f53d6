//! `POST /events/sealed`: what is sealed beside events, with a reason.

use actix_web::http::Method;
use chancery_domain::ids::SubjectId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::query::Reader;
use crate::admin::check_reason;
use crate::events::limits::Shown;
use crate::events::sealed::{Opened, SealedError, open};
use crate::http::api::endpoint::{Call, Endpoint, Json, Nothing};
use crate::http::api::problem::Problem;
use crate::stores::StoredEvent;

/// The scope that it needs besides that of the stream.
const PERSONAL_DATA: &str = "events:pii";

/// Each person that is seen gets an event for it.
const MOST: usize = 100;

pub fn endpoints() -> Vec<Endpoint> {
    let summary = "See what is sealed beside events: that you did is recorded, with your reason";
    vec![Endpoint::new(Method::POST, "/sealed", ("open_sealed_values", summary), see)]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SealedValuesWanted {
    /// The cursors of the events.
    #[schemars(length(min = 1, max = 100))]
    cursors: Vec<String>,
    /// Why, in up to 500 characters. It stands in the log for good: nothing personal.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
}

#[derive(Serialize, JsonSchema)]
struct SealedValues {
    /// In the order asked for.
    items: Vec<SealedOfEvent>,
}

#[derive(Serialize, JsonSchema)]
struct SealedOfEvent {
    cursor: String,
    /// The event's.
    id: String,
    /// Whose it is, by pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<SubjectId>,
    /// By name; empty: nothing was sealed, or it is gone, or nobody has logged in whose it is.
    values: Map<String, Value>,
}

async fn see(call: Call<Nothing, Json<SealedValuesWanted>>) -> Result<SealedValues, Problem> {
    let reader = Reader::calling(&call)?;
    if !call.operator.has(PERSONAL_DATA) {
        let detail = format!("the access token needs the scope {PERSONAL_DATA}");
        return Err(Problem::forbidden(PERSONAL_DATA, &detail));
    }
    let Json(SealedValuesWanted { cursors, reason }) = &call.body;
    let reason = check_reason(reason)?;
    if !(1..=MOST).contains(&cursors.len()) {
        return Err(Problem::invalid(format!("cursors must be from 1 to {MOST}")));
    }
    let mut positions = Vec::with_capacity(cursors.len());
    for cursor in cursors {
        positions.push(reader.events.cursors().read(cursor)?);
    }
    let may_see = |stored: &StoredEvent| match reader.limits.shown(&stored.event) {
        Shown::All => true,
        Shown::Fields(fields) => fields.contains("sealed"),
        Shown::Nothing => false,
    };
    let opened = open(&reader.services, &positions, (&reader.name, reason), may_see).await?;
    let item = |opened: Opened| SealedOfEvent {
        cursor: reader.events.cursors().at(opened.stored.position),
        id: opened.stored.event.digest.to_string(),
        sub: opened.subject,
        values: opened.values,
    };
    Ok(SealedValues { items: opened.into_iter().map(item).collect() })
}

impl From<SealedError> for Problem {
    fn from(error: SealedError) -> Self {
        match error {
            SealedError::NoEvent(_) => Self::not_found(error.to_string()),
            SealedError::Store(error) => error.into(),
            other => Self::internal(&other),
        }
    }
}
