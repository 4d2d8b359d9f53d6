//! The audit API: who may ask, and what is answered.

use chancery_domain::account::{AccountCommand, Role};
use chancery_domain::client::{ClientCommand, ClientMetadata};
use chancery_domain::ids::{ClientId, ConsentId};
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, RelyingParty, Scene, StoreKind, TestServer, Tokens, claims, confidential, good_request,
    header, service, until,
};

both_stores! {
    nobody_asks_without_a_token_for_it,
    a_person_asks_with_the_role_of_an_auditor_or_admin,
    what_is_wrong_is_told_as_problem_details,
    the_document_names_every_route,
    who_had_access_is_told_with_the_consent_it_rests_on,
    access_ends_with_revocation_and_with_time,
    access_is_told_part_by_part,
    all_that_descends_from_a_consent_is_a_tree,
    a_replayed_code_is_an_incident_with_what_was_revoked,
    a_reused_refresh_token_is_an_incident_with_what_was_revoked,
    a_wrong_client_is_an_incident_that_revokes_nothing,
    a_key_s_grants_are_told_with_the_tokens_it_signed,
    a_grant_is_told_as_it_was_with_what_its_person_saw,
    a_later_grant_tells_what_was_seen_for_the_consent_it_rests_on,
    a_client_s_changes_name_who_what_and_what_they_led_to,
    revoked_tokens_that_live_on_are_told_until_they_end,
    nothing_that_is_answered_is_personal,
}

/// The day on which every test begins, by the nodes' clock, and its neighbours.
const DAY: &str = "2027-01-15";
const DAY_BEFORE: &str = "2027-01-14";

struct Auditor {
    rp: RelyingParty,
    token: String,
}

impl Auditor {
    async fn of(server: &TestServer) -> Self {
        Self::with(server, "audit:read").await
    }

    async fn with(server: &TestServer, scope: &str) -> Self {
        let metadata = ClientMetadata { scope: Scope::parse(scope).unwrap(), ..service() };
        let id = format!("auditor-{}", scope.replace([' ', ':'], "-"));
        let rp = server.register(&id, metadata).await;
        let mut auditor = Self { rp, token: String::new() };
        auditor.renew().await;
        auditor
    }

    /// A new token, since time has passed.
    async fn renew(&mut self) {
        let answer = self.rp.client_credentials(&[]).await.ok();
        answer["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    async fn get(&self, path: &str) -> Answer {
        let request = self.rp.request(Method::GET, &format!("/audit{path}"));
        Answer::of(request.bearer_auth(&self.token).send().await.unwrap()).await
    }

    /// The answer, once the read models hold all that the log holds.
    async fn ask(&self, path: &str) -> Value {
        until("the read models", || async {
            let answer = self.get(path).await;
            answer.status == 200 && {
                let as_of = &answer.json()["as_of"];
                as_of["position"] == as_of["log_end"]
            }
        })
        .await;
        let answer = self.get(path).await.ok();
        assert_eq!(answer["as_of"].get("unsettled"), None);
        answer
    }
}

fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], status);
    assert!(!answer.json()["detail"].as_str().unwrap().is_empty());
}

fn items(answer: &Value) -> &Vec<Value> {
    answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"))
}

/// The items that are of this client.
fn of_client<'a>(answer: &'a Value, client: &str) -> Vec<&'a Value> {
    items(answer).iter().filter(|item| item["client_id"] == client).collect()
}

/// Both clocks, and a place in the log.
#[track_caller]
fn is_moment(value: &Value) {
    assert!(value["position"].as_u64().unwrap() > 0, "{value}");
    assert!(value["happened_at"].as_str().unwrap().starts_with("2027-01-"), "{value}");
    let recorded = value["recorded_at"].as_str().unwrap();
    assert!(recorded.ends_with('Z') && !recorded.starts_with("2027-01-1"), "{value}");
}

fn consent_of(scene: &Scene) -> ConsentId {
    ConsentId::of(scene.ada, &ClientId::parse("rp").unwrap())
}

/// The only grant of a client, or its last.
async fn last_grant(scene: &Scene) -> String {
    let log = scene.server.log().await;
    let own = |stored: &&chancery::stores::StoredEvent| {
        &*stored.event.event_type == "RequestPushed"
            || &*stored.event.event_type == "RequestReceived"
    };
    log.iter().rfind(own).unwrap().event.stream.id.to_string()
}

