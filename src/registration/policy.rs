//! What of the metadata that a client asks for it gets (RFC 7591 §2, §3.2).
//!
//! Members that are the operator's, or unknown, are left out; scopes are
//! narrowed; whatever else can't be had is refused by name. The answer says
//! what was registered.

use chancery_domain::client::{ApplicationType, ClientMetadata, InvalidMetadata, RegisteredClient};
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::registration_token::Constraints;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::invalid;
use super::statement::Statement;
use crate::claims::{self, Scopes};
use crate::config::registration::Registration;
use crate::http::oauth::metadata::capabilities;
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::services::Services;
use crate::tokens::unsupported_algorithm;

/// The members that a client may set: those of the standards. All others are
/// the operator's.
const OPEN: [&str; 50] = [
    "application_type",
    "authorization_details_types",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
    "authorization_signed_response_alg",
    "backchannel_logout_session_required",
    "backchannel_logout_uri",
    "client_name",
    "client_uri",
    "contacts",
    "default_acr_values",
    "default_max_age",
    "dpop_bound_access_tokens",
    "frontchannel_logout_session_required",
    "frontchannel_logout_uri",
    "grant_types",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "id_token_signed_response_alg",
    "initiate_login_uri",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
    "introspection_signed_response_alg",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "policy_uri",
    "post_logout_redirect_uris",
    "redirect_uris",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "request_object_signing_alg",
    "request_uris",
    "require_auth_time",
    "require_pkce",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "response_types",
    "scope",
    "sector_identifier_uri",
    "software_id",
    "software_statement",
    "software_version",
    "subject_type",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "userinfo_signed_response_alg",
];

/// The members whose values must be among those that the server metadata list.
const LISTED: [(&str, &str); 19] = [
    ("authorization_encrypted_response_alg", "authorization_encryption_alg_values_supported"),
    ("authorization_encrypted_response_enc", "authorization_encryption_enc_values_supported"),
    ("authorization_signed_response_alg", "authorization_signing_alg_values_supported"),
    ("grant_types", "grant_types_supported"),
    ("id_token_encrypted_response_alg", "id_token_encryption_alg_values_supported"),
    ("id_token_encrypted_response_enc", "id_token_encryption_enc_values_supported"),
    ("id_token_signed_response_alg", "id_token_signing_alg_values_supported"),
    ("introspection_encrypted_response_alg", "introspection_encryption_alg_values_supported"),
    ("introspection_encrypted_response_enc", "introspection_encryption_enc_values_supported"),
    ("introspection_signed_response_alg", "introspection_signing_alg_values_supported"),
    ("request_object_encryption_alg", "request_object_encryption_alg_values_supported"),
    ("request_object_signing_alg", "request_object_signing_alg_values_supported"),
    ("response_types", "response_types_supported"),
    ("subject_type", "subject_types_supported"),
    ("token_endpoint_auth_method", "token_endpoint_auth_methods_supported"),
    ("token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg_values_supported"),
    ("userinfo_encrypted_response_alg", "userinfo_encryption_alg_values_supported"),
    ("userinfo_encrypted_response_enc", "userinfo_encryption_enc_values_supported"),
    ("userinfo_signed_response_alg", "userinfo_signing_alg_values_supported"),
];

/// What people read, and may be given in several languages (RFC 7591 §2.2).
const LOCALIZED: [&str; 5] = ["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"];

/// The longest text that one member has, in bytes. (Keys and statements are
/// bounded by the whole request.)
const LONGEST: usize = 2000;

/// The metadata of a request.
#[derive(Debug, Clone)]
pub struct Asked(Map<String, Value>);

