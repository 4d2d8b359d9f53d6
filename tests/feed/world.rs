//! A store of its own, its feed, and events to put into it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chancery::actors::projector;
use chancery::feed::Feed;
use chancery::feed::consumer::{Progress, Standing};
use chancery::lookups::Lookups;
use chancery::stores::{Append, Head, NewEvent, Store, StreamId};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::AggregateKind;
use chancery_projections::ReadModel;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::place::Place;

pub const DIGEST: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub struct World {
    pub store: Arc<dyn Store>,
    pub feed: Feed,
    pub place: Place,
    heads: Mutex<HashMap<StreamId, Head>>,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

/// A projector under way.
pub struct Running {
    pub progress: Progress,
    task: JoinHandle<()>,
}

impl Running {
    /// As a kill does it: wherever it is.
    pub fn kill(&self) {
        self.task.abort();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The id with this number.
pub fn id(number: u64) -> String {
    format!("{number:032x}")
}

impl World {
    /// With a reader of the log.
    pub async fn new() -> Arc<Self> {
        let world = Self::without_reader().await;
        world.follow_log();
        world
    }

    pub async fn without_reader() -> Arc<Self> {
        let place = Place::new().await;
        let store = place.store();
        let feed = Feed::new(Arc::clone(&store));
        let (heads, tasks) = Default::default();
        Arc::new(Self { store, feed, place, heads, tasks })
    }

    pub fn follow_log(&self) {
        let feed = self.feed.clone();
        let task = tokio::spawn(async move { feed.follow_log(Place::POLLING).await.unwrap() });
        self.tasks.lock().unwrap().push(task);
    }

    pub fn lookups(&self) -> Lookups {
        Lookups::new(Arc::clone(&self.store))
    }

    pub fn project(&self, model: impl Into<ReadModel>) -> Running {
        project_on(&self.feed, model)
    }

    /// Appends an event; gives its position.
    pub async fn append(
        &self,
        kind: AggregateKind,
        id: &str,
        event_type: &'static str,
        payload: &str,
    ) -> u64 {
        self.append_all(&[(kind, id, event_type, payload)]).await
    }

    /// Appends events at once; gives the position of the last.
    pub async fn append_all(&self, events: &[(AggregateKind, &str, &'static str, &str)]) -> u64 {
        let mut heads = self.heads.lock().await;
        let mut append = Append::default();
        for (kind, id, event_type, payload) in events {
            let stream = StreamId { kind: *kind, id: (*id).into() };
            let head = heads.entry(stream.clone()).or_insert(Head::START);
            let mut event = NewEvent {
                stream,
                sequence: head.sequence + 1,
                event_type: (*event_type).into(),
                event_version: "1".into(),
                payload: (*payload).into(),
                metadata: r#"{"command_id":"00000000000000000000000000000001",
                    "occurred_at":"2026-01-01T00:00:00.000Z","actor":"system"}"#
                    .into(),
                prev_digest: head.digest,
                digest: Sha256Digest::ZERO,
            };
            event.digest = event.facts().digest();
            *head = Head { sequence: event.sequence, digest: event.digest };
            append.events.push(event);
        }
        let written = self.store.commit(vec![append]).await.remove(0).unwrap();
        drop(heads);
        self.feed.notify();
        written.last_position
    }

    /// A grant of this client, with tokens out, bound to a person and a session if they are
    /// given; gives the position of the last event.
    pub async fn active_grant(&self, grant: &str, client: &str, scope: &str, who: Who<'_>) -> u64 {
        let story = story(client, scope, who);
        let events: Vec<_> = story
            .iter()
            .map(|(event, payload)| (AggregateKind::Grant, grant, *event, payload.as_str()))
            .collect();
        self.append_all(&events).await
    }

    pub async fn client(&self, client: &str) -> u64 {
        let registered = format!(
            r#"{{"client_id":"{client}","metadata":{{"client_name":"{client}'s",
                "redirect_uris":["https://rp.example/cb"],"grant_types":["authorization_code"],
                "response_types":["code"],"scope":"openid",
                "token_endpoint_auth_method":"none"}},"at":5}}"#
        );
        self.append(AggregateKind::Client, client, "ClientRegistered", &registered).await
    }

    pub async fn account(&self, subject: &str) -> u64 {
        let registered = format!(r#"{{"subject":"{subject}","profile":"{DIGEST}","at":5}}"#);
        self.append(AggregateKind::Account, subject, "AccountRegistered", &registered).await
    }

    pub async fn session(&self, session: &str, subject: &str) -> u64 {
        let started = format!(
            r#"{{"subject":"{subject}","session_id":"{session}","auth_time":1,"acr":"1",
                "amr":["pwd"],"cookie":"{DIGEST}","expires_at":{FAR}}}"#
        );
        self.append(AggregateKind::Session, session, "SessionStarted", &started).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.lock().unwrap().iter().for_each(JoinHandle::abort);
    }
}

/// A time that no test sees.
pub const FAR: i64 = 99_999_999_999;

/// The person and the session of a grant.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    pub subject: &'a str,
    pub session: &'a str,
}

/// What happens to a grant until tokens are out.
pub fn story(client: &str, scope: &str, who: Who<'_>) -> Vec<(&'static str, String)> {
    let Who { subject, session } = who;
    vec![
        (
            "RequestReceived",
            format!(
                r#"{{"request":{{"client_id":"{client}","response_type":"code","scope":"{scope}",
                    "redirect_uri":"https://rp.example/cb"}},"at":10}}"#
            ),
        ),
        (
            "SubjectAuthenticated",
            format!(
                r#"{{"subject":"{subject}","session_id":"{session}","auth_time":15,"acr":"1",
                    "amr":["pwd"]}}"#
            ),
        ),
        ("ConsentGiven", format!(r#"{{"scope":"{scope}"}}"#)),
        ("CodeIssued", format!(r#"{{"code":"{DIGEST}","at":20,"expires_at":{FAR}}}"#)),
        ("CodeRedeemed", format!(r#"{{"tokens":{}}}"#, tokens(scope, FAR))),
    ]
}

pub fn tokens(scope: &str, until: i64) -> String {
    format!(
        r#"{{"access":{{"number":1,"form":"opaque","scope":"{scope}","issued_at":30,
            "expires_at":{until}}}}}"#
    )
}

/// Runs a projection on a feed.
pub fn project_on(feed: &Feed, model: impl Into<ReadModel>) -> Running {
    let (standing, progress) = Standing::new();
    let task = tokio::spawn(projector::run(feed.clone(), model.into(), Arc::new(standing)));
    Running { progress, task }
}

/// Waits for what should come soon.
pub async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(Duration::from_secs(20), coming).await else {
        panic!("{what}: it did not come within 20 seconds")
    };
    value
}

/// Waits until it holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
