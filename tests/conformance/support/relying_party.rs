//! A relying party: what clients say to the server's endpoints.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};

use super::people::{REDIRECT_URI, VERIFIER};
use super::{Answer, TestServer};

/// A client of the server.
#[derive(Clone)]
pub struct RelyingParty {
    http: Client,
    address: String,
    pub client_id: String,
    pub secret: Option<String>,
    method: ClientAuthMethod,
}

/// Parameters of a request.
pub type Form<'a> = [(&'a str, &'a str)];

/// Parameters as a form has them.
pub fn form(parameters: &Form<'_>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

impl RelyingParty {
    /// A client of the server at this address.
    pub fn new(address: &str, client_id: &str, method: ClientAuthMethod) -> Self {
        chancery::outbound::crypto_provider();
        Self {
            http: Client::builder().redirect(Policy::none()).no_proxy().build().unwrap(),
            address: address.to_owned(),
            client_id: client_id.to_owned(),
            secret: None,
            method,
        }
    }

    pub fn with_secret(self, secret: &str) -> Self {
        Self { secret: Some(secret.to_owned()), ..self }
    }

    /// The same client, authenticating by another method than it registered.
    pub fn by(&self, method: ClientAuthMethod) -> Self {
        Self { method, ..self.clone() }
    }

    /// The same client, talking to this node.
    pub fn at(&self, node: &TestServer) -> Self {
        Self { address: node.address.clone(), ..self.clone() }
    }

    /// A request without anything that says who it comes from.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.address))
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// A form without anything that says who it comes from.
    pub fn form(&self, path: &str, parameters: &Form<'_>) -> RequestBuilder {
        self.request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(parameters))
    }

    /// A form, with the client's authentication.
    pub async fn post(&self, path: &str, parameters: &Form<'_>) -> Answer {
        self.try_post(path, parameters).await.unwrap()
    }

    /// The same to a server that may end before it has answered.
    pub async fn try_post(&self, path: &str, parameters: &Form<'_>) -> reqwest::Result<Answer> {
        let secret = self.secret.as_deref().unwrap_or_default();
        let mut parameters = parameters.to_vec();
        let mut authorization = None;
        match self.method {
            ClientAuthMethod::None => parameters.push(("client_id", &self.client_id)),
            ClientAuthMethod::SecretPost => {
                parameters.push(("client_id", &self.client_id));
                parameters.push(("client_secret", secret));
            }
            ClientAuthMethod::SecretJwt | ClientAuthMethod::PrivateKeyJwt => {
                panic!("the test makes its own assertion")
            }
            ClientAuthMethod::SecretBasic => authorization = Some(basic(&self.client_id, secret)),
        }
        let mut request = self.form(path, &parameters);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        Answer::try_of(request.send().await?).await
    }

    /// RFC 9126 §2.1
    pub async fn push(&self, parameters: &Form<'_>) -> Answer {
        self.post("/par", parameters).await
    }

    /// Where a browser is sent to begin (RFC 6749 §4.1.1).
    pub fn authorize_url(&self, parameters: &Form<'_>) -> String {
        let client_id = [("client_id", &*self.client_id)];
        format!("{}/authorize?{}", self.address, form(&[&client_id, parameters].concat()))
    }

    /// The same for a request that is pushed first (RFC 9126 §4).
    pub async fn pushed_url(&self, parameters: &Form<'_>) -> String {
        let pushed = self.push(parameters).await.succeeded(201);
        self.authorize_url(&[("request_uri", pushed["request_uri"].as_str().unwrap())])
    }

    /// RFC 6749 §4.1.3, with the verifier of [`super::good_request`].
    pub async fn redeem(&self, code: &str) -> Answer {
        self.redeem_but(code, &[]).await
    }

    /// The same with some parameters replaced or added; left out where they are
    /// empty.
    pub async fn redeem_but(&self, code: &str, changes: &Form<'_>) -> Answer {
        self.try_redeem(code, changes).await.unwrap()
    }

    /// The same from a server that may end before it has answered.
    pub async fn try_redeem(&self, code: &str, changes: &Form<'_>) -> reqwest::Result<Answer> {
        let mut parameters = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        parameters.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        parameters.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        self.try_post("/token", &parameters).await
    }

    /// RFC 6749 §6
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.refresh_for(refresh_token, &[]).await
    }

    /// The same with more parameters.
    pub async fn refresh_for(&self, refresh_token: &str, more: &Form<'_>) -> Answer {
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.post("/token", &[&refresh, more].concat()).await
    }

    /// OpenID Connect Core §5.3.1
    pub async fn userinfo(&self, access_token: &str) -> Answer {
        let request = self.request(Method::GET, "/userinfo").bearer_auth(access_token);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Is the token alive, as its own client is told?
    pub async fn is_alive(&self, token: &str) -> bool {
        self.introspect(token).await.ok()["active"].as_bool().unwrap()
    }

    /// RFC 6749 §4.4.2
    pub async fn client_credentials(&self, parameters: &Form<'_>) -> Answer {
        let grant_type = [("grant_type", "client_credentials")];
        self.post("/token", &[&grant_type, parameters].concat()).await
    }

    /// RFC 7662 §2.1
    pub async fn introspect(&self, token: &str) -> Answer {
        self.post("/introspect", &[("token", token)]).await
    }

    /// RFC 7009 §2.1
    pub async fn revoke(&self, token: &str) -> Answer {
        self.post("/revoke", &[("token", token)]).await
    }
}

/// RFC 6749 §2.3.1: both parts are form-encoded first.
pub fn basic(client_id: &str, secret: &str) -> String {
    let encoded =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret))))
}

/// The claims of a JWT whose signature is good by a key that the server
/// publishes.
pub async fn verified(client: &RelyingParty, jwt: &str) -> serde_json::Value {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    let keys: JwkSet = serde_json::from_value(client.get("/jwks").await.json()).unwrap();
    let header = decode_header(jwt).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("a published key");
    let mut validation = Validation::new(header.alg);
    // The server's clock is not the machine's.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    decode(jwt, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}
