//! What each point tells a hook. Never a secret: no code, token, password,
//! state or nonce; and of a person only the pseudonym, unless the point is
//! about their claims.

use chancery_domain::authorization::{Authentication, Authorization, AuthorizationRequest};
use chancery_domain::client::RegisteredClient;
use chancery_domain::ids::GrantId;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::{Lifetime, UnixTime};
use serde_json::{Map, Value, json};

use crate::config::hooks::Point;
use crate::services::Services;

/// What all points tell: where it is, when, and in whose name.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    pub now: UnixTime,
    pub issuer: &'a str,
    pub client: Option<&'a RegisteredClient>,
}

impl<'a> Frame<'a> {
    /// Now, on this server.
    #[must_use]
    pub fn of(services: &'a Services, client: Option<&'a RegisteredClient>) -> Self {
        Self { now: services.now(), issuer: services.issuer(), client }
    }

    fn begin(&self, point: Point) -> Map<String, Value> {
        let mut input = Map::new();
        let mut put = |name: &str, value: Value| drop(input.insert(name.to_owned(), value));
        put("point", point.as_str().into());
        put("now", self.now.seconds().into());
        put("issuer", self.issuer.into());
        if let Some(client) = self.client {
            put("client", about_client(client));
        }
        input
    }
}

/// At [`Point::Authorization`]: with whoever is logged in.
#[must_use]
pub fn authorization(
    frame: Frame<'_>,
    request: &AuthorizationRequest,
    current: Option<&Authentication>,
) -> Value {
    let mut input = frame.begin(Point::Authorization);
    input.insert("request".to_owned(), about_request(request));
    input.insert("person".to_owned(), current.map_or(Value::Null, about_person));
    input.into()
}

/// At [`Point::PostAuthentication`].
#[must_use]
pub fn post_authentication(
    frame: Frame<'_>,
    request: &AuthorizationRequest,
    person: &Authentication,
) -> Value {
    let mut input = frame.begin(Point::PostAuthentication);
    input.insert("request".to_owned(), about_request(request));
    input.insert("person".to_owned(), about_person(person));
    input.into()
}

/// At [`Point::Consent`]: with what the person has consented to before.
#[must_use]
pub fn consent(
    frame: Frame<'_>,
    request: &AuthorizationRequest,
    person: &Authentication,
    consented: Option<&Scope>,
) -> Value {
    let mut input = frame.begin(Point::Consent);
    input.insert("request".to_owned(), about_request(request));
    input.insert("person".to_owned(), about_person(person));
    input.insert("consented".to_owned(), consented.map_or(json!([]), names));
    input.into()
}

/// At [`Point::Par`].
#[must_use]
pub fn par(frame: Frame<'_>, request: &AuthorizationRequest, expires_in: u32) -> Value {
    let mut input = frame.begin(Point::Par);
    input.insert("request".to_owned(), about_request(request));
    input.insert("expires_in".to_owned(), expires_in.into());
    input.into()
}

/// What [`token`] tells.
#[derive(Clone, Copy)]
pub struct AboutTokens<'a> {
    pub grant_type: &'a str,
    /// None: the grant begins with the tokens.
    pub grant: Option<GrantId>,
    pub authorization: &'a Authorization,
    /// Of the access token.
    pub scope: &'a Scope,
    pub audience: &'a [String],
    pub lifetimes: Lifetimes,
    /// What the scope releases about the person, for those who may see it.
    pub claims: Option<&'a Map<String, Value>>,
}

/// How long the tokens would last.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    pub access: Lifetime,
    pub id: Lifetime,
    /// None: there is no refresh token.
    pub refresh: Option<Lifetime>,
}

