//! Evidence that a server exports, checked by nothing but the offline verifier,
//! which has none of the server's code.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use chancery::transparency;
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use chancery_verify::note::VerifierKey;
use chancery_verify::{Given, Report, Verdict, verify};
use reqwest::Method;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::support::{
    Answer, RelyingParty, Scene, StoreKind, TestServer, Tokens, header, service, until,
};

both_stores! {
    nobody_exports_without_a_token_for_it,
    there_is_no_evidence_of_what_there_is_not,
    evidence_of_a_grant_is_proved_offline,
    a_changed_byte_is_found_and_told_where,
    nothing_was_changed_since_a_checkpoint_that_was_held,
    evidence_of_a_person_and_of_a_client_has_all_their_grants,
    evidence_answers_the_other_questions_too,
    nothing_personal_leaves_the_house,
}

/// Somebody who may ask, and who knows the server's key.
struct Auditor {
    rp: RelyingParty,
    token: String,
    key: VerifierKey,
}

impl Auditor {
    async fn of(server: &TestServer) -> Self {
        let metadata = ClientMetadata { scope: Scope::parse("audit:read").unwrap(), ..service() };
        let rp = server.register("auditor", metadata).await;
        let answer = rp.client_credentials(&[]).await.ok();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        until("the first checkpoint", || async {
            rp.get("/audit/log/checkpoint").await.status == 200
        })
        .await;
        let keys = server
            .act(|services| async move {
                let origin = transparency::origin(&services.config);
                transparency::keys::published(&*services.store, &origin).await.unwrap()
            })
            .await;
        let key = VerifierKey::parse(&keys[0].verifier).unwrap();
        Self { rp, token, key }
    }

    async fn ask(&self, body: &Value) -> reqwest::Response {
        let request = self.rp.request(Method::POST, "/audit/export");
        request.bearer_auth(&self.token).json(body).send().await.unwrap()
    }

