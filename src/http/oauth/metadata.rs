//! Server metadata: RFC 8414 and OpenID Connect Discovery, one document from
//! what each endpoint says of itself.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{introspect, jwks, par, register, revoke, token};
use crate::config::Config;
use crate::config::hooks::Point;
use crate::hooks::Refusal;
use crate::hooks::answers::{self, DiscoveryAnswer};
use crate::hooks::input::{self, Frame};
use crate::http::{cors, features, oidc, render};
use crate::interaction;
use crate::keys::KeysError;
use crate::request_objects;
use crate::services::Services;

/// The document being put together.
pub struct ServerMetadata<'a> {
    services: &'a Services,
    values: Map<String, Value>,
}

impl ServerMetadata<'_> {
    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.services.config
    }

    /// All else that may be said of: keys and their like, as they are now.
    #[must_use]
    pub fn services(&self) -> &Services {
        self.services
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
        let url = self.config().server.issuer.endpoint(path);
        self.set(name, &url);
    }
}

/// Puts the document together anew: at start, and whenever something has
/// changed that it says.
pub fn refresh(services: &Services) {
    // Where a hook has to be asked and fails, what was said before stands.
    let Ok(mut values) = hooked(services, values(services)) else { return };
    if services.config.metadata.signed {
        match signed(services, &values) {
            Ok(jwt) => drop(values.insert("signed_metadata".to_owned(), jwt.into())),
            Err(error) => tracing::error!(%error, "the metadata can't be signed: {error}"),
        }
    }
    services.metadata.set(Value::Object(values).to_string().into());
}

/// What the server can do now, said or not.
#[must_use]
pub fn capabilities(services: &Services) -> Map<String, Value> {
    let mut metadata = ServerMetadata { services, values: Map::new() };
    metadata.set("issuer", services.issuer());
    for describe in [
        interaction::describe,
        token::describe,
        par::describe,
        request_objects::describe,
        introspect::describe,
        revoke::describe,
        register::describe,
        jwks::describe,
        oidc::userinfo::describe,
        oidc::describe,
        describe_pages,
    ] {
        describe(&mut metadata);
    }
    let mut values = metadata.values;
    values.retain(|name, _| features::says(&services.config.features, name));
    values
}

/// What is true now, as far as the settings want it said.
fn values(services: &Services) -> Map<String, Value> {
    let mut values = capabilities(services);
    values.retain(|name, _| services.config.metadata.says(name));
    values
}

/// What the operator's hooks make of it.
fn hooked(
    services: &Services,
    mut values: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    if let Some(asked) = services.hooks.at(Point::Discovery, None) {
        let input = input::discovery(Frame::of(services, None), &values);
        let answer: DiscoveryAnswer = asked.ask_now(services, &input)?;
        answers::change(&mut values, answer.members);
    }
    Ok(values)
}

/// RFC 8414 §2
fn describe_pages(metadata: &mut ServerMetadata<'_>) {
    let settings = metadata.config().metadata.clone();
    for (name, url) in [
        ("service_documentation", settings.service_documentation),
        ("op_policy_uri", settings.op_policy_uri),
        ("op_tos_uri", settings.op_tos_uri),
    ] {
        if let Some(url) = url {
            metadata.set(name, url.as_str());
        }
    }
}

/// The same values as a JWT (RFC 8414 §2.1).
fn signed(services: &Services, values: &Map<String, Value>) -> Result<String, KeysError> {
    let mut claims = values.clone();
    claims.insert("iss".to_owned(), services.issuer().into());
    claims.insert("iat".to_owned(), services.now().seconds().into());
    let keys = services.keys.get();
    let key = keys.signing(services.config.keys.signing_algorithm, services.now())?;
    Ok(key.sign("JWT", &claims)?)
}

/// For how long the document and the keys may be kept: short enough for a new
/// key to be seen soon.
pub(super) fn cache_control(services: &Services) -> (actix_web::http::header::HeaderName, String) {
    let seconds = services.config.metadata.cache_lifetime.seconds();
    let value =
        if seconds == 0 { "no-cache".to_owned() } else { format!("public, max-age={seconds}") };
    (CACHE_CONTROL, value)
}

pub async fn handle(services: web::Data<Services>, request: HttpRequest) -> HttpResponse {
    let text = services.metadata.get();
    if text.is_empty() {
        return render::error(&request, &Refusal::Unanswered.into());
    }
    let mut answer = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header(cache_control(&services))
        .body(text.as_bytes().to_vec());
    cors::for_all(&mut answer);
    answer
}