impl Asked {
    /// Reads the body of a request.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(mut members)) => {
                // RFC 7592 §2.2: null is as good as nothing.
                members.retain(|_, value| !value.is_null());
                Ok(Self(members))
            }
            _ => Err(invalid("the body must be a JSON object of client metadata")),
        }
    }

    /// What hooks may know of it: no secret, and nothing that others vouch for.
    #[must_use]
    pub fn plain(&self) -> Map<String, Value> {
        const NOT: [&str; 2] = ["client_secret", "software_statement"];
        let plain = self.0.iter().filter(|(name, _)| !NOT.contains(&name.as_str()));
        plain.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// With these changes: what is `null` goes.
    #[must_use]
    pub fn with(mut self, changes: Map<String, Value>) -> Self {
        self.0.extend(changes);
        self.0.retain(|_, value| !value.is_null());
        self
    }

    /// The software statement, if there is one.
    #[must_use]
    pub fn statement(&self) -> Option<&str> {
        self.0.get("software_statement")?.as_str()
    }

    /// RFC 7592 §2.2: the request names its client, and keeps off what only the
    /// server says.
    pub fn check_identity(&self, client: &RegisteredClient) -> Result<(), OAuthError> {
        let named = self.0.get("client_id").and_then(Value::as_str);
        if named != Some(client.client_id.as_str()) {
            return Err(invalid("client_id must be that of the client"));
        }
        let ours = [
            "registration_access_token",
            "registration_client_uri",
            "client_secret_expires_at",
            "client_id_issued_at",
        ];
        if let Some(name) = ours.into_iter().find(|name| self.0.contains_key(*name)) {
            return Err(invalid(format!("{name} must be left out (RFC 7592 §2.2)")));
        }
        Ok(())
    }

    /// The client's secret, if the request has it.
    #[must_use]
    pub fn secret(&self) -> Option<&Value> {
        self.0.get("client_secret")
    }
}

/// The metadata that a client gets; of those of `existing` what it may not set
/// itself.
pub fn decide(
    services: &Services,
    asked: Asked,
    statement: Option<&Statement>,
    constraints: &Constraints,
    existing: Option<&ClientMetadata>,
) -> Result<ClientMetadata, OAuthError> {
    let settings = &services.config.registration;
    let mut members = asked.0;
    members.remove("software_statement");
    if let Some(statement) = statement {
        // RFC 7591 §2.3: what is vouched for takes precedence.
        members.extend(statement.claims.clone());
        members.insert("software_statement".to_owned(), statement.text.clone().into());
    }
    members.retain(|name, _| is_open(settings, name));
    check_sizes(settings, &members)?;
    members.extend(constraints.fixed.clone());
    let mut all = kept(existing)?;
    all.extend(members);
    check_redirect_uris(&all)?;
    let scopes = claims::scopes(services);
    let allowed = scopes.unprivileged(&allowed_scope(settings, constraints, &scopes));
    let asks_scope = all.contains_key("scope");
    let mut metadata: ClientMetadata = serde_json::from_value(Value::Object(all))
        .map_err(|error| invalid(format!("the metadata can't be read: {error}")))?;
    metadata.scope = if asks_scope { metadata.scope.narrow(&allowed) } else { allowed };
    if !metadata.allows(GrantType::RefreshToken) {
        metadata.scope = metadata.scope.without(Scope::OFFLINE_ACCESS);
    }
    check_grant_types(settings, constraints, &metadata)?;
    metadata.check().map_err(|error| of_metadata(&error))?;
    check_application_type(&metadata)?;
    check_called(services, &metadata)?;
    check_supported(services, &metadata)?;
    if let Some(member) = unsupported_algorithm(&services.keys.get(), &metadata) {
        return Err(invalid(format!("{member}: the server has no key for this algorithm")));
    }
    Ok(metadata)
}

fn is_open(settings: &Registration, name: &str) -> bool {
    let (base, is_localized) = match name.split_once('#') {
        Some((base, _)) => (base, true),
        None => (name, false),
    };
    let chosen = &settings.metadata;
    let by_operator = chosen.is_empty() || chosen.iter().any(|own| own.0 == base);
    let known = if is_localized { LOCALIZED.contains(&base) } else { is_standard(base) };
    known && by_operator
}

fn is_standard(name: &str) -> bool {
    OPEN.contains(&name)
}

/// What a client has that it can't set.
fn kept(existing: Option<&ClientMetadata>) -> Result<Map<String, Value>, OAuthError> {
    let Some(existing) = existing else { return Ok(Map::new()) };
    let value = serde_json::to_value(existing).map_err(|error| OAuthError::internal(&error))?;
    let Value::Object(mut all) = value else { return Ok(Map::new()) };
    all.retain(|name, _| !is_standard(name) && !name.contains('#'));
    Ok(all)
}

