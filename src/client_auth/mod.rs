//! How clients prove who they are at the endpoints that they call themselves
//! (RFC 6749 §2.3). One file for each method; a method finds its credentials in
//! a request, or does not.

mod none;
mod private_key_jwt;
mod secret_basic;
mod secret_jwt;
mod secret_post;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use chancery_domain::authorization::Parameters;
use chancery_domain::client::{Client, RegisteredClient, SecretRecord};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::time::UnixTime;
use futures_util::future::BoxFuture;
use lru::LruCache;

use crate::aggregates::{Folded, Kept as _};
use crate::assertions::{self, Arrival, Claims, Fault};
use crate::claims::{Scopes, scopes};
use crate::http::oauth::metadata::ServerMetadata;
use crate::jose::{SharedSecret, Unverified};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::passwords::Password;
use crate::secrets::client_secret_digest;
use crate::services::Services;
use crate::tally::What;

/// One method.
struct Method {
    name: ClientAuthMethod,
    /// Looks for its credentials.
    find: fn(&Sent<'_>) -> Result<Option<Presented>, Refusal>,
    /// Are they the client's? None: they are.
    verify: for<'a> fn(Attempt<'a>) -> BoxFuture<'a, Result<Option<Refusal>, OAuthError>>,
    /// What its assertions may be signed by.
    algorithms: &'static [SigningAlgorithm],
}

/// Every method but `none`, which is what is left where no other has found
/// anything.
const METHODS: &[Method] =
    &[secret_basic::METHOD, secret_post::METHOD, secret_jwt::METHOD, private_key_jwt::METHOD];

/// A request to one of the endpoints that clients call themselves.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// Its `Authorization` header.
    pub authorization: Option<&'a str>,
    pub parameters: &'a Parameters<'a>,
    /// The endpoint's path below the issuer.
    pub path: &'a str,
}

/// What a request says about its client.
struct Presented {
    client_id: String,
    /// The secret or the assertion; empty for a public client.
    credential: String,
}

/// Credentials of a client that is registered for their method.
struct Attempt<'a> {
    services: &'a Services,
    client: &'a RegisteredClient,
    credential: &'a str,
    path: &'a str,
}

/// Why a client is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Nothing in the request says who the client is.
    Missing,
    /// Two methods at once (RFC 6749 §2.3), or two identifiers.
    SeveralMethods,
    /// The header can't be read.
    MalformedHeader,
    /// No such client, or it is disabled or has expired.
    UnknownClient,
    /// The client is registered for another method.
    WrongMethod,
    /// The secret is not the client's.
    WrongSecret,
    /// The assertion can't be read, is of an unknown kind, or its signature or
    /// algorithm is not the client's.
    BadAssertion,
    /// The client's keys can't be had.
    NoKeys,
    /// Only a digest of the client's secret is kept, and a MAC needs the secret:
    /// it was made before the client could use one.
    UnreadableSecret,
    /// What the assertion says is not good.
    Assertion(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Assertion(fault)
    }
}

impl Refusal {
    const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::SeveralMethods => "several_methods",
            Self::MalformedHeader => "malformed_header",
            Self::UnknownClient => "unknown_client",
            Self::WrongMethod => "wrong_method",
            Self::WrongSecret => "wrong_secret",
            Self::BadAssertion => "bad_assertion",
            Self::NoKeys => "no_keys",
            Self::UnreadableSecret => "unreadable_secret",
            Self::Assertion(Fault::Client) => "assertion_of_another",
            Self::Assertion(Fault::Audience) => "assertion_audience",
            Self::Assertion(Fault::Time) => "assertion_time",
            Self::Assertion(Fault::NoId) => "assertion_without_jti",
            Self::Assertion(Fault::Replayed) => "assertion_replayed",
        }
    }
}

/// A client that has proved who it is (or is public, and needs no proof).
#[derive(Clone)]
pub struct AuthenticatedClient(Arc<Folded<Client>>);

impl AuthenticatedClient {
    /// Wraps a client that may be used.
    fn new(folded: Arc<Folded<Client>>, now: UnixTime) -> Option<Self> {
        folded.state.registered().filter(|client| client.is_usable(now))?;
        Some(Self(folded))
    }
}

impl std::ops::Deref for AuthenticatedClient {
    type Target = RegisteredClient;

    #[expect(clippy::expect_used, reason = "`new` lets only registered clients in")]
    fn deref(&self) -> &RegisteredClient {
        self.0.state.registered().expect("a registered client")
    }
}

