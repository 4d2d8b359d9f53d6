//! `chancery scope`

use serde_json::{Value, json};

use crate::program::{Data, NOT_FOUND, REFUSED, USAGE};

const ADD: [&str; 9] = [
    "scope",
    "add",
    "accounts:read",
    "--description",
    "see your accounts",
    "--claim",
    "account_ids",
    "--localized",
    "de=Ihre Konten sehen",
];

fn listed(data: &Data, name: &str) -> Option<Value> {
    let list = data.run(&["scope", "list", "--json"]).json();
    list.as_array().unwrap().iter().find(|scope| scope["name"] == name).cloned()
}

#[test]
fn a_scope_is_added_listed_changed_and_removed() {
    let data = Data::new();
    assert_eq!(listed(&data, "accounts:read"), None);
    data.run(&ADD).done();
    data.run(&ADD).fails(REFUSED);
    let expected = json!({
        "description": "see your accounts",
        "localized": { "de": "Ihre Konten sehen" },
        "claims": ["account_ids"],
    });
    let shown = data.run(&["scope", "show", "accounts:read", "--json"]).json();
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[name], value);
    }
    assert_eq!(shown["source"], "defined");
    assert_eq!(listed(&data, "accounts:read"), Some(shown));
    let table = data.run(&["scope", "list"]).done();
    assert!(table.contains("accounts:read") && table.contains("email_verified"), "{table}");

    let set = ["scope", "set", "accounts:read", "--privileged", "--no-claims", "--json"];
    let changed = data.run(&set).json();
    assert_eq!((&changed["privileged"], changed.get("claims")), (&json!(true), None));
    assert_eq!(changed["description"], "see your accounts", "what was not given stays");

    data.run(&["projections", "rebuild", "scopes"]).done();
    assert_eq!(listed(&data, "accounts:read").unwrap()["privileged"], true);

    data.run(&["scope", "remove", "accounts:read"]).done();
    assert_eq!(listed(&data, "accounts:read"), None);
    data.run(&["replay"]).done();
}

#[test]
fn a_standard_scope_is_edited_and_reset() {
    let data = Data::new();
    let before = listed(&data, "email").unwrap();
    assert_eq!(before["source"], "standard");
    data.run(&["scope", "set", "email", "--claim", "email"]).done();
    assert_eq!(listed(&data, "email").unwrap()["claims"], json!(["email"]));
    data.run(&["scope", "reset", "email"]).done();
    assert_eq!(listed(&data, "email").unwrap(), before);
}

#[test]
fn what_can_t_be_is_said_so() {
    let data = Data::new();
    data.run(&["scope", "show", "nothing"]).fails(NOT_FOUND);
    data.run(&["scope", "remove", "nothing"]).fails(NOT_FOUND);
    data.run(&["scope", "set", "nothing", "--open"]).fails(NOT_FOUND);
    data.run(&["scope", "remove", "email"]).fails(REFUSED);
    data.run(&["scope", "set", "email"]).fails(USAGE);
    data.run(&["scope", "add", "email", "--description", "x"]).fails(REFUSED);
    let said = data.run(&["scope", "add", "nothing"]).fails(USAGE);
    assert!(said.contains("description"), "{said}");
}
