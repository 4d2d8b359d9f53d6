//! Numbers and times, for people.

use crate::console::page::duration;
use crate::events::figures::ratio;

/// With a comma before each three digits: `12,345`.
#[must_use]
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("−{text}") } else { text }
}

/// A part of a whole, in a hundred: `12.3 %`; `–` of nothing.
#[must_use]
pub fn percent(part: i64, whole: i64) -> String {
    match ratio(part, whole) {
        None => "–".to_owned(),
        // What is there at all, and what is missing, is not rounded away.
        Some(_) if part > 0 && part.saturating_mul(2000) < whole => "< 0.1 %".to_owned(),
        Some(_) if part < whole && (whole - part).saturating_mul(2000) < whole => {
            "> 99.9 %".to_owned()
        }
        Some(ratio) => format!("{:.1} %", ratio * 100.0).replace(".0 %", " %"),
    }
}

/// How long, from milliseconds: `840 ms`, `1.2 s`, `2 d 3 h`.
#[must_use]
pub fn time(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms} ms");
    }
    if ms < 60_000 {
        let tenths = ms.div_ceil(100);
        return format!("{}.{} s", tenths / 10, tenths % 10).replace(".0 s", " s");
    }
    duration(i64::try_from(ms.div_ceil(1000)).unwrap_or(i64::MAX))
}

/// The same from seconds.
#[must_use]
pub fn time_of_seconds(seconds: f64) -> String {
    time(milliseconds(seconds))
}

/// Seconds in milliseconds.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are neither negative nor beyond 2^53"
)]
pub fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_comma_before_each_three_digits() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (-12_345, "−12,345"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn nothing_is_rounded_to_nothing_or_to_all() {
        for (part, whole, text) in [
            (0, 0, "–"),
            (0, 5, "0 %"),
            (1, 3, "33.3 %"),
            (1, 2, "50 %"),
            (5, 5, "100 %"),
            (1, 10_000, "< 0.1 %"),
            (9_999, 10_000, "> 99.9 %"),
        ] {
            assert_eq!(percent(part, whole), text, "{part} of {whole}");
        }
    }

    #[test]
    fn times_are_told_in_units_that_fit() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (1248, "1.3 s"),
            (59_999, "60 s"),
            (61_000, "1 min 1 s"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(time(ms), text);
        }
        assert_eq!(time_of_seconds(1.248), "1.3 s");
    }
}
