//! `[limits]`: how much strangers may cause to be kept.

use super::declaration::{Check, Report, settings};

settings! {
    /// How much strangers may cause to be kept.
    Limits in "limits" {
        /// Requests that all who call themselves one public client may push within a
        /// minute. More are refused with 429, and only counted.
        public_pushes_per_minute: u32 = default 60 within 1..=1_000_000;
    }
}

impl Check for Limits {
    fn check(&self, _: &mut Report<'_>) {}
}
