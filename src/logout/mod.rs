//! What follows when a session ends: its clients are told, by the server
//! ([`backchannel`]) and by the browser ([`frontchannel`]).

pub mod backchannel;
pub mod frontchannel;
pub mod logout_token;

use chancery_domain::client::RegisteredClient;
use chancery_domain::ids::SubjectId;

/// The `sub` that this client knows a person by.
#[must_use]
pub fn subject_for(_client: &RegisteredClient, subject: SubjectId) -> String {
    subject.to_string()
}