fn check_sizes(settings: &Registration, members: &Map<String, Value>) -> Result<(), OAuthError> {
    let too_long = |value: &Value| value.as_str().is_some_and(|text| text.len() > LONGEST);
    for (name, value) in members {
        if name == "jwks" || name == "software_statement" {
            continue;
        }
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let most = usize::try_from(settings.most_uris).unwrap_or(usize::MAX);
        if list.len() > most || too_long(value) || list.iter().any(too_long) {
            return Err(invalid(format!("{name} is too long")));
        }
    }
    let localized = members.keys().filter(|name| name.contains('#')).count();
    if localized > 100 {
        return Err(invalid("there are too many localised members"));
    }
    Ok(())
}

/// RFC 7591 §3.2.2: redirect URIs have an error of their own.
fn check_redirect_uris(members: &Map<String, Value>) -> Result<(), OAuthError> {
    let Some(uris) = members.get("redirect_uris") else { return Ok(()) };
    let refused = |why: String| OAuthError::new(ErrorCode::InvalidRedirectUri, why);
    let uris = uris.as_array().ok_or_else(|| refused("redirect_uris must be a list".to_owned()))?;
    for uri in uris {
        let text = uri.as_str().ok_or_else(|| refused("a redirect_uri is no string".to_owned()))?;
        RedirectUri::parse(text).map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}

fn allowed_scope(settings: &Registration, constraints: &Constraints, scopes: &Scopes) -> Scope {
    if let Some(scope) = &constraints.scope {
        return scope.clone();
    }
    let named: Scope = settings.scopes.iter().map(|scope| scope.0.as_str()).collect();
    named.union(&scopes.open())
}

fn check_grant_types(
    settings: &Registration,
    constraints: &Constraints,
    metadata: &ClientMetadata,
) -> Result<(), OAuthError> {
    let allowed = match constraints.grant_types.as_slice() {
        [] => settings.grant_types.as_slice(),
        own => own,
    };
    match metadata.grant_types.iter().find(|grant| !allowed.contains(grant)) {
        Some(grant) => {
            Err(invalid(format!("the grant type {grant} is not for clients that register here")))
        }
        None => Ok(()),
    }
}

/// OpenID Connect Registration §2: where answers to a web client and to a
/// native one may go. A native client may claim an https URL too (RFC 8252
/// §7.2); a web client under development may listen on loopback, but not with
/// the implicit grant.
fn check_application_type(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let refused = |why: &'static str| Err(OAuthError::new(ErrorCode::InvalidRedirectUri, why));
    for uri in &metadata.redirect_uris {
        let Ok(url) = Url::parse(uri.as_str()) else { continue };
        let loopback = is_loopback(&url);
        let web = matches!(url.scheme(), "http" | "https");
        if url.scheme() == "http" && !loopback {
            return refused("an http redirect_uri must be on a loopback host");
        }
        if metadata.application_type == ApplicationType::Native {
            continue;
        }
        if !web {
            return refused("a scheme of its own is for a client of application_type native");
        }
        let implicit = metadata.allows(GrantType::Implicit);
        if implicit && (url.scheme() != "https" || loopback) {
            return refused("a web client with the implicit grant needs https and a real host");
        }
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What the server will call, or send browsers to, must be what it may call.
fn check_called(services: &Services, metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let single = [
        ("jwks_uri", &metadata.jwks_uri),
        ("sector_identifier_uri", &metadata.sector_identifier_uri),
        ("backchannel_logout_uri", &metadata.backchannel_logout_uri),
    ];
    let single = single.into_iter().filter_map(|(name, uri)| Some((name, uri.as_ref()?)));
    for (name, uri) in single {
        let url = Url::parse(uri).map_err(|_| invalid(format!("{name} is not a URL")))?;
        services.outbound.check(&url).map_err(|error| invalid(format!("{name}: {error}")))?;
    }
    for uri in &metadata.request_uris {
        let url = Url::parse(uri).map_err(|_| invalid("request_uris has what is not a URL"))?;
        let checked = services.request_uris.check(&url);
        checked.map_err(|error| invalid(format!("request_uris: {error}")))?;
    }
    // OpenID Connect Core §4: nobody but the client may begin a login there.
    let https = |uri: &String| uri.starts_with("https:");
    if !metadata.initiate_login_uri.as_ref().is_none_or(https) {
        return Err(invalid("initiate_login_uri must be an https URL"));
    }
    Ok(())
}

/// A client must not be told that it has what the server can't give.
fn check_supported(services: &Services, metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let can = capabilities(services);
    let value = serde_json::to_value(metadata).map_err(|error| OAuthError::internal(&error))?;
    for (member, list) in LISTED {
        let values = match value.get(member) {
            None => continue,
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        let supported = can.get(list).and_then(Value::as_array);
        let supported = supported.map(Vec::as_slice).unwrap_or_default();
        if let Some(value) = values.iter().find(|value| !supported.contains(value)) {
            return Err(invalid(format!("{member}: {value} is not supported here")));
        }
    }
    if metadata.dpop_bound_access_tokens && !can.contains_key("dpop_signing_alg_values_supported") {
        return Err(invalid("dpop_bound_access_tokens: DPoP is not supported here"));
    }
    Ok(())
}

/// RFC 7591 §3.2.2
pub fn of_metadata(error: &InvalidMetadata) -> OAuthError {
    let code = match error {
        InvalidMetadata::RedirectUriMissing => ErrorCode::InvalidRedirectUri,
        _ => ErrorCode::InvalidClientMetadata,
    };
    OAuthError::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(value: &Value) -> ClientMetadata {
        serde_json::from_value(value.clone()).unwrap()
    }

    /// OpenID Connect Registration §2
    #[test]
    fn where_answers_may_go_follows_from_the_kind_of_application() {
        let code = json!(["authorization_code"]);
        let implicit = json!(["authorization_code", "implicit"]);
        for (kind, grants, uri, good) in [
            ("web", &code, "https://rp.example/cb", true),
            ("web", &code, "http://rp.example/cb", false),
            ("web", &code, "http://localhost:3000/cb", true),
            ("web", &code, "com.example.app:/cb", false),
            ("web", &implicit, "https://rp.example/cb", true),
            ("web", &implicit, "https://localhost/cb", false),
            ("web", &implicit, "http://127.0.0.1/cb", false),
            ("native", &code, "com.example.app:/cb", true),
            ("native", &code, "http://127.0.0.1/cb", true),
            ("native", &code, "http://rp.example/cb", false),
            ("native", &code, "https://app.example/cb", true),
        ] {
            let client = metadata(&json!({
                "application_type": kind, "grant_types": grants, "redirect_uris": [uri],
            }));
            let outcome = check_application_type(&client);
            assert_eq!(outcome.is_ok(), good, "{kind} {grants} {uri}");
            if let Err(error) = outcome {
                assert_eq!(error.code, ErrorCode::InvalidRedirectUri);
            }
        }
    }

    /// A new member of the metadata is the operator's until it is named here.
    #[test]
    fn what_reaches_beyond_the_client_itself_is_the_operators() {
        for name in [
            "skip_consent",
            "introspect_any_token",
            "hooks",
            "access_token_audience",
            "access_token_lifetime",
            "refresh_token_lifetime",
            "refresh_token_rotation",
            "additional_audience",
            "id_token_lifetime",
            "par_lifetime",
            "client_expires_at",
            "redirect_uris_regex",
            "security_profile",
            "additional_token_endpoint_auth_methods",
        ] {
            assert!(!is_standard(name), "{name}");
            // It is a member: a typing mistake here would hide one.
            let known = serde_json::to_value(ClientMetadata::default()).unwrap();
            let Value::Object(known) = known else { panic!("an object") };
            let mut probe = known.clone();
            probe.insert(name.to_owned(), json!({"no": "such shape"}));
            assert!(
                serde_json::from_value::<ClientMetadata>(Value::Object(probe)).is_err(),
                "{name}"
            );
        }
    }
}
