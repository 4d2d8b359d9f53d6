//! Server metadata: RFC 8414 and OpenID Connect Discovery, one document from
//! what each endpoint says of itself.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{introspect, jwks, par, revoke, token};
use crate::config::Config;
use crate::http::{cors, oidc};
use crate::interaction;
use crate::services::Services;

/// How long metadata and keys may be kept: short enough for a new key to be
/// seen soon.
pub(super) const MAX_AGE: &str = "public, max-age=60";

/// The document being put together.
pub struct ServerMetadata<'a> {
    config: &'a Config,
    values: Map<String, Value>,
}

impl ServerMetadata<'_> {
    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.config
    }

    /// Sets a value.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T)
    where
        for<'b> &'b T: Serialize,
    {
        // What is described serialises; a value that does not would be left out.
        if let Ok(value) = serde_json::to_value(value) {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// Sets the URL of an endpoint.
    pub fn endpoint(&mut self, name: &str, path: &str) {
        let url = self.config.server.issuer.endpoint(path);
        self.set(name, &url);
    }
}

/// The document, true of these settings.
#[must_use]
pub fn document(config: &Config) -> String {
    let mut metadata = ServerMetadata { config, values: Map::new() };
    metadata.set("issuer", config.server.issuer.as_str());
    for describe in [
        interaction::describe,
        token::describe,
        par::describe,
        introspect::describe,
        revoke::describe,
        jwks::describe,
        oidc::userinfo::describe,
        oidc::describe,
    ] {
        describe(&mut metadata);
    }
    Value::Object(metadata.values).to_string()
}

pub async fn handle(services: web::Data<Services>) -> HttpResponse {
    let mut answer = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, MAX_AGE))
        .body(services.metadata.as_bytes().to_vec());
    cors::for_all(&mut answer);
    answer
}
