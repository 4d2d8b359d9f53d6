//! `[sessions]`: how long a browser stays logged in.

use chancery_domain::time::Lifetime;

use super::declaration::{Check, Report, settings};

settings! {
    /// How long a browser stays logged in. Times are in seconds. The cookie is Secure
    /// whenever the issuer is https.
    Sessions in "sessions" {
        /// How long after the login, at most.
        lifetime: Lifetime = default 28_800 within 60..=31_536_000;
        /// How long a browser may stay away and still be logged in when it comes back. 0: as
        /// long as the login is good. When it was last here stands in a cookie, not in the log.
        idle_timeout: Lifetime = default 0 within 0..=31_536_000;
        /// Whether the end of a session also ends grants with `offline_access` that were
        /// given in it: access while the person is not there, which by the standards
        /// outlives a logout. All other grants of a session end with it.
        logout_ends_offline_access: bool = default false;
    }
}

impl Check for Sessions {
    fn check(&self, _: &mut Report<'_>) {}
}
