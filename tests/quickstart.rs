//! `chancery quickstart` and its demo, as processes and over HTTP. What a person
//! sees of the demo in a browser stands in `relying_parties/demo.test.mjs`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, header};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_chancery");

/// A running server of its own process.
struct Server {
    child: Child,
    /// What it said when it was ready.
    greeting: String,
    base: String,
    // Held open: who writes to nobody may not notice, or may end.
    out: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Quickstart on a free port and this folder.
    fn quickstart(data: &Path) -> Self {
        let listen = free_address().replace("127.0.0.1", "localhost");
        let mut child = quickstart(&listen, data)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("Ctrl-C") {
            assert!(out.read_line(&mut greeting).unwrap() > 0, "it ended: {greeting}");
        }
        Self { child, greeting, base: format!("http://{listen}"), out: Some(out) }
    }

    /// A server as for real.
    async fn serve(folder: &Path) -> Self {
        let listen = free_address();
        let folder = folder.display();
        let key = format!("{folder}/master.key");
        std::fs::write(&key, "07".repeat(32)).unwrap();
        let file = format!("{folder}/chancery.toml");
        let settings = format!(
            "[server]\nissuer = \"http://{listen}\"\nlisten = [\"{listen}\"]\n\
             [store]\nurl = \"sqlite://{folder}/data\"\n[master_key]\nfile = \"{key}\"\n"
        );
        std::fs::write(&file, settings).unwrap();
        let child = Command::new(PROGRAM)
            .args(["serve", "--config", &file])
            // The tests' own variable is no setting of the server's.
            .env_remove("CHANCERY_TEST_POSTGRES")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let base = format!("http://{listen}");
        let server = Self { child, greeting: String::new(), base, out: None };
        for _ in 0..300 {
            let ready = client().get(format!("{}/health/ready", server.base)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it does not become ready");
    }

    async fn get(&self, path: &str) -> Response {
        client().get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    /// The first key that it publishes.
    async fn kid(&self) -> String {
        let keys: Value = self.get("/jwks").await.json().await.unwrap();
        keys["keys"][0]["kid"].as_str().unwrap().to_owned()
    }

    /// The status of a pushed request of the demo client.
    async fn push(&self, redirect_uri: &str) -> StatusCode {
        let parameters = [
            ("response_type", "code"),
            ("scope", "openid"),
            ("redirect_uri", redirect_uri),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        let request = client().post(format!("{}/par", self.base));
        let request = request.basic_auth("demo", Some("demo-secret")).form(&parameters);
        request.send().await.unwrap().status()
    }

    /// Tells it to stop, as Ctrl-C does.
    fn stop(mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn quickstart(listen: &str, data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["quickstart", "--listen", listen, "--data"]).arg(data);
    command
}

/// What it says when it does not start.
fn refused(listen: &str, data: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = quickstart(listen, data).output().unwrap();
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn client() -> Client {
    chancery::outbound::crypto_provider();
    Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
}

#[tokio::test]
async fn what_was_made_is_kept_and_the_clients_follow_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = Server::quickstart(&data);
    assert_eq!(first.greeting.matches("\n  made").count(), 4, "{}", first.greeting);
    assert_eq!(first.push(&format!("{}/demo/callback", first.base)).await, StatusCode::CREATED);
    let (kid, earlier) = (first.kid().await, format!("{}/demo/callback", first.base));
    assert!(first.stop().success());

    let second = Server::quickstart(&data);
    assert_eq!(second.greeting.matches("\n  kept").count(), 2, "{}", second.greeting);
    assert_eq!(second.greeting.matches("\n  moved").count(), 2, "{}", second.greeting);
    assert_eq!(second.kid().await, kid);
    assert_eq!(second.push(&format!("{}/demo/callback", second.base)).await, StatusCode::CREATED);
    assert_eq!(second.push(&earlier).await, StatusCode::BAD_REQUEST);
}

#[test]
fn a_second_quickstart_on_the_folder_is_told_who_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::quickstart(folder.path());
    // On the same port too: that the folder is in use says more.
    for listen in [free_address(), first.base.replace("http://", "")] {
        let (code, error) = refused(&listen, folder.path());
        assert_eq!(code, Some(5), "{error}");
        assert!(error.contains(&format!("process {}", first.child.id())), "{error}");
    }
}

#[test]
fn a_taken_port_is_said_to_be_so_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for host in ["localhost", "127.0.0.1"] {
        let (code, error) = refused(&format!("{host}:{port}"), &data);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(&format!("port {port} of 127.0.0.1 is taken")), "{error}");
        assert!(error.contains("quickstart --listen localhost:"), "{error}");
        assert!(!data.exists());
    }
}

#[test]
fn only_loopback_is_listened_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for listen in ["0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080"] {
        let (code, error) = refused(listen, &data);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("loopback"), "{error}");
        assert!(!data.exists());
    }
}

