//! `chancery events`, `replay` and `projections`

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rusqlite::Connection;
use serde_json::json;

use crate::program::{DIFFERENCES, Data, program};

fn with_clients() -> Data {
    let data = Data::new();
    for id in ["a", "b", "c"] {
        data.run(&["client", "add", "--id", id]).done();
    }
    data.run(&["client", "disable", "b", "--reason", "left"]).done();
    data.run(&["client", "list"]).done();
    data
}

#[test]
fn events_are_printed_in_order_from_a_position_and_by_type() {
    let data = with_clients();
    let all = data.events();
    let positions: Vec<_> = all.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted() && positions.len() >= 6, "{positions:?}");
    for name in ["recorded_at", "aggregate_type", "aggregate_id", "sequence", "event_version"] {
        assert!(all[0].get(name).is_some_and(|value| !value.is_null()), "{name}");
    }
    assert_eq!(all[0]["digest"].as_str().unwrap().len(), 64);

    let after = positions[2].to_string();
    assert_eq!(data.run(&["events", "--after", &after]).lines(), all[3..]);

    let some = ["events", "--type", "ClientRegistered", "--type", "ClientDisabled"];
    let some: Vec<_> =
        data.run(&some).lines().into_iter().map(|event| event["aggregate_id"].clone()).collect();
    assert_eq!(some, ["a", "b", "c", "b"]);
}

/// Who follows is in nobody's way: no lock is held.
#[test]
fn who_follows_sees_what_others_write() {
    let data = with_clients();
    let last = data.events().pop().unwrap()["position"].to_string();
    let follow = data.with_data(&["events", "--follow", "--after", &last]);
    let mut following = program(&follow).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    data.run(&["client", "disable", "a"]).done();
    let event: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        (&event["event_type"], &event["aggregate_id"]),
        (&json!("ClientDisabled"), &json!("a"))
    );
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn a_log_that_nobody_touched_replays() {
    let data = with_clients();
    data.run(&["projections", "rebuild", "--all"]).done();
    let report = data.run(&["replay", "--json"]).json();
    assert_eq!(report["events"], data.events().len());
    assert_eq!(report["differences"], json!([]));
    let projections = report["projections"].as_array().unwrap();
    assert!(projections.len() >= 6);
    assert!(projections.iter().all(|model| model["verdict"] == "matches"), "{projections:#?}");
    assert!(data.run(&["replay"]).done().contains("nothing differs"));
}

fn tamper(data: &Data, file: &str, statements: &str) {
    let connection = Connection::open(data.file(file)).unwrap();
    connection.execute_batch(statements).unwrap();
}

#[test]
fn a_changed_payload_is_found() {
    let data = with_clients();
    tamper(
        &data,
        "chancery.db",
        "DROP TRIGGER events_are_not_updated;
         UPDATE events SET payload = replace(payload, 'left', 'gone')
             WHERE event_type = 'ClientDisabled';",
    );
    let ended = data.run(&["replay", "--json"]);
    assert_eq!(ended.code, DIFFERENCES, "{ended:?}");
    let report: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let differences = report["differences"].as_array().unwrap();
    assert_eq!(differences[0]["place"], "client/b/2");
    assert!(differences[0]["what"].as_str().unwrap().contains("digest"), "{differences:?}");
    // The read model was made from what stood there before.
    assert!(differences.iter().any(|found| found["place"] == "clients/b"), "{differences:?}");
    assert!(data.run(&["replay"]).out.contains("DIFFERENCE client/b/2 at position"));
}

#[test]
fn an_event_taken_out_or_put_in_is_found() {
    let data = with_clients();
    tamper(
        &data,
        "chancery.db",
        "DROP TRIGGER events_are_not_deleted;
         DELETE FROM events WHERE aggregate_id = 'b' AND sequence = 1;",
    );
    let said = data.run(&["replay"]);
    assert_eq!(said.code, DIFFERENCES);
    assert!(said.out.contains("DIFFERENCE client/b/2"), "{}", said.out);
    assert!(said.out.contains("stands where event 1 is expected"), "{}", said.out);

    let data = with_clients();
    tamper(
        &data,
        "chancery.db",
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
             payload, metadata, prev_digest, digest, recorded_at)
         SELECT aggregate_type, 'a', 2, event_type, event_version, payload, metadata,
             prev_digest, digest, recorded_at
         FROM events WHERE event_type = 'ClientDisabled';",
    );
    let said = data.run(&["replay"]);
    assert_eq!(said.code, DIFFERENCES);
    assert!(said.out.contains("DIFFERENCE client/a/2"), "{}", said.out);
    assert!(said.out.contains("does not follow from the event before it"), "{}", said.out);
}

#[test]
fn an_event_of_a_newer_version_is_found() {
    let data = with_clients();
    tamper(
        &data,
        "chancery.db",
        "DROP TRIGGER events_are_not_updated;
         UPDATE events SET event_version = '7' WHERE event_type = 'ClientDisabled';",
    );
    let said = data.run(&["replay"]);
    assert_eq!(said.code, DIFFERENCES);
    assert!(said.out.contains("version 7"), "{}", said.out);
}

#[test]
fn a_read_model_that_does_not_follow_from_the_log_is_found_and_made_anew() {
    let data = with_clients();
    tamper(
        &data,
        "views.db",
        "UPDATE clients SET state = 'enabled' WHERE client_id = 'b';
         DELETE FROM clients WHERE client_id = 'a';
         INSERT INTO clients (client_id) VALUES ('ghost');",
    );
    let said = data.run(&["replay"]);
    assert_eq!(said.code, DIFFERENCES);
    for difference in ["clients/a: is missing", "clients/b: state is", "clients/ghost: is there"] {
        assert!(said.out.contains(difference), "{difference}: {}", said.out);
    }
    data.run(&["projections", "rebuild", "clients"]).done();
    data.run(&["replay"]).done();
    let listed = data.run(&["client", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
}

#[test]
fn projections_say_how_far_they_are() {
    let data = with_clients();
    let listed = data.run(&["projections", "list", "--json"]).json();
    let row = |name: &str| {
        let found = listed.as_array().unwrap().iter().find(|row| row["name"] == name);
        found.unwrap().clone()
    };
    assert_eq!(row("clients")["behind"], 0);
    assert!(row("grants")["behind"].as_u64().unwrap() > 0);
    assert_eq!(row("grants").get("version"), None);
}
