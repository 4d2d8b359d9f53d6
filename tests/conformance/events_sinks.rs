//! Sinks: events are delivered to webhooks (Standard Webhooks 1.0.0, `CloudEvents` 1.0) and to
//! streams of NATS `JetStream`.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Answer, Listener, RelyingParty, Scene, StoreKind, TestServer, confidential, service, until,
};

both_stores! {
    a_webhook_gets_every_event_in_order_and_signed,
    in_binary_mode_a_webhook_gets_attributes_in_headers,
    a_sink_gets_only_what_it_is_for,
    a_webhook_that_has_too_much_to_do_is_waited_for,
    what_is_refused_too_often_is_put_aside_and_sent_again,
    after_a_crash_a_sink_loses_nothing,
    sinks_are_shown_to_administrators_alone,
    a_stream_gets_every_event_once_and_in_order,
    in_binary_mode_a_stream_gets_attributes_in_headers,
    a_stream_that_was_away_and_a_server_that_was_killed_lose_and_repeat_nothing,
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn webhook(listener: &Listener, more: &str) -> String {
    format!(
        "\n[outbound]\nallow_loopback = true\nallow_http = true\n[sinks.hook]\nto = \"webhook\"\n\
         url = \"{}\"\nsecret = \"{SECRET}\"\n{more}\n",
        listener.url
    )
}

fn ids_in_log(log: &[chancery::stores::StoredEvent]) -> Vec<String> {
    log.iter().map(|stored| stored.event.digest.to_string()).collect()
}

fn ids(bodies: &[String]) -> Vec<String> {
    let id = |body: &String| {
        let event: Value = serde_json::from_str(body).unwrap();
        event["id"].as_str().unwrap().to_owned()
    };
    bodies.iter().map(id).collect()
}

/// Waits until the listener has everything that is in the log.
async fn all_has_come(server: &TestServer, listener: &Listener) {
    until("everything has come", || async {
        let come: BTreeSet<_> = ids(&listener.bodies()).into_iter().collect();
        ids_in_log(&server.log().await).iter().all(|id| come.contains(id))
    })
    .await;
}

struct Admin {
    rp: RelyingParty,
    token: String,
}

impl Admin {
    async fn of(server: &TestServer) -> Self {
        let metadata = ClientMetadata { scope: Scope::parse("admin").unwrap(), ..service() };
        let rp = server.register("admin", metadata).await;
        let answer = rp.client_credentials(&[]).await.ok();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { rp, token }
    }

    async fn send(&self, method: Method, path: &str) -> Answer {
        let request = self.rp.request(method, &format!("/admin/sinks{path}"));
        Answer::of(request.bearer_auth(&self.token).send().await.unwrap()).await
    }
}

async fn a_webhook_gets_every_event_in_order_and_signed(store: StoreKind) {
    let listener = Listener::start().await;
    let mut scene = Scene::with(store, &webhook(&listener, ""), confidential()).await;
    scene.tokens(&[]).await;
    all_has_come(&scene.server, &listener).await;
    let log = scene.server.log().await;
    let come = ids(&listener.bodies());
    assert_eq!(come, ids_in_log(&log)[..come.len()]);
    let (head, body) = (&listener.heads()[0], &listener.bodies()[0]);
    let header = |name: &str| header(head, name).unwrap_or_else(|| panic!("{name} in {head}"));
    assert_eq!(header("content-type"), "application/cloudevents+json");
    assert_eq!(header("webhook-id"), come[0]);
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let key = aws_lc_rs::hmac::Key::new(
        aws_lc_rs::hmac::HMAC_SHA256,
        &base64_of(SECRET.strip_prefix("whsec_").unwrap()),
    );
    let signature = header("webhook-signature");
    let signature = base64_of(signature.strip_prefix("v1,").unwrap());
    assert!(aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &signature).is_ok());
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
}