/// RFC 6750 §3.1
async fn nobody_asks_without_a_token_for_it(store: StoreKind) {
    let server = TestServer::start(store).await;
    let auditor = Auditor::of(&server).await;
    let path = format!("/access?on={DAY}");
    let nobody = auditor.rp.get(&format!("/audit{path}")).await;
    is_problem(&nobody, 401);
    let challenge = nobody.header("www-authenticate").unwrap().to_owned();
    assert!(challenge.contains("scope=\"audit:read\"") && !challenge.contains("error"));
    for scope in ["admin", "read", "admin pii:read"] {
        let other = Auditor::with(&server, scope).await;
        let refused = other.get(&path).await;
        is_problem(&refused, 403);
        assert!(refused.header("www-authenticate").unwrap().contains("insufficient_scope"));
        is_problem(&other.get("/incidents").await, 403);
    }
    auditor.get(&path).await.ok();
    let request = auditor.rp.request(Method::GET, "/admin/clients").bearer_auth(&auditor.token);
    is_problem(&Answer::of(request.send().await.unwrap()).await, 403);
    server.advance(300);
    is_problem(&auditor.get(&path).await, 401);
}

async fn a_person_asks_with_the_role_of_an_auditor_or_admin(store: StoreKind) {
    let scope = Scope::parse("openid audit:read").unwrap();
    let metadata = ClientMetadata { scope, ..confidential() };
    let mut scene = Scene::with(store, "", metadata).await;
    let tokens = scene.tokens(&[("scope", "openid audit:read")]).await;
    let person = Auditor { rp: scene.rp.clone(), token: tokens.access };
    let refused = person.get("/incidents").await;
    is_problem(&refused, 403);
    assert!(refused.json()["detail"].as_str().unwrap().contains("auditor or admin"));
    for role in [Role::Auditor, Role::Admin] {
        let roles = [role].into();
        scene.server.command_account(scene.ada, AccountCommand::ReplaceRoles { roles }).await;
        person.get("/incidents").await.ok();
    }
    let roles = [].into();
    scene.server.command_account(scene.ada, AccountCommand::ReplaceRoles { roles }).await;
    is_problem(&person.get("/incidents").await, 403);
}

async fn what_is_wrong_is_told_as_problem_details(store: StoreKind) {
    let server = TestServer::start(store).await;
    let auditor = Auditor::of(&server).await;
    let unknown = "0123456789abcdef0123456789abcdef";
    for path in [
        "/access".to_owned(),
        "/access?on=yesterday".to_owned(),
        "/access?on=2027-02-30".to_owned(),
        format!("/access?on={DAY}&limit=0"),
        format!("/access?on={DAY}&limit=1001"),
        format!("/access?on={DAY}&subject=ada"),
        format!("/access?on={DAY}&after=99.{unknown}"),
        format!("/access?on={DAY}&after=x"),
        format!("/access?on={DAY}&subject={unknown}&after=1.{unknown}"),
        "/incidents?kind=theft".to_owned(),
        "/incidents?since=2027-".to_owned(),
        "/incidents?after=".to_owned(),
        "/keys/k%2F/grants".to_owned(),
        "/grants/ada".to_owned(),
        format!("/grants/{unknown}?at={DAY}T00:00:00Z&position=4"),
        format!("/grants/{unknown}?clock=mine&position=4"),
        format!("/grants/{unknown}?position=-1"),
        "/cascades".to_owned(),
        "/cascades?event=client".to_owned(),
        "/cascades?event=person/x/1".to_owned(),
        "/still-alive?after=x".to_owned(),
        "/clients/rp/changes?after=x".to_owned(),
    ] {
        is_problem(&auditor.get(&path).await, 400);
    }
    for path in [
        format!("/grants/{unknown}"),
        format!("/grants/{unknown}/lineage"),
        format!("/grants/{unknown}/still-alive"),
        format!("/consents/{unknown}/lineage"),
        "/keys/unknown/grants".to_owned(),
        "/clients/nobody/changes".to_owned(),
        "/cascades?event=client/nobody/1".to_owned(),
        "/nothing".to_owned(),
    ] {
        is_problem(&auditor.get(&path).await, 404);
    }
    let posted = auditor.rp.request(Method::POST, "/audit/incidents").bearer_auth(&auditor.token);
    let posted = Answer::of(posted.send().await.unwrap()).await;
    is_problem(&posted, 405);
    assert_eq!(posted.header("allow"), Some("GET"));
}

