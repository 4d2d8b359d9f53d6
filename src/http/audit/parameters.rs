//! What many questions take: times, and a part of a list.

use std::borrow::Cow;

use chancery_domain::time::UnixTime;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::audit::{Part, Period, Timestamp, instant, period};
use crate::http::api::endpoint::PartOfList;
use crate::http::api::problem::Problem;

/// A day or a moment.
#[derive(Clone, Copy)]
pub(super) struct When(pub(super) Period);

/// A moment.
#[derive(Clone, Copy)]
pub(super) struct Instant(pub(super) UnixTime);

impl When {
    /// From its beginning on.
    pub(super) fn begins(self) -> Timestamp {
        self.0.from.into()
    }

    /// Up to its end.
    pub(super) fn ends(self) -> Timestamp {
        self.0.below.into()
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        period(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        instant(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for When {
    fn schema_name() -> Cow<'static, str> {
        "DayOrMoment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "anyOf": [{ "format": "date" }, { "format": "date-time" }],
            "examples": ["2026-05-01", "2026-05-01T09:30:00Z"],
        })
    }
}

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// The part of a list that is asked for.
pub(super) fn part(limit: u32, after: Option<&String>) -> Result<Part, Problem> {
    let part = PartOfList { limit, after: after.cloned() }.first_to_last()?;
    Ok(Part { after: part.after, limit: part.limit })
}

pub(super) fn fifty() -> u32 {
    50
}