/// `CloudEvents` 1.0, HTTP binding §3.1.
async fn in_binary_mode_a_webhook_gets_attributes_in_headers(store: StoreKind) {
    let listener = Listener::start().await;
    let settings = webhook(&listener, "mode = \"binary\"\ntypes = [\"CodeIssued\"]");
    let mut scene = Scene::with(store, &settings, confidential()).await;
    scene.tokens(&[]).await;
    listener.has(1).await;
    let (head, body) = (&listener.heads()[0], &listener.bodies()[0]);
    let log = scene.server.log().await;
    let issued = log.iter().find(|stored| stored.event.event_type == "CodeIssued").unwrap();
    assert_eq!(**body, *issued.event.payload, "the data, and nothing else");
    let expected = [
        ("content-type", "application/json".to_owned()),
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", issued.event.digest.to_string()),
        ("ce-type", "chancery.grant.CodeIssued.v1".to_owned()),
        ("ce-sequence", issued.event.sequence.to_string()),
        ("ce-clientid", "rp".to_owned()),
        ("webhook-id", issued.event.digest.to_string()),
    ];
    for (name, value) in expected {
        assert_eq!(header(head, name), Some(value), "{name}");
    }
    assert_eq!(header(head, "ce-datacontenttype"), None, "it is the type of the content");
    assert_eq!(header(head, "ce-data"), None);
}

fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

async fn a_sink_gets_only_what_it_is_for(store: StoreKind) {
    let listener = Listener::start().await;
    let settings = webhook(&listener, "types = [\"CodeIssued\"]\nclients = [\"rp\"]");
    let mut scene = Scene::with(store, &settings, confidential()).await;
    scene.tokens(&[]).await;
    scene.tokens(&[]).await;
    listener.has(2).await;
    let types: Vec<_> = listener
        .bodies()
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["type"].clone())
        .collect();
    assert_eq!(types, ["chancery.grant.CodeIssued.v1"; 2]);
}

async fn a_webhook_that_has_too_much_to_do_is_waited_for(store: StoreKind) {
    let listener = Listener::start().await;
    listener.answer(503);
    let settings = webhook(&listener, "attempts = 1");
    let server = TestServer::with_settings(store, &settings).await;
    let admin = Admin::of(&server).await;
    listener.has(2).await;
    listener.answer(204);
    all_has_come(&server, &listener).await;
    let aside = admin.send(Method::GET, "/hook/dead-letters").await.ok();
    assert_eq!(aside["items"], serde_json::json!([]), "nothing is put aside for that");
}

async fn what_is_refused_too_often_is_put_aside_and_sent_again(store: StoreKind) {
    let listener = Listener::start().await;
    listener.answer(422);
    let settings = webhook(&listener, "attempts = 2\ntypes = [\"ClientRegistered\"]");
    let server = TestServer::with_settings(store, &settings).await;
    let admin = Admin::of(&server).await;
    until("it is put aside", || async {
        let aside = admin.send(Method::GET, "/hook/dead-letters").await.ok();
        !aside["items"].as_array().unwrap().is_empty()
    })
    .await;
    let aside = admin.send(Method::GET, "/hook/dead-letters").await.ok();
    let letter = &aside["items"][0];
    assert_eq!(letter["attempts"], 2);
    assert!(letter["reason"].as_str().unwrap().contains("422"), "{letter}");
    let log = server.log().await;
    assert!(ids_in_log(&log).contains(&letter["id"].as_str().unwrap().to_owned()));
    let path = format!("/hook/dead-letters/{}", letter["position"]);
    // It goes on refusing.
    assert_eq!(admin.send(Method::POST, &format!("{path}/send")).await.status, 409);
    listener.answer(200);
    admin.send(Method::POST, &format!("{path}/send")).await.ok();
    assert_eq!(ids(&listener.bodies()).last(), letter["id"].as_str().map(str::to_owned).as_ref());
    let aside = admin.send(Method::GET, "/hook/dead-letters").await.ok();
    assert_eq!(aside["items"], serde_json::json!([]));
    assert_eq!(admin.send(Method::POST, &format!("{path}/send")).await.status, 404);
    assert_eq!(admin.send(Method::DELETE, &path).await.status, 404);
}

