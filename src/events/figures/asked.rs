//! Which period: in whole hours, or whole days, so that it is a sum of rows.

use chancery_domain::ids::ClientId;
use chancery_domain::time::{Lifetime, UnixTime};
use chancery_projections::figures::{Grain, Whose};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::audit::{Period, period};

const HOUR: Lifetime = Lifetime::from_seconds(3600);
const DAY: Lifetime = Lifetime::from_seconds(86_400);

/// A period that ends now, the hour or the day that is under way included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Latest {
    /// The last 24 hours.
    #[serde(rename = "24h")]
    Hours24,
    /// The last 7 days.
    #[default]
    #[serde(rename = "7d")]
    Days7,
    /// The last 30 days.
    #[serde(rename = "30d")]
    Days30,
    /// All there is.
    #[serde(rename = "all")]
    All,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub period: Period,
    pub by: Grain,
    /// Of all clients, if of none.
    pub client_id: Option<ClientId>,
}

impl Latest {
    /// In the order of their length.
    pub const ALL: [Self; 4] = [Self::Hours24, Self::Days7, Self::Days30, Self::All];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hours24 => "24h",
            Self::Days7 => "7d",
            Self::Days30 => "30d",
            Self::All => "all",
        }
    }
}

impl Asked {
    /// What has come up to now.
    #[must_use]
    pub fn latest(latest: Latest, now: UnixTime, client_id: Option<ClientId>) -> Self {
        let by = if latest == Latest::Hours24 { Grain::Hour } else { Grain::Day };
        let begun = UnixTime::from_seconds(by.start_of(now.seconds()));
        let before = |seconds: u32| begun - Lifetime::from_seconds(seconds);
        let (from, below) = match latest {
            Latest::Hours24 => (before(23 * 3600), begun + HOUR),
            Latest::Days7 => (before(6 * 86_400), begun + DAY),
            Latest::Days30 => (before(29 * 86_400), begun + DAY),
            Latest::All => (UnixTime::from_seconds(0), begun + DAY),
        };
        Self { period: Period { from, below }, by, client_id }
    }

    /// From one day to another, both included; from the beginning, or until now, where none is
    /// given.
    pub fn days(
        (from, to): (&str, &str),
        now: UnixTime,
        client_id: Option<ClientId>,
    ) -> Result<Self, String> {
        let all = Self::latest(Latest::All, now, client_id);
        let from = day(from)?.map_or(all.period.from, |day| day.from);
        let below = day(to)?.map_or(all.period.below, |day| day.below);
        Ok(Self { period: Period { from, below }, ..all })
    }

    pub(super) fn whose(&self) -> Whose {
        self.client_id.clone().map_or(Whose::All, Whose::Client)
    }

    /// The hours or days of the period, from the first on.
    pub fn parts(&self) -> impl Iterator<Item = i64> + use<> {
        let (from, below) = (self.period.from.seconds(), self.period.below.seconds());
        let length = self.by.seconds();
        (0..).map(move |index: i64| from + index * length).take_while(move |start| *start < below)
    }
}

/// A day in UTC; nothing where none is given.
fn day(text: &str) -> Result<Option<Period>, String> {
    const LENGTH: usize = "2026-05-01".len();
    if text.is_empty() {
        return Ok(None);
    }
    let day = period(text).ok().filter(|_| text.len() == LENGTH && text.contains('-'));
    day.map(Some).ok_or_else(|| "give a day like 2026-05-01 (UTC)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-05-01T09:30:00Z
    const NOW: UnixTime = UnixTime::from_seconds(1_777_627_800);

    fn told(asked: &Asked) -> (String, String, usize) {
        let at = |at: UnixTime| crate::audit::Timestamp::from(at).to_string();
        let (from, below) = (at(asked.period.from), at(asked.period.below));
        (from[..16].to_owned(), below[..16].to_owned(), asked.parts().count())
    }

    #[test]
    fn the_latest_period_ends_with_the_hour_or_day_that_is_under_way() {
        for (latest, from, below, parts) in [
            (Latest::Hours24, "2026-04-30T10:00", "2026-05-01T10:00", 24),
            (Latest::Days7, "2026-04-25T00:00", "2026-05-02T00:00", 7),
            (Latest::Days30, "2026-04-02T00:00", "2026-05-02T00:00", 30),
        ] {
            let asked = Asked::latest(latest, NOW, None);
            assert_eq!(told(&asked), (from.to_owned(), below.to_owned(), parts), "{latest:?}");
        }
        let all = Asked::latest(Latest::All, NOW, None).period;
        assert_eq!(all.from.seconds(), 0);
        for latest in Latest::ALL {
            let text = serde_json::Value::from(latest.as_str());
            assert_eq!(serde_json::from_value::<Latest>(text).unwrap(), latest);
        }
    }

    #[test]
    fn days_are_whole_and_both_included() {
        let days = |from, to| Asked::days((from, to), NOW, None).map(|asked| told(&asked));
        let expected = ("2026-04-01T00:00".to_owned(), "2026-04-03T00:00".to_owned(), 2);
        assert_eq!(days("2026-04-01", "2026-04-02"), Ok(expected));
        assert_eq!(days("2026-04-01", "").unwrap().1, "2026-05-02T00:00");
        assert_eq!(days("", "2026-04-02").unwrap().0, "1970-01-01T00:00");
        assert_eq!(days("2026-04-02", "2026-04-01").unwrap().2, 0);
        for wrong in ["today", "2026-04", "1777627800", "2026-04-01T00:00:00Z", "2026-04-31"] {
            assert!(days(wrong, "").is_err(), "{wrong}");
            assert!(days("", wrong).is_err(), "{wrong}");
        }
    }
}
