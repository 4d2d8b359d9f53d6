//! `chancery client`

use serde_json::json;

use crate::program::{Data, NOT_FOUND, REFUSED, STORE_UNAVAILABLE, USAGE, run};

const CALLBACK: &str = "https://app.example/cb";

#[test]
fn a_client_is_added_listed_shown_and_updated() {
    let data = Data::new();
    let added =
        data.run(&["client", "add", "--id", "web", "--redirect-uri", CALLBACK, "--json"]).json();
    assert_eq!(added["client_id"], "web");
    assert_eq!(added["redirect_uris"], json!([CALLBACK]));
    assert_eq!(added["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(added["response_types"], json!(["code"]));
    assert_eq!(added["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(added["client_secret_expires_at"], 0);
    assert!(added["client_secret"].as_str().unwrap().len() >= 43);

    let generated =
        data.run(&["client", "add", "--scope", "reports", "--json"]).json()["client_id"].clone();
    let listed = data.run(&["client", "list", "--json"]).json();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|row| &row["client_id"]).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&&json!("web")) && ids.contains(&&generated), "{ids:?}");
    let table = data.run(&["client", "list"]).done();
    assert!(table.contains("client_id") && table.contains("web"), "{table}");

    let changed = ["client", "update", "web", "--name", "Web", "--scope", "openid email"];
    data.run(&changed).done();
    let shown = data.run(&["client", "show", "web", "--json"]).json();
    assert_eq!(shown["client_name"], "Web");
    assert_eq!(shown["scope"], "openid email");
    assert_eq!(shown["redirect_uris"], json!([CALLBACK]), "what was not given stays");

    data.run(&["client", "update", "web", "--unset", "client_name"]).done();
    let shown = data.run(&["client", "show", "web", "--json"]).json();
    assert_eq!(shown.get("client_name"), None);
}

#[test]
fn a_secret_is_shown_once_and_kept_nowhere() {
    let data = Data::new();
    let add = ["client", "add", "--id", "web", "--redirect-uri", CALLBACK, "--json"];
    let first = data.run(&add).json()["client_secret"].as_str().unwrap().to_owned();
    let rotate = ["client", "rotate-secret", "web", "--json"];
    let second = data.run(&rotate).json()["client_secret"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let chosen = "a secret that somebody chose";
    data.run(&["client", "rotate-secret", "web", "--secret", chosen]).done();
    data.run(&["client", "add", "--id", "cron", "--secret", chosen, "--json"]).done();

    for command in [&["client", "show", "web"][..], &["client", "list", "--json"], &["events"]] {
        let said = data.run(command).done();
        for secret in [&first, &second, chosen] {
            assert!(!said.contains(secret), "{command:?} tells a secret");
        }
    }
    for secret in [&first, &second, chosen, "argon2id"] {
        assert!(!data.holds(secret), "{secret} stands in a file");
    }
    assert!(data.holds("ClientSecretRotated"), "what is looked through holds the events");
    let types: Vec<_> = data
        .events()
        .into_iter()
        .filter(|event| event["aggregate_id"] == "web")
        .map(|event| event["event_type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types, ["ClientRegistered", "ClientSecretRotated", "ClientSecretRotated"]);
}

#[test]
fn the_old_secret_may_overlap_with_the_new_one() {
    let data = Data::new();
    data.run(&["client", "add", "--id", "cron"]).done();
    data.run(&["client", "rotate-secret", "cron", "--keep-old-for", "3600"]).done();
    let rotated = data.events().pop().unwrap();
    assert_eq!(rotated["event_type"], "ClientSecretRotated");
    assert!(rotated["payload"]["previous_until"].is_i64(), "{rotated}");
}

#[test]
fn what_operators_do_is_recorded_with_their_name_and_words() {
    let data = Data::new();
    data.run(&["client", "add", "--id", "cron"]).done();
    data.run(&["client", "disable", "cron", "--reason", "left"]).done();
    assert_eq!(data.run(&["client", "show", "cron", "--json"]).json()["state"], "disabled");
    let event = data.events().pop().unwrap();
    assert_eq!(event["event_type"], "ClientDisabled");
    assert_eq!(event["payload"]["reason"], "left");
    assert_eq!(event["metadata"]["actor"], "operator");
    assert_eq!(event["metadata"]["actor_ref"], "ada");
    assert_eq!(event["metadata"]["client_id"], "cron");

    let history = data.run(&["client", "history", "cron", "--json"]).json();
    assert_eq!(history[0]["event_type"], "ClientRegistered");
    assert_eq!(
        (&history[1]["actor"], &history[1]["reason"]),
        (&json!("operator ada"), &json!("left"))
    );
    let table = data.run(&["client", "history", "cron"]).done();
    assert!(table.contains("operator ada") && table.contains("left"), "{table}");
    data.run(&["client", "history", "nobody"]).fails(NOT_FOUND);

    let before = data.events().len();
    data.run(&["client", "disable", "cron"]).done();
    assert_eq!(data.events().len(), before, "disabling twice is one event");
    data.run(&["client", "enable", "cron"]).done();
    assert_eq!(data.run(&["client", "show", "cron", "--json"]).json()["state"], "enabled");
}

#[test]
fn wrong_usage_changes_nothing_and_ends_with_2() {
    let data = Data::new();
    for wrong in [
        &["client", "add", "--auth-method", "none"][..],
        &["client", "add", "--redirect-uri", "/relative"],
        &["client", "add", "--grant-type", "authorization_code"],
        &["client", "add", "--grant-type", "telepathy"],
        &["client", "add", "--auth-method", "none", "--redirect-uri", CALLBACK, "--secret", "x"],
        &["client", "update", "web"],
        &["client", "frobnicate"],
    ] {
        data.run(wrong).fails(USAGE);
    }
    assert_eq!(data.run(&["client", "list", "--json"]).json(), json!([]));
}

#[test]
fn what_is_not_there_ends_with_3_and_what_conflicts_with_4() {
    let data = Data::new();
    let grant = "0198f3a2c4d57e0fa1b2c3d4e5f60718";
    for unknown in [
        &["client", "show", "nobody"][..],
        &["client", "update", "nobody", "--name", "x"],
        &["client", "rotate-secret", "nobody"],
        &["client", "disable", "nobody"],
        &["account", "show", "nobody"],
        &["account", "lock", "nobody"],
        &["grant", "show", grant],
        &["grant", "revoke", grant, "--reason", "x"],
        &["projections", "rebuild", "nothing"],
    ] {
        let said = data.run(unknown).fails(NOT_FOUND);
        assert!(said.contains("no such"), "{said}");
    }
    data.run(&["client", "add", "--id", "cron"]).done();
    data.run(&["client", "add", "--id", "cron"]).fails(REFUSED);
    let public =
        ["client", "add", "--id", "spa", "--auth-method", "none", "--redirect-uri", CALLBACK];
    data.run(&public).done();
    data.run(&["client", "rotate-secret", "spa"]).fails(REFUSED);
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_looking_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for command in [&["client", "list"][..], &["client", "add"], &["replay"], &["events"]] {
        let arguments: Vec<_> = command.iter().copied().chain(["--data", path]).collect();
        let said = run(&arguments).fails(STORE_UNAVAILABLE);
        assert!(said.contains("hint: "), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
