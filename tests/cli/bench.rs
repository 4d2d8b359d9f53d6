//! `chancery bench`: a server of its own, and one that is there already. What it measures is not
//! judged here, only that it is measured.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::beside_a_server::Server;
use crate::postgres_database::Database;
use crate::program::{Ended, NOT_FOUND, REFUSED, USAGE, of, program, run};

const SCENARIOS: [&str; 8] =
    ["client_credentials", "par", "code", "par_code", "refresh", "introspect", "userinfo", "mixed"];

/// Few users, for a short time.
const SHORT: [&str; 6] = ["--users", "3", "--warm-up", "0.1", "--duration", "1"];

fn bench(arguments: &[&str]) -> Ended {
    run(&[&["bench"], &SHORT[..], arguments].concat())
}

#[track_caller]
fn is_measured(report: &Value, names: &[&str]) {
    let measured = report["scenarios"].as_array().unwrap();
    let scenarios: Vec<_> = measured.iter().map(|own| own["scenario"].as_str().unwrap()).collect();
    assert_eq!(scenarios, names);
    for own in measured {
        assert!(own["flows"].as_u64().unwrap() > 0, "{own}");
        assert_eq!((&own["error_count"], &own["errors"]), (&json!(0), &json!({})), "{own}");
        let latency = |name: &str| own["latency_us"][name].as_u64().unwrap();
        assert!(latency("p50") > 0 && latency("p50") <= latency("p99"), "{own}");
        assert!(latency("p99_9") <= latency("max"), "{own}");
    }
}

#[test]
fn every_scenario_is_measured_on_a_server_of_its_own() {
    let report = bench(&["--json"]).json();
    is_measured(&report, &SCENARIOS);
    assert_eq!((&report["store"], &report["version"]), (&json!("sqlite"), &json!("0.1.0")));
    assert_eq!(report["settings"]["load"], "closed");
    for own in report["scenarios"].as_array().unwrap() {
        assert!(own["server"]["cpu_us_per_flow"].is_f64(), "{own}");
        assert!(own["server"]["resident_bytes"].as_u64().unwrap() > 1 << 20, "{own}");
        assert!(own["generator_cpu_us_per_flow"].is_f64(), "{own}");
        let bytes = |name: &str| own["disk"][name].as_u64().unwrap();
        let reads = ["introspect", "userinfo"].contains(&own["scenario"].as_str().unwrap());
        assert!(reads || bytes("bytes_after") > bytes("bytes_before"), "{own}");
    }
    let limits = report["limits"].as_array().unwrap();
    let names: Vec<_> = limits.iter().map(|limit| limit["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ES256", "EdDSA", "RS256", "disk", "http"]);
    assert!(limits.iter().all(|limit| limit["per_second"].as_f64().unwrap() > 0.0), "{limits:?}");
}