/// `OpenAPI` 3.1
async fn the_document_names_every_route(store: StoreKind) {
    let server = TestServer::start(store).await;
    let auditor = Auditor::of(&server).await;
    let document = auditor.rp.get("/audit/openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["security"][0]["oauth2"][0], "audit:read");
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        let path = path.replace('{', "0123456789abcdef0123456789abcdef").replace('}', "");
        let method = if methods["get"].is_object() { Method::GET } else { Method::POST };
        let answer = Answer::of(auditor.rp.request(method, &path).send().await.unwrap()).await;
        is_problem(&answer, 401);
    }
    let zip = &paths["/audit/export"]["post"]["responses"]["200"]["content"]["application/zip"];
    assert!(zip.is_object());
    for path in [
        "/audit/access",
        "/audit/consents/{consent_id}/lineage",
        "/audit/incidents",
        "/audit/keys/{kid}/grants",
        "/audit/grants/{grant_id}",
        "/audit/clients/{client_id}/changes",
        "/audit/cascades",
        "/audit/still-alive",
    ] {
        assert!(paths[path]["get"]["responses"]["200"].is_object(), "{path}");
    }
}

async fn who_had_access_is_told_with_the_consent_it_rests_on(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    scene.tokens(&[]).await;
    scene.server.advance(1);
    scene.tokens(&[]).await;
    let answer = auditor.ask(&format!("/access?on={DAY}&client_id=rp")).await;
    let found = items(&answer);
    assert_eq!(found.len(), 2, "{answer}");
    for item in found {
        assert_eq!(item["client_id"], "rp");
        assert_eq!(item["subject"], scene.ada.to_string());
        assert_eq!(item["scope"], "openid read");
        assert_eq!(item["grant_type"], "authorization_code");
        assert_eq!(item["consent"]["consent_id"], consent_of(&scene).to_string());
        assert_eq!(item.get("revoked"), None);
        is_moment(&item["from"]);
        is_moment(&item["consent"]["given"]);
        is_moment(&item["consent"]["rests_on"]);
    }
    let first = &found[0]["grant_id"];
    assert_eq!(found[0]["consent"]["page_shown"], true);
    assert_eq!(found[1]["consent"]["page_shown"], false);
    assert_eq!(&found[1]["consent"]["rests_on"]["grant_id"], first, "its page was the first's");

    let path = format!("/access?on={DAY}&subject={}", scene.ada);
    assert_eq!(items(&auditor.ask(&path).await), found, "the same by subject");
    let all = auditor.ask(&format!("/access?on={DAY}")).await;
    let own = of_client(&all, "auditor-audit-read");
    assert_eq!(own[0]["grant_type"], "client_credentials");
    assert_eq!((own[0].get("subject"), own[0].get("consent")), (None, None));
    for path in [
        format!("/access?on={DAY_BEFORE}"),
        format!("/access?on={DAY}&client_id=other"),
        format!("/access?on={DAY}&subject=0123456789abcdef0123456789abcdef"),
        "/access?on=1800000300".to_owned(),
        "/access?on=1799999999".to_owned(),
    ] {
        let answer = auditor.ask(&path).await;
        let alive = usize::from(path.ends_with("300"));
        assert_eq!(of_client(&answer, "rp").len(), alive, "{path}: {answer}");
    }
}

async fn access_ends_with_revocation_and_with_time(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let mut auditor = Auditor::of(&scene.server).await;
    let tokens = scene.lasting_tokens().await;
    scene.server.advance(2 * 86_400);
    scene.rp.refresh(tokens.refresh()).await.invalid_grant();
    auditor.renew().await;
    let on = async |day: &str| {
        let answer = auditor.ask(&format!("/access?on={day}&client_id=rp")).await;
        items(&answer).clone()
    };
    assert_eq!(on(DAY).await.len(), 1);
    assert!(on("2027-01-16").await.is_empty(), "the refresh token ended after four hours");

    let tokens = scene.lasting_tokens().await;
    scene.server.advance(60);
    scene.rp.revoke(tokens.refresh()).await;
    let found = on("2027-01-17").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["revoked"]["cause"], "revoked_by_client");
    assert_eq!(found[0]["until"], "2027-01-17T08:01:00.000Z");
    assert!(on("2027-01-17T08:01:00Z").await.is_empty());
    assert_eq!(on("2027-01-17T08:00:59Z").await.len(), 1);
}

