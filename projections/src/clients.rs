//! The clients: who is registered, with which metadata, and may it be used?

use chancery_domain::client::ClientEvent;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;

use crate::{Change, ColumnType, Projection, Recorded, Table, Value, json};

/// One row for each client.
pub static CLIENTS: Table = Table {
    name: "clients",
    key: "client_id",
    columns: &[
        ("client_id", ColumnType::Text),
        // `enabled`, `disabled` or `deleted`
        ("state", ColumnType::Text),
        // Why it is disabled, in the operator's words.
        ("reason", ColumnType::Text),
        // JSON, with the names of RFC 7591.
        ("metadata", ColumnType::Text),
        ("created_at", ColumnType::Int),
        ("updated_at", ColumnType::Int),
        // When it got its secret; absent for a public client.
        ("secret_since", ColumnType::Int),
        // Until when the secret before that is good too.
        ("previous_secret_until", ColumnType::Int),
    ],
};

/// See the module.
pub struct Clients;

impl Projection for Clients {
    fn name(&self) -> &'static str {
        "clients"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&CLIENTS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::Client]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::Client(event) = &recorded.event else { return };
        let mut set = match event {
            ClientEvent::ClientRegistered(event) => vec![
                ("state", "enabled".into()),
                ("metadata", json(&event.metadata)),
                ("created_at", event.at.into()),
                ("secret_since", event.secret.as_ref().map(|_| event.at).into()),
            ],
            ClientEvent::ClientMetadataReplaced(event) => vec![("metadata", json(&event.metadata))],
            ClientEvent::ClientSecretRotated(event) => vec![
                ("secret_since", recorded.recorded_at().into()),
                ("previous_secret_until", event.previous_until.into()),
            ],
            ClientEvent::ClientDisabled(event) => {
                vec![("state", "disabled".into()), ("reason", event.reason.as_str().into())]
            }
            ClientEvent::ClientEnabled(_) => {
                vec![("state", "enabled".into()), ("reason", Value::Null)]
            }
            ClientEvent::ClientDeleted(_) => vec![("state", "deleted".into())],
        };
        set.push(("updated_at", recorded.recorded_at().into()));
        changes.push(Change::put(&CLIENTS, &recorded.id, set));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rows;

    const REGISTERED: &str = r#"{"client_id":"rp","metadata":{"client_name":"RP",
        "redirect_uris":["https://rp.example/cb"],"grant_types":["authorization_code"],
        "response_types":["code"],"scope":"openid","token_endpoint_auth_method":"none"},"at":5}"#;

    #[test]
    fn a_disabled_client_keeps_its_metadata_and_says_why() {
        let mut rows = Rows::of(&Clients);
        rows.see("client/rp", "ClientRegistered", REGISTERED);
        rows.see("client/rp", "ClientDisabled", r#"{"reason":"left"}"#);
        let row = rows.row("clients", "rp");
        assert_eq!(row["state"], "disabled".into());
        assert_eq!(row["reason"], "left".into());
        assert_eq!(row["created_at"], 5.into());
        assert_eq!(row["secret_since"], Value::Null);
        let Value::Text(metadata) = &row["metadata"] else { panic!("{row:?}") };
        assert!(metadata.contains(r#""client_name":"RP""#), "{metadata}");

        rows.see("client/rp", "ClientEnabled", "{}");
        let row = rows.row("clients", "rp");
        assert_eq!((&row["state"], &row["reason"]), (&"enabled".into(), &Value::Null));
    }

    #[test]
    fn replaced_metadata_are_the_only_ones() {
        let mut rows = Rows::of(&Clients);
        rows.see("client/rp", "ClientRegistered", REGISTERED);
        rows.see(
            "client/rp",
            "ClientMetadataReplaced",
            r#"{"metadata":{"client_name":"New","grant_types":["client_credentials"],
                "response_types":[],"scope":"a","token_endpoint_auth_method":"none"}}"#,
        );
        let row = rows.row("clients", "rp");
        let Value::Text(metadata) = &row["metadata"] else { panic!("{row:?}") };
        assert!(metadata.contains("New") && !metadata.contains("RP"), "{metadata}");
        assert_eq!(row["created_at"], 5.into());
    }
}
