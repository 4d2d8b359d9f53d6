//! The scopes that operators have defined while the server ran.

use chancery_domain::event::AnyEvent;
use chancery_domain::ids::AggregateKind;
use chancery_domain::scope_definition::ScopeDefinitionEvent;

use crate::{Change, ColumnType, Projection, Recorded, Table, json};

/// One row for each scope that is defined.
pub static SCOPES: Table = Table {
    name: "scopes",
    key: "name",
    columns: &[
        ("name", ColumnType::Text),
        // JSON: description, localized, claims, privileged, open.
        ("definition", ColumnType::Text),
        ("updated_at", ColumnType::Int),
    ],
};

/// See the module.
pub struct Scopes;

impl Projection for Scopes {
    fn name(&self) -> &'static str {
        "scopes"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static Table] {
        const { &[&SCOPES] }
    }

    fn reads(&self) -> &'static [AggregateKind] {
        &[AggregateKind::ScopeDefinition]
    }

    fn project(&self, recorded: &Recorded, changes: &mut Vec<Change>) {
        let AnyEvent::ScopeDefinition(event) = &recorded.event else { return };
        changes.push(match event {
            ScopeDefinitionEvent::ScopeDefined(event) => {
                let set = [
                    ("definition", json(&event.definition)),
                    ("updated_at", recorded.recorded_at().into()),
                ];
                Change::put(&SCOPES, &recorded.id, set)
            }
            ScopeDefinitionEvent::ScopeRemoved(_) => {
                Change::Remove { table: &SCOPES, key: recorded.id.to_string() }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::testing::Rows;

    #[test]
    fn the_last_definition_counts_and_one_taken_back_is_gone() {
        let mut rows = Rows::of(&Scopes);
        let first = r#"{"name":"a:b","description":"see","claims":["x"],"at":5}"#;
        let second = r#"{"name":"a:b","description":"look","privileged":true,"at":6}"#;
        rows.see("scope/a:b", "ScopeDefined", first);
        rows.see("scope/a:b", "ScopeDefined", second);
        let Value::Text(definition) = &rows.row("scopes", "a:b")["definition"] else { panic!() };
        assert_eq!(definition, r#"{"description":"look","privileged":true}"#);

        rows.see("scope/c", "ScopeDefined", first);
        rows.see("scope/a:b", "ScopeRemoved", r#"{"at":7}"#);
        assert!(rows.has("scopes", "c") && !rows.has("scopes", "a:b"));
    }
}
