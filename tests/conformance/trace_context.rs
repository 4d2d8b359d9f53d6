//! W3C Trace Context: every command's trace stands in its events, whether spans are sent anywhere
//! or not.

use std::collections::{BTreeMap, BTreeSet};

use chancery_domain::account::AccountCommand;
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    Answer, Listener, RelyingParty, Scene, StoreKind, TestServer, basic, confidential, form,
    service, until,
};

both_stores! {
    every_event_names_a_trace,
    the_events_of_a_request_name_its_trace_and_its_span,
    a_stranger_s_trace_is_not_gone_on_with,
    a_trusted_caller_s_trace_is_gone_on_with,
    only_trusted_proxies_are_believed_where_the_settings_say_so,
    a_malformed_traceparent_is_as_good_as_none,
    what_an_operator_does_has_a_trace_and_a_request,
    a_cascade_stays_in_the_trace_of_its_cause,
    a_delivered_event_goes_with_its_trace,
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What an event says of its trace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    event: String,
    command: String,
    trace: String,
    span: String,
    flags: String,
    request: Option<String>,
}

impl Named {
    fn of(event: &Value) -> Self {
        let text = |name: &str| event.get(name).map(|own| own.as_str().unwrap().to_owned());
        let parent = text("traceparent").unwrap_or_else(|| panic!("a trace: {event}"));
        let parts: Vec<_> = parent.split('-').collect();
        let [version, trace, span, flags] = parts[..] else { panic!("{parent}") };
        let is_hex = |text: &str, length| {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.len() == length && text.bytes().all(hex) && text.bytes().any(|byte| byte != b'0')
        };
        assert!(version == "00" && is_hex(trace, 32) && is_hex(span, 16), "{parent}");
        Self {
            event: text("type").unwrap(),
            command: text("commandid").unwrap(),
            trace: trace.to_owned(),
            span: span.to_owned(),
            flags: flags.to_owned(),
            request: text("requestid"),
        }
    }
}

/// Reads the feed over HTTP.
struct Analyst {
    rp: RelyingParty,
    token: String,
}

impl Analyst {
    async fn of(server: &TestServer) -> Self {
        let metadata = ClientMetadata { scope: Scope::parse("events:read").unwrap(), ..service() };
        let rp = server.register("analyst", metadata).await;
        let answer = rp.client_credentials(&[]).await.ok();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { rp, token }
    }

    async fn events(&self) -> Vec<Named> {
        let request = self.rp.request(Method::GET, "/events?limit=1000&wait=0");
        let answer = Answer::of(request.bearer_auth(&self.token).send().await.unwrap()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let lines = answer.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        // The last line may be a cursor alone.
        lines.filter(|line| line.get("type").is_some()).map(|event| Named::of(&event)).collect()
    }

    /// Those of one type, at least so many.
    async fn of_type(&self, event: &str, count: usize) -> Vec<Named> {
        let name = format!(".{event}.v1");
        let find = async || {
            let events = self.events().await;
            events.into_iter().filter(|own| own.event.ends_with(&name)).collect::<Vec<_>>()
        };
        until(event, || async { find().await.len() >= count }).await;
        find().await
    }
}

/// A token request that says where its caller is.
async fn token(rp: &RelyingParty, parents: &[&str]) {
    let parameters = [("grant_type", "client_credentials")];
    let mut request = rp
        .request(Method::POST, "/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", basic(&rp.client_id, rp.secret.as_deref().unwrap()))
        .body(form(&parameters));
    for parent in parents {
        request = request.header("traceparent", *parent);
    }
    Answer::of(request.send().await.unwrap()).await.ok();
}

/// The last grant that was given to a client alone.
async fn direct_grant(analyst: &Analyst, count: usize) -> Named {
    // The first is the analyst's own.
    analyst.of_type("TokensIssued", count + 1).await.pop().unwrap()
}

async fn every_event_names_a_trace(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.server.settled().await;
    scene.lasting_tokens().await;
    let analyst = Analyst::of(&scene.server).await;
    // Each of them is looked at: keys, clients, the account, the person's own.
    let events = analyst.events().await;
    let types: BTreeSet<_> =
        events.iter().map(|own| own.event.split('.').nth(1).unwrap()).collect();
    for aggregate in ["grant", "client", "account", "session", "signing_key", "log"] {
        assert!(types.contains(aggregate), "{types:?}");
    }
    let mut traces = BTreeMap::<_, BTreeSet<_>>::new();
    for own in &events {
        traces.entry(&own.command).or_default().insert((&own.trace, &own.span));
    }
    assert!(traces.values().all(|own| own.len() == 1), "a command is in one place: {traces:?}");
}

async fn the_events_of_a_request_name_its_trace_and_its_span(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[]).await;
    let analyst = Analyst::of(&scene.server).await;
    let mut requests = BTreeMap::<_, Vec<_>>::new();
    for own in analyst.events().await {
        if let Some(request) = own.request.clone() {
            requests.entry(request).or_default().push(own);
        }
    }
    for (request, made) in &requests {
        assert!(made.iter().all(|own| own.trace == made[0].trace), "one request, one trace");
        assert!(made.iter().all(|own| own.span == *request), "the request is its span: {made:?}");
        assert!(made.iter().all(|own| own.flags == "00"), "nothing is exported");
    }
    let several = requests.values().filter(|made| made.len() > 1).count();
    assert!(several > 0, "some request makes several events: {requests:?}");
    let traces: BTreeSet<_> = requests.values().map(|made| &made[0].trace).collect();
    assert!(traces.len() >= 4, "push, login, consent, code: {requests:?}");
    assert_eq!(traces.len(), requests.len(), "another request is another trace");
}

