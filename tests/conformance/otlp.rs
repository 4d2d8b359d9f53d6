//! Traces by OTLP over HTTP: a collector that takes them, and one that does not, at a server as
//! operators run it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message as _;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::support::server::free_address;
use crate::support::{Answer, PASSWORD, RelyingParty, basic, form, run, until};

const SECRET: &str = "a-secret-of-the-collector";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a collector was sent, and how it answers.
#[derive(Default)]
struct Shared {
    status: u16,
    heads: Vec<String>,
    requests: Vec<ExportTraceServiceRequest>,
}

struct Collector {
    address: String,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl Collector {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Mutex::new(Shared { status, ..Shared::default() }));
        let own = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&own)));
            }
        });
        Self { address, shared, task }
    }

    fn answer(&self, status: u16) {
        self.shared.lock().unwrap().status = status;
    }

    fn heads(&self) -> Vec<String> {
        self.shared.lock().unwrap().heads.clone()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.shared.lock().unwrap().requests.clone();
        let resources = requests.into_iter().flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn service(&self) -> Vec<KeyValue> {
        let requests = &self.shared.lock().unwrap().requests;
        requests[0].resource_spans[0].resource.clone().unwrap().attributes
    }

    /// Waits for spans of this name that have ended.
    async fn named(&self, name: &str, count: usize) -> Vec<Span> {
        let find = || self.spans().into_iter().filter(|own| own.name == name).collect::<Vec<_>>();
        until(name, || async { find().len() >= count }).await;
        find()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut connection: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|own| own == b"\r\n\r\n") {
                break at;
            }
            if connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        while bytes.len() < length {
            if connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body: Vec<u8> = bytes.drain(..length).collect();
        let status = {
            let mut shared = shared.lock().unwrap();
            shared.heads.push(head);
            if shared.status == 200 {
                shared.requests.push(ExportTraceServiceRequest::decode(&*body).unwrap());
            }
            shared.status
        };
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A server as operators run it, its client, and the analyst who reads its events.
struct Server {
    child: Child,
    config: PathBuf,
    folder: TempDir,
    metrics: String,
    service: RelyingParty,
    analyst: RelyingParty,
}

impl Server {
    async fn start(endpoint: &str, tracing: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let (address, metrics) = (free_address(), free_address());
        let key = folder.path().join("master.key");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(0o600).open(&key).unwrap();
        file.write_all("5a".repeat(32).as_bytes()).unwrap();
        let config = folder.path().join("chancery.toml");
        let text = format!(
            "[server]\nissuer = \"http://{address}\"\nlisten = [\"{address}\"]\nworkers = 2\n\
             node = \"node-1\"\n[store]\nurl = \"sqlite://{}\"\n[master_key]\nfile = \"{}\"\n\
             [log]\nformat = \"json\"\n[metrics]\nlisten = [\"{metrics}\"]\n[tracing]\n\
             endpoint = \"http://{endpoint}\"\nheaders = [\"X-Key: {SECRET}\"]\n{tracing}\n",
            folder.path().join("store").display(),
            key.display()
        );
        std::fs::write(&config, text).unwrap();
        let add = ["client", "add", "--json", "--grant-type", "client_credentials", "--id"];
        let party = async |id: &str, scope: &str| {
            let added = cli(&config, &[&add[..], &[id, "--scope", scope]].concat()).await;
            let added: Value = serde_json::from_str(&added).unwrap();
            RelyingParty::new(&format!("http://{address}"), id, ClientAuthMethod::SecretBasic)
                .with_secret(added["client_secret"].as_str().unwrap())
        };
        cli(&config, &["migrate"]).await;
        let service = party("svc", "read").await;
        let analyst = party("analyst", "events:read").await;
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = chancery(&config, &["serve"]).stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let ready = || async {
            let asked = service.request(Method::GET, "/health/ready").send().await;
            asked.is_ok_and(|answer| answer.status() == 200)
        };
        until("readiness", ready).await;
        Self { child, config, folder, metrics, service, analyst }
    }

    /// A token, for a caller who says where it is.
    async fn token(&self, parent: Option<&str>) -> Answer {
        let request = self.service.request(Method::POST, "/token");
        let secret = self.service.secret.as_deref().unwrap();
        let mut request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", basic(&self.service.client_id, secret))
            .body(form(&[("grant_type", "client_credentials")]));
        if let Some(parent) = parent {
            request = request.header("traceparent", parent).header("tracestate", "vendor=x");
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// The `traceparent` of the last event that concerns the client.
    async fn last_parent(&self) -> [String; 3] {
        let token = self.analyst.client_credentials(&[]).await.ok();
        let path = "/events?limit=1000&client=svc";
        let request = self.analyst.request(Method::GET, path);
        let request = request.bearer_auth(token["access_token"].as_str().unwrap());
        let answer = Answer::of(request.send().await.unwrap()).await;
        // The last line may be a cursor alone.
        let events = answer.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut parents = events.filter_map(|own| Some(own["traceparent"].as_str()?.to_owned()));
        let parent = parents.next_back().unwrap_or_else(|| panic!("{answer:?}"));
        let parts: Vec<_> = parent.split('-').map(str::to_owned).collect();
        [parts[1].clone(), parts[2].clone(), parts[3].clone()]
    }

    async fn scrape(&self) -> String {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(format!("http://{}/metrics", self.metrics)).send().await;
        answer.unwrap().text().await.unwrap()
    }

    async fn spans(&self, outcome: &str) -> u64 {
        let name = format!("chancery_trace_spans_total{{outcome=\"{outcome}\"}} ");
        let text = self.scrape().await;
        text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Tells it to stop; gives how long it took.
    async fn stop(&mut self) -> Duration {
        let began = tokio::time::Instant::now();
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(&id).status().await.unwrap().success());
        assert!(self.child.wait().await.unwrap().success(), "{}", self.log());
        began.elapsed()
    }
}

fn chancery(config: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
    // Variables with its prefix would be settings.
    command.env_remove("CHANCERY_TEST_POSTGRES");
    command.args(arguments).arg("--config").arg(config).kill_on_drop(true);
    command
}

async fn cli(config: &std::path::Path, arguments: &[&str]) -> String {
    let output = chancery(config, arguments).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + format!("{byte:02x}").as_str())
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|own| own.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        Any::BoolValue(truth) => Some(truth.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn a_span_reaches_the_collector_with_the_trace_id_of_its_events() {
    run(async {
        let collector = Collector::start(200).await;
        let server = Server::start(&collector.address, "").await;
        server.token(None).await.ok();
        let [trace, span, flags] = server.last_parent().await;
        assert_eq!(flags, "01", "it is said that it is sampled");
        let roots = collector.named("POST /token", 1).await;
        let root = roots.iter().find(|own| hex(&own.trace_id) == trace).expect("its trace");
        assert_eq!(hex(&root.span_id), span, "the event was made in the request's span");
        assert!(root.parent_span_id.is_empty(), "nobody asked for it by a trace");
        assert_eq!(root.kind, SpanKind::Server as i32);
        let of = |key: &str| attribute(&root.attributes, key);
        assert_eq!(of("http.route").as_deref(), Some("/token"));
        assert_eq!(of("http.request.method").as_deref(), Some("POST"));
        assert_eq!(of("http.response.status_code").as_deref(), Some("200"));
        assert!(root.start_time_unix_nano < root.end_time_unix_nano);

        // The spans of its parts hang together below it.
        let spans = collector.spans();
        let own: Vec<_> = spans.iter().filter(|own| own.trace_id == root.trace_id).collect();
        for (name, above) in [
            ("oauth.token", "POST /token"),
            ("grant.begin", "oauth.token"),
            ("store.append", "grant.begin"),
        ] {
            let child = own.iter().find(|own| own.name == name).unwrap_or_else(|| panic!("{name}"));
            let parent = own.iter().find(|own| own.span_id == child.parent_span_id).unwrap();
            assert_eq!(parent.name, above, "{name}");
        }

        let service = collector.service();
        assert_eq!(attribute(&service, "service.name").as_deref(), Some("chancery"));
        assert_eq!(attribute(&service, "service.instance.id").as_deref(), Some("node-1"));
        let head = &collector.heads()[0];
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
        assert!(head.contains(&format!("x-key: {SECRET}\r\n")), "{head}");
        until("they are counted", || async { server.spans("exported").await > 0 }).await;
        assert_eq!(server.spans("dropped").await + server.spans("failed").await, 0);
    });
}

#[test]
fn spans_hold_no_secret_and_nobody() {
    run(async {
        let collector = Collector::start(200).await;
        let server = Server::start(&collector.address, "").await;
        let mut account = chancery(&server.config, &["account", "add", "ada", "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        account.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).await.unwrap();
        assert!(account.wait().await.unwrap().success());
        let token = server.token(None).await.ok();
        let access = token["access_token"].as_str().unwrap().to_owned();
        let introspected = server.service.introspect(&access).await;
        assert_eq!(introspected.status, 200);
        server.service.get("/authorize?client_id=svc&state=a-private-state").await;
        server.service.redeem("a-private-code").await;
        collector.named("POST /introspect", 1).await;
        collector.named("GET /authorize", 1).await;
        // What the client sent with these comes last, in a batch of its own.
        until("the last span", || async { collector.spans().len() > 8 }).await;
        let secret = server.service.secret.clone().unwrap();
        let everything = format!("{:?}", collector.spans());
        for private in
            [&*access, &*secret, "a-private-state", "a-private-code", PASSWORD, SECRET, "127.0.0.1"]
        {
            assert!(!everything.contains(private), "{private}");
        }
        for private in [&*access, &*secret, "a-private-code", PASSWORD, SECRET] {
            assert!(!server.log().contains(private), "{private} is in the log");
        }
    });
}

#[test]
fn a_stranger_s_trace_is_linked_to_and_has_no_say() {
    run(async {
        let collector = Collector::start(200).await;
        let server = Server::start(&collector.address, "sampling_ratio = 1").await;
        server.token(Some(PARENT)).await.ok();
        let [trace, ..] = server.last_parent().await;
        assert_ne!(trace, TRACE);
        let roots = collector.named("POST /token", 1).await;
        let root = roots.iter().find(|own| hex(&own.trace_id) == trace).unwrap();
        assert!(root.parent_span_id.is_empty());
        let links: Vec<_> = root.links.iter().map(|link| hex(&link.trace_id)).collect();
        assert_eq!(links, [TRACE]);
    });
}

#[test]
fn a_stranger_can_have_nothing_sent() {
    run(async {
        let collector = Collector::start(200).await;
        let mut server = Server::start(&collector.address, "sampling_ratio = 0").await;
        for _ in 0..20 {
            server.token(Some(PARENT)).await.ok();
        }
        assert_eq!(server.last_parent().await[2], "00", "it is said that nothing is sent");
        server.stop().await;
        assert_eq!(collector.spans(), []);
    });
}

#[test]
fn a_trusted_caller_s_span_is_the_parent_and_its_decision_counts() {
    run(async {
        let collector = Collector::start(200).await;
        let settings = "trusted_parents = \"everybody\"\nsampling_ratio = 0";
        let mut server = Server::start(&collector.address, settings).await;
        server.token(Some(PARENT)).await.ok();
        let [trace, span, flags] = server.last_parent().await;
        assert_eq!((&*trace, &*flags), (TRACE, "01"));
        let root = collector.named("POST /token", 1).await.remove(0);
        assert_eq!(hex(&root.trace_id), TRACE);
        assert_eq!(hex(&root.span_id), span);
        assert_eq!(hex(&root.parent_span_id), "00f067aa0ba902b7");
        assert_eq!(root.trace_state, "vendor=x");
        let before = collector.spans().len();
        server.token(Some(&PARENT.replace("-01", "-00"))).await.ok();
        server.stop().await;
        assert_eq!(collector.spans().len(), before, "who is not sampled is not sent");
    });
}

#[test]
fn the_log_names_the_trace_of_a_request() {
    run(async {
        let collector = Collector::start(200).await;
        let server = Server::start(&collector.address, "").await;
        // The command is carried out by the server, and is said in its log.
        cli(&server.config, &["client", "disable", "svc", "--reason", "done"]).await;
        let [trace, ..] = server.last_parent().await;
        let named = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            let spans = line["spans"].as_array().cloned().unwrap_or_default();
            spans.iter().any(|span| span["trace.id"] == *trace)
        };
        let log = server.log();
        assert!(log.lines().any(named), "{trace}: {log}");
    });
}

#[test]
fn a_collector_that_is_not_there_holds_nothing_up() {
    run(async {
        // Nobody listens there.
        let mut server = Server::start(&free_address(), "").await;
        for _ in 0..50 {
            let began = tokio::time::Instant::now();
            server.token(None).await.ok();
            assert!(began.elapsed() < Duration::from_secs(2));
        }
        let took = server.stop().await;
        assert!(took < Duration::from_secs(10), "{took:?}");
        let log = server.log();
        let said = log.lines().filter(|line| line.contains("does not take spans")).count();
        assert_eq!(said, 1, "{log}");
        assert!(!log.contains(SECRET));
    });
}

#[test]
fn what_a_collector_refuses_is_counted_and_not_sent_again() {
    run(async {
        let collector = Collector::start(400).await;
        let server = Server::start(&collector.address, "").await;
        server.token(None).await.ok();
        until("they have failed", || async { server.spans("failed").await > 0 }).await;
        assert_eq!(server.spans("exported").await, 0);
        collector.answer(200);
        server.token(None).await.ok();
        until("the next are taken", || async { server.spans("exported").await > 0 }).await;
    });
}

#[test]
fn what_is_left_is_sent_before_the_end() {
    run(async {
        let collector = Collector::start(200).await;
        let mut server = Server::start(&collector.address, "").await;
        server.token(None).await.ok();
        server.stop().await;
        let names: Vec<_> = collector.spans().into_iter().map(|own| own.name).collect();
        assert!(names.iter().any(|name| name == "POST /token"), "{names:?}");
    });
}