async fn access_is_told_part_by_part(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    for scope in ["openid read", "openid offline_access", "openid read", "openid email"] {
        scene.tokens(&[("scope", scope)]).await;
        scene.server.advance(1);
    }
    let whole = auditor.ask(&format!("/access?on={DAY}")).await;
    assert_eq!(items(&whole).len(), 5);
    let subject = format!("&subject={}", scene.ada);
    for (who, count) in [("", 5), ("&client_id=rp", 4), (subject.as_str(), 4)] {
        for limit in [1, 2, 4, 5] {
            let mut seen = vec![];
            let mut path = format!("/access?on={DAY}&limit={limit}{who}");
            loop {
                let part = auditor.ask(&path).await;
                assert!(items(&part).len() <= limit);
                seen.extend(items(&part).iter().map(|item| item["grant_id"].clone()));
                let Some(next) = part["next"].as_str() else { break };
                path = format!("/access?on={DAY}&limit={limit}{who}&after={next}");
            }
            assert_eq!(seen.len(), count, "{who} {limit}");
            seen.sort_by_key(ToString::to_string);
            seen.dedup();
            assert_eq!(seen.len(), count, "each once");
        }
    }
}

async fn all_that_descends_from_a_consent_is_a_tree(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let first = scene.lasting_tokens().await;
    scene.server.advance(10);
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    let third = Tokens::of(&scene.rp.refresh(second.refresh()).await.ok());
    scene.rp.revoke(&second.access).await;
    scene.tokens(&[]).await;
    scene.server.withdraw_consent(scene.ada, "rp").await;
    let path = format!("/consents/{}/lineage", consent_of(&scene));
    until("the cascade", || async {
        let told = auditor.ask(&path).await;
        told["grants"].as_array().unwrap().iter().all(|grant| grant["state"] == "revoked")
    })
    .await;
    let told = auditor.ask(&path).await;
    assert_eq!(
        (&told["subject"], &told["client_id"]),
        (&json!(scene.ada.to_string()), &json!("rp"))
    );
    assert_eq!(told["scope"], "", "it was taken back");
    let history: Vec<_> =
        told["history"].as_array().unwrap().iter().map(|own| own["event_type"].clone()).collect();
    assert_eq!(history.last().unwrap(), "ConsentWithdrawn");
    let grants = told["grants"].as_array().unwrap();
    assert_eq!(grants.len(), 2);

    let grant = &grants[0];
    is_moment(&grant["began"]);
    is_moment(&grant["consent"]["given"]);
    is_moment(&grant["code"]["issued"]);
    let brought = &grant["code"]["brought"];
    assert_eq!(brought["access_token"]["jti"], claims(&first.access)["jti"]);
    assert_eq!(brought["access_token"]["kid"], header(&first.access)["kid"]);
    assert_eq!(brought["access_token"]["expires_at"], "2027-01-15T08:05:00.000Z");
    assert!(brought["id_token"]["kid"].is_string());
    assert_eq!(brought["refresh_token"], 1);
    let refresh = grant["refresh_tokens"].as_array().unwrap();
    let generations: Vec<_> = refresh.iter().map(|token| token["generation"].clone()).collect();
    assert_eq!(generations, [1, 2, 3]);
    is_moment(&refresh[0]["replaced"]);
    assert_eq!(refresh[2].get("replaced"), None);
    for (token, then) in [(&refresh[0], &second), (&refresh[1], &third)] {
        let brought = &token["brought"][0];
        assert_eq!(brought["access_token"]["jti"], claims(&then.access)["jti"]);
    }
    let revoked = &grant["revoked"];
    is_moment(revoked);
    assert_eq!(revoked["cause"], "consent_withdrawn");
    assert!(revoked["because_of"].as_str().unwrap().starts_with("consent/"));
    let at = |moment: &Value| moment["position"].as_u64().unwrap();
    let of_grant = at(revoked);
    assert_eq!(at(&refresh[2]["revoked"]), of_grant);
    assert_eq!(at(&brought["access_token"]["revoked"]), of_grant);
    assert!(at(&refresh[0]["brought"][0]["access_token"]["revoked"]) < of_grant, "by itself");
    assert_eq!(refresh[0].get("revoked"), None, "it had been replaced");

    let id = grant["grant_id"].as_str().unwrap();
    let alone = auditor.ask(&format!("/grants/{id}/lineage")).await;
    assert_eq!(alone["refresh_tokens"], grant["refresh_tokens"]);
    let part = auditor.ask(&format!("{path}?limit=1")).await;
    assert_eq!((&part["grants"][0]["grant_id"], &part["next"]), (&json!(id), &json!(id)));
    let rest = auditor.ask(&format!("{path}?limit=1&after={id}")).await;
    assert_eq!((&rest["grants"][0], rest.get("next")), (&grants[1], None));
}

