//! `[accounts]`: what people may do with their accounts by themselves.

use super::declaration::{Check, Report, settings};

settings! {
    /// What people may do with their accounts by themselves.
    Accounts in "accounts" {
        /// The claims (OpenID Connect Core §5.1) that people may change on their account's
        /// page. An e-mail address or phone number that is changed is not verified any more.
        editable_claims: Vec<String> = default ["name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "email", "phone_number", "address"];
        /// People make their accounts themselves, on a page of their own; clients may send
        /// them there by prompt=create (Initiating User Registration via OpenID Connect).
        /// Whoever comes can then write an account into the log, which is slowed down for each
        /// network.
        self_registration: bool = default false;
    }
}

impl Accounts {
    /// The claims that can be named, in the order of the page.
    pub const CLAIMS: &[&str] = &[
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "email",
        "phone_number",
        "address",
    ];
}

impl Check for Accounts {
    fn check(&self, report: &mut Report<'_>) {
        for claim in &self.editable_claims {
            if !Self::CLAIMS.contains(&claim.as_str()) {
                let known = Self::CLAIMS.join(", ");
                report.contradiction(
                    "editable_claims",
                    &format!("names {claim}, which people can't change"),
                    &format!("known are {known}"),
                );
            }
        }
    }
}
