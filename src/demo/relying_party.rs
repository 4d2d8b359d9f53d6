//! The demo's side of the protocols: what any relying party does, over HTTP.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::ids::GrantId;
use chancery_domain::secret::{AccessToken, RequestUri};
use chancery_domain::time::UnixTime;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::id_token::{Expected, IdTokenError, Subject, check};
use super::page::{DemoCall, DemoExchange, DemoTokens};
use super::session::{Attempt, Granted};
use super::{CALLBACK, CLIENT_ID, CLIENT_SECRET, SCOPE};
use crate::config::server::Server;
use crate::handles::{DerivedHandle, Handle, TokenRef};
use crate::jose::JwkSet;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Why the demo can't go on. What the server refuses is none of these: it is an
/// exchange.
#[derive(Debug, thiserror::Error)]
pub enum PartyError {
    #[error("the server could not be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("the server's answer is longer than {LONGEST} bytes")]
    TooLong,
    #[error("the server's answer is not what its standard says")]
    Unreadable,
    /// RFC 8414 §3.3
    #[error("the metadata are those of another issuer")]
    OtherIssuer,
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
}

/// A client of one authorization server.
pub struct RelyingParty {
    http: reqwest::Client,
    issuer: String,
    provider: OnceCell<Provider>,
}

/// What the demo needs of the server metadata (RFC 8414 §2).
#[derive(Deserialize)]
struct Provider {
    issuer: String,
    authorization_endpoint: String,
    pushed_authorization_request_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    jwks_uri: String,
}

/// RFC 6749 §5.1
#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    token_type: String,
    expires_in: i64,
    refresh_token: Option<String>,
    scope: Option<String>,
    id_token: Option<String>,
}

/// A request that the client makes with its secret.
type Parameters = Vec<(String, String)>;