async fn after_a_crash_a_sink_loses_nothing(store: StoreKind) {
    let listener = Listener::start().await;
    let mut scene = Scene::with(store, &webhook(&listener, ""), confidential()).await;
    scene.tokens(&[]).await;
    listener.has(3).await;
    let Scene { server, rp, .. } = scene;
    let server = server.restart().await;
    // The lease of the node that is gone.
    server.advance(20);
    rp.at(&server).post("/par", &[]).await;
    all_has_come(&server, &listener).await;
    let mut once = BTreeSet::new();
    let firsts: Vec<_> =
        ids(&listener.bodies()).into_iter().filter(|id| once.insert(id.clone())).collect();
    assert_eq!(firsts, ids_in_log(&server.log().await)[..firsts.len()]);
}

async fn sinks_are_shown_to_administrators_alone(store: StoreKind) {
    let listener = Listener::start().await;
    let server = TestServer::with_settings(store, &webhook(&listener, "begin = \"now\"")).await;
    let admin = Admin::of(&server).await;
    until("it has caught up", || async {
        let sinks = admin.send(Method::GET, "").await.ok();
        sinks["items"][0]["lag"] == 0 && sinks["items"][0]["node"].is_string()
    })
    .await;
    let sinks = admin.send(Method::GET, "").await;
    assert_eq!(sinks.json()["items"][0]["to"], "webhook");
    assert!(!sinks.body.contains("whsec") && !sinks.body.contains("backchannel"));
    assert_eq!(admin.rp.get("/admin/sinks").await.status, 401);
    assert_eq!(admin.send(Method::GET, "/nothing/dead-letters").await.status, 404);
    assert_eq!(admin.send(Method::GET, "/hook/dead-letters?limit=0").await.status, 400);
}

/// A NATS server of our own.
struct NatsServer {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl NatsServer {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = TempDir::new().unwrap();
        Self { child: Self::spawn(&folder, port), folder, port }
    }

