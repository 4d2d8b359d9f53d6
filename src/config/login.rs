//! `[login]`: how guessing is slowed down, and what a login is worth.

use std::collections::BTreeSet;

use chancery_domain::time::Lifetime;

use super::declaration::{Check, Report, settings};

settings! {
    /// How guessing of passwords is slowed down, and what a login is worth. A browser in
    /// which the account has logged in before is not held up by what strangers do.
    Login in "login" {
        /// Failed attempts in a row before the next one has to wait.
        failures_before_delay: u16 = default 5 within 1..=100;
        /// The longest wait between two attempts, in seconds; it doubles up to this.
        max_delay: Lifetime = default 300 within 1..=86_400;
        /// The authentication context classes (acr) that a login by password meets, the
        /// weakest first: clients may ask for them, and the least that a client accepts is
        /// compared by their order. Who asks for none is told the last.
        acr_values: Vec<String> = default ["urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"];
    }
}

impl Login {
    /// The strongest class that a login meets.
    #[must_use]
    pub fn acr(&self) -> &str {
        self.acr_values.last().map(String::as_str).unwrap_or_default()
    }
}

impl Check for Login {
    fn check(&self, report: &mut Report<'_>) {
        let mut seen = BTreeSet::new();
        let spaced = |name: &String| name.contains(char::is_whitespace);
        if self.acr_values.is_empty() || self.acr_values.iter().any(spaced) {
            report.contradiction(
                "acr_values",
                "must name at least one class, and names have no spaces",
                "leave it out for the class that others know too",
            );
        }
        if let Some(twice) = self.acr_values.iter().find(|name| !seen.insert(*name)) {
            report.contradiction(
                "acr_values",
                &format!("names {twice} twice"),
                "name each class once, the weakest first",
            );
        }
    }
}
