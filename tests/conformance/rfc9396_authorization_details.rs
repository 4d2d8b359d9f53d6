//! OAuth 2.0 Rich Authorization Requests (RFC 9396), of the type `chancery_events`: which events a
//! client may read, and what of them.

use std::collections::BTreeSet;

use chancery::admin::{Operation, perform};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, RelyingParty, Scene, StoreKind, TestServer, claims, confidential, good_request_but,
    service,
};

both_stores! {
    granted_details_stand_in_answer_token_and_introspection,
    what_is_not_as_its_type_has_it_is_refused,
    a_client_gets_no_more_than_is_set_down_for_it,
    an_operator_can_not_set_down_what_there_is_not,
    people_are_not_asked_for_details,
    a_reader_sees_only_the_events_that_its_token_allows,
    a_reader_sees_only_the_fields_that_its_token_allows,
    the_types_are_in_the_metadata_and_gone_with_the_stream,
}

const CODES: &str = r#"[{"type":"chancery_events","event_types":["CodeIssued","CodeRedeemed"]}]"#;

fn details(text: &str) -> AuthorizationDetails {
    AuthorizationDetails::parse(text).unwrap()
}

async fn analyst(server: &TestServer, id: &str, set_down: AuthorizationDetails) -> RelyingParty {
    let metadata = ClientMetadata {
        scope: Scope::parse("events:read").unwrap(),
        authorization_details: set_down,
        ..service()
    };
    server.register(id, metadata).await
}

async fn token(rp: &RelyingParty, asked: Option<&str>) -> String {
    let asked = asked.map(|text| ("authorization_details", text));
    let answer = rp.client_credentials(asked.as_slice()).await.ok();
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn lines(rp: &RelyingParty, token: &str, query: &str) -> Vec<Value> {
    let request = rp.request(Method::GET, &format!("/events{query}")).bearer_auth(token);
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().filter_map(|line| line["type"].as_str()).collect()
}

/// RFC 9396 §7, §9.1, §9.2
async fn granted_details_stand_in_answer_token_and_introspection(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = analyst(&server, "analyst", AuthorizationDetails::default()).await;
    let answer = rp.client_credentials(&[("authorization_details", CODES)]).await.ok();
    let expected: Value = serde_json::from_str(CODES).unwrap();
    assert_eq!(answer["authorization_details"], expected);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(claims(token)["authorization_details"], expected);
    assert_eq!(rp.introspect(token).await.ok()["authorization_details"], expected);
    let without = rp.client_credentials(&[]).await.ok();
    assert_eq!(without.get("authorization_details"), None);
}

/// RFC 9396 §5
async fn what_is_not_as_its_type_has_it_is_refused(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = analyst(&server, "analyst", AuthorizationDetails::default()).await;
    for wrong in [
        "no JSON",
        "{}",
        "[]",
        r#"[{"type":"payment_initiation"}]"#,
        r#"[{"type":"chancery_events","what":["else"]}]"#,
        r#"[{"type":"chancery_events","event_types":["NoSuchEvent"]}]"#,
    ] {
        let refused = rp.client_credentials(&[("authorization_details", wrong)]).await;
        refused.refused(400, "invalid_authorization_details");
    }
}

async fn a_client_gets_no_more_than_is_set_down_for_it(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = analyst(&server, "analyst", details(CODES)).await;
    let answer = rp.client_credentials(&[]).await.ok();
    assert_eq!(answer["authorization_details"], serde_json::from_str::<Value>(CODES).unwrap());
    let less = r#"[{"type":"chancery_events","event_types":["CodeIssued"]}]"#;
    rp.client_credentials(&[("authorization_details", less)]).await.ok();
    for more in [
        r#"[{"type":"chancery_events"}]"#,
        r#"[{"type":"chancery_events","event_types":["CodeIssued","RequestPushed"]}]"#,
    ] {
        let refused = rp.client_credentials(&[("authorization_details", more)]).await;
        refused.refused(400, "invalid_authorization_details");
    }
}

/// Every reading would fail for it.
async fn an_operator_can_not_set_down_what_there_is_not(store: StoreKind) {
    let server = TestServer::start(store).await;
    let rp = analyst(&server, "analyst", AuthorizationDetails::default()).await;
    for (event_type, is_taken) in [("NoSuchEvent", false), ("CodeIssued", true)] {
        let details = json!([{ "type": "chancery_events", "event_types": [event_type] }]);
        let changes = json!({ "authorization_details": details });
        let changes = changes.as_object().unwrap().clone();
        let client_id = rp.client_id.parse().unwrap();
        let updated = server
            .act(move |services| async move {
                let operation = Operation::UpdateClient { client_id, changes };
                perform(&services, operation, "test").await.map(drop)
            })
            .await;
        match updated {
            Ok(()) => assert!(is_taken, "{event_type}"),
            Err(error) => {
                let text = error.to_string();
                assert!(!is_taken && text.contains("NoSuchEvent"), "{text}");
            }
        }
    }
}

/// RFC 9396 §5: what can't be granted is refused, not left out.
async fn people_are_not_asked_for_details(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let asked = ("authorization_details", CODES);
    let refused = scene.rp.push(&good_request_but(&[asked])).await;
    refused.refused(400, "invalid_authorization_details");
    let code = scene.code(&[]).await;
    let refused = scene.rp.redeem_but(&code, &[asked]).await;
    refused.refused(400, "invalid_authorization_details");
    scene.rp.redeem(&code).await.ok();
}

async fn a_reader_sees_only_the_events_that_its_token_allows(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let server = &scene.server;
    let set_down = details(
        r#"[{"type":"chancery_events","event_types":["CodeIssued"]},
            {"type":"chancery_events","clients":["other"]}]"#,
    );
    let rp = analyst(server, "analyst", set_down).await;
    let other = server.register("other", service()).await;
    scene.tokens(&[]).await;
    other.client_credentials(&[]).await.ok();
    scene.server.settled().await;
    let token = token(&rp, None).await;
    let all = lines(&rp, &token, "?limit=10000").await;
    let seen: BTreeSet<_> = all
        .iter()
        .filter(|line| line["id"].is_string())
        .map(|line| (line["type"].as_str().unwrap(), line["clientid"].as_str().unwrap()))
        .collect();
    let expected =
        [("chancery.grant.CodeIssued.v1", "rp"), ("chancery.grant.TokensIssued.v1", "other")];
    assert_eq!(seen, expected.into_iter().collect());
    // What is asked for besides does not widen it, in a group neither.
    let asked = lines(&rp, &token, "?types=CodeRedeemed,CodeIssued").await;
    assert_eq!(types(&asked), ["chancery.grant.CodeIssued.v1"].into());
    let group = rp.request(Method::PUT, "/events/groups/g").bearer_auth(&token).json(&json!({}));
    Answer::of(group.send().await.unwrap()).await.ok();
    let next = rp.request(Method::POST, "/events/groups/g/next").bearer_auth(&token);
    let next = next.json(&json!({ "member": "m", "limit": 1000 })).send().await.unwrap();
    let next = Answer::of(next).await.ok();
    let given = next["events"].as_array().unwrap();
    assert_eq!(types(given), seen.iter().map(|(name, _)| *name).collect());
    for path in ["/events/readers", "/events/groups"] {
        let request = rp.request(Method::GET, path).bearer_auth(&token);
        assert_eq!(Answer::of(request.send().await.unwrap()).await.status, 403, "{path}");
    }
}

