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
    let why = ["--reason", "ticket 7"];
    let show = |name| data.run(&[&["account", "show", name, "--json"][..], &why].concat()).json();
    let shown = show("Alice");
    assert_eq!(shown["username"], "alice");
    assert_eq!(shown["claims"], json!({ "email": "alice@example.com", "email_verified": true }));
    let subject = shown["subject"].as_str().unwrap();
    assert_eq!(show(subject), shown);

    let listed = data.run(&[&["account", "list", "--json"][..], &why].concat()).json();
    assert_eq!(listed, json!([shown]));
    assert!(data.run(&[&["account", "list"][..], &why].concat()).done().contains("alice"));

    data.run_with_input(&["account", "add", "ALICE", "--password-stdin"], "x").fails(REFUSED);
}

#[test]
fn who_people_are_is_shown_for_a_reason_which_is_recorded() {
    let data = Data::new();
    data.run_with_input(&ADD, "correct horse\n").done();
    let pseudonymous = data.run(&["account", "show", "alice", "--json"]).json();
    assert_eq!((pseudonymous.get("username"), &pseudonymous["claims"]), (None, &json!({})));
    assert!(pseudonymous["notice"].as_str().unwrap().contains("--reason"), "{pseudonymous}");
    let said = data.run(&["account", "list"]).done();
    assert!(said.contains("(sealed)") && !said.contains("alice"), "{said}");
    let reads = || {
        let events = data.events().into_iter();
        events.filter(|event| event["event_type"] == "PersonalDataRead").collect::<Vec<_>>()
    };
    assert!(reads().is_empty(), "nothing was shown");
    data.run(&["account", "show", "alice", "--reason", " "]).fails(USAGE);
    data.run(&["account", "show", "alice", "--reason", "ticket 7"]).done();
    data.run(&["account", "list", "--reason", "ticket 8"]).done();
    let reads: Vec<_> = reads().into_iter().map(|event| event["payload"].clone()).collect();
    let what = json!(["username", "email", "email_verified"]);
    assert_eq!(reads[0]["what"], what);
    assert_eq!(
        (&reads[0]["reason"], &reads[1]["reason"]),
        (&json!("ticket 7"), &json!("ticket 8"))
    );
    assert_eq!(reads.len(), 2);
}

#[test]
fn an_account_is_erased_for_good() {
    let data = Data::new();
    data.run_with_input(&ADD, "correct horse\n").done();
    let subject = data.run(&["account", "show", "alice", "--json"]).json()["subject"].clone();
    let subject = subject.as_str().unwrap();
    assert_eq!(data.run(&["account", "erased", "--json"]).json(), json!([]));
    data.run(&["account", "erase", "alice", "--yes"]).fails(USAGE);
    let erase = ["account", "erase", "alice", "--reason", "asked for it"];
    assert!(data.run(&erase).fails(USAGE).contains("--yes"), "nobody can be asked");
    let nobody = ["account", "erase", "nobody", "--reason", "x", "--yes"];
    data.run(&nobody).fails(NOT_FOUND);
    let erased = data.run(&[&erase[..], &["--yes", "--json"]].concat()).json();
    assert_eq!((&erased["state"], &erased["subject"]), (&json!("erased"), &json!(subject)));

    data.run(&["account", "show", "alice"]).fails(NOT_FOUND);
    let shown = data.run(&["account", "show", subject, "--reason", "ticket", "--json"]).json();
    assert_eq!((shown.get("username"), &shown["claims"]), (None, &json!({})));
    let list = json!([{ "subject": subject, "state": "erased" }]);
    assert_eq!(data.run(&["account", "erased", "--json"]).json(), list);
    data.run(&["account", "unlock", subject]).fails(REFUSED);
    let again = ["account", "erase", subject, "--reason", "restored", "--yes", "--json"];
    assert_eq!(data.run(&again).json()["state"], "erased");
    let of_them = |event: &serde_json::Value| event["aggregate_type"] == "account";
    let types: Vec<_> = data.events().into_iter().filter(of_them).collect();
    let types: Vec<_> = types.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    let expected = ["AccountRegistered", "PasswordSet", "ErasureRequested", "AccountErased"];
    assert_eq!(types, expected, "done again, nothing was left to do");
    assert_eq!(data.run(&["replay", "--json"]).json()["differences"], json!([]));

    // The name is free, and whoever takes it is somebody else.
    data.run_with_input(&ADD, "correct horse\n").done();
    let other = data.run(&["account", "show", "alice", "--json"]).json();
    assert_ne!(other["subject"], json!(subject));
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
    let shown = data.run(&["account", "show", "alice", "--json", "--reason", "t"]).json();
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
    let expected = [
        "AccountRegistered",
        "PasswordSet",
        "AccountLocked",
        "AccountUnlocked",
        "ProfileReplaced",
        "PersonalDataRead",
    ];
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