async fn a_stranger_s_trace_is_not_gone_on_with(store: StoreKind) {
    let server = TestServer::start(store).await;
    let analyst = Analyst::of(&server).await;
    let rp = server.register("svc", service()).await;
    token(&rp, &[PARENT]).await;
    let event = direct_grant(&analyst, 1).await;
    assert_ne!(event.trace, TRACE);
    assert_eq!(event.flags, "00");
}

async fn a_trusted_caller_s_trace_is_gone_on_with(store: StoreKind) {
    let settings = "[tracing]\ntrusted_parents = \"everybody\"\n";
    let server = TestServer::with_settings(store, settings).await;
    let analyst = Analyst::of(&server).await;
    let rp = server.register("svc", service()).await;
    token(&rp, &[PARENT]).await;
    let event = direct_grant(&analyst, 1).await;
    assert_eq!(event.trace, TRACE);
    assert_ne!(event.span, "00f067aa0ba902b7", "it has a span of its own");
    assert_eq!(event.request.as_deref(), Some(&*event.span));
    assert_eq!(event.flags, "01", "the caller's decision is passed on");
}

async fn only_trusted_proxies_are_believed_where_the_settings_say_so(store: StoreKind) {
    for (proxies, believed) in [("192.0.2.7", false), ("127.0.0.1", true)] {
        let settings = format!(
            "trusted_proxies = [\"{proxies}\"]\n[tracing]\ntrusted_parents = \"trusted_proxies\"\n"
        );
        let server = TestServer::with_settings(store, &settings).await;
        let analyst = Analyst::of(&server).await;
        let rp = server.register("svc", service()).await;
        token(&rp, &[PARENT]).await;
        assert_eq!(direct_grant(&analyst, 1).await.trace == TRACE, believed, "{proxies}");
    }
}

/// W3C Trace Context §3.2.2, §4.2
async fn a_malformed_traceparent_is_as_good_as_none(store: StoreKind) {
    let settings = "[tracing]\ntrusted_parents = \"everybody\"\n";
    let server = TestServer::with_settings(store, settings).await;
    let analyst = Analyst::of(&server).await;
    let rp = server.register("svc", service()).await;
    let upper = PARENT.to_uppercase();
    let tries: [&[&str]; 4] = [&[&upper], &["nonsense"], &[PARENT, PARENT], &["00-0-0-01"]];
    for (count, parents) in tries.into_iter().enumerate() {
        token(&rp, parents).await;
        let event = direct_grant(&analyst, count + 1).await;
        assert_ne!(event.trace, TRACE, "{parents:?}");
    }
}

async fn what_an_operator_does_has_a_trace_and_a_request(store: StoreKind) {
    let settings = "[tracing]\ntrusted_parents = \"everybody\"\n";
    let server = TestServer::with_settings(store, settings).await;
    let analyst = Analyst::of(&server).await;
    let metadata = ClientMetadata { scope: Scope::parse("admin").unwrap(), ..service() };
    let admin = server.register("admin", metadata).await;
    let answer = admin.client_credentials(&[]).await.ok();
    let token = answer["access_token"].as_str().unwrap();
    let request = admin.request(Method::POST, "/admin/clients/admin/disable");
    let request = request.bearer_auth(token).header("traceparent", PARENT);
    let body = serde_json::json!({ "reason": "done" });
    let answer = Answer::of(request.json(&body).send().await.unwrap()).await;
    assert!(answer.status < 300, "{answer:?}");
    let event = analyst.of_type("ClientDisabled", 1).await.remove(0);
    assert_eq!(event.trace, TRACE);
    assert_eq!(event.request.as_deref(), Some(&*event.span));
}

async fn a_cascade_stays_in_the_trace_of_its_cause(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let analyst = Analyst::of(&scene.server).await;
    scene.lasting_tokens().await;
    let lock = AccountCommand::Lock { reason: "left".to_owned() };
    scene.server.command_account(scene.ada, lock).await;
    let locked = analyst.of_type("AccountLocked", 1).await.remove(0);
    assert_eq!(locked.request, None, "no request did that");
    for consequence in ["GrantRevoked", "SessionEnded"] {
        let event = analyst.of_type(consequence, 1).await.remove(0);
        assert_eq!(event.trace, locked.trace, "{consequence}");
        assert_ne!(event.span, locked.span, "{consequence} is a command of its own");
        assert_eq!(event.request, None, "{consequence}");
    }
}

async fn a_delivered_event_goes_with_its_trace(store: StoreKind) {
    let listener = Listener::start().await;
    let settings = format!(
        "[outbound]\nallow_loopback = true\nallow_http = true\n[sinks.hook]\nto = \"webhook\"\n\
         url = \"{}\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n\
         types = [\"CodeRedeemed\"]\n",
        listener.url
    );
    let mut scene = Scene::with(store, &settings, confidential()).await;
    scene.tokens(&[]).await;
    listener.has(1).await;
    let event: Value = serde_json::from_str(&listener.bodies()[0]).unwrap();
    let head = listener.heads().remove(0);
    let sent = head.lines().find_map(|line| line.strip_prefix("traceparent: "));
    assert_eq!(sent, event["traceparent"].as_str(), "{head}");
    assert_eq!(Named::of(&event).event, "chancery.grant.CodeRedeemed.v1");
}