/// RFC 6749 §4.1.2
async fn a_replayed_code_is_an_incident_with_what_was_revoked(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    scene.tokens(&[]).await;
    let code = scene.code(&[("scope", "openid offline_access read")]).await;
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    assert!(items(&auditor.ask("/incidents").await).is_empty());
    scene.server.advance(5);
    scene.rp.redeem(&code).await.invalid_grant();
    let grant = last_grant(&scene).await;
    let answer = auditor.ask(&format!("/incidents?grant_id={grant}")).await;
    let incident = &items(&answer)[0];
    is_moment(incident);
    assert_eq!(incident["kind"], "code_replayed");
    assert_eq!(incident["grant_id"], grant);
    assert_eq!((&incident["presented_by"], &incident["client_id"]), (&json!("rp"), &json!("rp")));
    assert_eq!(incident["subject"], scene.ada.to_string());
    assert_eq!(incident["happened_at"], "2027-01-15T08:00:05.000Z");
    let revoked = &incident["revoked"];
    assert_eq!(revoked["grant"]["cause"], "code_replayed");
    assert_eq!(revoked["access_tokens"], json!([claims(&tokens.access)["jti"]]));
    assert_eq!(revoked["refresh_tokens"], json!([1]));

    let count =
        async |filter: &str| items(&auditor.ask(&format!("/incidents?{filter}")).await).len();
    for filter in ["", "kind=code_replayed", "client_id=rp", "since=2027-01-15", "until=2027-01-15"]
    {
        assert_eq!(count(filter).await, 1, "{filter}");
    }
    for filter in [
        "kind=refresh_token_reused",
        "client_id=other",
        "since=2027-01-16",
        "until=2027-01-14",
        "since=2027-01-15T08:00:06Z",
        "grant_id=0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(count(filter).await, 0, "{filter}");
    }
    let lineage = auditor.ask(&format!("/grants/{grant}/lineage")).await;
    is_moment(&lineage["code"]["replayed"]);
    assert_eq!(lineage["incidents"][0]["kind"], "code_replayed");
}

/// RFC 9700 §4.14.2
async fn a_reused_refresh_token_is_an_incident_with_what_was_revoked(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let first = scene.lasting_tokens().await;
    let second = Tokens::of(&scene.rp.refresh(first.refresh()).await.ok());
    scene.server.advance(31);
    scene.rp.refresh(first.refresh()).await.invalid_grant();
    let answer = auditor.ask("/incidents").await;
    let incident = &items(&answer)[0];
    assert_eq!(incident["kind"], "refresh_token_reused");
    assert_eq!(incident["generation"], 1);
    let revoked = &incident["revoked"];
    assert_eq!(revoked["grant"]["cause"], "refresh_token_reused");
    let jtis = json!([claims(&first.access)["jti"], claims(&second.access)["jti"]]);
    assert_eq!(revoked["access_tokens"], jtis);
    assert_eq!(revoked["refresh_tokens"], json!([2]), "the first had been replaced");
}