async fn a_reader_sees_only_the_fields_that_its_token_allows(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let rp = analyst(&scene.server, "analyst", AuthorizationDetails::default()).await;
    scene.tokens(&[]).await;
    let asked = r#"[{"type":"chancery_events","event_types":["ConsentGiven"],
                     "fields":["clientid","data.scope"]}]"#;
    let token = token(&rp, Some(asked)).await;
    let lines = lines(&rp, &token, "?limit=10000").await;
    let event = lines[0].as_object().unwrap();
    let names: BTreeSet<_> = event.keys().map(String::as_str).collect();
    let shown = ["clientid", "cursor", "data", "id", "source", "specversion", "type"];
    assert_eq!(names, shown.into());
    assert_eq!(event["data"], json!({ "scope": "openid read" }));
}

/// RFC 9396 §10
async fn the_types_are_in_the_metadata_and_gone_with_the_stream(store: StoreKind) {
    let path = "/.well-known/oauth-authorization-server";
    let member = "authorization_details_types_supported";
    let server = TestServer::start(store).await;
    let rp = server.register("other", service()).await;
    assert_eq!(rp.get(path).await.json()[member], json!(["chancery_events"]));
    let server = TestServer::with_settings(store, "[features]\nevents = false\n").await;
    let rp = server.register("other", service()).await;
    assert_eq!(rp.get(path).await.json().get(member), None);
    let refused = rp.client_credentials(&[("authorization_details", CODES)]).await;
    refused.refused(400, "invalid_authorization_details");
}
