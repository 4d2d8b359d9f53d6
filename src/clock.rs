//! What time it is. The only place that asks the machine; everything else is
//! told.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_domain::time::{Lifetime, UnixTime};

/// A source of the time of day.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;

    /// The same in whole seconds, as the standards count.
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.now_ms().div_euclid(1000))
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    fn now_ms(&self) -> i64 {
        let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis());
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => millis(after).unwrap_or(i64::MAX),
            Err(before) => millis(before.duration()).map_or(i64::MIN, |ms| -ms),
        }
    }
}

/// A clock that stands still until it is told otherwise: for tests, and for made-up histories.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// Stands at this moment.
    #[must_use]
    pub const fn at(now: UnixTime) -> Self {
        Self(AtomicI64::new(now.seconds().saturating_mul(1000)))
    }

    /// Moves it to another moment, later or earlier.
    pub fn set(&self, now: UnixTime) {
        self.0.store(now.seconds().saturating_mul(1000), Ordering::SeqCst);
    }

    /// The same in milliseconds since 1970.
    pub fn set_ms(&self, now: i64) {
        self.0.store(now, Ordering::SeqCst);
    }

    /// Moves it forward.
    pub fn advance(&self, by: Lifetime) {
        self.advance_ms(i64::from(by.seconds()) * 1000);
    }

    /// Moves it by milliseconds.
    pub fn advance_ms(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A moment as RFC 3339 has it, in UTC and whole seconds: `2024-02-29T23:59:59Z`.
#[must_use]
pub fn rfc3339(time: UnixTime) -> String {
    let mut text = rfc3339_ms(time.seconds().saturating_mul(1000));
    if let Some(dot) = text.find('.') {
        text.truncate(dot);
    }
    text.push('Z');
    text
}

/// A moment as RFC 3339 has it, in UTC and milliseconds:
/// `2024-02-29T23:59:59.999Z`. Always 24 characters: moments before the year 0
/// or after 9999 are moved to the nearest that can be written.
#[must_use]
pub fn rfc3339_ms(ms: i64) -> String {
    const DAY: i64 = 86_400_000;
    // 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z.
    let ms = ms.clamp(-62_167_219_200_000, 253_402_300_799_999);
    let (year, month, day) = civil(ms.div_euclid(DAY));
    let in_day = ms.rem_euclid(DAY);

    let mut text = String::with_capacity(24);
    digits(&mut text, year, 1000);
    for (before, value) in [('-', month), ('-', day), ('T', in_day / 3_600_000)] {
        text.push(before);
        digits(&mut text, value, 10);
    }
    for value in [in_day / 60_000 % 60, in_day / 1000 % 60] {
        text.push(':');
        digits(&mut text, value, 10);
    }
    text.push('.');
    digits(&mut text, in_day % 1000, 100);
    text.push('Z');
    text
}

/// Appends `value` in decimal; `unit` is the weight of the first digit.
fn digits(text: &mut String, value: i64, unit: i64) {
    let mut unit = unit;
    while unit > 0 {
        let digit = u8::try_from(value / unit % 10).unwrap_or(0);
        text.push(char::from(b'0' + digit));
        unit /= 10;
    }
}

/// Days since 1970-01-01 as year, month and day of the Gregorian calendar.
/// Counts in eras of 400 years whose years begin in March, so that the leap
/// day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use time::macros::format_description;

    use super::*;

    #[test]
    fn known_moments_are_written_as_rfc_3339_has_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_007, "2024-12-31T23:59:59.007Z"),
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339_ms(ms), text);
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_written_as_the_time_crate_writes_it(
            ms in -62_167_219_200_000_i64..=253_402_300_799_999,
        ) {
            let format = format_description!(
                "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
            );
            let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
                .unwrap();
            prop_assert_eq!(rfc3339_ms(ms), moment.format(format).unwrap());
        }
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::at(UnixTime::from_seconds(100));
        assert_eq!(clock.now(), UnixTime::from_seconds(100));
        clock.advance(Lifetime::from_seconds(5));
        clock.advance_ms(999);
        assert_eq!(clock.now(), UnixTime::from_seconds(105));
        assert_eq!(clock.now_ms(), 105_999);
        clock.set(UnixTime::from_seconds(50));
        assert_eq!(clock.now_ms(), 50_000);
    }

    #[test]
    fn the_system_clock_is_past_the_year_2024() {
        assert!(SystemClock.now() > UnixTime::from_seconds(1_735_689_600));
    }
}