async fn a_wrong_client_is_an_incident_that_revokes_nothing(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let thief = scene.server.register("thief", confidential()).await;
    for _ in 0..3 {
        let code = scene.code(&[]).await;
        thief.redeem(&code).await.invalid_grant();
    }
    let answer = auditor.ask("/incidents?client_id=thief").await;
    assert_eq!(items(&answer).len(), 3);
    for incident in items(&answer) {
        assert_eq!(incident["kind"], "wrong_client");
        assert_eq!(incident["client_id"], "rp", "whose grant it is");
        assert_eq!(incident.get("revoked"), None);
    }
    let ids: Vec<_> = items(&answer).iter().map(|own| own["incident_id"].to_string()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    let part = auditor.ask("/incidents?limit=2").await;
    let next = part["next"].as_str().unwrap();
    let rest = auditor.ask(&format!("/incidents?limit=2&after={next}")).await;
    assert_eq!((items(&rest).len(), rest.get("next")), (1, None));
}

/// RFC 7515 §4.1.4
async fn a_key_s_grants_are_told_with_the_tokens_it_signed(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let tokens = scene.lasting_tokens().await;
    let kid = header(&tokens.access)["kid"].as_str().unwrap().to_owned();
    let second = Tokens::of(&scene.rp.refresh(tokens.refresh()).await.ok());
    scene.server.advance(1);
    scene.tokens(&[("scope", "read")]).await;
    let answer = auditor.ask(&format!("/keys/{kid}/grants?client_id=rp")).await;
    assert_eq!(answer["kid"], kid);
    assert!(
        answer["history"]
            .as_array()
            .unwrap()
            .iter()
            .any(|own| { own["event_type"] == "KeyActivated" })
    );
    let grants = answer["grants"].as_array().unwrap();
    assert_eq!(grants.len(), 2);
    let told = grants[0]["tokens"].as_array().unwrap();
    let jtis: Vec<_> = told.iter().filter_map(|token| token.get("jti")).collect();
    assert_eq!(jtis, [&claims(&tokens.access)["jti"], &claims(&second.access)["jti"]]);
    assert!(told.iter().any(|token| token["kind"] == "id_token"));
    for token in told {
        is_moment(&token["issued"]);
    }

    let all = auditor.ask(&format!("/keys/{kid}/grants")).await;
    assert_eq!(all["grants"].as_array().unwrap().len(), 3, "the auditor's own token too");
    let part = auditor.ask(&format!("/keys/{kid}/grants?limit=2")).await;
    let next = part["next"].as_str().unwrap();
    let rest = auditor.ask(&format!("/keys/{kid}/grants?limit=2&after={next}")).await;
    assert_eq!((rest["grants"].as_array().unwrap().len(), rest.get("next")), (1, None));
    let other = auditor.ask(&format!("/keys/{kid}/grants?client_id=other")).await;
    assert_eq!(other["grants"], json!([]));
}

async fn a_grant_is_told_as_it_was_with_what_its_person_saw(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let mut auditor = Auditor::of(&scene.server).await;
    let code = scene.code(&[("scope", "openid offline_access read")]).await;
    scene.server.advance(30);
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    scene.server.advance(600);
    scene.rp.revoke(tokens.refresh()).await;
    auditor.renew().await;
    let grant = last_grant(&scene).await;
    let now = auditor.ask(&format!("/grants/{grant}")).await;
    assert_eq!((&now["grant"]["state"], &now["more_since"]), (&json!("revoked"), &json!(false)));
    let events = now["events"].as_array().unwrap();
    events.iter().for_each(is_moment);
    let position = |name: &str| {
        let found = events.iter().find(|event| event["event_type"] == name).unwrap();
        found["position"].as_u64().unwrap()
    };

    let seen = &now["seen"];
    is_moment(seen);
    assert_eq!(seen["grant_id"], grant);
    assert_eq!(seen["locale"], "en");
    assert_eq!(seen["text_digest"].as_str().unwrap().len(), 64);
    let lines = seen["scopes"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["name"] == "read"), "{seen}");
    assert!(lines.iter().all(|line| !line["description"].as_str().unwrap().is_empty()));

    for (at, state) in [
        (format!("position={}", position("CodeIssued")), "code_issued"),
        (format!("position={}", position("CodeRedeemed") - 1), "code_issued"),
        (format!("position={}", position("CodeRedeemed")), "active"),
        ("at=2027-01-15T08:00:29Z&clock=happened".to_owned(), "code_issued"),
        ("at=2027-01-15T08:00:30Z&clock=happened".to_owned(), "active"),
        ("at=2027-01-15T08:10:30Z&clock=happened".to_owned(), "revoked"),
        ("at=2027-01-15T08:00:30Z".to_owned(), "revoked"),
    ] {
        let then = auditor.get(&format!("/grants/{grant}?{at}")).await.ok();
        assert_eq!(then["grant"]["state"], state, "{at}");
        assert_eq!(then["more_since"], state != "revoked", "{at}");
        let last = then["events"].as_array().unwrap().last().unwrap();
        assert_eq!(then["position"], last["position"]);
        assert!(then["as_of"]["position"].as_u64() >= last["position"].as_u64());
        assert_eq!(then["grant"].get("revoked").is_some(), state == "revoked", "{at}");
    }
    let too_early = auditor.get(&format!("/grants/{grant}?position=1")).await;
    is_problem(&too_early, 404);
    is_problem(&auditor.get(&format!("/grants/{grant}?at=2020-01-01T00:00:00Z")).await, 404);
}

