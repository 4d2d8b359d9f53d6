//! `chancery key`, and the master key

use serde_json::Value;

use crate::program::{Data, NOT_FOUND, USAGE};

fn rotate(data: &Data, further: &[&str]) -> String {
    let rotate = [&["key", "rotate", "--json"], further].concat();
    data.run(&rotate).json()["kid"].as_str().unwrap().to_owned()
}

/// Keys made within one second are listed in no particular order.
fn key(data: &Data, kid: &str) -> Value {
    let listed = data.run(&["key", "list", "--json"]).json();
    listed.as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap().clone()
}

#[test]
fn rotation_puts_a_new_key_in_place_of_the_old_one() {
    let data = Data::new();
    data.run(&["client", "add", "--id", "cron"]).done();
    let first = data.run(&["key", "list", "--json"]).json();
    let first = first.as_array().unwrap();
    // One that signs, and one that others encrypt to.
    assert_eq!(first.len(), 2);
    assert!(first.iter().all(|key| key["state"] == "active"));

    let signing = first.iter().find(|key| key["alg"] == "ES256").unwrap();
    let old = signing["kid"].as_str().unwrap();
    let new = rotate(&data, &[]);
    // Others may keep the keys for a minute; until they have the new one, the old one signs.
    assert_eq!(key(&data, old)["state"], "active");
    assert_eq!(key(&data, &new)["state"], "published");
    let time = |kid: &str, name: &str| key(&data, kid)[name].as_i64().unwrap();
    assert_eq!(time(&new, "activated_at"), time(&new, "published_at") + 62);
    assert_eq!(time(old, "retired_at"), time(&new, "activated_at"));
    assert!(time(old, "published_until") > time(old, "retired_at"));

    let other = rotate(&data, &["--algorithm", "EdDSA"]);
    assert_eq!(key(&data, &other)["state"], "active", "there is none before it");
    assert_eq!(key(&data, &new)["state"], "published", "a key of another algorithm stays");
    // Of one that others know, nothing stays; one that signs has a successor at once.
    data.run(&["key", "withdraw", old]).done();
    assert_eq!(key(&data, old)["state"], "expired");
    assert_eq!(key(&data, &new)["state"], "active");
    assert!(time(&new, "activated_at") < time(&new, "published_at") + 62);
    data.run(&["key", "withdraw", &new]).done();
    assert_eq!(key(&data, &new)["state"], "expired");
    let listed = data.run(&["key", "list", "--json"]).json();
    let active = |key: &&Value| key["alg"] == "ES256" && key["state"] == "active";
    assert_eq!(listed.as_array().unwrap().iter().filter(active).count(), 1);
    data.run(&["key", "withdraw", "unknown"]).fails(NOT_FOUND);
    let said = data.run(&["key", "list"]).done();
    assert!(!said.contains("\"d\"") && !data.run(&["events"]).done().contains("\"d\""));
}

#[test]
fn after_a_rewrap_the_new_master_key_opens_everything_and_the_old_one_nothing() {
    let data = Data::new();
    data.run_with_input(&["account", "add", "alice", "--password-stdin"], "correct horse").done();
    data.run(&["client", "add", "--id", "cron", "--secret", "somebody chose this"]).done();
    let before = data.run(&["account", "show", "alice", "--json"]).json();
    let keys = data.run(&["key", "list", "--json"]).json();

    let new = data.file("new.key");
    std::fs::write(&new, "a5".repeat(32)).unwrap();
    let rewrap = ["key", "rewrap", "--to-file", new.to_str().unwrap()];
    let report = data.run(&[&rewrap[..], &["--json"]].concat()).json();
    // Four keys of the server's own, those that are published, and two data keys.
    assert_eq!(report["rewrapped"], 4 + keys.as_array().unwrap().len() + 2);
    assert_ne!(report["master_key"], report["previous_master_key"]);

    let said = data.run(&["account", "show", "alice"]).fails(USAGE);
    assert!(said.contains(report["master_key"].as_str().unwrap()), "{said}");

    std::fs::rename(&new, data.file("master.key")).unwrap();
    assert_eq!(data.run(&["account", "show", "alice", "--json"]).json(), before);
    assert_eq!(data.run(&["key", "list", "--json"]).json(), keys);
    data.run(&["client", "rotate-secret", "cron", "--secret", "and this"]).done();
    let said = data.run(&["key", "rotate"]).done();
    assert!(said.contains(" on: everybody has the key by then"), "{said}");
    data.run(&["replay"]).done();
}

#[test]
fn a_master_key_that_is_none_is_refused_before_anything_happens() {
    let data = Data::new();
    data.run(&["client", "add", "--id", "cron"]).done();
    let missing = data.file("missing.key");
    let rewrap = ["key", "rewrap", "--to-file", missing.to_str().unwrap()];
    let said = data.run(&rewrap).fails(USAGE);
    assert!(said.contains("openssl rand"), "{said}");
    std::fs::write(&missing, "not a key").unwrap();
    data.run(&rewrap).fails(USAGE);
    data.run(&["client", "rotate-secret", "cron"]).done();
}