/// A registered, enabled client, not authenticated: for the authorization
/// endpoint.
pub async fn known_client(
    services: &Services,
    client_id: &str,
) -> Result<Option<AuthenticatedClient>, OAuthError> {
    let Ok(client_id) = ClientId::parse(client_id) else { return Ok(None) };
    let folded = services.clients.get(client_id.as_str()).await?;
    let folded = without_privileges(&scopes(services), folded);
    Ok(AuthenticatedClient::new(folded, services.now()))
}

/// A client that registered itself has no privileged scope, even one that was
/// made so after it had registered.
fn without_privileges(scopes: &Scopes, folded: Arc<Folded<Client>>) -> Arc<Folded<Client>> {
    let Some(client) = folded.state.registered() else { return folded };
    let privileged = |name: &str| scopes.is_privileged(name);
    if !client.is_self_registered() || !client.metadata.scope.iter().any(privileged) {
        return folded;
    }
    let mut client = client.clone();
    client.metadata.scope = scopes.unprivileged(&client.metadata.scope);
    let state = Client::Registered(Box::new(client));
    Arc::new(Folded { state, head: folded.head })
}

/// Says who the client of a request is.
///
/// An error is `invalid_client` (RFC 6749 §5.2), or `invalid_request` for a
/// request that uses two methods at once.
pub async fn authenticate(
    services: &Services,
    sent: Sent<'_>,
) -> Result<AuthenticatedClient, OAuthError> {
    let refused = |refusal: Refusal, client: Option<&ClientId>| {
        services.tallies.count(What::ClientAuthenticationFailed, refusal.word(), client);
        if refusal == Refusal::SeveralMethods {
            return OAuthError::invalid_request("use one method of client authentication only");
        }
        OAuthError::new(ErrorCode::InvalidClient, "client authentication failed")
    };
    let (method, presented) = find(&sent).map_err(|refusal| refused(refusal, None))?;
    let client = known_client(services, &presented.client_id)
        .await?
        .ok_or_else(|| refused(Refusal::UnknownClient, None))?;
    if !client.metadata.auth_methods().any(|own| own == method.name) {
        return Err(refused(Refusal::WrongMethod, Some(&client.client_id)));
    }
    let attempt =
        Attempt { services, client: &client, credential: &presented.credential, path: sent.path };
    match (method.verify)(attempt).await? {
        None => Ok(client),
        Some(refusal) => Err(refused(refusal, Some(&client.client_id))),
    }
}

fn find(sent: &Sent<'_>) -> Result<(&'static Method, Presented), Refusal> {
    let client_id = sent.parameters.once("client_id").map_err(|_| Refusal::SeveralMethods)?;
    let mut found = None;
    for method in METHODS {
        let Some(presented) = (method.find)(sent)? else { continue };
        if found.is_some() {
            return Err(Refusal::SeveralMethods);
        }
        found = Some((method, presented));
    }
    let Some((method, presented)) = found else {
        let presented = (none::METHOD.find)(sent)?.ok_or(Refusal::Missing)?;
        return Ok((&none::METHOD, presented));
    };
    if client_id.is_some_and(|other| other != presented.client_id) {
        // RFC 7521 §4.2 for assertions; else the request names two clients.
        return Err(match method.algorithms {
            [] => Refusal::SeveralMethods,
            _ => Refusal::Assertion(Fault::Client),
        });
    }
    Ok((method, presented))
}

async fn verify_secret(attempt: Attempt<'_>) -> Result<Option<Refusal>, OAuthError> {
    let right = is_secret(attempt.services, attempt.client, attempt.credential).await?;
    Ok((!right).then_some(Refusal::WrongSecret))
}

