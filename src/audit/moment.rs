//! When something happened: by both clocks, and by its place in the log.

use chancery_domain::time::{Lifetime, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::rfc3339_ms;

const DAY: Lifetime = Lifetime::from_seconds(24 * 60 * 60);

/// A time: RFC 3339, UTC, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "date-time"))]
pub struct Timestamp(String);

impl Timestamp {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<UnixTime> for Timestamp {
    fn from(time: UnixTime) -> Self {
        Self(rfc3339_ms(time.seconds().saturating_mul(1000)))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// When and where something stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Moment {
    /// Its place in the log.
    pub position: u64,
    /// Its place in the history of what it happened to.
    pub sequence: u64,
    /// By the clock of the node that decided.
    pub happened_at: Timestamp,
    /// By the clock of the store that took it.
    pub recorded_at: Timestamp,
    /// The same in milliseconds since 1970.
    #[serde(skip)]
    pub recorded_at_ms: i64,
}

impl Moment {
    pub(super) fn new(position: u64, sequence: u64, happened: &str, recorded_at_ms: i64) -> Self {
        Self {
            position,
            sequence,
            happened_at: Timestamp(happened.to_owned()),
            recorded_at: Timestamp(rfc3339_ms(recorded_at_ms)),
            recorded_at_ms,
        }
    }

    /// When it happened, in whole seconds; when it was recorded, if that can't be read.
    #[must_use]
    pub fn happened(&self) -> UnixTime {
        OffsetDateTime::parse(self.happened_at.as_str(), &Rfc3339)
            .map_or_else(|_| self.recorded(), |at| UnixTime::from_seconds(at.unix_timestamp()))
    }

    /// When it was recorded, in whole seconds.
    #[must_use]
    pub fn recorded(&self) -> UnixTime {
        UnixTime::from_seconds(self.recorded_at_ms.div_euclid(1000))
    }
}

/// From one time on (inclusive) up to another (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: UnixTime,
    pub below: UnixTime,
}

/// A moment as people and programs give it: RFC 3339, or seconds since 1970.
pub fn instant(text: &str) -> Result<UnixTime, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(UnixTime::from_seconds(seconds));
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .map(|time| UnixTime::from_seconds(time.unix_timestamp()))
        .map_err(|_| "give a time like 2026-05-01T09:30:00Z, or seconds since 1970".to_owned())
}

/// A day, which is the whole of it in UTC, or a moment, which is its second.
pub fn period(text: &str) -> Result<Period, String> {
    if let Ok(day) = OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339) {
        let from = UnixTime::from_seconds(day.unix_timestamp());
        return Ok(Period { from, below: from + DAY });
    }
    let from = instant(text).map_err(|_| {
        "give a day like 2026-05-01 (UTC), a time like 2026-05-01T09:30:00Z, or seconds since 1970"
            .to_owned()
    })?;
    Ok(Period { from, below: from + Lifetime::from_seconds(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_all_of_it_and_a_moment_its_second() {
        let day = period("2026-05-01").unwrap();
        assert_eq!(Timestamp::from(day.from).as_str(), "2026-05-01T00:00:00.000Z");
        assert_eq!(Timestamp::from(day.below).as_str(), "2026-05-02T00:00:00.000Z");
        let moment = period("2026-05-01T11:30:00+02:00").unwrap();
        assert_eq!(Timestamp::from(moment.from).as_str(), "2026-05-01T09:30:00.000Z");
        assert_eq!(moment.below.since(moment.from).seconds(), 1);
        assert_eq!(period("1777627800"), period("2026-05-01T09:30:00Z"));
        for wrong in ["", "today", "2026-13-01", "2026-05", "2026-W18-5", "20260501T", "2026-5-1"] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }
}