#[test]
fn a_folder_that_is_named_is_kept_and_can_be_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let arguments = ["--data", data, "--scenario", "par", "--rate", "50", "--no-limits"];
    for _ in 0..2 {
        let table = bench(&arguments).done();
        for part in ["50 flows arrive each second", "par ", "CPU µs/flow"] {
            assert!(table.contains(part), "{part}: {table}");
        }
    }
    let clients = run(&["client", "list", "--json", "--data", data]).json();
    assert_eq!(clients.as_array().unwrap().len(), 4, "two each time");
    run(&["replay", "--data", data]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_postgres_is_measured_once() {
    let database = Database::empty().await;
    let url = database.url();
    let arguments = ["--store", &url, "--scenario", "code", "--no-limits", "--json"];
    let report = bench(&arguments).json();
    is_measured(&report, &["code"]);
    assert_eq!(report["store"], "postgres");
    assert!(report["scenarios"][0]["disk"]["bytes_per_flow"].is_f64(), "{report}");
    let said = bench(&arguments).fails(REFUSED);
    assert!(said.contains("has a history already") && !said.contains(&url), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_postgres_with_a_history_is_measured_by_its_master_key() {
    let database = Database::empty().await;
    let (url, folder) = (database.url(), tempfile::tempdir().unwrap());
    let key = folder.path().join("master.key");
    let by = ["--store", &url, "--master-key", key.to_str().unwrap()];
    let arguments = [&by[..], &["--scenario", "par", "--no-limits", "--json"]].concat();
    let said = bench(&arguments).fails(1);
    assert!(said.contains("master key is not there") && !key.exists(), "{said}");
    std::fs::write(&key, "0f".repeat(32)).unwrap();
    for _ in 0..2 {
        is_measured(&bench(&arguments).json(), &["par"]);
    }
}

/// A server that runs already, with a client that asks for consent and a person.
struct Other {
    server: Server,
    issuer: String,
}

impl Other {
    fn start() -> Self {
        let server = Server::start();
        let issuer = format!("http://127.0.0.1:{}", server.port);
        let add = ["client", "add", "--json", "--id", "web", "--secret", "a good secret"];
        let uses = ["--redirect-uri", "https://app.example/cb", "--scope", "openid offline_access"];
        let registered = server.run(&[&add[..], &uses].concat()).json();
        let other = Self { server, issuer };
        let data = &other.server.data;
        std::fs::write(data.file("web.json"), registered.to_string()).unwrap();
        data.run_with_input(&["account", "add", "ada", "--password-stdin"], "p & w").done();
        other.people(&json!([{ "username": "ada", "password": "p & w" }]));
        other
    }

    fn people(&self, people: &Value) {
        std::fs::write(self.server.data.file("people.json"), people.to_string()).unwrap();
    }

    fn bench(&self, arguments: &[&str]) -> Ended {
        let whom = self.whom();
        let whom: Vec<_> = whom.iter().map(String::as_str).collect();
        bench(&[&whom, arguments].concat())
    }

    /// Whom to measure, for a bench.
    fn whom(&self) -> [String; 6] {
        let file = |name| self.server.data.file(name).to_str().unwrap().to_owned();
        let (client, people) = (file("web.json"), file("people.json"));
        let issuer = self.issuer.clone();
        ["--issuer".into(), issuer, "--client".into(), client, "--accounts".into(), people]
    }
}

#[test]
fn a_server_that_runs_is_measured_by_its_metadata_and_its_forms() {
    let other = Other::start();
    let pid = other.server.process.id().to_string();
    let ended = other.bench(&["--json", "--pid", &pid]);
    assert!(ended.err.contains("without client_credentials"), "{ended:?}");
    let report = ended.json();
    is_measured(&report, &["par", "code", "par_code", "refresh", "introspect", "userinfo"]);
    assert_eq!((&report["store"], &report["limits"]), (&json!(null), &json!([])));
    for own in report["scenarios"].as_array().unwrap() {
        assert!(own["server"]["cpu_us_per_flow"].is_f64() && own["disk"].is_null(), "{own}");
    }
}

#[test]
fn what_can_not_work_is_said_before_anything_is_measured() {
    let other = Other::start();
    let said = other.bench(&["--scenario", "client_credentials"]).fails(USAGE);
    assert!(said.contains("no client may do client_credentials"), "{said}");
    other.bench(&["--scenario", "par", "--pid", "4194305"]).fails(NOT_FOUND);

    other.people(&json!({ "username": "ada", "password": "something else" }));
    let said = other.bench(&["--scenario", "code"]).fails(REFUSED);
    assert!(said.contains("does not let the account in"), "{said}");
    assert!(!said.contains("something else"), "{said}");

    let file = other.server.data.file("web.json");
    let mut client: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    client["client_secret"] = json!("a wrong secret");
    std::fs::write(&file, client.to_string()).unwrap();
    let said = other.bench(&["--scenario", "par"]).fails(REFUSED);
    assert!(said.contains("401 invalid_client") && !said.contains("a wrong secret"), "{said}");

    std::fs::write(&file, r#"{"client_secret": "hush", "client_id": 7}"#).unwrap();
    let said = other.bench(&[]).fails(USAGE);
    assert!(said.contains("line 1") && !said.contains("hush"), "{said}");
}

#[test]
fn what_was_measured_before_it_was_stopped_is_told() {
    let other = Other::start();
    let asked = ["--json", "--scenario", "par", "--scenario", "code", "--timeout", "60"];
    let mut command = program(&[&["bench"], &SHORT[..4], &asked].concat());
    command.args(["--duration", "3"]).args(other.whom());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let bench = command.spawn().unwrap();
    // To try it, and for users to get ready, takes fewer.
    let codes = || other.server.run(&["events", "--type", "CodeIssued"]).lines().len();
    let deadline = Instant::now() + Duration::from_secs(60);
    while codes() < 20 {
        assert!(Instant::now() < deadline, "the second scenario does not begin");
    }
    Command::new("kill").args(["-INT", &bench.id().to_string()]).status().unwrap();
    let ended = of(&bench.wait_with_output().unwrap());
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("stopped before the end"), "{ended:?}");
    is_measured(&serde_json::from_str(&ended.out).unwrap(), &["par"]);
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let client = folder.path().join("client.json");
    std::fs::write(&client, r#"{"client_id": "web", "client_secret": "s"}"#).unwrap();
    let client = client.to_str().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let issuer = format!("http://127.0.0.1:{port}");
    let said = bench(&["--issuer", &issuer, "--client", client]).fails(1);
    assert!(said.contains("can't be reached") && said.contains("hint:"), "{said}");
    let said = bench(&["--set", "keys.signing_algorithm = 7", "--no-limits"]).fails(USAGE);
    assert!(said.contains("keys.signing_algorithm"), "{said}");
    bench(&["--issuer", &issuer]).fails(USAGE);
    bench(&["--rate", "0"]).fails(USAGE);
    bench(&["--duration", "never"]).fails(USAGE);
    bench(&["--store", "mysql://x"]).fails(USAGE);
}
