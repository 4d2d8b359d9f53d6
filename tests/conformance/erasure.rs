//! Erasing a person: what is left of them, and what is not.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chancery::accounts;
use chancery::aggregates::{Kept as _, Origin};
use chancery::erasure;
use chancery::lookups::{GrantFilter, Lookups, Part};
use chancery::replay::replay;
use chancery::services::Services;
use chancery::stores::{SealedRow, StreamId};
use chancery_domain::account::{Account, AccountCommand, Erasure, Profile};
use chancery_domain::client::ClientMetadata;
use chancery_domain::grant::Grant;
use chancery_domain::ids::SubjectId;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::session::Session;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Browser, RelyingParty, Scene, StoreKind, TestServer, good_request, good_request_but,
    service, until,
};

both_stores! {
    an_erased_person_is_in_no_byte_of_the_store,
    an_account_under_erasure_is_refused_at_once_and_all_of_it_ends,
    an_erasure_that_was_cut_off_is_brought_to_its_end,
    an_erased_name_is_free_for_somebody_else,
    what_comes_back_is_destroyed_again,
    who_saw_personal_data_and_why_is_told_to_auditors,
    what_is_left_of_a_person_is_told_to_auditors,
}

/// Begins an erasure, as an operator does; the server goes on with it.
async fn erase(server: &TestServer, subject: SubjectId) {
    server
        .act(move |services| async move {
            use chancery::admin::{Operation, perform};
            let account = subject.to_string();
            let operation = Operation::EraseAccount { account, reason: "asked for it".to_owned() };
            perform(&services, operation, "test").await.unwrap();
        })
        .await;
}

async fn is_erased(server: &TestServer, subject: SubjectId) -> bool {
    server
        .act(move |services| async move {
            let folded = services.accounts.fresh(&subject.to_string()).await.unwrap();
            let account = folded.state.registered().unwrap().clone();
            matches!(account.erasure, Some(Erasure::Done(..)))
        })
        .await
}

async fn until_erased(server: &TestServer, subject: SubjectId) {
    until("the erasure's end", || is_erased(server, subject)).await;
}

/// Everything secret of a person as it lies in the store: ciphertexts and
/// wrapped keys of account, sessions and grants.
async fn secrets(server: &TestServer, subject: SubjectId) -> Vec<Vec<u8>> {
    server
        .act(move |services| async move {
            let mut secrets = Vec::new();
            for stream in streams(&services, subject).await {
                secrets.extend(services.store.data_key(&stream).await.unwrap());
                let sealed = services.store.sealed(&stream).await.unwrap();
                secrets.extend(sealed.into_iter().map(|row: SealedRow| row.ciphertext));
            }
            secrets
        })
        .await
}