/// Is this text the client's secret?
pub async fn is_secret(
    services: &Services,
    client: &RegisteredClient,
    secret: &str,
) -> Result<bool, OAuthError> {
    let digest = client_secret_digest(secret);
    for current in client.secrets_at(services.now()) {
        let right = match &current.record {
            SecretRecord::Generated(own) => digest.is_some_and(|presented| presented == *own),
            SecretRecord::Chosen(commitment) => {
                let hash = unsealed(services, client, current.sequence, *commitment).await?;
                services.passwords.verify_client_secret(&Password::new(secret), &hash).await?
            }
            SecretRecord::Sealed(commitment) => {
                let own = unsealed(services, client, current.sequence, *commitment).await?;
                verify_slices_are_equal(secret.as_bytes(), own.as_bytes()).is_ok()
            }
        };
        if right {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The client's secrets that are good now, the newest first, for what needs the
/// secrets themselves: MACs and symmetric encryption (OpenID Connect Core
/// §10.1, §10.2). Those of which only a digest is kept are not among them.
pub async fn readable_secrets(
    services: &Services,
    client: &RegisteredClient,
) -> Result<Vec<SharedSecret>, OAuthError> {
    let mut readable = Vec::new();
    for current in client.secrets_at(services.now()) {
        if let SecretRecord::Sealed(commitment) = current.record {
            let text = unsealed(services, client, current.sequence, commitment).await?;
            readable.push(SharedSecret::new(text.as_bytes()));
        }
    }
    Ok(readable)
}

/// Looks at what an assertion says, now that its signature is good, and uses it
/// up.
async fn verify_claims(
    attempt: &Attempt<'_>,
    claims: &Claims,
) -> Result<Option<Refusal>, OAuthError> {
    let Attempt { services, client, path, .. } = *attempt;
    let endpoint = services.config.server.issuer.endpoint(path);
    let arrival = Arrival { endpoint: &endpoint, now: services.now() };
    let profile = client.metadata.security_profile;
    if let Err(fault) = claims.check(services, &client.client_id, profile, arrival) {
        return Ok(Some(fault.into()));
    }
    let used = claims.use_up(services, &client.client_id).await?;
    Ok(used.err().map(Refusal::from))
}

/// A client assertion, if the method uses its algorithm.
fn find_assertion(
    sent: &Sent<'_>,
    is_mine: fn(&SigningAlgorithm) -> bool,
) -> Result<Option<Presented>, Refusal> {
    let once = |name| sent.parameters.once(name).map_err(|_| Refusal::SeveralMethods);
    let (kind, assertion) = (once("client_assertion_type")?, once("client_assertion")?);
    let Some(assertion) = assertion else {
        return if kind.is_some() { Err(Refusal::BadAssertion) } else { Ok(None) };
    };
    if kind != Some(assertions::TYPE) {
        return Err(Refusal::BadAssertion);
    }
    let unverified = Unverified::parse(assertion).map_err(|_| Refusal::BadAssertion)?;
    let algorithm = unverified.alg().ok_or(Refusal::BadAssertion)?;
    if !is_mine(&algorithm) {
        return Ok(None);
    }
    let claims: Claims = unverified.claims().map_err(|_| Refusal::BadAssertion)?;
    let client_id = claims.client().ok_or(Refusal::Assertion(Fault::Client))?.to_owned();
    Ok(Some(Presented { client_id, credential: assertion.to_owned() }))
}

/// What is sealed of clients' secrets, by the commitment in the event: a client
/// sends its secret with every request.
pub struct UnsealedSecrets(Mutex<LruCache<Sha256Digest, Arc<str>>>);

impl Default for UnsealedSecrets {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(const { NonZeroUsize::new(1000).unwrap() })))
    }
}

/// The PHC string of a chosen secret, or a secret that must be read; unsealed
/// once.
async fn unsealed(
    services: &Services,
    client: &RegisteredClient,
    sequence: u64,
    commitment: Sha256Digest,
) -> Result<Arc<str>, OAuthError> {
    let kept = || services.unsealed_secrets.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = kept().get(&commitment) {
        return Ok(Arc::clone(text));
    }
    let stream = Client::stream(client.client_id.as_str());
    let text = services.vault.open(&stream, sequence, commitment).await?;
    let text: Arc<str> = String::from_utf8_lossy(&text).into();
    kept().put(commitment, Arc::clone(&text));
    Ok(text)
}

/// The methods that this server has, for its metadata.
#[must_use]
pub fn methods() -> Vec<ClientAuthMethod> {
    let of = |method: &Method| method.name;
    std::iter::once(&none::METHOD).chain(METHODS).map(of).collect()
}

/// Describes the authentication of clients at an endpoint; `public`: those that
/// have no credentials may call it, too.
pub fn describe(metadata: &mut ServerMetadata<'_>, endpoint: &str, public: Public) {
    let mut methods = methods();
    if public == Public::Refused {
        methods.retain(|method| *method != ClientAuthMethod::None);
    }
    let algorithms: Vec<_> = METHODS.iter().flat_map(|method| method.algorithms).collect();
    metadata.set(&format!("{endpoint}_endpoint_auth_methods_supported"), &methods);
    metadata.set(&format!("{endpoint}_endpoint_auth_signing_alg_values_supported"), &algorithms);
}

/// May public clients call an endpoint?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Public {
    Welcome,
    Refused,
}
