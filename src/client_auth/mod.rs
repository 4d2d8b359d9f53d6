//! How clients prove who they are at the endpoints that they call themselves
//! (RFC 6749 §2.3). One file for each method; a method finds its credentials in
//! a request, or does not.

mod none;
mod secret_basic;
mod secret_post;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_domain::authorization::Parameters;
use chancery_domain::client::{Client, RegisteredClient, SecretRecord};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::ClientId;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::time::UnixTime;
use lru::LruCache;

use crate::aggregates::{Folded, Kept as _};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::passwords::Password;
use crate::secrets::client_secret_digest;
use crate::services::Services;
use crate::tally::What;

/// What a request says about its client.
struct Presented {
    client_id: String,
    method: ClientAuthMethod,
    secret: Option<String>,
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
    Ok(AuthenticatedClient::new(folded, services.now()))
}

/// Says who the client of a request is.
///
/// `authorization` is the request's `Authorization` header. An error is
/// `invalid_client` (RFC 6749 §5.2), or `invalid_request` for a request that
/// uses two methods at once.
pub async fn authenticate(
    services: &Services,
    authorization: Option<&str>,
    parameters: &Parameters<'_>,
) -> Result<AuthenticatedClient, OAuthError> {
    let refused = |refusal: Refusal, client: Option<&ClientId>| {
        services.tallies.count(What::ClientAuthenticationFailed, refusal.word(), client);
        if refusal == Refusal::SeveralMethods {
            return OAuthError::invalid_request("use one method of client authentication only");
        }
        OAuthError::new(ErrorCode::InvalidClient, "client authentication failed")
    };
    let presented = find(authorization, parameters).map_err(|refusal| refused(refusal, None))?;
    let client = known_client(services, &presented.client_id)
        .await?
        .ok_or_else(|| refused(Refusal::UnknownClient, None))?;
    match verify(services, &client, &presented).await? {
        None => Ok(client),
        Some(refusal) => Err(refused(refusal, Some(&client.client_id))),
    }
}

fn find(authorization: Option<&str>, parameters: &Parameters<'_>) -> Result<Presented, Refusal> {
    let in_header = authorization.and_then(secret_basic::find).transpose()?;
    let in_form = secret_post::find(parameters)?;
    let client_id = parameters.once("client_id").map_err(|_| Refusal::SeveralMethods)?;
    match (in_header, in_form) {
        (Some(_), Some(_)) => Err(Refusal::SeveralMethods),
        (Some(header), None) if client_id.is_some_and(|other| other != header.client_id) => {
            Err(Refusal::SeveralMethods)
        }
        (Some(presented), None) | (None, Some(presented)) => Ok(presented),
        (None, None) => none::find(parameters).ok_or(Refusal::Missing),
    }
}

async fn verify(
    services: &Services,
    client: &RegisteredClient,
    presented: &Presented,
) -> Result<Option<Refusal>, OAuthError> {
    if !client.metadata.auth_methods().any(|method| method == presented.method) {
        return Ok(Some(Refusal::WrongMethod));
    }
    let Some(secret) = &presented.secret else { return Ok(None) };
    let digest = client_secret_digest(secret);
    for current in client.secrets_at(services.now()) {
        let right = match &current.record {
            SecretRecord::Generated(own) => digest.is_some_and(|presented| presented == *own),
            SecretRecord::Chosen(commitment) => {
                let hash = chosen_hash(services, client, current.sequence, *commitment).await?;
                services.passwords.verify_client_secret(&Password::new(secret), &hash).await?
            }
        };
        if right {
            return Ok(None);
        }
    }
    Ok(Some(Refusal::WrongSecret))
}

/// The hashes of secrets that people chose, by the commitment in the event: a
/// client sends its secret with every request.
pub struct ChosenHashes(Mutex<LruCache<Sha256Digest, Arc<str>>>);

impl Default for ChosenHashes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(const { NonZeroUsize::new(1000).unwrap() })))
    }
}

/// The PHC string of a chosen secret, unsealed once.
async fn chosen_hash(
    services: &Services,
    client: &RegisteredClient,
    sequence: u64,
    commitment: Sha256Digest,
) -> Result<Arc<str>, OAuthError> {
    let kept = || services.chosen_hashes.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hash) = kept().get(&commitment) {
        return Ok(Arc::clone(hash));
    }
    let stream = Client::stream(client.client_id.as_str());
    let hash = services.vault.open(&stream, sequence, commitment).await?;
    let hash: Arc<str> = String::from_utf8_lossy(&hash).into();
    kept().put(commitment, Arc::clone(&hash));
    Ok(hash)
}

/// The methods that this server has, for its metadata.
#[must_use]
pub fn methods() -> &'static [ClientAuthMethod] {
    &[ClientAuthMethod::None, ClientAuthMethod::SecretBasic, ClientAuthMethod::SecretPost]
}
