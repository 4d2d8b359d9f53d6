//! Clients that register themselves, and look after their registration: RFC
//! 7591, RFC 7592, OpenID Connect Dynamic Client Registration.
//!
//! [`policy`] says what of the metadata asked for they get; [`statement`] what
//! others vouch for; [`sector`] looks at what a sector's hosts say.

mod policy;
pub mod sector;
mod statement;

use chancery_domain::client::{
    ClientCommand, ClientError, ClientMetadata, RegisteredClient, Registrar, Registration,
};
use chancery_domain::ids::ClientId;
use chancery_domain::registration_token::{
    Constraints, RegistrationTokenCommand, RegistrationTokenError,
};
use chancery_domain::secret::{Digest, InitialAccessToken, RegistrationAccessToken, Secret};
use chancery_domain::time::UnixTime;
use ipnet::IpNet;
use serde_json::{Map, Value};

use self::policy::Asked;
use crate::admin::{AdminError, NewSecret};
use crate::aggregates::{ExecuteError, Origin};
use crate::client_auth;
use crate::config::hooks::Point;
use crate::handles::Handle;
use crate::hooks::answers::RegistrationAnswer;
use crate::hooks::input::{self, Frame};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::secrets::{decode_secret, encode_secret};
use crate::services::Services;
use crate::stores::AppendError;

/// How often a decision is made again after a conflict.
const ATTEMPTS: usize = 8;

/// Why a request about registrations is refused.
#[derive(Debug)]
pub enum Refusal {
    /// It needs a token, and has none (RFC 6750 §3.1).
    NoToken,
    Error(OAuthError),
}

impl<E: Into<OAuthError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

fn invalid(why: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, why)
}

fn invalid_token() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidToken, "the token is invalid, expired, used or revoked")
}

/// A request to register (RFC 7591 §3.1).
pub struct Request<'a> {
    /// The initial access token, if there is one.
    pub token: Option<&'a str>,
    pub body: &'a [u8],
    pub request_id: String,
}

/// Registers a client; gives the answer of RFC 7591 §3.2.1.
pub async fn register(
    services: &Services,
    request: &Request<'_>,
) -> Result<Map<String, Value>, Refusal> {
    let admitted = Admitted::of(services, request.token).await?;
    let asked = ask_hooks(services, None, Asked::parse(request.body)?).await?;
    let statement = statement::verified(services, asked.statement(), None).await?;
    let constraints = &admitted.constraints;
    let mut metadata = policy::decide(services, asked, statement.as_ref(), constraints, None)?;
    let lifetime = services.config.registration.client_lifetime;
    if lifetime.seconds() > 0 && metadata.client_expires_at.is_none() {
        metadata.client_expires_at = Some(services.now() + lifetime);
    }
    sector::check(services, &metadata).await?;

    let client_id = ClientId::parse(&services.entropy.uuid_v4().simple().to_string())
        .map_err(|error| OAuthError::internal(&error))?;
    let access_token: Secret<RegistrationAccessToken> = services.entropy.secret();
    let registration = Registration {
        by: admitted.registrar(),
        software_statement_issuer: statement.map(|statement| statement.issuer),
        access_token: access_token.digest(),
    };
    let secret = if metadata.needs_secret() {
        Some(NewSecret::make(services, None, &metadata).await.map_err(failed)?)
    } else {
        None
    };
    for _ in 0..ATTEMPTS {
        let mut origin = Origin::client(&client_id);
        origin.request_id = Some(request.request_id.clone());
        let mut work = services.work(origin)?;
        admitted.count(services, &client_id, &mut work).await?;
        let record = match &secret {
            Some(secret) => {
                Some(secret.record(services, &client_id, 1, &mut work).await.map_err(failed)?)
            }
            None => None,
        };
        let command = ClientCommand::RegisterItself {
            client_id: client_id.clone(),
            metadata: metadata.clone().into(),
            secret: record,
            registration: registration.clone().into(),
            now: services.now(),
        };
        let id = client_id.as_str();
        services.clients.prepare(id, vec![command], &mut work).await.map_err(refused)?;
        match services.committer.append(work.append).await {
            Ok(_) => {
                admitted.forget(services);
                services.clients.forget(id);
                let folded = services.clients.get(id).await?;
                let client = folded.state.registered();
                let client = client.ok_or_else(|| OAuthError::internal(&"a lost registration"))?;
                let mut answer = described(services, client, &encode_secret(&access_token));
                if let Some(secret) = secret {
                    #[expect(clippy::disallowed_methods, reason = "this is its owner")]
                    let text = secret.shown().expose().to_owned();
                    answer.insert("client_secret".to_owned(), text.into());
                    answer.insert("client_secret_expires_at".to_owned(), 0.into());
                }
                return Ok(answer);
            }
            Err(AppendError::Conflict) => admitted.forget(services),
            Err(error) => return Err(error.into()),
        }
    }
    Err(OAuthError::busy().into())
}