impl RelyingParty {
    /// A client of the server that listens there.
    pub fn new(server: &Server) -> Result<Self, reqwest::Error> {
        crate::outbound::crypto_provider();
        let mut http = reqwest::Client::builder()
            .redirect(Policy::none())
            // Where a proxy is set for the rest of the world, it has no way to
            // this machine's loopback.
            .no_proxy()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE);
        // `localhost` is what this server listens on, whatever else the
        // resolver makes of it.
        if let Some(url::Host::Domain(name)) = server.issuer.url().host() {
            http = http.resolve_to_addrs(name, &server.addresses());
        }
        Ok(Self {
            http: http.build()?,
            issuer: server.issuer.as_str().to_owned(),
            provider: OnceCell::new(),
        })
    }

    /// The demo's redirect URI.
    fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK}", self.issuer)
    }

    async fn provider(&self) -> Result<&Provider, PartyError> {
        let discover = async || {
            let url = format!("{}/.well-known/openid-configuration", self.issuer);
            let provider: Provider = self.document(&url).await?;
            if provider.issuer == self.issuer { Ok(provider) } else { Err(PartyError::OtherIssuer) }
        };
        self.provider.get_or_try_init(discover).await
    }

    /// Pushes the request of an attempt (RFC 9126); the `request_uri`, if the
    /// server took it.
    pub async fn push(
        &self,
        attempt: &mut Attempt,
    ) -> Result<(DemoExchange, Option<String>), PartyError> {
        #[derive(Deserialize)]
        struct Pushed {
            request_uri: String,
        }
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
        let redirect_uri = self.redirect_uri();
        let scope = format!("openid profile email offline_access {}", SCOPE.0);
        let parameters = parameters(&[
            ("response_type", "code"),
            ("redirect_uri", &redirect_uri),
            ("scope", &scope),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let url = &self.provider().await?.pushed_authorization_request_endpoint;
        let exchange = self.post(DemoCall::Push, url, parameters).await?;
        if exchange.status != Some(201) {
            return Ok((exchange, None));
        }
        let Pushed { request_uri } = read(&exchange)?;
        attempt.grant =
            Handle::<RequestUri>::from_request_uri(&request_uri).map(|handle| handle.owner);
        Ok((exchange, Some(request_uri)))
    }

    /// Where the browser goes with a pushed request (RFC 9126 §4).
    pub async fn authorization_url(&self, request_uri: &str) -> Result<String, PartyError> {
        let endpoint = &self.provider().await?.authorization_endpoint;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", CLIENT_ID), ("request_uri", request_uri)])
            .finish();
        Ok(format!("{endpoint}?{query}"))
    }

    /// The way through the browser, as an exchange: what came back.
    pub async fn authorization(&self, response: &Parameters) -> Result<DemoExchange, PartyError> {
        let answer: serde_json::Map<_, _> =
            response.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        Ok(DemoExchange {
            call: DemoCall::Authorize,
            method: "GET",
            url: self.provider().await?.authorization_endpoint.clone(),
            parameters: parameters(&[("client_id", CLIENT_ID), ("request_uri", "…")]),
            status: None,
            answer: serde_json::value::to_raw_value(&answer).ok(),
        })
    }

    /// Is this the issuer that an authorization response must name (RFC 9207
    /// §2.4)?
    pub fn is_issuer(&self, iss: Option<&str>) -> bool {
        iss == Some(self.issuer.as_str())
    }

    /// Redeems the code that an attempt has brought (RFC 6749 §4.1.3), and
    /// checks whom the answer is about.
    pub async fn redeem(
        &self,
        attempt: &Attempt,
        code: &str,
        now: UnixTime,
    ) -> Result<(DemoExchange, Option<Result<Granted, PartyError>>), PartyError> {
        let redirect_uri = self.redirect_uri();
        let parameters = parameters(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &attempt.verifier),
        ]);
        let exchange = self.token(DemoCall::Redeem, parameters).await?;
        if exchange.status != Some(200) {
            return Ok((exchange, None));
        }
        let granted = self.granted(attempt, &exchange, now).await;
        Ok((exchange, Some(granted)))
    }

    async fn granted(
        &self,
        attempt: &Attempt,
        exchange: &DemoExchange,
        now: UnixTime,
    ) -> Result<Granted, PartyError> {
        let response: TokenResponse = read(exchange)?;
        let id_token = response.id_token.as_deref().ok_or(PartyError::Unreadable)?;
        let subject = self.check(id_token, Subject::Nonce(&attempt.nonce), now).await?;
        let grant = grant_of(&response.access_token).or(attempt.grant);
        Ok(Granted { grant, subject, tokens: tokens(response, now), revoked: false })
    }

    /// Trades the refresh token for new tokens (RFC 6749 §6).
    pub async fn refresh(
        &self,
        granted: &mut Granted,
        refresh_token: &str,
        now: UnixTime,
    ) -> Result<DemoExchange, PartyError> {
        let parameters =
            parameters(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]);
        let exchange = self.token(DemoCall::Refresh, parameters).await?;
        if exchange.status != Some(200) {
            return Ok(exchange);
        }
        let mut new = tokens(read(&exchange)?, now);
        // The server has used up the old one: the new one is kept even if the
        // ID token beside it should be wrong.
        new.refresh_token = new.refresh_token.or_else(|| granted.tokens.refresh_token.take());
        let old_id_token = std::mem::replace(&mut granted.tokens, new).id_token;
        match granted.tokens.id_token.take() {
            Some(id_token) => {
                self.check(&id_token, Subject::Same(&granted.subject), now).await?;
                granted.tokens.id_token = Some(id_token);
            }
            None => granted.tokens.id_token = old_id_token,
        }
        Ok(exchange)
    }

    /// Asks for the claims of the person (OpenID Connect Core §5.3).
    pub async fn userinfo(&self, access_token: &str) -> Result<DemoExchange, PartyError> {
        let url = &self.provider().await?.userinfo_endpoint;
        let response = self.http.get(url).bearer_auth(access_token).send().await?;
        exchange(DemoCall::Userinfo, "GET", url, Vec::new(), response).await
    }

    /// Asks whether a token still holds (RFC 7662).
    pub async fn introspect(&self, access_token: &str) -> Result<DemoExchange, PartyError> {
        let parameters =
            parameters(&[("token", access_token), ("token_type_hint", "access_token")]);
        let url = &self.provider().await?.introspection_endpoint;
        self.post(DemoCall::Introspect, url, parameters).await
    }

    /// Gives a token back (RFC 7009).
    pub async fn revoke(&self, token: &str, hint: &str) -> Result<DemoExchange, PartyError> {
        let parameters = parameters(&[("token", token), ("token_type_hint", hint)]);
        let url = &self.provider().await?.revocation_endpoint;
        self.post(DemoCall::Revoke, url, parameters).await
    }

    /// Gets a token for the demo itself (RFC 6749 §4.4), and the grant that it
    /// belongs to.
    pub async fn client_credentials(&self) -> Result<(DemoExchange, Option<GrantId>), PartyError> {
        let parameters = parameters(&[("grant_type", "client_credentials"), ("scope", SCOPE.0)]);
        let exchange = self.token(DemoCall::ClientCredentials, parameters).await?;
        if exchange.status != Some(200) {
            return Ok((exchange, None));
        }
        let response: TokenResponse = read(&exchange)?;
        Ok((exchange, grant_of(&response.access_token)))
    }

    async fn token(
        &self,
        call: DemoCall,
        parameters: Parameters,
    ) -> Result<DemoExchange, PartyError> {
        self.post(call, &self.provider().await?.token_endpoint, parameters).await
    }

    /// Posts a form, with the client's secret beside it (RFC 6749 §2.3.1).
    async fn post(
        &self,
        call: DemoCall,
        url: &str,
        parameters: Parameters,
    ) -> Result<DemoExchange, PartyError> {
        let request = self.http.post(url).basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
        let response = request.form(&parameters).send().await?;
        exchange(call, "POST", url, parameters, response).await
    }

    /// Checks an ID token by the keys that the server publishes just now.
    async fn check(
        &self,
        id_token: &str,
        subject: Subject<'_>,
        now: UnixTime,
    ) -> Result<String, PartyError> {
        let keys: JwkSet = self.document(&self.provider().await?.jwks_uri).await?;
        let expected = Expected { issuer: &self.issuer, client_id: CLIENT_ID, subject, now };
        Ok(check(id_token, &keys, expected)?)
    }

    async fn document<T: DeserializeOwned>(&self, url: &str) -> Result<T, PartyError> {
        let response = self.http.get(url).send().await?.error_for_status()?;
        serde_json::from_slice(&body(response).await?).map_err(|_| PartyError::Unreadable)
    }
}

