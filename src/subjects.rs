//! The `sub` that a client knows a person by (OpenID Connect Core §8): computed
//! here and nowhere else, for whatever a client gets to see.
//!
//! A public one is the account's pseudonym, which stands in events. A pairwise
//! one is a MAC of it and the client's sector, under a key of its own that all
//! nodes share: the same for all clients of a sector, and nobody else can tell
//! which of another sector's it goes with. The `sid` of a session is made
//! likewise, or two sectors could compare those. Nothing of it is stored.

use chancery_domain::client::{RegisteredClient, Sector};
use chancery_domain::ids::{SessionId, SubjectId};

use crate::keys::Keys;

/// The `sub` of this person, for this client.
#[must_use]
pub fn subject_for(keys: &Keys, client: &RegisteredClient, subject: SubjectId) -> String {
    seen_by(keys, client, "subject", subject.to_string())
}

/// The `sid` of this session, for this client (OpenID Connect Front-Channel
/// Logout §3).
#[must_use]
pub fn session_for(keys: &Keys, client: &RegisteredClient, session: SessionId) -> String {
    seen_by(keys, client, "session", session.to_string())
}

fn seen_by(keys: &Keys, client: &RegisteredClient, what: &str, public: String) -> String {
    let (kind, name) = match client.sector() {
        None => return public,
        Some(Sector::Host(host)) => ("host", host),
        Some(Sector::Client(client_id)) => ("client", client_id.to_string()),
    };
    keys.subjects.tag(&[what, kind, &name, &public])
}
