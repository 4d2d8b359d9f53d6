//! The same on PostgreSQL, where a command is one more writer.

use serde_json::json;

use crate::postgres_database::Database;
use crate::program::{NOT_FOUND, STORE_UNAVAILABLE, USAGE, run, run_with_input};

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_without_a_server() {
    let database = Database::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("master.key");
    std::fs::write(&key, "0f".repeat(32)).unwrap();
    let file = folder.path().join("chancery.toml");
    let settings = |key: &std::path::Path| {
        format!(
            "server.issuer = \"http://127.0.0.1:1\"\n\
             store.url = \"{}\"\nmaster_key.file = \"{}\"\n",
            database.url(),
            key.display()
        )
    };
    std::fs::write(&file, settings(&key)).unwrap();
    let with = |arguments: &[&'static str]| -> Vec<String> {
        let config = ["--config", file.to_str().unwrap()];
        arguments.iter().copied().chain(config).map(str::to_owned).collect()
    };
    let command = |arguments: &[&'static str]| {
        let arguments = with(arguments);
        run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };

    let said = command(&["client", "list"]).fails(STORE_UNAVAILABLE);
    assert!(said.contains("chancery migrate"), "{said}");
    assert!(command(&["migrate"]).done().contains("applied 0001_log"));
    assert_eq!(command(&["migrate"]).done(), "the store is up to date\n");

    command(&["client", "add", "--id", "cron", "--secret", "somebody chose this"]).done();
    let add = with(&["account", "add", "alice", "--password-stdin", "--claim", "name=Alice"]);
    let add: Vec<_> = add.iter().map(String::as_str).collect();
    run_with_input(&add, "correct horse").done();
    // Nobody else keeps the read models, so the command does.
    let clients = command(&["client", "list", "--json"]).json();
    assert_eq!(clients[0]["client_id"], "cron");
    let list = ["account", "list", "--json", "--reason", "ticket 7"];
    assert_eq!(command(&list).json()[0]["username"], "alice");
    command(&["projections", "rebuild", "clients"]).done();
    let report = command(&["replay", "--json"]).json();
    assert_eq!(report["differences"], json!([]));

    let new = folder.path().join("new.key");
    std::fs::write(&new, "a5".repeat(32)).unwrap();
    let rewrap = with(&["key", "rewrap", "--to-file"]);
    let rewrap: Vec<_> = rewrap.iter().map(String::as_str).collect();
    let at = rewrap.iter().position(|part| *part == "--config").unwrap();
    let rewrap = [&rewrap[..at], &[new.to_str().unwrap()], &rewrap[at..]].concat();
    let published = command(&["key", "list", "--json"]).json().as_array().unwrap().len();
    // Four keys of the server's own, and two data keys.
    let all = format!("{} keys", 4 + published + 2);
    assert!(run(&rewrap).done().contains(&all));
    std::fs::write(&file, settings(&new)).unwrap();
    let shown = command(&["account", "show", "alice", "--json", "--reason", "ticket 7"]).json();
    assert_eq!(shown["claims"], json!({ "name": "Alice" }));

    let erase = ["account", "erase", "alice", "--reason", "asked for it", "--yes", "--json"];
    assert_eq!(command(&erase).json()["state"], "erased");
    command(&["account", "show", "alice"]).fails(NOT_FOUND);
    assert_eq!(command(&["replay", "--json"]).json()["differences"], json!([]));
}

/// By `pg_dump`, as PostgreSQL's users do it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_is_restored_is_the_same_log() {
    let (database, other) = (Database::migrated().await, Database::empty().await);
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("master.key");
    std::fs::write(&key, "0f".repeat(32)).unwrap();
    let settings = |name: &str, url: &str| {
        let file = folder.path().join(name);
        let text = format!(
            "server.issuer = \"http://127.0.0.1:1\"\n\
             store.url = \"{url}\"\nmaster_key.file = \"{}\"\n",
            key.display()
        );
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let files = [settings("one.toml", &database.url()), settings("other.toml", &other.url())];
    let on = |file: &str, arguments: &[&str]| run(&[arguments, &["--config", file]].concat());

    on(&files[0], &["client", "add", "--id", "cron", "--secret", "somebody chose this"]).done();
    let add = ["account", "add", "alice", "--password-stdin", "--claim", "name=Alice"];
    run_with_input(&[&add[..], &["--config", &files[0]]].concat(), "correct horse").done();
    let said = on(&files[0], &["backup", "--out", "/nonexistent"]).fails(USAGE);
    assert!(said.contains("pg_dump"), "{said}");

    let dump = folder.path().join("chancery.dump");
    let (dump, from, to) = (dump.to_str().unwrap(), database.url(), other.url());
    for (program, arguments) in [
        ("pg_dump", ["--format=custom", "--no-owner", "--file", dump, &from]),
        ("pg_restore", ["--exit-on-error", "--no-owner", "--dbname", &to, dump]),
    ] {
        let ended = std::process::Command::new(program).args(arguments).output();
        let ended = ended.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let logs = files.each_ref().map(|file| on(file, &["events"]).lines());
    assert!(logs[0].len() >= 2);
    assert_eq!(logs[0], logs[1]);
    let shown = on(&files[1], &["account", "show", "alice", "--json", "--reason", "a test"]).json();
    assert_eq!(shown["claims"], json!({ "name": "Alice" }));
    // Positions go on where they were.
    on(&files[1], &["client", "disable", "cron"]).done();
    let later = on(&files[1], &["events"]).lines();
    let position = |event: &serde_json::Value| event["position"].as_u64().unwrap();
    assert!(position(later.last().unwrap()) > position(logs[0].last().unwrap()));
    assert_eq!(on(&files[1], &["replay", "--json"]).json()["differences"], json!([]));
}