    fn spawn(folder: &TempDir, port: u16) -> Child {
        Command::new("nats-server")
            .args([
                "--addr",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--jetstream",
                "--store_dir",
            ])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed (tests/run installs it)")
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn settings(&self) -> String {
        format!("\n[sinks.stream]\nto = \"nats\"\nurl = \"nats://127.0.0.1:{}\"\n", self.port)
    }

    /// The messages of the stream: their ids and bodies, in order.
    async fn messages(&self) -> Vec<(String, Value)> {
        let Ok(client) = async_nats::connect(format!("127.0.0.1:{}", self.port)).await else {
            return vec![];
        };
        let jetstream = jetstream::new(client);
        let Ok(mut stream) = jetstream.get_stream("CHANCERY").await else { return vec![] };
        let count = stream.info().await.unwrap().state.messages;
        let consumer = stream
            .create_consumer(jetstream::consumer::pull::Config {
                ack_policy: jetstream::consumer::AckPolicy::None,
                ..Default::default()
            })
            .await
            .unwrap();
        let messages = consumer.stream().messages().await.unwrap();
        let messages = messages.take(usize::try_from(count).unwrap());
        messages
            .map(|message| {
                let message = message.unwrap();
                let id = message.headers.as_ref().unwrap().get("Nats-Msg-Id").unwrap().to_string();
                (id, serde_json::from_slice(&message.payload).unwrap())
            })
            .collect()
            .await
    }

    /// Waits until the stream holds what the log holds, and nothing else.
    async fn holds_the_log_of(&self, server: &TestServer) {
        until("the stream holds the log", || async {
            let logged = ids_in_log(&server.log().await);
            let held: Vec<_> = self.messages().await.into_iter().map(|(id, _)| id).collect();
            assert!(held.len() <= logged.len() || logged == held, "{held:#?} {logged:#?}");
            held == logged
        })
        .await;
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn a_stream_gets_every_event_once_and_in_order(store: StoreKind) {
    let nats = NatsServer::start();
    let mut scene = Scene::with(store, &nats.settings(), confidential()).await;
    for _ in 0..3 {
        scene.tokens(&[]).await;
    }
    nats.holds_the_log_of(&scene.server).await;
    let (id, event) = &nats.messages().await[0];
    assert_eq!(event["id"], **id);
    let client = async_nats::connect(format!("127.0.0.1:{}", nats.port)).await.unwrap();
    let stream = jetstream::new(client).get_stream("CHANCERY").await.unwrap();
    let first = stream.get_raw_message(1).await.unwrap();
    let (_, kind) = event["type"].as_str().unwrap().split_once("chancery.").unwrap();
    assert_eq!(first.subject.as_str(), format!("chancery.events.{}", &kind[..kind.len() - 3]));
    assert_eq!(first.headers.get("Content-Type").unwrap().as_str(), "application/cloudevents+json");
}

/// `CloudEvents` 1.0, NATS binding §3.1.
async fn in_binary_mode_a_stream_gets_attributes_in_headers(store: StoreKind) {
    let nats = NatsServer::start();
    let settings = format!("{}mode = \"binary\"\n", nats.settings());
    let server = TestServer::with_settings(store, &settings).await;
    let client = async_nats::connect(format!("127.0.0.1:{}", nats.port)).await.unwrap();
    let jetstream = jetstream::new(client);
    until("there is a message", || async {
        let Ok(stream) = jetstream.get_stream("CHANCERY").await else { return false };
        stream.get_raw_message(1).await.is_ok()
    })
    .await;
    let stream = jetstream.get_stream("CHANCERY").await.unwrap();
    let message = stream.get_raw_message(1).await.unwrap();
    let first = &server.log().await[0];
    let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(message.payload, first.event.payload.as_bytes());
    assert_eq!(header("ce-id"), Some(first.event.digest.to_string()));
    assert_eq!(header("ce-datacontenttype").as_deref(), Some("application/json"));
    assert_eq!(header("Content-Type"), None, "that would be structured mode");
}

/// Also when the window in which the stream knows what it has is long over.
async fn a_stream_that_was_away_and_a_server_that_was_killed_lose_and_repeat_nothing(
    store: StoreKind,
) {
    let mut nats = NatsServer::start();
    {
        let client = until_connected(nats.port).await;
        let config = stream::Config {
            name: "CHANCERY".to_owned(),
            subjects: vec!["chancery.events.>".to_owned()],
            duplicate_window: Duration::from_millis(100),
            ..stream::Config::default()
        };
        jetstream::new(client).create_stream(config).await.unwrap();
    }
    let mut scene = Scene::with(store, &nats.settings(), confidential()).await;
    scene.tokens(&[]).await;
    nats.holds_the_log_of(&scene.server).await;
    nats.kill();
    scene.tokens(&[]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    nats.child = NatsServer::spawn(&nats.folder, nats.port);
    nats.holds_the_log_of(&scene.server).await;
    // It ends without saying how far it was; what the stream holds last says it.
    let Scene { server, rp, .. } = scene;
    rp.post("/par", &[]).await;
    let server = server.restart().await;
    server.advance(20);
    rp.at(&server).push(&crate::support::good_request()).await;
    nats.holds_the_log_of(&server).await;
}

async fn until_connected(port: u16) -> async_nats::Client {
    let address = format!("127.0.0.1:{port}");
    until("NATS is up", || async { async_nats::connect(&address).await.is_ok() }).await;
    async_nats::connect(&address).await.unwrap()
}