async fn streams(services: &Services, subject: SubjectId) -> Vec<StreamId> {
    let lookups = Lookups::new(Arc::clone(&services.store));
    let filter = GrantFilter { subject: Some(subject), ..GrantFilter::default() };
    let grants = lookups.grants(&filter, Part::first(500)).await.unwrap().rows;
    let sessions = lookups.sessions(subject, Part::first(500)).await.unwrap().rows;
    let mut streams = vec![Account::stream(&subject.to_string())];
    streams.extend(grants.iter().map(|row| Grant::stream(&row.grant_id.to_string())));
    streams.extend(sessions.iter().map(|row| Session::stream(&row.session_id.to_string())));
    streams
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The secrets of which some part is there: sixteen bytes, counted from the
/// beginning or the end.
fn found(bytes: &[u8], secrets: &[Vec<u8>]) -> BTreeSet<usize> {
    let mut parts = HashMap::<[u8; 16], usize>::new();
    let mut begins = vec![false; 1 << 16];
    for (index, secret) in secrets.iter().enumerate() {
        for part in secret.chunks_exact(16).chain(secret.rchunks_exact(16)) {
            parts.insert(part.try_into().unwrap(), index);
            begins[usize::from(u16::from_be_bytes([part[0], part[1]]))] = true;
        }
    }
    let likely = bytes
        .windows(16)
        .filter(|window| begins[usize::from(u16::from_be_bytes([window[0], window[1]]))]);
    likely.filter_map(|window| parts.get(window)).copied().collect()
}

/// People whose rows lie around those of others: with a hash that nobody has.
async fn crowd(server: &TestServer, names: std::ops::Range<u32>) -> Vec<SubjectId> {
    server
        .act(move |services| async move {
            let mut subjects = Vec::new();
            for number in names {
                let profile = Profile {
                    username: format!("somebody-{number}"),
                    claims: serde_json::Map::from_iter([(
                        "name".to_owned(),
                        json!("x".repeat(80)),
                    )]),
                };
                let origin = Origin::system("test");
                let made = accounts::create(&services, &profile, "no hash", origin).await;
                subjects.push(made.unwrap());
            }
            subjects
        })
        .await
}

async fn an_erased_person_is_in_no_byte_of_the_store(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    // Pages of the tables fill and are split, before and after.
    let crowd_before = crowd(&scene.server, 0..150).await;
    let hinted = [("login_hint", "ada@example.com"), ("nonce", "n-once"), ("state", "s-tate")];
    scene.tokens(&hinted).await;
    scene.lasting_tokens().await;
    let url = scene.rp.authorize_url(&good_request_but(&hinted));
    scene.browser.go_through(&url, "ada").await;
    let crowd_after = crowd(&scene.server, 150..300).await;
    let ada = scene.ada;
    until("all is looked up", async || secrets(&scene.server, ada).await.len() >= 9).await;

    let mut gone = secrets(&scene.server, ada).await;
    // The account's key, profile and password; a key and a value each of the
    // session and of two grants.
    assert_eq!(gone.len(), 3 + 2 + 2 * 2);
    let others = [&crowd_before[..30], &crowd_after[..30]].concat();
    for other in &others {
        gone.extend(secrets(&scene.server, *other).await);
    }
    let kept = secrets(&scene.server, crowd_before[100]).await;
    if store == StoreKind::Postgres {
        // What it keeps samples of must not be these.
        scene.server.analyze().await;
    }
    let before = scene.server.bytes().await;
    for secrets in [&gone, &kept] {
        let found = found(&before, secrets);
        assert_eq!(found.len(), secrets.len(), "what is looked for is found while it is there");
    }
    let read = scene.server.act(move |services| async move { profile(&services, ada).await }).await;
    assert_eq!(read.unwrap().username, "ada", "with the keys it can be read");

    erase(&scene.server, ada).await;
    for other in &others {
        erase(&scene.server, *other).await;
    }
    for subject in others.iter().chain([&ada]) {
        until_erased(&scene.server, *subject).await;
    }
    let after = scene.server.bytes().await;
    assert_eq!(found(&after, &gone), BTreeSet::new(), "some of a key or value is left");
    for text in ["ada@example.com", "Ada Lovelace", "n-once", "s-tate"] {
        assert!(!holds(&before, text), "{text} was there in the clear");
        assert!(!holds(&after, text), "{text} is left");
    }
    assert_eq!(found(&after, &kept).len(), kept.len(), "others keep what is theirs");
    // The name's place is as good as gone: nobody can find the account by it.
    scene
        .server
        .act(move |services| async move {
            assert!(accounts::find_by_name(&services, "ada").await.unwrap().is_none());
            let lookups = Lookups::new(Arc::clone(&services.store));
            let left = erasure::remains(&*services.store, &lookups, ada).await.unwrap();
            assert_eq!(left, chancery::stores::Remains::default());
        })
        .await;
    replays(&scene.server).await;
    tells_what_was_destroyed(&scene.server, ada).await;
}

async fn profile(services: &Services, subject: SubjectId) -> Result<Profile, ()> {
    let folded = services.accounts.fresh(&subject.to_string()).await.unwrap();
    let account = folded.state.registered().unwrap();
    accounts::profile(&services.vault, account).await.map_err(drop)
}

/// The log is whole, and all that follows from it follows.
async fn replays(server: &TestServer) {
    until("the read models are as far as the log", || {
        server.act(|services| async move {
            let report = replay(&*services.store, |_, _| {}).await.unwrap();
            report.is_clean()
        })
    })
    .await;
}

async fn tells_what_was_destroyed(server: &TestServer, subject: SubjectId) {
    let log = server.log().await;
    let id = subject.to_string();
    let of_them = |kind: &str| {
        let mut events = log.iter().filter(|stored| *stored.event.stream.id == *id);
        let found = events.find(|stored| stored.event.event_type == kind);
        serde_json::from_str::<Value>(&found.expect(kind).event.payload).unwrap()
    };
    assert_eq!(of_them("ErasureRequested")["reason"], "asked for it");
    let erased = of_them("AccountErased");
    // Account, session, two grants: a value each, and the password.
    assert_eq!((&erased["data_keys"], &erased["sealed_values"]), (&json!(4), &json!(5)));
}

async fn an_account_under_erasure_is_refused_at_once_and_all_of_it_ends(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let tokens = scene.lasting_tokens().await;
    let code = scene.code(&[]).await;
    erase(&scene.server, scene.ada).await;
    // At once, before it has come to its end.
    assert!(!is_erased(&scene.server, scene.ada).await);
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    scene.rp.redeem(&code).await.invalid_grant();
    scene.rp.userinfo(&tokens.access).await.refused(401, "invalid_token");
    let silent = scene.rp.authorize_url(&good_request_but(&[("prompt", "none")]));
    assert_eq!(scene.browser.open(&silent).await.returned().error(), "login_required");
    let mut other = Browser::new(&scene.server);
    let page = other.open(&scene.rp.authorize_url(&good_request())).await.shows("login-form");
    other.log_in(&page, "ada").await.shows("login-form");
    until_erased(&scene.server, scene.ada).await;
    let log = scene.server.log().await;
    let causes = |kind: &str| -> Vec<Value> {
        let events = log.iter().filter(|stored| stored.event.event_type == kind);
        let payloads = events.map(|stored| serde_json::from_str(&stored.event.payload).unwrap());
        payloads.map(|payload: Value| payload["cause"].clone()).collect()
    };
    assert_eq!(causes("GrantRevoked"), ["account_erased", "account_erased"]);
    assert_eq!(causes("SessionEnded"), ["account_erased"]);
    assert_eq!(causes("ConsentWithdrawn").len(), 1);
    let lock = AccountCommand::Lock { reason: "x".to_owned() };
    let ada = scene.ada;
    let refused = scene
        .server
        .act(move |services| async move {
            let work = services.work(Origin::system("test")).unwrap();
            services.accounts.execute(&ada.to_string(), vec![lock], work).await.is_err()
        })
        .await;
    assert!(refused, "nothing is done to it any more");
    replays(&scene.server).await;
}

/// The process is killed after each of the steps.
async fn an_erasure_that_was_cut_off_is_brought_to_its_end(store: StoreKind) {
    let mut server = TestServer::start(store).await;
    for steps in 0..4 {
        let subject = server.account(&format!("ada-{steps}")).await;
        let secrets = secrets(&server, subject).await;
        server = server
            .restart_after(move |services| async move {
                let lookups = Lookups::new(Arc::clone(&services.store));
                let origin = Origin::system("test");
                erasure::request(&services, subject, "asked for it", &origin).await.unwrap();
                if steps > 0 {
                    erasure::destroy(&services, &lookups, subject).await.unwrap();
                }
                if steps > 1 {
                    erasure::end_all(&services, &lookups, subject).await.unwrap();
                }
                if steps > 2 {
                    services.store.scrub().await.unwrap();
                }
            })
            .await;
        until_erased(&server, subject).await;
        let bytes = server.bytes().await;
        assert_eq!(found(&bytes, &secrets), BTreeSet::new(), "{steps} steps");
        let log = server.log().await;
        let ends = log.iter().filter(|stored| {
            *stored.event.stream.id == *subject.to_string()
                && stored.event.event_type == "AccountErased"
        });
        let ends: Vec<_> = ends.collect();
        assert_eq!(ends.len(), 1, "{steps} steps");
        let payload: Value = serde_json::from_str(&ends[0].event.payload).unwrap();
        assert_eq!(
            (&payload["data_keys"], &payload["sealed_values"]),
            (&json!(1), &json!(2)),
            "what was destroyed before the end is counted, too"
        );
    }
    replays(&server).await;
}

async fn an_erased_name_is_free_for_somebody_else(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    erase(&scene.server, scene.ada).await;
    let other = scene.server.account("ada").await;
    assert_ne!(other, scene.ada);
    until_erased(&scene.server, scene.ada).await;
    let id = scene.tokens(&[]).await;
    let claims = crate::support::claims(id.id());
    assert_eq!(claims["sub"], other.to_string());
}

/// As from a backup.
async fn what_comes_back_is_destroyed_again(store: StoreKind) {
    let scene = Scene::new(store).await;
    let ada = scene.ada;
    let stream = Account::stream(&ada.to_string());
    let kept = scene
        .server
        .act({
            let stream = stream.clone();
            move |services| async move {
                let key = services.store.data_key(&stream).await.unwrap().unwrap();
                (key, services.store.sealed(&stream).await.unwrap())
            }
        })
        .await;
    erase(&scene.server, ada).await;
    until_erased(&scene.server, ada).await;
    scene
        .server
        .act(move |services| async move {
            let mut append = chancery::stores::Append::default();
            let subject = Some(ada.to_string().into());
            let (wrapped, sealed) = kept;
            let row = chancery::stores::DataKeyRow { owner: stream, subject, wrapped };
            append.data_keys.push(row);
            append.sealed = sealed;
            services.committer.append(append).await.unwrap();
            profile(&services, ada).await.unwrap();
        })
        .await;
    erase(&scene.server, ada).await;
    let gone = scene.server.act(move |services| async move { profile(&services, ada).await }).await;
    assert!(gone.is_err());
    let log = scene.server.log().await;
    let ends = log.iter().filter(|stored| stored.event.event_type == "AccountErased");
    assert_eq!(ends.count(), 2, "and that is told");
}

/// A client with this scope, and its token.
struct Asker(RelyingParty, String);

impl Asker {
    async fn of(server: &TestServer, scope: &str) -> Self {
        let metadata = ClientMetadata { scope: Scope::parse(scope).unwrap(), ..service() };
        let rp = server.register(&scope.replace([' ', ':'], "-"), metadata).await;
        let token = rp.client_credentials(&[]).await.ok()["access_token"].clone();
        Self(rp, token.as_str().unwrap().to_owned())
    }

    async fn get(&self, path: &str) -> Answer {
        let request = self.0.request(Method::GET, path).bearer_auth(&self.1);
        Answer::of(request.send().await.unwrap()).await
    }

    /// The answer, once the read models hold all that the log holds.
    async fn ask(&self, path: &str) -> Value {
        until("the read models", || async {
            let as_of = self.get(path).await.ok()["as_of"].clone();
            as_of["position"] == as_of["log_end"]
        })
        .await;
        self.get(path).await.ok()
    }
}

async fn who_saw_personal_data_and_why_is_told_to_auditors(store: StoreKind) {
    let scene = Scene::new(store).await;
    let grace = scene.server.account("grace").await;
    let seeing = Asker::of(&scene.server, "admin pii:read").await;
    let auditor = Asker::of(&scene.server, "audit:read").await;
    assert_eq!(seeing.get("/audit/reads").await.status, 403);
    assert_eq!(auditor.ask("/audit/reads").await["items"], json!([]));
    for (account, reason) in [("ada", "ticket+7"), ("grace", "ticket+8"), ("ada", "ticket+9")] {
        seeing.get(&format!("/admin/accounts/{account}?reason={reason}")).await.ok();
        seeing.get(&format!("/admin/accounts/{account}")).await.ok();
    }
    let reasons = async |query: &str| {
        let answer = auditor.ask(&format!("/audit/reads{query}")).await;
        let items = answer["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(reasons("").await, ["ticket 9", "ticket 8", "ticket 7"]);
    assert_eq!(reasons(&format!("?subject={grace}")).await, ["ticket 8"]);
    assert_eq!(reasons("?by=client%20admin-pii-read&limit=1").await, ["ticket 9"]);
    assert!(reasons("?by=somebody").await.is_empty());
    assert!(reasons("?to=2027-01-14").await.is_empty());
    assert_eq!(reasons("?from=2027-01-15&to=2027-01-15").await.len(), 3);
    let answer = auditor.ask(&format!("/audit/reads?subject={grace}")).await;
    let read = &answer["items"][0];
    assert_eq!(read["what"][0], "username");
    assert_eq!(
        (&read["subject"], &read["reader"]),
        (&json!(grace), &json!("client admin-pii-read"))
    );
    assert!(read["happened_at"].is_string() && read["recorded_at"].is_string(), "{read}");
    assert!(!answer.to_string().contains("grace@"), "{answer}");
}

async fn what_is_left_of_a_person_is_told_to_auditors(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    scene.tokens(&[("state", "s-tate")]).await;
    let ada = scene.ada;
    let auditor = Asker::of(&scene.server, "audit:read").await;
    let path = format!("/audit/subjects/{ada}/erasure");
    let left = |answer: &Value| -> Vec<(String, u64)> {
        let places = answer["places"].as_array().unwrap().iter();
        let left = |place: &Value| {
            (place["place"].as_str().unwrap().to_owned(), place["left"].as_u64().unwrap())
        };
        places.map(left).filter(|(_, left)| *left > 0).collect()
    };
    let before = auditor.ask(&path).await;
    assert_eq!(
        (&before["erased_everywhere"], &before["state"]),
        (&json!(false), &json!("not_requested"))
    );
    let expected = [
        ("names", 1),
        ("data_keys", 3),
        ("sealed", 4),
        ("accounts", 1),
        ("grants", 1),
        ("sessions", 1),
        ("consents", 1),
    ];
    assert_eq!(left(&before), expected.map(|(place, left)| (place.to_owned(), left)));
    erase(&scene.server, ada).await;
    until_erased(&scene.server, ada).await;
    let after = auditor.ask(&path).await;
    assert_eq!(left(&after), []);
    assert_eq!((&after["erased_everywhere"], &after["state"]), (&json!(true), &json!("erased")));
    assert_eq!(after["history"][0]["reason"], "asked for it");
    assert_eq!(after["history"][1]["event_type"], "AccountErased");
    assert_eq!(after["destroyed"]["data_keys"], 3);
    assert!(!after["not_checked"].as_array().unwrap().is_empty());
    let nobody = "/audit/subjects/0123456789abcdef0123456789abcdef/erasure";
    assert_eq!(auditor.get(nobody).await.status, 404);
}
