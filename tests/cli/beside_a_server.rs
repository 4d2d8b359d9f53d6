//! Commands beside a running server, and after one that was killed.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use chancery_verify::format::Hex;
use chancery_verify::note::VerifierKey;
use chancery_verify::{Given, Verdict, verify};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::program::{
    DIFFERENCES, DONE, Data, Ended, INCOMPLETE, NOT_FOUND, REFUSED, STORE_UNAVAILABLE, UNKNOWN_KEY,
    USAGE, program, run,
};

/// A server on a store of its own; killed at the end.
pub struct Server {
    pub data: Data,
    pub port: u16,
    pub process: Child,
}

impl Server {
    pub fn start() -> Self {
        let server = Self::on(Data::new(), free_port(), "");
        server.run(&["client", "add", "--id", "cron", "--secret", "s3cret", "--scope", "a"]).done();
        server
    }

    /// With further settings.
    pub fn on(data: Data, port: u16, more: &str) -> Self {
        let folder = data.path().display();
        let settings = format!(
            "server.issuer = \"http://127.0.0.1:{port}\"\n\
             server.listen = [\"127.0.0.1:{port}\"]\n\
             store.url = \"sqlite://{folder}\"\n\
             master_key.file = \"{folder}/master.key\"\n{more}"
        );
        std::fs::write(data.file("chancery.toml"), settings).unwrap();
        let process = serve(&data).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { data, port, process };
        server.listens();
        server
    }

    /// Waits until commands and requests are listened for.
    fn listens(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let commands = || UnixStream::connect(self.data.file("chancery.sock")).is_ok();
        let requests = || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        while !(commands() && requests()) {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::yield_now();
        }
    }

