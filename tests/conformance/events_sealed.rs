//! What is sealed beside events: with the scope `events:pii`, and a reason that stands in the log.

use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, RelyingParty, Scene, StoreKind, confidential, service};

both_stores! {
    what_is_seen_is_recorded_before_it_is_told,
    secrets_are_not_among_what_is_seen,
    who_may_not_see_it_does_not,
    what_is_erased_is_gone,
}

struct Reader {
    rp: RelyingParty,
    token: String,
}

impl Reader {
    async fn of(scene: &Scene, id: &str, scope: &str) -> Self {
        let metadata = ClientMetadata { scope: Scope::parse(scope).unwrap(), ..service() };
        let rp = scene.server.register(id, metadata).await;
        let answer = rp.client_credentials(&[]).await.ok();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { rp, token }
    }

    /// The cursor of the first event of a type.
    async fn cursor(&self, event_type: &str) -> String {
        let path = format!("/events?types={event_type}");
        let request = self.rp.request(Method::GET, &path).bearer_auth(&self.token);
        let answer = Answer::of(request.send().await.unwrap()).await;
        let first: Value = serde_json::from_str(answer.body.lines().next().unwrap()).unwrap();
        assert!(first["id"].is_string(), "{first}");
        first["cursor"].as_str().unwrap().to_owned()
    }

    async fn see(&self, cursors: &[&str], reason: &str) -> Answer {
        let request = self.rp.request(Method::POST, "/events/sealed").bearer_auth(&self.token);
        let request = request.json(&json!({ "cursors": cursors, "reason": reason }));
        Answer::of(request.send().await.unwrap()).await
    }
}

async fn what_is_seen_is_recorded_before_it_is_told(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    scene.tokens(&[("login_hint", "ada"), ("state", "s3cret")]).await;
    let reader = Reader::of(&scene, "fraud", "events:read events:pii").await;
    let (account, request) =
        (reader.cursor("AccountRegistered").await, reader.cursor("RequestPushed").await);
    let told = reader.see(&[&account, &request], "case 17").await;
    told.is_not_kept();
    let told = told.ok();
    let person = &told["items"][0];
    assert_eq!(person["sub"], scene.ada.to_string());
    assert_eq!(person["values"]["username"], "ada");
    assert_eq!(told["items"][1]["values"], json!({ "login_hint": "ada" }));
    let log = scene.server.log().await;
    let reads: Vec<_> =
        log.iter().filter(|stored| stored.event.event_type == "PersonalDataRead").collect();
    let [read] = reads[..] else { panic!("{} reads", reads.len()) };
    assert_eq!(*read.event.stream.id, scene.ada.to_string());
    let payload: Value = serde_json::from_str(&read.event.payload).unwrap();
    assert_eq!(payload["reason"], "case 17");
    let what = payload["what"].as_array().unwrap();
    assert!(what.contains(&json!("username")) && what.contains(&json!("login_hint")), "{what:?}");
    assert!(read.event.metadata.contains("client fraud"), "{}", read.event.metadata);
}

/// Hashes of passwords and secrets, `state` and `nonce` are sealed as well.
async fn secrets_are_not_among_what_is_seen(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    scene.tokens(&[("state", "s3cret-state"), ("nonce", "s3cret-nonce")]).await;
    let reader = Reader::of(&scene, "fraud", "events:read events:pii").await;
    let path = "/events?limit=10000";
    let request = reader.rp.request(Method::GET, path).bearer_auth(&reader.token);
    let all = Answer::of(request.send().await.unwrap()).await;
    let cursors: Vec<_> = all
        .body
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["cursor"].clone())
        .collect();
    for some in cursors.chunks(100) {
        let some: Vec<_> = some.iter().map(|cursor| cursor.as_str().unwrap()).collect();
        let told = reader.see(&some, "curious").await;
        assert_eq!(told.status, 200, "{}", told.body);
        for secret in ["s3cret", "$argon2", "nonce", "state"] {
            assert!(!told.body.contains(secret), "{secret}");
        }
    }
}

async fn who_may_not_see_it_does_not(store: StoreKind) {
    let scene = Scene::with(store, "", confidential()).await;
    let blind = Reader::of(&scene, "analyst", "events:read").await;
    let account = blind.cursor("AccountRegistered").await;
    assert_eq!(blind.see(&[&account], "case 17").await.status, 403);
    let seeing = Reader::of(&scene, "fraud", "events:read events:pii").await;
    for reason in ["", " ", "line\nbreak", &"x".repeat(501)] {
        assert_eq!(seeing.see(&[&account], reason).await.status, 422, "{reason:?}");
    }
    assert_eq!(seeing.see(&[], "case 17").await.status, 422);
    assert_eq!(seeing.see(&["nonsense"], "case 17").await.status, 400);
    let log = scene.server.log().await;
    assert!(log.iter().all(|stored| stored.event.event_type != "PersonalDataRead"));
}

async fn what_is_erased_is_gone(store: StoreKind) {
    let scene = Scene::with(store, "", confidential()).await;
    let reader = Reader::of(&scene, "fraud", "events:read events:pii").await;
    let account = reader.cursor("AccountRegistered").await;
    let admin = Reader::of(&scene, "admin", "admin").await;
    let erase = format!("/admin/accounts/{}/erase", scene.ada);
    let request = admin.rp.request(Method::POST, &erase).bearer_auth(&admin.token);
    let erased = request.json(&json!({ "reason": "asked for" })).send().await.unwrap();
    Answer::of(erased).await.ok();
    let told = reader.see(&[&account], "case 17").await.ok();
    assert_eq!(told["items"][0]["values"], json!({}));
    let log = scene.server.log().await;
    assert!(log.iter().all(|stored| stored.event.event_type != "PersonalDataRead"));
}