    /// A bundle: nothing but its bytes.
    async fn export(&self, body: &Value) -> Vec<u8> {
        let answer = self.ask(body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/zip");
        answer.bytes().await.unwrap().to_vec()
    }

    async fn of_grant(&self, grant: &str) -> Vec<u8> {
        self.export(&about("grant", &json!({ "grant_id": grant }))).await
    }

    fn trust(&self) -> Given {
        Given { keys: vec![self.key.clone()], ..Given::default() }
    }

    fn check(&self, zip: &[u8]) -> Report {
        verify(Cursor::new(zip), &self.trust())
    }
}

fn about(name: &str, parameters: &Value) -> Value {
    json!({ "question": { "name": name, "parameters": parameters } })
}

#[track_caller]
fn is_proved(report: &Report) {
    assert_eq!(report.verdict(), Verdict::Proved, "{}", report.to_text());
}

fn files(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut zip = ZipArchive::new(Cursor::new(zip)).unwrap();
    let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut files = BTreeMap::new();
    for name in names {
        let mut bytes = Vec::new();
        zip.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
        files.insert(name, bytes);
    }
    files
}

fn packed(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The grants by which a person has given a code, the oldest first.
async fn grants_with_codes(server: &TestServer) -> Vec<String> {
    let grants = server.grants().await.into_iter();
    grants
        .filter(|(_, events)| events.iter().any(|event| event == "CodeRedeemed"))
        .map(|(id, _)| id)
        .collect()
}

/// The ids of the aggregates of a kind, as the verifier has found them.
fn proved_of(report: &Report, kind: &str) -> Vec<String> {
    let own = report.aggregates.iter().filter(|own| own.kind == kind);
    own.map(|own| own.id.clone()).collect()
}

async fn nobody_exports_without_a_token_for_it(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let tokens = scene.tokens(&[]).await;
    let grant = grants_with_codes(&scene.server).await.remove(0);
    let body = about("grant", &json!({ "grant_id": grant }));
    let post = || auditor.rp.request(Method::POST, "/audit/export").json(&body);
    assert_eq!(post().send().await.unwrap().status(), 401);
    assert_eq!(post().bearer_auth(&tokens.access).send().await.unwrap().status(), 403);
}

async fn there_is_no_evidence_of_what_there_is_not(store: StoreKind) {
    let server = TestServer::start(store).await;
    let auditor = Auditor::of(&server).await;
    let nobody = "0198f3a2c4d57e0fa1b2c3d4e5f60718";
    for (body, status) in [
        (about("grant", &json!({ "grant_id": nobody })), 404),
        (about("subject", &json!({ "subject": nobody })), 404),
        (about("grant", &json!({ "grant_id": "x" })), 422),
        (about("weather", &json!({})), 422),
        (json!({}), 422),
    ] {
        let answer = Answer::of(auditor.ask(&body).await).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    let client = json!({ "client_id": "auditor" });
    let mut body = about("client", &client);
    body["since"] = "no checkpoint".into();
    assert_eq!(auditor.ask(&body).await.status(), 422);
    // Of another log.
    let note = "other.example\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
                \u{2014} other.example Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/\
                Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    body["since"] = note.into();
    assert_eq!(auditor.ask(&body).await.status(), 409);
}

async fn evidence_of_a_grant_is_proved_offline(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    scene.lasting_tokens().await;
    let grant = grants_with_codes(&scene.server).await.remove(0);
    let zip = auditor.of_grant(&grant).await;

    // Nothing but the file, elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("evidence.zip");
    std::fs::write(&file, &zip).unwrap();
    let report = verify(std::fs::File::open(&file).unwrap(), &auditor.trust());
    is_proved(&report);
    let own = report.aggregates.iter().find(|own| own.id == grant).unwrap();
    let told = scene.server.grants().await.remove(&grant).unwrap();
    assert_eq!(own.events, told.len() as u64);
    let last = scene.server.log().await;
    let last = last.iter().rev().find(|stored| *stored.event.stream.id == *grant).unwrap();
    assert!(own.complete_through.unwrap() >= last.position, "{}", report.to_text());

    // The key is what it hangs on.
    assert_eq!(verify(Cursor::new(&zip), &Given::default()).verdict(), Verdict::UnknownKey);

    let files = files(&zip);
    let answer: Value = serde_json::from_slice(&files["answer.json"]).unwrap();
    assert_eq!(answer["grant"]["grant_id"], *grant);
    let query: Value = serde_json::from_slice(&files["query.json"]).unwrap();
    assert_eq!(query, json!({ "name": "grant", "parameters": { "grant_id": grant } }));
    assert!(String::from_utf8_lossy(&files["README.txt"]).contains("chancery-verify"));
}

async fn a_changed_byte_is_found_and_told_where(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    scene.tokens(&[]).await;
    let grant = grants_with_codes(&scene.server).await.remove(0);
    let zip = auditor.of_grant(&grant).await;
    is_proved(&auditor.check(&zip));

    let mut files = files(&zip);
    let events = String::from_utf8(files["events.ndjson"].clone()).unwrap();
    let line = events.lines().find(|line| line.contains("\"ConsentGiven\"")).unwrap();
    let event: Value = serde_json::from_str(line).unwrap();
    let altered = line.replacen("read", "reae", 1);
    assert_ne!(altered, line);
    files.insert("events.ndjson".to_owned(), events.replace(line, &altered).into_bytes());
    let report = auditor.check(&packed(&files));
    assert_eq!(report.verdict(), Verdict::Altered);
    let text = report.to_text();
    assert!(text.contains(&format!("position {}", event["position"])), "{text}");

    let mut flipped = zip.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    assert_ne!(auditor.check(&flipped).verdict(), Verdict::Proved);
}

async fn nothing_was_changed_since_a_checkpoint_that_was_held(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let held = auditor.rp.get("/audit/log/checkpoint").await.body;
    scene.tokens(&[]).await;
    let grant = grants_with_codes(&scene.server).await.remove(0);
    let mut body = about("grant", &json!({ "grant_id": grant }));
    body["since"] = held.clone().into();
    let zip = auditor.export(&body).await;
    let given = Given { checkpoint: Some(held.clone().into_bytes()), ..auditor.trust() };
    let report = verify(Cursor::new(&zip), &given);
    is_proved(&report);
    let text = report.to_text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Since the checkpoint that you held"), "{text}");

    // Without it in the bundle nothing is said about it, and that does not pass.
    let zip = auditor.of_grant(&grant).await;
    let report = verify(Cursor::new(&zip), &given);
    assert!([Verdict::Incomplete, Verdict::Proved].contains(&report.verdict()));
    assert_eq!(report.verdict() == Verdict::Proved, is_last(&report, &held));
}

/// Is this checkpoint the one of the bundle?
fn is_last(report: &Report, held: &str) -> bool {
    let size = report.checkpoint.as_ref().unwrap().size.to_string();
    held.lines().nth(1).unwrap() == size
}

async fn evidence_of_a_person_and_of_a_client_has_all_their_grants(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    for _ in 0..3 {
        scene.tokens(&[]).await;
    }
    let grants = grants_with_codes(&scene.server).await;
    assert_eq!(grants.len(), 3);
    let subject = scene.ada.to_string();
    for body in [
        about("subject", &json!({ "subject": subject })),
        about("client", &json!({ "client_id": "rp" })),
    ] {
        let all = async || {
            let report = auditor.check(&auditor.export(&body).await);
            is_proved(&report);
            report
        };
        // Once the read models have them.
        until("all three grants", || async { proved_of(&all().await, "grant").len() >= 3 }).await;
        let report = all().await;
        assert_eq!(proved_of(&report, "grant"), grants, "{body}");
        assert_eq!(proved_of(&report, "consent").len(), 1);
    }
}

async fn evidence_answers_the_other_questions_too(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let code = scene.code(&[]).await;
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    let kid = header(&tokens.access)["kid"].clone();
    assert_eq!(scene.rp.redeem(&code).await.status, 400);
    let grant = grants_with_codes(&scene.server).await.remove(0);
    let now = 4_000_000_000_i64;
    for (name, parameters) in [
        ("incidents", json!({ "client_id": "rp" })),
        ("access", json!({ "from": 0, "to": now })),
        ("signed_by", json!({ "kid": kid })),
        ("client", json!({ "client_id": "rp", "from": 0, "to": now })),
        ("cascade", json!({ "event": "client/rp/1" })),
    ] {
        let body = about(name, &parameters);
        let ask = async || auditor.check(&auditor.export(&body).await);
        let has_it = async || {
            let report = ask().await;
            is_proved(&report);
            name == "cascade" || proved_of(&report, "grant").contains(&grant)
        };
        until(name, || async { has_it().await }).await;
    }
}

async fn nothing_personal_leaves_the_house(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    scene.lasting_tokens().await;
    let body = about("subject", &json!({ "subject": scene.ada.to_string() }));
    for (name, bytes) in files(&auditor.export(&body).await) {
        let text = String::from_utf8(bytes).unwrap();
        for personal in ["Lovelace", "ada@", "+44 1", "argon2"] {
            assert!(!text.contains(personal), "{personal} in {name}");
        }
    }
}