async fn a_later_grant_tells_what_was_seen_for_the_consent_it_rests_on(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    scene.tokens(&[]).await;
    let first = last_grant(&scene).await;
    scene.server.advance(1);
    scene.tokens(&[]).await;
    let second = last_grant(&scene).await;
    assert_ne!(first, second);
    let told = auditor.ask(&format!("/grants/{second}")).await;
    assert_eq!(told["grant"]["consent"]["page_shown"], false);
    assert_eq!(told["seen"]["grant_id"], first);
}

async fn a_client_s_changes_name_who_what_and_what_they_led_to(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let admin = Auditor::with(&scene.server, "admin").await;
    scene.lasting_tokens().await;
    let grant = last_grant(&scene).await;
    let change = json!({ "client_name": "Renamed", "contacts": ["ops@rp.example"] });
    let request = admin.rp.request(Method::PATCH, "/admin/clients/rp").bearer_auth(&admin.token);
    let request = request.header("content-type", "application/json").body(change.to_string());
    Answer::of(request.send().await.unwrap()).await.ok();
    let disable = ClientCommand::Disable { reason: "broken in to".to_owned() };
    scene.server.command_client("rp", disable).await;
    until("the cascade", || async {
        scene.server.grants().await[&grant].last().is_some_and(|last| last == "GrantRevoked")
    })
    .await;

    let answer = auditor.ask("/clients/rp/changes").await;
    let changes = items(&answer);
    changes.iter().for_each(is_moment);
    let types: Vec<_> = changes.iter().map(|own| own["event_type"].clone()).collect();
    assert_eq!(types, ["ClientRegistered", "ClientMetadataReplaced", "ClientDisabled"]);
    assert!(changes[0]["diff"].as_array().unwrap().len() > 3, "all that it began with");
    assert_eq!(changes[1]["actor"], "operator client auditor-admin");
    assert_eq!(
        changes[1]["diff"],
        json!([
            { "member": "client_name", "before": "The App", "after": "Renamed" },
            { "member": "contacts", "after": ["ops@rp.example"] },
        ])
    );
    assert_eq!(changes[1].get("led_to"), None);
    assert_eq!((&changes[2]["reason"], &changes[2]["diff"]), (&json!("broken in to"), &json!([])));
    assert_eq!(changes[2]["reference"], "client/rp/3");
    let led_to = changes[2]["led_to"]["grants"].as_array().unwrap();
    assert_eq!(led_to.len(), 1);
    assert_eq!(led_to[0]["grant_id"], grant);
    assert_eq!(led_to[0]["revoked"]["cause"], "client_disabled");
    is_moment(&led_to[0]["revoked"]);

    let cascade = auditor.ask("/cascades?event=client/rp/3").await;
    assert_eq!(cascade["grants"].as_array().unwrap(), led_to);
    assert_eq!(cascade["event"]["event_type"], "ClientDisabled");
    assert_eq!(auditor.ask("/cascades?event=client/rp/2").await["grants"], json!([]));
    is_problem(&auditor.get("/cascades?event=client/rp/9").await, 404);
    let part = auditor.ask("/clients/rp/changes?limit=2").await;
    assert_eq!((items(&part).len(), &part["next"]), (2, &json!("2")));
    let rest = auditor.ask("/clients/rp/changes?limit=2&after=2").await;
    assert_eq!((items(&rest)[0].clone(), rest.get("next")), (changes[2].clone(), None));
}

