//! Which events a reader wants.

use std::sync::Arc;

use chancery_domain::ids::ClientId;

use super::limits::Limits;
use super::schemas::Schemas;
use crate::stores::NewEvent;

/// So many types, or clients, may be named.
const MOST: usize = 100;

/// All events, or those of some types, or of some clients.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Empty: all.
    types: Vec<&'static str>,
    /// As they stand in an event's metadata. Empty: all, and those of no client.
    clients: Vec<Box<str>>,
    /// What may be seen at all.
    limits: Arc<Limits>,
}

/// Why there is no such filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("there is no event of the type {0:?}; /schemas names all")]
    Type(String),
    #[error("clients are named by their ids")]
    Client,
    #[error("up to {MOST} types and clients can be named")]
    TooMany,
}

impl Filter {
    /// Events of these types (`CodeRedeemed`, or `chancery.grant.CodeRedeemed.v1`) and clients;
    /// of all, where none is named.
    pub fn new<'a>(
        schemas: &Schemas,
        types: impl IntoIterator<Item = &'a str>,
        clients: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, FilterError> {
        let known = |name: &'a str| {
            schemas.event_type(name).ok_or_else(|| FilterError::Type(name.to_owned()))
        };
        let types: Vec<_> = types.into_iter().map(known).collect::<Result<_, _>>()?;
        let clients = clients.into_iter().map(ClientId::parse);
        let clients: Vec<_> = clients.collect::<Result<_, _>>().map_err(|_| FilterError::Client)?;
        if types.len() > MOST || clients.len() > MOST {
            return Err(FilterError::TooMany);
        }
        let member = |client: ClientId| {
            let client = serde_json::Value::from(client.as_str());
            format!("\"client_id\":{client}").into_boxed_str()
        };
        let clients = clients.into_iter().map(member).collect();
        Ok(Self { types, clients, limits: Arc::default() })
    }

    /// The same, but for what may not be seen.
    #[must_use]
    pub fn within(self, limits: &Arc<Limits>) -> Self {
        Self { limits: Arc::clone(limits), ..self }
    }

    /// Is this one of them?
    #[must_use]
    pub fn takes(&self, event: &NewEvent) -> bool {
        let typed = self.types.is_empty() || self.types.contains(&&*event.event_type);
        // A quote within a text is written as \", so that this is the member itself.
        typed
            && self.limits.admit(event)
            && (self.clients.is_empty()
                || self.clients.iter().any(|client| event.metadata.contains(&**client)))
    }
}
