//! The `OpenAPI` 3.1 document, made from the endpoints of an API.

use actix_web::http::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Api;
use super::endpoint::Endpoint;
use super::operator::PERSONAL_DATA;
use super::problem::{self, MEDIA_TYPE};

/// The document, true of the endpoints of the API.
pub fn document(api: &Api, issuer: &str) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    let error = generator.subschema_for::<problem::Body>().to_value();
    let mut paths = Map::new();
    for endpoint in &(api.endpoints)() {
        let operation = operation(endpoint, &mut generator, &error);
        let path =
            paths.entry(format!("{}{}", api.base, endpoint.path)).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(endpoint.method.as_str().to_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": api.title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": api.description,
        },
        "servers": [{ "url": issuer }],
        "security": [{ "oauth2": [api.scope.0] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "oauth2": {
                "type": "oauth2",
                "flows": {
                    "clientCredentials": {
                        "tokenUrl": format!("{issuer}/token"),
                        "scopes": scopes(api),
                    },
                    "authorizationCode": {
                        "authorizationUrl": format!("{issuer}/authorize"),
                        "tokenUrl": format!("{issuer}/token"),
                        "scopes": scopes(api),
                    },
                },
            } },
        },
    })
}

fn scopes(api: &Api) -> Value {
    let (scope, meaning) = api.scope;
    json!({ scope: meaning, PERSONAL_DATA: "See who people are" })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator, error: &Value) -> Value {
    let parameters = (endpoint.parameters)(generator).to_value();
    let parameters = parameters_of(endpoint, &parameters);
    let takes_something = !parameters.is_empty() || endpoint.body.is_some();
    let answer = (endpoint.answer)(generator).to_value();
    let mut responses = Map::new();
    responses.insert(
        endpoint.success.as_str().to_owned(),
        json!({
            "description": "Done.",
            "content": { endpoint.media_type: { "schema": answer } },
        }),
    );
    let changes = endpoint.method != actix_web::http::Method::GET;
    for (status, when, description) in [
        (400, takes_something, "The request can't be read."),
        (401, true, "There is no token, or none that is good here."),
        (403, true, "The token's scope, or its account's roles, do not allow this."),
        (404, endpoint.finds, "There is no such thing."),
        (409, changes, "It conflicts with what is there."),
        (413, true, "The body is too long."),
        (415, endpoint.body.is_some(), "The body is no JSON."),
        (422, endpoint.body.is_some(), "The body says what can't be."),
        (500, true, "The server failed."),
        (503, true, "The store does not answer; try again."),
    ] {
        if when {
            let content = json!({ MEDIA_TYPE: { "schema": error } });
            let response = json!({ "description": description, "content": content });
            responses.insert(status_text(status), response);
        }
    }
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "tags": [endpoint.path.split('/').nth(1).unwrap_or_default()],
        "parameters": parameters,
        "responses": responses,
    });
    if let (Some(body), Value::Object(operation)) = (endpoint.body, &mut operation) {
        let schema = body(generator).to_value();
        let content = json!({ "application/json": { "schema": schema } });
        operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    operation
}

fn status_text(status: u16) -> String {
    StatusCode::from_u16(status)
        .map_or_else(|_| status.to_string(), |code| code.as_str().to_owned())
}

/// The members of an object as parameters: those that the path names stand
/// there.
fn parameters_of(endpoint: &Endpoint, schema: &Value) -> Vec<Value> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| {
        required.is_some_and(|names| names.iter().any(|own| own.as_str() == Some(name)))
    };
    let members = schema.get("properties").and_then(Value::as_object);
    let parameter = |(name, schema): (&String, &Value)| {
        let in_path = endpoint.path.contains(&format!("{{{name}}}"));
        let description = schema.get("description").cloned();
        let mut parameter = json!({
            "name": name,
            "in": if in_path { "path" } else { "query" },
            "required": in_path || is_required(name),
            "schema": schema,
        });
        if let (Some(description), Value::Object(parameter)) = (description, &mut parameter) {
            parameter.insert("description".to_owned(), description);
        }
        parameter
    };
    members.into_iter().flatten().map(parameter).collect()
}
