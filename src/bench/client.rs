//! The clients that virtual users act as, and the people that they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::admin::Confidential;

/// A form that is being written. No `Debug`: it holds secrets.
#[derive(Default)]
pub struct FormText(String);

impl FormText {
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.append(name, value);
        self
    }

    pub fn append(&mut self, name: &str, value: &str) {
        let mut text = Serializer::for_suffix(std::mem::take(&mut self.0), 0);
        text.append_pair(name, value);
        self.0 = text.finish();
    }

    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

/// A client as its registration has it (RFC 7591 §3.2.1): what `chancery client add --json`
/// prints.
#[derive(Debug, Clone, Deserialize)]
pub struct Registration {
    pub client_id: String,
    #[serde(default)]
    pub client_secret: Option<Confidential>,
    /// Absent: `client_secret_basic` with a secret, none without.
    #[serde(default)]
    pub token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Absent: whatever a scenario needs.
    #[serde(default)]
    pub grant_types: Option<Vec<String>>,
    #[serde(default)]
    pub scope: Option<String>,
}

/// A person who can log in.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    pub username: String,
    pub password: Confidential,
}

/// A client, ready to be acted as. No `Debug`: it holds its secret.
pub struct Client {
    pub id: String,
    pub redirect_uri: Option<String>,
    grant_types: Option<Vec<String>>,
    scope: Option<String>,
    authentication: Authentication,
}

enum Authentication {
    Basic(HeaderValue),
    Post(Confidential),
    None,
}

/// What is wrong with a client's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error("{0} has no client_secret, but authenticates by one")]
    NoSecret(String),
    #[error(
        "{client} authenticates by {method}: this can do client_secret_basic, client_secret_post \
         and none"
    )]
    Method { client: String, method: String },
}

impl Client {
    pub fn of(registration: Registration) -> Result<Self, ClientError> {
        let Registration { client_id: id, client_secret, .. } = registration;
        let default = if client_secret.is_some() { "client_secret_basic" } else { "none" };
        let method = registration.token_endpoint_auth_method.as_deref().unwrap_or(default);
        let secret = || client_secret.clone().ok_or_else(|| ClientError::NoSecret(id.clone()));
        let authentication = match method {
            "client_secret_basic" => Authentication::Basic(basic(&id, &secret()?)),
            "client_secret_post" => Authentication::Post(secret()?),
            "none" => Authentication::None,
            other => {
                return Err(ClientError::Method { client: id, method: other.to_owned() });
            }
        };
        Ok(Self {
            redirect_uri: registration.redirect_uris.into_iter().next(),
            grant_types: registration.grant_types,
            scope: registration.scope,
            authentication,
            id,
        })
    }

    /// May it get tokens this way?
    #[must_use]
    pub fn may(&self, grant_type: &str) -> bool {
        self.grant_types.as_ref().is_none_or(|own| own.iter().any(|own| own == grant_type))
    }

    /// Has it a secret, or can anybody call himself so?
    #[must_use]
    pub const fn is_confidential(&self) -> bool {
        !matches!(self.authentication, Authentication::None)
    }

    /// All that it may ask for.
    #[must_use]
    pub fn scope(&self) -> &str {
        self.scope.as_deref().unwrap_or("openid")
    }

    /// The same without refresh tokens: `offline_access` is left out.
    #[must_use]
    pub fn scope_online(&self) -> String {
        let online = self.scope().split(' ').filter(|value| *value != "offline_access");
        online.collect::<Vec<_>>().join(" ")
    }

    /// What a request of the client carries besides its form.
    #[must_use]
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match &self.authentication {
            Authentication::Basic(value) => Some((AUTHORIZATION, value.clone())),
            Authentication::Post(_) | Authentication::None => None,
        }
    }

    /// Writes into a form who the client is.
    #[expect(clippy::disallowed_methods, reason = "the server asks for the client's secret")]
    pub fn sign(&self, form: &mut FormText) {
        match &self.authentication {
            Authentication::Basic(_) => {}
            Authentication::Post(secret) => {
                form.append("client_id", &self.id);
                form.append("client_secret", secret.expose());
            }
            Authentication::None => {
                form.append("client_id", &self.id);
            }
        }
    }
}

/// RFC 6749 §2.3.1: both are form-encoded first.
#[expect(clippy::disallowed_methods, reason = "the server asks for the client's secret")]
fn basic(id: &str, secret: &Confidential) -> HeaderValue {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
    let text = format!("Basic {}", STANDARD.encode(pair));
    // Base64 is always good in a header.
    let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn client(registered: Value) -> Result<Client, ClientError> {
        Client::of(serde_json::from_value(registered).unwrap())
    }

    #[test]
    fn a_client_authenticates_as_it_is_registered() {
        let registered = json!({ "client_id": "a b", "client_secret": "s:ä" });
        let (_, value) = client(registered).unwrap().header().unwrap();
        let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(text).unwrap(), b"a+b:s%3A%C3%A4");
        assert!(value.is_sensitive());

        let method = "client_secret_post";
        let registered = json!({
            "client_id": "web", "client_secret": "s", "token_endpoint_auth_method": method,
        });
        let post = client(registered).unwrap();
        let mut form = FormText::default();
        post.sign(&mut form);
        assert_eq!(form.finish(), "client_id=web&client_secret=s");
        assert!(post.header().is_none() && post.is_confidential());

        let public = client(json!({ "client_id": "spa", "grant_types": ["x"] })).unwrap();
        assert!(!public.is_confidential());
        assert!(public.may("x") && !public.may("client_credentials"));
    }

    #[test]
    fn a_file_that_can_not_be_used_says_why() {
        let method = "private_key_jwt";
        let registered = json!({ "client_id": "web", "token_endpoint_auth_method": method });
        let said = client(registered).map(drop).unwrap_err();
        assert_eq!(
            said,
            ClientError::Method { client: "web".to_owned(), method: method.to_owned() }
        );
        let method = "client_secret_basic";
        let registered = json!({ "client_id": "web", "token_endpoint_auth_method": method });
        let said = client(registered).map(drop).unwrap_err();
        assert_eq!(said, ClientError::NoSecret("web".to_owned()));
    }

    #[test]
    fn a_code_flow_asks_for_no_refresh_token() {
        let registered = json!({ "client_id": "web", "scope": "openid offline_access read" });
        assert_eq!(client(registered).unwrap().scope_online(), "openid read");
        assert_eq!(client(json!({ "client_id": "web" })).unwrap().scope(), "openid");
    }

    #[test]
    fn secrets_are_not_shown() {
        let registered = json!({ "client_id": "web", "client_secret": "hush" });
        let registration: Registration = serde_json::from_value(registered).unwrap();
        assert!(!format!("{registration:?}").contains("hush"));
        let account: Account =
            serde_json::from_value(json!({ "username": "ada", "password": "hush" })).unwrap();
        assert!(!format!("{account:?}").contains("hush"));
    }
}