#[test]
fn a_lost_master_key_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Server::quickstart(folder.path()).stop().success());
    let key = folder.path().join("master.key");
    std::fs::remove_file(&key).unwrap();
    let (code, error) = refused(&free_address(), folder.path());
    assert_eq!(code, Some(1));
    assert!(error.contains("the master key of this store") && error.contains("put it back"));
    assert!(!key.exists());
}

#[tokio::test]
async fn only_quickstart_has_a_demo() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let quickstart = Server::quickstart(folders[0].path());
    let page = quickstart.get("/demo").await.text().await.unwrap();
    let script = page.split('"').find(|text| text.starts_with("/assets/demo-")).unwrap();
    let paths = ["/", "/demo", script];
    for path in paths {
        assert_eq!(quickstart.get(path).await.status(), StatusCode::OK, "{path}");
    }
    let server = Server::serve(folders[1].path()).await;
    for path in paths.into_iter().chain(["/demo/start", "/demo/state", "/demo/events"]) {
        assert_eq!(server.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let request =
        client().post(format!("{}/token", server.base)).basic_auth("demo", Some("demo-secret"));
    let answer = request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

/// The cookie and the CSRF token of a page of the demo.
async fn visit(server: &Server) -> (String, String) {
    let page = server.get("/demo").await;
    let cookie = page.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax; Path=/demo"), "{cookie}");
    let html = page.text().await.unwrap();
    let (_, csrf) = html.split_once("<meta name=\"csrf-token\" content=\"").unwrap();
    (cookie.split(';').next().unwrap().to_owned(), csrf.split('"').next().unwrap().to_owned())
}

#[tokio::test]
async fn the_demo_acts_for_its_own_pages_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::quickstart(folder.path());
    let (mine, my_csrf) = visit(&server).await;
    let (_, other_csrf) = visit(&server).await;
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = client().request(method, format!("{}{path}", server.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let path = "/demo/client-credentials";
    let good: &[_] = &[("cookie", mine.as_str()), ("x-csrf-token", my_csrf.as_str())];
    let state: Value = ask(Method::POST, path, good).await.json().await.unwrap();
    assert_eq!(state["exchanges"][0]["status"], 200, "{state}");

    let host = ("host", "rebound.example");
    let refused: [&[_]; 5] = [
        &[],
        &good[..1],
        &good[1..],
        &[good[0], ("x-csrf-token", &other_csrf)],
        &[good[0], good[1], host],
    ];
    for headers in refused {
        let answer = ask(Method::POST, path, headers).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    for path in ["/demo/state", "/demo/events"] {
        assert_eq!(ask(Method::GET, path, &[]).await.status(), StatusCode::FORBIDDEN, "{path}");
    }
    // Under another name of this host there would be no cookie after the login.
    let elsewhere = ask(Method::GET, "/demo/start", &[good[0], host]).await;
    assert_eq!(elsewhere.headers()[header::LOCATION], format!("{}/demo/start", server.base));

    let unknown = ask(Method::POST, "/demo/elope", good).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let nothing_yet = ask(Method::POST, "/demo/refresh", good).await;
    assert_eq!(nothing_yet.status(), StatusCode::CONFLICT);
    let state: Value = ask(Method::GET, "/demo/state", good).await.json().await.unwrap();
    assert_eq!(state["exchanges"].as_array().unwrap().len(), 1, "nothing else was done");
    assert_eq!(state["tokens"], Value::Null);
}

/// RFC 6749 §10.12, RFC 9207 §2.4
#[tokio::test]
async fn an_answer_to_another_request_or_of_another_issuer_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::quickstart(folder.path());
    let (cookie, _) = visit(&server).await;
    let begin = async || {
        let request = client().get(format!("{}/demo/start", server.base));
        let answer = request.header("cookie", &cookie).send().await.unwrap();
        let to = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
        assert!(to.starts_with(&format!("{}/authorize?client_id=demo&request_uri=", server.base)));
        let request = client().get(format!("{}/demo/state", server.base));
        let state = request.header("cookie", &cookie).send().await.unwrap();
        let state: Value = state.json().await.unwrap();
        let pushed = state["exchanges"].as_array().unwrap().last().unwrap()["parameters"].clone();
        let named = |parameter: &&Value| parameter[0] == "state";
        pushed.as_array().unwrap().iter().find(named).unwrap()[1].as_str().unwrap().to_owned()
    };
    let callback = async |query: String| {
        let request = client().get(format!("{}/demo/callback?{query}", server.base));
        let answer = request.header("cookie", &cookie).send().await.unwrap();
        assert_eq!(answer.headers()[header::LOCATION], format!("{}/demo", server.base));
        let request = client().get(format!("{}/demo", server.base));
        request.header("cookie", &cookie).send().await.unwrap().text().await.unwrap()
    };
    let base = &server.base;
    let state = begin().await;
    let page = callback(format!("code=c&state={state}x&iss={base}")).await;
    assert!(page.contains("wrong_state"), "{page}");
    let page = callback(format!("code=c&state={state}&state={state}&iss={base}")).await;
    assert!(page.contains("wrong_state"), "{page}");
    let page = callback(format!("code=c&state={state}")).await;
    assert!(page.contains("wrong_issuer"), "{page}");
    let page = callback(format!("code=c&state={state}&iss={base}")).await;
    assert!(page.contains("wrong_state"), "a state counts once: {page}");
    let state = begin().await;
    let page = callback(format!("code=c&state={state}&iss=https://other.example")).await;
    assert!(page.contains("wrong_issuer"), "{page}");
    let state = begin().await;
    let page = callback(format!("error=access_denied&state={state}&iss={base}")).await;
    assert!(page.contains("access_denied"), "{page}");
    let state = begin().await;
    let page = callback(format!("code=c&state={state}&iss={base}")).await;
    assert!(page.contains("code_refused"), "{page}");
}

#[tokio::test]
async fn events_come_at_once_and_end_when_the_server_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::quickstart(folder.path());
    let (cookie, csrf) = visit(&server).await;
    let act = async || {
        let request = client().post(format!("{}/demo/client-credentials", server.base));
        let request = request.header("cookie", &cookie).header("x-csrf-token", &csrf);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    };
    act().await;
    let request = client().get(format!("{}/demo/events", server.base));
    let mut events = request.header("cookie", &cookie).send().await.unwrap();
    assert_eq!(events.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert!(events.chunk().await.unwrap().unwrap().starts_with(b":"));

    let mut positions = Vec::new();
    for _ in 0..2 {
        let chunk = tokio::time::timeout(Duration::from_secs(5), events.chunk()).await;
        let chunk = String::from_utf8(chunk.unwrap().unwrap().unwrap().to_vec()).unwrap();
        let data = chunk.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(event["event_type"], "TokensIssued");
        assert_eq!(event["actor"], "client demo");
        assert!(chunk.contains(&format!("id: {}\n", event["position"])), "{chunk}");
        positions.push(event["position"].as_u64().unwrap());
        if positions.len() == 1 {
            act().await;
        }
    }
    assert!(positions[0] < positions[1], "{positions:?}");

    let stopped = tokio::task::spawn_blocking(move || server.stop());
    let stopped = tokio::time::timeout(Duration::from_secs(10), stopped).await;
    assert!(stopped.expect("it waits for the stream").unwrap().success());
    assert!(events.chunk().await.unwrap_or_default().is_none());
}

/// Who can't read its text has a server all the same.
#[tokio::test]
async fn a_reader_who_goes_away_does_not_end_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::quickstart(folder.path());
    drop(server.out.take());
    assert_eq!(server.get("/health/live").await.status(), StatusCode::OK);
    assert!(server.child.try_wait().unwrap().is_none());
}