    /// Runs a command on the server's store, by its configuration.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let file = self.data.file("chancery.toml");
        run(&[arguments, &["--config", file.to_str().unwrap()]].concat())
    }

    async fn token(&self, secret: &str) -> (u16, Value) {
        chancery::outbound::crypto_provider();
        let answer = reqwest::Client::new()
            .post(format!("http://127.0.0.1:{}/token", self.port))
            .basic_auth("cron", Some(secret))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks for tokens until the answer has this status.
    async fn answers(&self, secret: &str, status: u16) -> Value {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            let (got, answer) = self.token(secret).await;
            if got == status {
                return answer;
            }
            assert!(Instant::now() < deadline, "{got} a second later: {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(data: &Data) -> std::process::Command {
    let file = data.file("chancery.toml");
    program(&["serve", "--config", file.to_str().unwrap()])
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn what_commands_change_is_seen_by_the_server_within_a_second() {
    let server = Server::start();
    server.answers("s3cret", 200).await;
    let rotated = server.run(&["client", "rotate-secret", "cron", "--json"]).json();
    let secret = rotated["client_secret"].as_str().unwrap();
    assert_eq!(server.answers("s3cret", 401).await["error"], "invalid_client");
    server.answers(secret, 200).await;
    server.run(&["client", "disable", "cron", "--reason", "left"]).done();
    server.answers(secret, 401).await;
    server.run(&["client", "enable", "cron"]).done();
    server.answers(secret, 200).await;

    // The server wrote these, in the operator's name.
    let events = server.run(&["events", "--type", "ClientDisabled"]).lines();
    assert_eq!(events[0]["metadata"]["actor_ref"], "ada");
    let registered = server.run(&["events", "--type", "ClientRegistered"]).lines();
    assert_eq!(events[0]["metadata"]["node"], registered[0]["metadata"]["node"]);
    server.run(&["replay"]).done();
}

#[tokio::test]
async fn a_hook_is_tried_on_a_recorded_grant_and_nothing_else_happens() {
    let server = Server::start();
    server.answers("s3cret", 200).await;
    let listed = server.run(&["grant", "list", "--client", "cron", "--json"]).json();
    let id = listed[0]["grant_id"].as_str().unwrap();

    let script = "fn token(input) { #{ access_token_claims: #{ by: input.grant_type, \
                  who: input.client.client_id, asked: input.scope } } }";
    std::fs::write(server.data.file("claims.rhai"), script).unwrap();
    let settings = std::fs::read_to_string(server.data.file("chancery.toml")).unwrap();
    let settings =
        format!("{settings}[hooks.claims]\non = [\"token\"]\nscript = \"claims.rhai\"\n");
    let file = server.data.file("tried.toml");
    std::fs::write(&file, settings).unwrap();
    let hook = |arguments: &[&str]| {
        let config = ["--config", file.to_str().unwrap()];
        run(&[&["hook"], arguments, &config].concat())
    };
    let before = server.run(&["events"]).lines().len();
    assert_eq!(hook(&["list", "--json"]).json()[0]["name"], "claims");
    assert_eq!(hook(&["check", "--json"]).json(), json!({ "hooks": ["claims"] }));
    let tried = hook(&["test", "claims", "--grant", id]).json();
    let claims = json!({ "by": "client_credentials", "who": "cron", "asked": ["a"] });
    assert_eq!(tried["output"], json!({ "access_token_claims": claims }));
    assert_eq!(tried["input"]["grant_id"], id);
    assert_eq!((&tried["problem"], tried["microseconds"].is_u64()), (&Value::Null, true));
    assert_eq!(server.run(&["events"]).lines().len(), before);
    let nobody = "0198f3a2c4d57e0fa1b2c3d4e5f60718";
    hook(&["test", "claims", "--grant", nobody]).fails(NOT_FOUND);
    hook(&["test", "other", "--grant", nobody]).fails(NOT_FOUND);

    // What the point does not take is a failure, and what does not compile has a line.
    let input = server.data.file("input.json");
    std::fs::write(&input, "{}").unwrap();
    let wrong = server.data.file("claims.rhai");
    std::fs::write(&wrong, "fn token(input) { #{ sub: 1 } }").unwrap();
    let tried = hook(&["test", "claims", "--input", input.to_str().unwrap()]);
    assert_eq!(tried.code, 1, "{tried:?}");
    assert!(tried.out.contains("unknown member sub"), "{tried:?}");
    std::fs::write(&wrong, "\nfn token(input) { let }").unwrap();
    assert!(hook(&["check"]).fails(USAGE).contains("claims.rhai:2:"));
    let check = ["config", "check", "--config", file.to_str().unwrap()];
    assert!(run(&check).out.contains("claims.rhai:2:"));
    let one = run(&["hook", "check", wrong.to_str().unwrap()]);
    assert!(one.fails(USAGE).contains("claims.rhai:2:"));
}

#[tokio::test]
async fn a_grant_is_listed_shown_at_any_moment_and_revoked() {
    let server = Server::start();
    server.answers("s3cret", 200).await;
    let listed = server.run(&["grant", "list", "--client", "cron", "--json"]).json();
    let id = listed[0]["grant_id"].as_str().unwrap();
    assert_eq!(listed[0]["state"], "active");
    assert_eq!(server.run(&["grant", "list", "--state", "revoked", "--json"]).json(), json!([]));

    server.run(&["grant", "revoke", id, "--reason", "lost"]).done();
    let shown = server.run(&["grant", "show", id, "--json"]).json();
    assert_eq!(shown["state"], "revoked");
    let timeline = shown["timeline"].as_array().unwrap();
    assert_eq!(timeline.len(), 2);
    assert_eq!(timeline[0]["actor"], "client cron");
    assert_eq!(timeline[0]["event_type"], "TokensIssued");
    assert_eq!(timeline[1]["actor"], "operator ada");
    assert_eq!(timeline[1]["reason"], "lost");
    assert_eq!(timeline[1]["summary"], "The grant was revoked");

    let first = timeline[0]["position"].to_string();
    let before = server.run(&["grant", "show", id, "--position", &first, "--json"]).json();
    assert_eq!((&before["state"], &before["more"]), (&json!("active"), &json!(true)));
    server.run(&["grant", "show", id, "--at", "2020-01-01T00:00:00Z"]).fails(NOT_FOUND);
    let table = server.run(&["grant", "show", id]).done();
    for part in ["revoked", "lost", "operator ada", "client cron", "access token 1"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let listed = server.run(&["grant", "list", "--state", "revoked", "--json"]).json();
    assert_eq!(listed[0]["grant_id"], id);

    let again = server.run(&["grant", "revoke", id, "--reason", "again", "--json"]).json();
    assert_eq!(again["changed"], false);
}

#[test]
fn errors_come_back_from_the_server_as_they_are() {
    let server = Server::start();
    server.run(&["client", "disable", "nobody"]).fails(NOT_FOUND);
    server.run(&["client", "add", "--id", "cron"]).fails(REFUSED);
    server.run(&["account", "show", "nobody"]).fails(NOT_FOUND);
}

#[test]
fn the_lock_keeps_a_second_server_and_a_rewrap_out() {
    let server = Server::start();
    let second = serve(&server.data).output().unwrap();
    assert_eq!(second.status.code(), Some(STORE_UNAVAILABLE));
    let new = server.data.file("new.key");
    std::fs::write(&new, "a5".repeat(32)).unwrap();
    let said = server.run(&["key", "rewrap", "--to-file", new.to_str().unwrap()]).fails(REFUSED);
    assert!(said.contains("hint: stop it"), "{said}");
    server.run(&["migrate"]).done();
}

#[test]
fn projections_are_rebuilt_while_the_server_runs() {
    let server = Server::start();
    assert_eq!(server.run(&["client", "list", "--json"]).json()[0]["client_id"], "cron");
    server.run(&["projections", "rebuild", "--all"]).done();
    assert_eq!(server.run(&["client", "list", "--json"]).json()[0]["client_id"], "cron");
}

#[test]
fn a_killed_server_leaves_nothing_in_the_way() {
    let mut server = Server::start();
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    assert!(server.data.file("chancery.sock").exists(), "it had no time to remove it");

    assert_eq!(server.run(&["client", "add", "--id", "late"]).code, DONE);
    server.process = serve(&server.data).stderr(Stdio::null()).spawn().unwrap();
    server.listens();
    server.run(&["client", "disable", "late"]).done();
    let nodes: Vec<_> = server
        .run(&["events", "--type", "ClientRegistered", "--type", "ClientDisabled"])
        .lines()
        .into_iter()
        .map(|event| event["metadata"]["node"].clone())
        .collect();
    assert_ne!(nodes[0], nodes[1], "the command wrote by itself when no server ran");
    server.run(&["replay"]).done();
}

/// A command that holds the lock for a moment is no other server.
#[test]
fn a_server_that_starts_waits_for_a_command_to_end() {
    let mut server = Server::start();
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let held = chancery::stores::sqlite::SqliteStore::open(server.data.path()).unwrap();
    server.process = serve(&server.data).stderr(Stdio::null()).spawn().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| server.listens());
        // Long enough for a server that would not wait to be gone.
        let deadline = Instant::now() + Duration::from_millis(500);
        while Instant::now() < deadline {
            std::thread::yield_now();
        }
        drop(held);
    });
    server.run(&["client", "disable", "cron"]).done();
}

#[test]
fn the_control_socket_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start();
    let socket = std::fs::metadata(server.data.file("chancery.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}

/// What an auditor does: takes a key and a checkpoint home, comes back, and compares.
#[tokio::test]
async fn an_auditor_sees_what_was_changed_since_they_were_here() {
    let mut server = Server::start();
    server.answers("s3cret", 200).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let size = loop {
        let shown = server.run(&["audit", "checkpoint", "--json"]);
        let last = server.run(&["events"]).lines().pop().unwrap()["position"].as_u64().unwrap();
        if shown.code == DONE {
            let shown = shown.json();
            if shown["position"].as_u64().unwrap() >= last {
                break shown["size"].as_u64().unwrap();
            }
        }
        assert!(Instant::now() < deadline, "nothing is sealed");
    };
    let held = server.data.file("held.txt");
    let held = held.to_str().unwrap();
    server.run(&["audit", "checkpoint", "--out", held]).done();
    let keys = server.run(&["audit", "key", "list", "--json"]).json();
    let key = keys[0]["verifier"].as_str().unwrap().to_owned();
    let verify = ["audit", "verify", "--key", &key, "--since", held];
    assert!(server.run(&verify).done().contains("INTACT"));
    assert!(server.run(&["audit", "verify"]).done().contains("give --key and --since"));
    let proof = server.run(&["audit", "prove", "--position", "1"]).json();
    assert_eq!(proof["index"], 0);
    server.run(&["audit", "prove", "--position", "99999"]).fails(NOT_FOUND);
    let continues = server.run(&["audit", "prove", "--since", held]).json();
    assert_eq!((&continues["continues"], &continues["old_size"]), (&json!(true), &json!(size)));
    server.run(&["audit", "prove"]).fails(USAGE);
    server.run(&["audit", "verify", "--since", "/nowhere"]).fails(USAGE);
    server.run(&["audit", "verify", "--key", "nonsense"]).fails(USAGE);

    // Another key than the one that was written down.
    let other = "as.example/audit/log+5e2f2a9c+AVbGOTUeGCJXSIHPv1ahyFNLKrSKvMCRdBOFbAdNXnOV";
    let unknown = server.run(&["audit", "verify", "--key", other]);
    assert!(unknown.code == UNKNOWN_KEY || unknown.code == USAGE, "{unknown:?}");
    let rotated = server.run(&["audit", "key", "rotate", "--overlap", "0", "--json"]).json();
    let new_key = rotated["verifier"].as_str().unwrap().to_owned();
    assert_ne!(new_key, key);
    // (The log itself may have no checkpoint by the old one any more.)
    let unknown = server.run(&["audit", "verify", "--key", &new_key, "--since", held]);
    assert_eq!(unknown.code, UNKNOWN_KEY, "{unknown:?}");
    assert_eq!(server.run(&["audit", "key", "list", "--json"]).json().as_array().unwrap().len(), 2);
    server.run(&["audit", "verify", "--since", held]).done();

    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let database = rusqlite::Connection::open(server.data.file("chancery.db")).unwrap();
    database
        .execute_batch(
            "DROP TRIGGER events_are_not_updated; DROP TRIGGER events_are_not_deleted;
             UPDATE events SET metadata = '{}' WHERE position = 2;",
        )
        .unwrap();
    let tampered = server.run(&["audit", "verify"]);
    assert_eq!(tampered.code, DIFFERENCES, "{tampered:?}");
    assert!(tampered.out.contains("position 2") && tampered.out.contains("TAMPERED"));

    // All that the database knows of the end is gone; the file and the auditor know better.
    database
        .execute_batch("DELETE FROM events; DELETE FROM log_tiles; DELETE FROM log_checkpoints;")
        .unwrap();
    let incomplete = server.run(&["audit", "verify", "--key", &key, "--since", held]);
    assert_eq!(incomplete.code, INCOMPLETE, "{incomplete:?}");
    assert!(incomplete.out.contains(&format!("was signed over {size} events, and there are 0")));
}

#[tokio::test]
async fn evidence_is_exported_and_proved_by_its_file_alone() {
    let server = Server::start();
    server.answers("s3cret", 200).await;
    let listed = server.run(&["grant", "list", "--client", "cron", "--json"]).json();
    let id = listed[0]["grant_id"].as_str().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.run(&["audit", "checkpoint"]).code != DONE {
        assert!(Instant::now() < deadline, "nothing is sealed");
    }
    let out = server.data.file("evidence.zip");
    let path = out.to_str().unwrap();
    let export = |about: &[&str]| {
        let out = ["--out", path, "--json"];
        server.run(&[&["audit", "export"][..], about, &out].concat())
    };
    let exported = export(&["--grant", id]).json();
    assert_eq!(exported["unsealed"], 0);
    let keys = server.run(&["audit", "key", "list", "--json"]).json();
    let given = Given {
        keys: vec![VerifierKey::parse(keys[0]["verifier"].as_str().unwrap()).unwrap()],
        manifest: Hex::parse(exported["manifest_sha256"].as_str().unwrap()),
        checkpoint: None,
    };
    let report = verify(std::fs::File::open(&out).unwrap(), &given);
    assert_eq!(report.verdict(), Verdict::Proved, "{}", report.to_text());
    assert!(report.aggregates.iter().any(|own| own.id == id && own.complete_through.is_some()));

    std::fs::remove_file(&out).unwrap();
    export(&["--grant", "0198f3a2c4d57e0fa1b2c3d4e5f60718"]).fails(NOT_FOUND);
    export(&[]).fails(USAGE);
    export(&["--client", "cron", "--from", "yesterday"]).fails(USAGE);
    let left = std::fs::read_dir(server.data.path()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.contains("evidence")).count(), 0);

    let question = r#"{"name":"client","parameters":{"client_id":"cron"}}"#;
    export(&["--question", question]).json();
    let report = verify(std::fs::File::open(&out).unwrap(), &Given { manifest: None, ..given });
    assert_eq!(report.verdict(), Verdict::Proved, "{}", report.to_text());
}

/// Tokens are issued all the while, and the server is killed before it is restored.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_at_work_serves_in_the_place_of_what_is_lost() {
    let server = Server::start();
    let token = server.answers("s3cret", 200).await["access_token"].as_str().unwrap().to_owned();
    let restored = Data::without_store();
    let folder = restored.path().to_str().unwrap();
    let backup = ["backup", "--json", "--out", folder];
    let copied = {
        let mut backing_up = tokio::task::spawn_blocking({
            let arguments: Vec<_> = backup.map(str::to_owned).into();
            let file = server.data.file("chancery.toml").to_str().unwrap().to_owned();
            let arguments = [arguments, vec!["--config".to_owned(), file]].concat();
            move || run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).json()
        });
        loop {
            tokio::select! {
                copied = &mut backing_up => break copied.unwrap(),
                answer = server.token("s3cret") => assert_eq!(answer.0, 200),
            }
        }
    };
    assert_eq!(server.token("s3cret").await.0, 200);
    let before = server.run(&["events"]).lines();
    let said = server.run(&backup).fails(REFUSED);
    assert!(said.contains("each backup has its own"), "{said}");
    let port = server.port;
    drop(server);

    let whole = usize::try_from(copied["position"].as_u64().unwrap()).unwrap();
    assert!(whole < before.len(), "what came later is not in it");
    assert_eq!(restored.events(), before[..whole]);
    restored.run(&["audit", "verify"]).done();
    let mode = std::fs::metadata(restored.file("chancery.db")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);

    let server = Server::on(restored, port, "");
    server.answers("s3cret", 200).await;
    let asked = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/introspect"))
        .basic_auth("cron", Some("s3cret"))
        .form(&[("token", &token)])
        .send();
    let told: Value = asked.await.unwrap().json().await.unwrap();
    assert_eq!(told["active"], true, "a token from before: {told}");
    let listed = server.run(&["grant", "list", "--client", "cron", "--json"]).json();
    assert!(listed.as_array().unwrap().len() >= 2);
    assert_eq!(server.run(&["replay", "--json"]).json()["differences"], json!([]));
}

#[test]
fn there_is_no_backup_of_what_is_no_store() {
    let (none, out) = (Data::without_store(), Data::without_store());
    let said =
        none.run(&["backup", "--out", out.path().to_str().unwrap()]).fails(STORE_UNAVAILABLE);
    assert!(said.contains("no Chancery store"), "{said}");
    assert!(!out.file("chancery.db").exists() && !out.file("chancery.db.part").exists());
}
