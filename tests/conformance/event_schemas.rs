//! The JSON Schemas of events (JSON Schema 2020-12), and that events keep to them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Answer, Scene, StoreKind, TestServer, confidential};

both_stores! {
    every_event_of_a_flow_fits_the_schema_that_it_names,
    schemas_are_for_everybody_and_can_be_kept,
    a_schema_that_is_not_there_is_not_found,
}

async fn every_event_of_a_flow_fits_the_schema_that_it_names(store: StoreKind) {
    let mut scene = Scene::with(store, "", confidential()).await;
    let tokens = scene.lasting_tokens().await;
    scene.rp.refresh(tokens.refresh()).await.ok();
    scene.rp.revoke(&tokens.access).await;
    let index = scene.rp.get("/schemas").await.json();
    let mut schemas = BTreeMap::<String, (Value, bool, jsonschema::Validator)>::new();
    for event in index["events"].as_array().unwrap() {
        let url = event["schema"].as_str().unwrap().to_owned();
        let path = url.strip_prefix(&scene.server.issuer).unwrap().to_owned();
        let schema = scene.rp.get(&path).await.json();
        assert_eq!(schema["$id"], url);
        assert_eq!(schema["title"], event["type"]);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let validator = jsonschema::validator_for(&schema).unwrap();
        schemas.insert(url, (schema, event["written"] == true, validator));
    }
    let metadata = scene.rp.get("/schemas/metadata").await.json();
    let metadata = jsonschema::validator_for(&metadata).unwrap();
    let log = scene.server.log().await;
    assert!(log.len() >= 10);
    for stored in log {
        let event = &stored.event;
        let (kind, name, version) = (event.stream.kind, &event.event_type, &event.event_version);
        let url = format!("{}/schemas/{kind}/{name}/{version}", scene.server.issuer);
        let (_, written, validator) = &schemas[&url];
        assert!(written, "{url}");
        let payload: Value = serde_json::from_str(&event.payload).unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&payload).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name} {payload}: {errors:?}");
        assert!(metadata.is_valid(&serde_json::from_str(&event.metadata).unwrap()));
    }
}

async fn schemas_are_for_everybody_and_can_be_kept(store: StoreKind) {
    let server = TestServer::start(store).await;
    for (path, media_type) in [
        ("/schemas", "application/json"),
        ("/schemas/grant/CodeRedeemed/1", "application/schema+json"),
    ] {
        let answer = reqwest::get(format!("{}{path}", server.issuer)).await.unwrap();
        let answer = Answer::of(answer).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some(media_type));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=3600"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
}

async fn a_schema_that_is_not_there_is_not_found(store: StoreKind) {
    let server = TestServer::start(store).await;
    for path in ["grant/CodeRedeemed/2", "grant/CodeTeleported/1", "grant", "client/CodeRedeemed/1"]
    {
        let url = format!("{}/schemas/{path}", server.issuer);
        let answer = Answer::of(reqwest::get(url).await.unwrap()).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    }
    for path in ["../token", "%00"] {
        let url = format!("{}/schemas/{path}", server.issuer);
        let answer = Answer::of(reqwest::get(url).await.unwrap()).await;
        assert!(matches!(answer.status, 404 | 405), "{path}: {}", answer.status);
    }
}
