//! `[login]`: how guessing is slowed down.

use chancery_domain::time::Lifetime;

use super::declaration::{Check, Report, settings};

settings! {
    /// How guessing of passwords is slowed down. A browser in which the account has logged
    /// in before is not held up by what strangers do.
    Login in "login" {
        /// Failed attempts in a row before the next one has to wait.
        failures_before_delay: u16 = default 5 within 1..=100;
        /// The longest wait between two attempts, in seconds; it doubles up to this.
        max_delay: Lifetime = default 300 within 1..=86_400;
    }
}

impl Check for Login {
    fn check(&self, _: &mut Report<'_>) {}
}
