//! The signing keys: what the JWKS publishes, and what became of each key.

use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;
use chancery_domain::signing_key::SigningKeyEvent;

use crate::{Change, ColumnType, Projection, Recorded, Table, json};

/// One row for each key.
pub static SIGNING_KEYS: Table = Table {
    name: "signing_keys",
    key: "key_id",
    columns: &[
        ("key_id", ColumnType::Text),
        ("algorithm", ColumnType::Text),
        // The public key (RFC 7517).
        ("jwk", ColumnType::Text),
        // `published`, `active` or `retired`
        ("state", ColumnType::Text),
        ("published_at", ColumnType::Int),
        ("activated_at", ColumnType::Int),
        ("retired_at", ColumnType::Int),
        // Until when a retired key stays in the JWKS.
        ("published_until", ColumnType::Int),
    ],
};

/// See the module.
pub struct SigningKeys;

impl Projection for SigningKeys {
    fn name(&self) -> &'static str {
        "signing_keys"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&SIGNING_KEYS] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::SigningKey]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::SigningKey(event) = &recorded.event else { return };
        let set = match event {
            SigningKeyEvent::KeyPublished(event) => vec![
                ("algorithm", event.algorithm.as_str().into()),
                ("jwk", json(&event.jwk)),
                ("state", "published".into()),
                ("published_at", event.at.into()),
            ],
            SigningKeyEvent::KeyActivated(event) => {
                vec![("state", "active".into()), ("activated_at", event.at.into())]
            }
            SigningKeyEvent::KeyRetired(event) => vec![
                ("state", "retired".into()),
                ("retired_at", event.at.into()),
                ("published_until", event.published_until.into()),
            ],
        };
        changes.push(Change::put(&SIGNING_KEYS, &recorded.id, set));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rows;

    #[test]
    fn a_retired_key_says_until_when_it_stays_published() {
        let mut rows = Rows::of(&SigningKeys);
        rows.see(
            "signing_key/k1",
            "KeyPublished",
            r#"{"key_id":"k1","algorithm":"ES256","jwk":{"kty":"EC"},"at":1}"#,
        );
        assert_eq!(rows.row("signing_keys", "k1")["state"], "published".into());
        rows.see("signing_key/k1", "KeyActivated", r#"{"at":2}"#);
        assert_eq!(rows.row("signing_keys", "k1")["state"], "active".into());
        rows.see("signing_key/k1", "KeyRetired", r#"{"at":3,"published_until":9}"#);
        let row = rows.row("signing_keys", "k1");
        assert_eq!((&row["state"], &row["published_until"]), (&"retired".into(), &9.into()));
        assert_eq!(row["jwk"], r#"{"kty":"EC"}"#.into());
    }
}
