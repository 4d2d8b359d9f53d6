//! Which events a reader wants.

use chancery_domain::ids::ClientId;

use crate::stores::NewEvent;

/// All events, or those of some types, or of some clients.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Empty: all.
    types: Vec<Box<str>>,
    /// As they stand in an event's metadata. Empty: all, and those of no client.
    clients: Vec<Box<str>>,
}

impl Filter {
    /// Events of these types (`CodeRedeemed`) and clients; of all, where none is named.
    #[must_use]
    pub fn new(
        types: impl IntoIterator<Item = String>,
        clients: impl IntoIterator<Item = ClientId>,
    ) -> Self {
        let types = types.into_iter().map(String::into_boxed_str).collect();
        let member = |client: ClientId| {
            let client = serde_json::Value::from(client.as_str());
            format!("\"client_id\":{client}").into_boxed_str()
        };
        Self { types, clients: clients.into_iter().map(member).collect() }
    }

    /// Is this one of them?
    #[must_use]
    pub fn takes(&self, event: &NewEvent) -> bool {
        let typed = self.types.is_empty() || self.types.iter().any(|own| **own == event.event_type);
        // A quote within a text is written as \", so that this is the member itself.
        typed
            && (self.clients.is_empty()
                || self.clients.iter().any(|client| event.metadata.contains(&**client)))
    }
}