/// At [`Point::Token`].
#[must_use]
pub fn token(frame: Frame<'_>, tokens: AboutTokens<'_>) -> Value {
    let mut input = frame.begin(Point::Token);
    let mut put = |name: &str, value: Value| drop(input.insert(name.to_owned(), value));
    put("grant_type", tokens.grant_type.into());
    put("grant_id", tokens.grant.map(|id| id.to_string()).into());
    put("scope", names(tokens.scope));
    put("audience", json!(tokens.audience));
    let person = tokens.authorization.authentication.as_ref();
    put("person", person.map_or(Value::Null, about_person));
    let Lifetimes { access, id, refresh } = tokens.lifetimes;
    put("access_token_lifetime", access.seconds().into());
    put("id_token_lifetime", id.seconds().into());
    put("refresh_token_lifetime", refresh.map(Lifetime::seconds).into());
    if let Some(claims) = tokens.claims {
        put("claims", claims.clone().into());
    }
    input.into()
}

/// What [`userinfo`] and [`introspection`] tell of a token.
#[derive(Clone, Copy)]
pub struct AboutToken<'a> {
    pub grant: GrantId,
    pub authorization: &'a Authorization,
    pub scope: &'a Scope,
    /// What is about to be answered.
    pub answer: &'a Map<String, Value>,
}

/// At [`Point::Userinfo`]: with the claims that are about to be given.
#[must_use]
pub fn userinfo(frame: Frame<'_>, token: AboutToken<'_>) -> Value {
    about_token(frame, Point::Userinfo, token, "claims")
}

/// At [`Point::Introspection`]: with the answer that is about to be given; the
/// client is the one that asks.
#[must_use]
pub fn introspection(frame: Frame<'_>, token: AboutToken<'_>) -> Value {
    about_token(frame, Point::Introspection, token, "answer")
}

/// At [`Point::Discovery`]: with the metadata.
#[must_use]
pub fn discovery(frame: Frame<'_>, metadata: &Map<String, Value>) -> Value {
    let mut input = frame.begin(Point::Discovery);
    input.insert("metadata".to_owned(), metadata.clone().into());
    input.into()
}

/// At [`Point::Registration`]: with what is asked for, and who is changed, if
/// one is.
#[must_use]
pub fn registration(frame: Frame<'_>, metadata: &Map<String, Value>) -> Value {
    let mut input = frame.begin(Point::Registration);
    input.insert("metadata".to_owned(), metadata.clone().into());
    input.into()
}

fn about_token(frame: Frame<'_>, point: Point, token: AboutToken<'_>, answer: &str) -> Value {
    let mut input = frame.begin(point);
    let person = token.authorization.authentication.as_ref();
    input.insert("grant_id".to_owned(), token.grant.to_string().into());
    input.insert("scope".to_owned(), names(token.scope));
    input.insert("token_client_id".to_owned(), token.authorization.client_id.to_string().into());
    input.insert("person".to_owned(), person.map_or(Value::Null, about_person));
    input.insert(answer.to_owned(), token.answer.clone().into());
    input.into()
}

fn about_client(client: &RegisteredClient) -> Value {
    let metadata = &client.metadata;
    json!({
        "client_id": client.client_id,
        "client_name": metadata.client_name,
        "application_type": metadata.application_type,
        "grant_types": metadata.grant_types,
        "scope": names(&metadata.scope),
        "self_registered": client.registration.is_some(),
    })
}

fn about_request(request: &AuthorizationRequest) -> Value {
    json!({
        "redirect_uri": request.redirect_uri,
        "response_type": request.response_type,
        "scope": names(&request.scope),
        "prompt": request.prompt,
        "max_age": request.max_age,
        "acr_values": request.acr_values,
        "ui_locales": request.ui_locales,
        "pkce": request.code_challenge.is_some(),
    })
}

fn about_person(person: &Authentication) -> Value {
    json!({
        "sub": person.subject,
        "auth_time": person.auth_time,
        "acr": person.acr,
        "amr": person.amr,
    })
}

fn names(scope: &Scope) -> Value {
    scope.iter().collect()
}
