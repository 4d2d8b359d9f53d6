//! `[rate_limits.NAME]`: how often a client may call.

use super::declaration::{Check, Report, settings};
use super::value::choice;

settings! {
    /// How often each client may call endpoints: a table each, `[rate_limits.NAME]`. What is more
    /// is refused with 429 and says in `Retry-After` when to come again; it is counted, and
    /// changes nothing. Each node counts by itself. Whoever can't prove to be a client, because it
    /// is a public one, is counted by network too, so that nobody uses up what is another's.
    RateLimit in "rate_limits" {
        /// The endpoints whose requests are counted, all together.
        endpoints: Vec<Limited> = required ["token"];
        /// Requests of a client within a minute. They may come all at once; then it is as many
        /// as become free in the course of time.
        per_minute: u32 = required 600 within 1..=10_000_000;
        /// Only these clients; none named: each.
        clients: Vec<String> = default [];
        /// Not these clients.
        except: Vec<String> = default [];
    }
}

choice! {
    /// What can be limited.
    Limited, "endpoints" {
        /// The authorization endpoint; always by network.
        Authorization = "authorization",
        /// The token endpoint.
        Token = "token",
        /// The pushed authorization request endpoint.
        Par = "par",
        /// The introspection endpoint.
        Introspection = "introspection",
        /// The revocation endpoint.
        Revocation = "revocation",
        /// The userinfo endpoint: the client is that of the token.
        Userinfo = "userinfo",
    }
}

impl Check for RateLimit {
    fn check(&self, report: &mut Report<'_>) {
        if self.endpoints.is_empty() {
            report.contradiction("endpoints", "names none", "name one, or remove the table");
        }
        if let Some(both) = self.clients.iter().find(|client| self.except.contains(client)) {
            report.contradiction(
                "except",
                &format!("names {both}, which `clients` names too"),
                "leave it out of `clients`",
            );
        }
    }
}