async fn exchange(
    call: DemoCall,
    method: &'static str,
    url: &str,
    parameters: Parameters,
    response: reqwest::Response,
) -> Result<DemoExchange, PartyError> {
    let status = Some(response.status().as_u16());
    // An answer that is no JSON is shown as none: revocation has an empty one.
    let answer = serde_json::from_slice::<Box<RawValue>>(&body(response).await?).ok();
    Ok(DemoExchange { call, method, url: url.to_owned(), parameters, status, answer })
}

async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, PartyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            return Err(PartyError::TooLong);
        }
    }
    Ok(body)
}

fn read<T: DeserializeOwned>(exchange: &DemoExchange) -> Result<T, PartyError> {
    let answer = exchange.answer.as_ref().ok_or(PartyError::Unreadable)?;
    serde_json::from_str(answer.get()).map_err(|_| PartyError::Unreadable)
}

fn parameters(pairs: &[(&str, &str)]) -> Parameters {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn tokens(response: TokenResponse, now: UnixTime) -> DemoTokens {
    DemoTokens {
        access_token: response.access_token,
        id_token: response.id_token,
        refresh_token: response.refresh_token,
        token_type: response.token_type,
        scope: response.scope,
        expires_at: now.seconds().saturating_add(response.expires_in),
    }
}

/// The grant that an access token belongs to. No relying party should look into
/// one; the demo does, to show the grant's events.
fn grant_of(access_token: &str) -> Option<GrantId> {
    #[derive(Deserialize)]
    struct Claims {
        jti: String,
    }
    if let Some(opaque) = DerivedHandle::<AccessToken>::decode(access_token) {
        return Some(opaque.grant);
    }
    let claims = URL_SAFE_NO_PAD.decode(access_token.split('.').nth(1)?).ok()?;
    let Claims { jti } = serde_json::from_slice(&claims).ok()?;
    Some(TokenRef::decode(&jti)?.grant)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_grant_of_an_access_token_is_found_in_either_form() {
        let grant = GrantId::from_uuid(Uuid::from_bytes([7; 16]));
        let jti = TokenRef { grant, number: 3 }.encode();
        let claims = URL_SAFE_NO_PAD.encode(json!({ "jti": jti }).to_string());
        assert_eq!(grant_of(&format!("e30.{claims}.c2ln")), Some(grant));

        let secret = chancery_domain::secret::Secret::from_bytes([9; 32]);
        let opaque = DerivedHandle::<AccessToken> { grant, number: 1, secret };
        assert_eq!(grant_of(&opaque.encode()), Some(grant));

        for stranger in ["", "abc", "e30.e30.e30", "a.b.c"] {
            assert_eq!(grant_of(stranger), None, "{stranger}");
        }
    }
}
