//! `chancery account`

use serde_json::json;

use crate::program::{Data, NOT_FOUND, REFUSED, USAGE};

const ADD: [&str; 8] = [
    "account",
    "add",
    "alice",
    "--password-stdin",
    "--claim",
    "email=alice@example.com",
    "--claim",
    "email_verified=true",
];

#[test]
fn an_account_is_added_shown_and_listed_by_its_name() {
    let data = Data::new();
    data.run_with_input(&ADD, "correct horse\n").done();
    let shown = data.run(&["account", "show", "Alice", "--json"]).json();
    assert_eq!(shown["username"], "alice");
    assert_eq!(shown["claims"], json!({ "email": "alice@example.com", "email_verified": true }));
    let subject = shown["subject"].as_str().unwrap();
    assert_eq!(data.run(&["account", "show", subject, "--json"]).json(), shown);

    let listed = data.run(&["account", "list", "--json"]).json();
    assert_eq!(listed, json!([shown]));
    assert!(data.run(&["account", "list"]).done().contains("alice"));

    data.run_with_input(&["account", "add", "ALICE", "--password-stdin"], "x").fails(REFUSED);
}

#[test]
fn nothing_personal_stands_in_the_store() {
    let data = Data::new();
    data.run_with_input(&ADD, "correct horse\n").done();
    let set = ["account", "set-password", "alice", "--password-stdin"];
    data.run_with_input(&set, "battery staple").done();
    assert!(data.holds("PasswordSet"), "what is looked through holds the events");
    for text in ["alice", "example.com", "correct horse", "battery staple", "argon2id"] {
        assert!(!data.holds(text), "{text} stands in a file");
    }
}

#[test]
fn an_account_is_locked_unlocked_and_its_claims_changed() {
    let data = Data::new();
    data.run_with_input(&ADD, "correct horse").done();
    data.run(&["account", "lock", "alice", "--reason", "left"]).done();
    let shown = data.run(&["account", "show", "alice", "--json"]).json();
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("locked"), &json!("left")));
    data.run(&["account", "unlock", "alice"]).done();

    let claims = ["--claim", "name=Alice", "--claim", "email_verified=null"];
    data.run(&[&["account", "set-claims", "alice"][..], &claims].concat()).done();
    let shown = data.run(&["account", "show", "alice", "--json"]).json();
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["claims"], json!({ "email": "alice@example.com", "name": "Alice" }));

    let history = data.run(&["account", "history", "alice", "--json"]).json();
    assert_eq!(
        (&history[2]["event_type"], &history[2]["reason"]),
        (&json!("AccountLocked"), &json!("left"))
    );
    for of_them in ["session", "consent"] {
        assert_eq!(data.run(&[of_them, "list", "alice", "--json"]).json(), json!([]));
        data.run(&[of_them, "list", "nobody"]).fails(NOT_FOUND);
    }
    let unknown = "0123456789abcdef0123456789abcdef";
    data.run(&["session", "end", unknown]).fails(NOT_FOUND);
    data.run(&["consent", "withdraw", unknown]).fails(NOT_FOUND);

    let types: Vec<_> = data
        .events()
        .into_iter()
        .filter(|event| event["aggregate_type"] == "account")
        .map(|event| event["event_type"].as_str().unwrap().to_owned())
        .collect();
    let expected =
        ["AccountRegistered", "PasswordSet", "AccountLocked", "AccountUnlocked", "ProfileReplaced"];
    assert_eq!(types, expected);
}

#[test]
fn a_password_must_come_and_the_subject_is_the_servers() {
    let data = Data::new();
    data.run_with_input(&ADD, "").fails(USAGE);
    data.run(&["account", "add", "alice"]).fails(USAGE);
    let forged = ["account", "add", "bob", "--password-stdin", "--claim", "sub=somebody"];
    data.run_with_input(&forged, "x").fails(USAGE);
    assert_eq!(data.run(&["account", "list", "--json"]).json(), json!([]));
}
