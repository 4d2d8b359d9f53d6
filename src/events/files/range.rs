//! Which part of the log is wanted, by days or by positions; always a range of
//! positions in the end.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::rfc3339_ms;
use crate::stores::{Store, StoreError};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A day in UTC, by the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    /// The day of a moment, in milliseconds since 1970.
    #[must_use]
    pub const fn of(ms: i64) -> Self {
        Self(ms.div_euclid(DAY_MS))
    }

    const fn first_ms(self) -> i64 {
        self.0.saturating_mul(DAY_MS)
    }

    const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// `2026-11-29`
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(rfc3339_ms(self.first_ms()).get(..10).unwrap_or_default())
    }
}

/// Where a range begins or ends; the day or the position named is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Day(Day),
    Position(u64),
}

impl FromStr for Bound {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(position));
        }
        OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339)
            .map(|day| Self::Day(Day::of(day.unix_timestamp().saturating_mul(1000))))
            .map_err(|_| "give a day like 2026-05-01 (UTC), or a position of the log")
    }
}

impl Bound {
    /// The position after which a range begins.
    pub async fn begins_after(self, store: &dyn Store) -> Result<u64, StoreError> {
        match self {
            Self::Position(position) => Ok(position.saturating_sub(1)),
            Self::Day(day) => last_before(store, day.first_ms()).await,
        }
    }

    /// The position that a range ends with.
    pub async fn ends_with(self, store: &dyn Store) -> Result<u64, StoreError> {
        match self {
            Self::Position(position) => Ok(position),
            Self::Day(day) => last_before(store, day.next().first_ms()).await,
        }
    }
}

/// The position of the last event recorded before a moment; 0: there is none.
///
/// By halving: positions follow the store's clock, but for what is recorded in
/// the same moment, which then is on one side or the other. What begins on a day
/// goes on exactly from what ends on the day before.
async fn last_before(store: &dyn Store, ms: i64) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, store.last_position().await?);
    while low < high {
        let middle = low + (high - low) / 2;
        let after = i64::try_from(middle).unwrap_or(i64::MAX);
        match store.scan(after, 1).await?.first() {
            Some(event) if event.recorded_at_ms < ms => {
                low = u64::try_from(event.position).unwrap_or(high).min(high);
            }
            _ => high = middle,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_day_or_a_position() {
        assert_eq!("4711".parse(), Ok(Bound::Position(4711)));
        let Ok(Bound::Day(day)) = "2026-11-29".parse() else { panic!("it is a day") };
        assert_eq!(day.to_string(), "2026-11-29");
        assert_eq!(Day::of(day.first_ms()), day);
        assert_eq!(Day::of(day.first_ms() - 1).next(), day);
        assert_eq!(Day::of(-1).to_string(), "1969-12-31");
        for wrong in ["", "-1", "today", "2026-13-01", "2026-11", "2026-11-29T00:00:00Z"] {
            assert!(wrong.parse::<Bound>().is_err(), "{wrong}");
        }
    }
}