/// RFC 7009 §3: self-contained tokens live on where nobody asks.
async fn revoked_tokens_that_live_on_are_told_until_they_end(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::of(&scene.server).await;
    let whole = scene.lasting_tokens().await;
    let grant = last_grant(&scene).await;
    scene.server.advance(10);
    let single = scene.tokens(&[]).await;
    scene.server.advance(90);
    assert!(items(&auditor.ask("/still-alive").await).is_empty(), "nothing was revoked");
    scene.rp.revoke(whole.refresh()).await;
    scene.server.advance(10);
    scene.rp.revoke(&single.access).await;

    let answer = auditor.ask("/still-alive").await;
    let found = items(&answer);
    assert_eq!(found.len(), 2, "in order of the revocation: {answer}");
    assert_eq!(found[0]["grant_id"], grant);
    assert_eq!(found[0]["revoked"]["cause"], "revoked_by_client");
    assert_eq!(found[1].get("revoked"), None, "its grant goes on");
    for (item, tokens, after, left) in
        [(&found[0], &whole, 200, 190), (&found[1], &single, 200, 200)]
    {
        let token = &item["tokens"][0];
        assert_eq!(token["jti"], claims(&tokens.access)["jti"]);
        assert_eq!(token["kid"], header(&tokens.access)["kid"]);
        assert_eq!(token["outlives_revocation_by"], after);
        assert_eq!(token["lives_for"], left);
        is_moment(&token["revoked"]);
    }
    let part = auditor.ask("/still-alive?limit=1").await;
    let next = part["next"].as_str().unwrap();
    let rest = auditor.ask(&format!("/still-alive?limit=1&after={next}")).await;
    assert_eq!((items(&rest), rest.get("next")), (&vec![found[1].clone()], None));
    let since = auditor.ask("/still-alive?since=2027-01-15T08:01:45Z").await;
    assert_eq!(items(&since).len(), 1);
    let later = auditor.ask("/still-alive?at=2027-01-15T08:05:00Z").await;
    assert_eq!(items(&later).len(), 1, "the first has ended");
    assert!(items(&auditor.ask("/still-alive?at=2027-01-15T08:05:10Z").await).is_empty());

    let one = auditor.ask(&format!("/grants/{grant}/still-alive")).await;
    assert_eq!(one["tokens"], found[0]["tokens"]);
    let before = auditor.ask(&format!("/grants/{grant}/still-alive?at=2027-01-15T08:01:39Z")).await;
    assert_eq!(before["tokens"], json!([]), "nothing was revoked then");
}

async fn nothing_that_is_answered_is_personal(store: StoreKind) {
    let mut scene = Scene::new(store).await;
    let auditor = Auditor::with(&scene.server, "audit:read pii:read").await;
    let url = scene.rp.authorize_url(
        &[good_request(), vec![("login_hint", "ada@example.com"), ("state", "secret-state")]]
            .concat(),
    );
    let code = scene.browser.go_through(&url, "ada").await.code().to_owned();
    let tokens = Tokens::of(&scene.rp.redeem(&code).await.ok());
    scene.rp.redeem(&code).await.invalid_grant();
    let grant = last_grant(&scene).await;
    let kid = header(&tokens.access)["kid"].as_str().unwrap().to_owned();
    for path in [
        format!("/access?on={DAY}"),
        format!("/consents/{}/lineage", consent_of(&scene)),
        "/incidents".to_owned(),
        format!("/keys/{kid}/grants"),
        format!("/grants/{grant}"),
        format!("/grants/{grant}/lineage"),
        "/clients/rp/changes".to_owned(),
        "/still-alive".to_owned(),
    ] {
        let told = auditor.ask(&path).await.to_string();
        assert!(told.len() > 100, "{path}");
        for personal in
            ["ada@", "Ada ", "Lovelace", "secret-state", &code, &tokens.access, "127.0.0.1"]
        {
            assert!(!told.contains(personal), "{path} tells {personal}: {told}");
        }
    }
}
