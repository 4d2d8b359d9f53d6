//! How long something took, many times over: counts of rounded times, which can
//! be added up.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// So many leading binary digits of a time are kept.
const DIGITS: u32 = 6;

/// A time as it is counted: itself below 64; above, rounded up to the next number of which only the six
/// leading binary digits are not zero. At most 1/32 more than the time. Greater times never become
/// smaller than lesser ones, so a percentile (by nearest rank) of rounded times is the rounded
/// percentile of the times themselves.
#[must_use]
pub const fn rounded_up(time: u64) -> u64 {
    let step = (u64::BITS - time.leading_zeros()).saturating_sub(DIGITS);
    let below = (1 << step) - 1;
    time.saturating_add(below) & !below
}

/// How often each time was seen, as [`rounded_up`] has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u64, i64>);

/// What is kept is no histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no histogram")]
pub struct NoHistogram;

impl Histogram {
    /// Notes a time.
    pub fn note(&mut self, time: u64) {
        *self.0.entry(rounded_up(time)).or_default() += 1;
    }

    /// Adds all that another has seen.
    pub fn add(&mut self, other: &Self) {
        for (time, count) in &other.0 {
            let own = self.0.entry(*time).or_default();
            *own = own.saturating_add(*count);
        }
    }

    /// How many times were noted.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The time at place `ceil(hundredths / 100 * count)`, when they are in order; rounded up.
    #[must_use]
    pub fn percentile(&self, hundredths: u32) -> Option<u64> {
        let rank = (i128::from(self.count()) * i128::from(hundredths)).div_euclid(100);
        let exact = i128::from(self.count()) * i128::from(hundredths) % 100 == 0;
        let rank = (rank + i128::from(!exact)).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(time, count)| {
            seen += i128::from(*count);
            (seen >= rank).then_some(*time)
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `time:count`, with spaces between.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (time, count)) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { " " };
            write!(f, "{between}{time}:{count}")?;
        }
        Ok(())
    }
}

impl FromStr for Histogram {
    type Err = NoHistogram;

    fn from_str(text: &str) -> Result<Self, NoHistogram> {
        let entry = |entry: &str| {
            let (time, count) = entry.split_once(':')?;
            Some((time.parse().ok()?, count.parse().ok()?))
        };
        let entries = text.split_ascii_whitespace();
        entries.map(|text| entry(text).ok_or(NoHistogram)).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_up_by_a_thirty_second_at_most() {
        for (time, counted) in
            [(0, 0), (63, 63), (64, 64), (65, 66), (127, 128), (128, 128), (1000, 1008)]
        {
            assert_eq!(rounded_up(time), counted, "{time}");
        }
        assert_eq!(rounded_up(86_400_000), 88_080_384);
        let mut before = 0;
        for time in (0..20_000).chain((0..20_000).map(|time| 3_600_000 + 7 * time)) {
            let counted = rounded_up(time);
            assert!(counted >= time && (counted - time) * 32 <= time, "{time}: {counted}");
            assert!(counted >= before, "{time} is counted below what is less");
            assert_eq!(rounded_up(counted), counted);
            before = counted;
        }
        assert!(rounded_up(u64::MAX) > u64::MAX / 2, "nothing overflows");
    }

    #[test]
    fn a_percentile_of_what_is_counted_is_the_percentile_rounded() {
        let times: Vec<u64> = (0..997).map(|number| number * number * 31 % 65_537).collect();
        let mut histogram = Histogram::default();
        for time in &times {
            histogram.note(*time);
        }
        let mut ordered = times;
        ordered.sort_unstable();
        for hundredths in [1, 50, 95, 99, 100] {
            let rank = (ordered.len() * hundredths as usize).div_ceil(100);
            let expected = rounded_up(ordered[rank - 1]);
            assert_eq!(histogram.percentile(hundredths), Some(expected), "{hundredths}");
        }
        assert_eq!(Histogram::default().percentile(50), None);
    }

    #[test]
    fn histograms_add_up_whatever_was_seen_where() {
        let (mut one, mut other, mut both) = <(Histogram, Histogram, Histogram)>::default();
        for time in 0..500 {
            if time % 3 == 0 { &mut one } else { &mut other }.note(time * 13);
            both.note(time * 13);
        }
        one.add(&other);
        assert_eq!(one, both);
        assert_eq!(one.count(), 500);
    }

    #[test]
    fn a_histogram_is_read_as_it_was_written() {
        let mut histogram = Histogram::default();
        assert_eq!("".parse(), Ok(histogram.clone()));
        for time in [5, 5, 70_000] {
            histogram.note(time);
        }
        assert_eq!(histogram.to_string(), "5:2 71680:1");
        assert_eq!(histogram.to_string().parse(), Ok(histogram));
        for wrong in ["5", "5:x", "a:1", "-1:1", "5:2,6:1"] {
            assert_eq!(wrong.parse::<Histogram>(), Err(NoHistogram), "{wrong}");
        }
    }
}
