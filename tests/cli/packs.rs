//! `chancery events pack`, and servers that pack by themselves.

use rusqlite::Connection;
use tokio::time::{Duration, Instant};

use crate::beside_a_server::{Server, free_port};
use crate::program::{Data, REFUSED, USAGE};

const NOW: [&str; 5] = ["events", "pack", "--older-than", "0", "--json"];

/// A history of some thousand events, that nobody has sealed.
fn sample() -> Data {
    let data = Data::new();
    data.run(&["sample", "--grants", "900", "--clients", "8", "--days", "3", "--log-only"]).done();
    data
}

fn packs(data: &Data) -> u64 {
    let log = Connection::open(data.file("chancery.db")).unwrap();
    log.query_row("SELECT count(*) FROM packs", [], |row| row.get(0)).unwrap()
}

/// Waits until a server has sealed all that is there.
fn is_sealed(data: &Data) {
    let last = data.events().pop().unwrap()["position"].as_u64().unwrap();
    within_seconds("the log is sealed", || {
        let checkpoints = data.run(&["audit", "checkpoint", "--list", "--json"]).json();
        checkpoints[0]["position"].as_u64().is_some_and(|position| position >= last)
    });
}

fn within_seconds(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not soon enough: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_nobody_sealed_is_not_packed() {
    let data = sample();
    let why = data.run(&NOW).fails(REFUSED);
    assert!(why.contains("sealed") && why.contains("a running server"), "{why}");
    assert_eq!(packs(&data), 0);
    data.run(&["events", "pack", "--older-than", "yesterday"]).fails(USAGE);
}

#[test]
fn a_stopped_server_s_log_is_packed_and_is_what_it_was() {
    let mut server = Server::on(sample(), free_port(), "");
    is_sealed(&server.data);
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let before = server.data.events();

    let said = server.data.run(&["events", "pack"]).done();
    assert!(said.starts_with("nothing was packed"), "{said}");
    let packed = server.data.run(&NOW).json();
    let (count, events) = (packed["packs"].as_u64().unwrap(), packed["events"].as_u64().unwrap());
    assert!(count >= 2 && events > count * 900, "{packed}");
    assert!(packed["histories"].as_u64().unwrap() > 100, "{packed}");
    assert_eq!(packs(&server.data), count);

    assert_eq!(server.data.events(), before);
    assert!(server.data.run(&["replay"]).done().contains("nothing differs"));
    assert!(server.data.run(&["audit", "verify"]).done().contains("INTACT"));
    let after = before[700]["position"].to_string();
    assert_eq!(server.data.run(&["events", "--after", &after]).lines(), before[701..]);
}

/// The server does it, which holds the lock.
#[test]
fn a_log_is_packed_beside_its_server() {
    let server = Server::on(sample(), free_port(), "");
    is_sealed(&server.data);
    let before = server.data.events();
    let packed = server.run(&NOW).json();
    assert!(packed["packs"].as_u64().unwrap() >= 2, "{packed}");
    assert_eq!(server.data.events()[..before.len()], before);
    assert_eq!(server.run(&NOW).json()["packs"], 0);
    assert!(server.run(&["audit", "verify"]).done().contains("INTACT"));
}

#[test]
fn a_server_packs_what_is_as_old_as_its_settings_say() {
    let server = Server::on(sample(), free_port(), "store.pack_after = 1\n");
    within_seconds("it packs", || packs(&server.data) >= 2);
    drop(server);
    let server = Server::on(sample(), free_port(), "store.pack_after = 3600\n");
    is_sealed(&server.data);
    assert_eq!(packs(&server.data), 0);
}