/// The operator's hooks may refuse what is asked for, or change it. What comes of
/// it is looked at by the same rules as if the client had said it.
async fn ask_hooks(
    services: &Services,
    client: Option<&RegisteredClient>,
    asked: Asked,
) -> Result<Asked, OAuthError> {
    let Some(hooks) = services.hooks.at(Point::Registration, None) else { return Ok(asked) };
    let frame = Frame::of(services, client);
    let plain = asked.plain();
    let input = |_| input::registration(frame, &plain);
    let answer: RegistrationAnswer = hooks.ask(services, input).await?;
    Ok(asked.with(answer.metadata))
}

/// Who lets a client register.
struct Admitted {
    token: Option<Handle<InitialAccessToken>>,
    constraints: Constraints,
}

impl Admitted {
    async fn of(services: &Services, token: Option<&str>) -> Result<Self, Refusal> {
        let Some(token) = token else {
            if !services.config.registration.open {
                return Err(Refusal::NoToken);
            }
            return Ok(Self { token: None, constraints: Constraints::default() });
        };
        let handle = Handle::<InitialAccessToken>::decode(token).ok_or_else(invalid_token)?;
        let id = handle.owner.to_string();
        let folded = services.registration_tokens.fresh(&id).await?;
        let good = folded.state.good(&handle.secret.digest(), services.now());
        let constraints = good.map_err(|_| invalid_token())?.issued.constraints.clone();
        Ok(Self { token: Some(handle), constraints })
    }

    fn registrar(&self) -> Registrar {
        match &self.token {
            Some(handle) => Registrar::InitialToken(handle.owner),
            None => Registrar::Stranger,
        }
    }

    /// Counts the registration, in the append that brings the client: of two
    /// who use the last one at once, the store lets one through.
    async fn count(
        &self,
        services: &Services,
        client_id: &ClientId,
        work: &mut crate::aggregates::Work,
    ) -> Result<(), Refusal> {
        let Some(handle) = &self.token else { return Ok(()) };
        let command = RegistrationTokenCommand::Use {
            secret: handle.secret.digest(),
            client_id: client_id.clone(),
            now: services.now(),
        };
        let id = handle.owner.to_string();
        let counted = services.registration_tokens.prepare(&id, vec![command], work).await;
        counted.map_err(|error| match error {
            ExecuteError::Refused(
                RegistrationTokenError::Unknown
                | RegistrationTokenError::Exists
                | RegistrationTokenError::Useless
                | RegistrationTokenError::Revoked
                | RegistrationTokenError::Expired
                | RegistrationTokenError::UsedUp,
            ) => invalid_token().into(),
            error => Refusal::Error(error.into()),
        })
    }

    fn forget(&self, services: &Services) {
        if let Some(handle) = &self.token {
            services.registration_tokens.forget(&handle.owner.to_string());
        }
    }
}

/// A client that has shown the token of its own registration (RFC 7592 §2).
pub struct Managed {
    client: RegisteredClient,
    token: String,
    request_id: String,
}

impl Managed {
    /// Whose token is it? An unknown client and a wrong token look the same.
    pub async fn of(
        services: &Services,
        client_id: &str,
        token: Option<&str>,
        request_id: String,
    ) -> Result<Self, Refusal> {
        let token = token.ok_or(Refusal::NoToken)?;
        let digest: Option<Digest<RegistrationAccessToken>> =
            decode_secret(token).map(|secret| secret.digest());
        let client_id = ClientId::parse(client_id).map_err(|_| invalid_token())?;
        let folded = services.clients.get(client_id.as_str()).await?;
        let own = |client: &&RegisteredClient| {
            let registration = client.registration.as_ref().filter(|_| !client.deleted);
            let own = registration.map(|registration| registration.access_token);
            own.is_some() && own == digest
        };
        let client = folded.state.registered().filter(own).ok_or_else(invalid_token)?.clone();
        if !client.is_usable(services.now()) {
            let text = "the client is disabled or has expired";
            let error = OAuthError::new(ErrorCode::AccessDenied, text);
            return Err(OAuthError { status: Some(403), ..error }.into());
        }
        Ok(Self { client, token: token.to_owned(), request_id })
    }

    /// RFC 7592 §2.1
    #[must_use]
    pub fn read(&self, services: &Services) -> Map<String, Value> {
        described(services, &self.client, &self.token)
    }

