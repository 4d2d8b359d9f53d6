//! What one change of a client's metadata changed, member by member.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A member that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub member: String,
    /// What is not there any more: the value, or the items of a list.
    pub removed: Vec<String>,
    /// What is there now.
    pub added: Vec<String>,
}

impl Difference {
    /// In a word.
    pub fn kind(&self) -> &'static str {
        match (self.removed.is_empty(), self.added.is_empty()) {
            (true, _) => "added",
            (false, true) => "removed",
            (false, false) => "changed",
        }
    }
}

/// The differences between two JSON objects, by name.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let none = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&none), after.as_object().unwrap_or(&none));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing.map(|name| difference(name, before.get(name), after.get(name))).collect()
}

fn difference(name: &str, before: Option<&Value>, after: Option<&Value>) -> Difference {
    let (old, new) = (items(name, before), items(name, after));
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|item| !those.contains(item)).cloned().collect()
    };
    let (mut removed, mut added) = (without(&old, &new), without(&new, &old));
    if removed.is_empty() && added.is_empty() {
        // The same items in another order, or as often as not before.
        (removed, added) = (vec![old.join(", ")], vec![new.join(", ")]);
    }
    Difference { member: name.to_owned(), removed, added }
}

/// A list item by item, a scope name by name, anything else as a whole.
fn items(name: &str, value: Option<&Value>) -> Vec<String> {
    match value {
        None => vec![],
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(Value::String(scope)) if name == "scope" => {
            scope.split_whitespace().map(str::to_owned).collect()
        }
        Some(value) => vec![text(value)],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(before: &Value, after: &Value) -> Vec<(String, Vec<String>, Vec<String>)> {
        let differences = differences(before, after);
        differences.into_iter().map(|d| (d.member, d.removed, d.added)).collect()
    }

    fn texts(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        let same = json!({ "client_name": "A", "redirect_uris": ["https://a"] });
        assert_eq!(of(&same, &same), vec![]);
    }

    #[test]
    fn lists_and_scopes_are_told_item_by_item() {
        let before = json!({ "redirect_uris": ["https://a", "https://b"], "scope": "read write" });
        let after = json!({ "redirect_uris": ["https://b", "https://c"], "scope": "read admin" });
        assert_eq!(
            of(&before, &after),
            [
                ("redirect_uris".to_owned(), texts(&["https://a"]), texts(&["https://c"])),
                ("scope".to_owned(), texts(&["write"]), texts(&["admin"])),
            ]
        );
    }

    #[test]
    fn members_come_go_and_change() {
        let before = json!({ "client_name": "A", "client_uri": "https://a" });
        let after = json!({ "client_name": "B", "require_par": true });
        let found = differences(&before, &after);
        let kinds: Vec<_> = found.iter().map(|d| (d.member.as_str(), d.kind())).collect();
        assert_eq!(
            kinds,
            [("client_name", "changed"), ("client_uri", "removed"), ("require_par", "added")]
        );
    }

    #[test]
    fn another_order_is_a_change_too() {
        let found = of(&json!({ "x": ["a", "b"] }), &json!({ "x": ["b", "a"] }));
        assert_eq!(found, [("x".to_owned(), texts(&["a, b"]), texts(&["b, a"]))]);
    }
}