    /// Replaces all that the client may set (RFC 7592 §2.2). The token stays
    /// the same, and so does the secret.
    pub async fn replace(
        &self,
        services: &Services,
        body: &[u8],
    ) -> Result<Map<String, Value>, Refusal> {
        let asked = Asked::parse(body)?;
        asked.check_identity(&self.client)?;
        // RFC 7592 §2.2: the present secret, or none.
        if let Some(secret) = asked.secret() {
            let own = match secret.as_str() {
                Some(secret) => client_auth::is_secret(services, &self.client, secret).await?,
                None => false,
            };
            if !own {
                return Err(invalid("client_secret is not the client's own").into());
            }
        }
        let asked = ask_hooks(services, Some(&self.client), asked).await?;
        let id = self.client.client_id.as_str();
        for _ in 0..ATTEMPTS {
            let folded = services.clients.fresh(id).await?;
            let client = folded.state.registered().ok_or_else(invalid_token)?;
            let registration = client.registration.as_ref().ok_or_else(invalid_token)?;
            let constraints = constraints(services, registration).await?;
            let statement = statement::verified(services, asked.statement(), Some(client)).await?;
            let metadata = policy::decide(
                services,
                asked.clone(),
                statement.as_ref(),
                &constraints,
                Some(&client.metadata),
            )?;
            let readable = ClientMetadata::needs_readable_secret;
            let other_secret = readable(&metadata) && !readable(&client.metadata);
            if metadata.needs_secret() && client.secrets.is_empty() || other_secret {
                let text = "a client can't change to what needs a secret, or one of another \
                            kind: register anew";
                return Err(invalid(text).into());
            }
            sector::check(services, &metadata).await?;
            let mut work = services.work(self.origin())?;
            let command = ClientCommand::ReplaceMetadata(metadata.into());
            services.clients.prepare(id, vec![command], &mut work).await.map_err(refused)?;
            if !work.append.events.is_empty() {
                match services.committer.append(work.append).await {
                    Ok(_) => {}
                    Err(AppendError::Conflict) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            let folded = services.clients.fresh(id).await?;
            let client = folded.state.registered().ok_or_else(invalid_token)?;
            return Ok(described(services, client, &self.token));
        }
        Err(OAuthError::busy().into())
    }

    /// RFC 7592 §2.3: the client is no more; the process manager ends its
    /// grants.
    pub async fn delete(&self, services: &Services) -> Result<(), Refusal> {
        let command = ClientCommand::Delete { now: services.now() };
        let work = services.work(self.origin())?;
        let id = self.client.client_id.as_str();
        match services.clients.execute(id, vec![command], work).await {
            Ok(_) => Ok(()),
            // Somebody was quicker.
            Err(ExecuteError::Refused(ClientError::Unknown)) => Err(invalid_token().into()),
            Err(error) => Err(Refusal::Error(error.into())),
        }
    }

    fn origin(&self) -> Origin {
        let mut origin = Origin::client(&self.client.client_id);
        origin.request_id = Some(self.request_id.clone());
        origin
    }
}

/// What the token that a client was registered by lets it have, still.
async fn constraints(
    services: &Services,
    registration: &Registration,
) -> Result<Constraints, OAuthError> {
    let Registrar::InitialToken(token) = &registration.by else {
        return Ok(Constraints::default());
    };
    let folded = services.registration_tokens.get(&token.to_string()).await?;
    Ok(folded.state.issued().map(|token| token.issued.constraints.clone()).unwrap_or_default())
}

/// What is registered (RFC 7591 §3.2.1, RFC 7592 §3).
fn described(services: &Services, client: &RegisteredClient, token: &str) -> Map<String, Value> {
    let metadata = &client.metadata;
    let mut all = match serde_json::to_value(metadata) {
        Ok(Value::Object(all)) => all,
        _ => Map::new(),
    };
    // What is left out in storage because it is the default.
    let algorithm = metadata.id_token_signed_response_alg;
    let algorithm = algorithm.unwrap_or(services.config.keys.signing_algorithm);
    let issuer = &services.config.server.issuer;
    for (name, value) in [
        ("application_type", metadata.application_type.as_str().into()),
        ("subject_type", metadata.subject_type.as_str().into()),
        ("id_token_signed_response_alg", algorithm.as_str().into()),
        ("client_id", client.client_id.as_str().into()),
        ("client_id_issued_at", client.registered_at.seconds().into()),
        ("registration_access_token", token.into()),
        (
            "registration_client_uri",
            issuer.endpoint(&format!("/register/{}", client.client_id)).into(),
        ),
    ] {
        let value: Value = value;
        all.insert(name.to_owned(), value);
    }
    all
}

fn refused(error: ExecuteError<ClientError>) -> OAuthError {
    match error {
        ExecuteError::Refused(ClientError::Metadata(error)) => policy::of_metadata(&error),
        ExecuteError::Refused(error @ ClientError::PrivilegedScope(_)) => {
            invalid(error.to_string())
        }
        ExecuteError::Refused(ClientError::Unknown) => invalid_token(),
        error => error.into(),
    }
}

fn failed(error: AdminError) -> OAuthError {
    match error {
        AdminError::Invalid(why) => invalid(why),
        AdminError::Unavailable(_) => OAuthError::busy(),
        error => OAuthError::internal(&error),
    }
}

/// The network that an address is counted with.
#[must_use]
pub fn network(address: Option<std::net::IpAddr>) -> IpNet {
    let address = address.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |own| own.to_canonical());
    let length = if address.is_ipv4() { 24 } else { 56 };
    IpNet::new(address, length).map_or(IpNet::from(address), |network| network.trunc())
}

/// Takes one registration from what a network may have in this minute.
pub fn admit(services: &Services, network: &IpNet, now: UnixTime) -> Result<(), OAuthError> {
    let limit = services.config.registration.per_minute;
    services.registration_budget.take(network, limit, now).map_err(|wait| {
        let text = "too many registrations come from your network; try again later";
        OAuthError::too_many(text, wait)
    })
}
