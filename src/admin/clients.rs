//! Operations on clients.

use chancery_domain::client::{
    Client, ClientCommand, ClientMetadata, RegisteredClient, SecretRecord,
};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::ClientId;
use chancery_domain::secret::{ClientSecret, Digest};
use chancery_domain::time::{Lifetime, UnixTime};
use serde_json::{Map, Value};

use super::{AdminError, ClientView, Confidential, NewClient, Outcome};
use crate::aggregates::{Folded, Kept as _, Origin, VaultError, Work};
use crate::events::limits;
use crate::passwords::Password;
use crate::registration::sector;
use crate::secrets::encode_client_secret;
use crate::services::Services;
use crate::stores::AppendError;
use crate::tokens::unsupported_algorithm;

/// How often a change is decided again after a conflict.
const ATTEMPTS: usize = 4;

/// A secret as it will be kept.
pub(crate) enum NewSecret {
    Generated {
        digest: Digest<ClientSecret>,
        text: Confidential,
    },
    /// One that a person chose, and its PHC string.
    Chosen {
        hash: String,
        text: Confidential,
    },
    /// One that the server must be able to read.
    Readable {
        text: Confidential,
    },
}

impl NewSecret {
    /// Makes one that does for what the client is registered for.
    pub(crate) async fn make(
        services: &Services,
        chosen: Option<&Confidential>,
        metadata: &ClientMetadata,
    ) -> Result<Self, AdminError> {
        let readable = metadata.needs_readable_secret();
        let Some(chosen) = chosen else {
            let secret = services.entropy.secret::<ClientSecret>();
            if readable {
                // Twice as long: HS512 wants 64 bytes (RFC 7518 §3.2).
                let more = services.entropy.secret::<ClientSecret>();
                let text = encode_client_secret(&secret) + encode_client_secret(&more).as_str();
                return Ok(Self::Readable { text: Confidential::new(text) });
            }
            let text = Confidential::new(encode_client_secret(&secret));
            return Ok(Self::Generated { digest: secret.digest(), text });
        };
        if readable {
            return Self::readable(chosen, metadata);
        }
        #[expect(clippy::disallowed_methods, reason = "it is hashed here")]
        let password = Password::new(chosen.expose());
        let hash = services.passwords.hash(&password).await?;
        Ok(Self::Chosen { hash, text: chosen.clone() })
    }

    fn readable(chosen: &Confidential, metadata: &ClientMetadata) -> Result<Self, AdminError> {
        #[expect(clippy::disallowed_methods, reason = "only its length matters")]
        let length = chosen.expose().len();
        let least = metadata.shortest_secret();
        if length < least {
            let why = format!(
                "the secret must have {least} bytes or more for what the client does with it; \
                 leave it out, and a good one is generated"
            );
            return Err(AdminError::Invalid(why));
        }
        Ok(Self::Readable { text: chosen.clone() })
    }

    /// What the event holds of it; seals the rest beside the event with this
    /// sequence.
    pub(crate) async fn record(
        &self,
        services: &Services,
        client_id: &ClientId,
        sequence: u64,
        work: &mut Work,
    ) -> Result<SecretRecord, AdminError> {
        let (value, record): (&str, fn(Sha256Digest) -> SecretRecord) = match self {
            Self::Generated { digest, .. } => return Ok(SecretRecord::Generated(*digest)),
            Self::Chosen { hash, .. } => (hash, SecretRecord::Chosen),
            #[expect(clippy::disallowed_methods, reason = "it is sealed here")]
            Self::Readable { text } => (text.expose(), SecretRecord::Sealed),
        };
        let stream = Client::stream(client_id.as_str());
        let key = match services.vault.key(&stream).await {
            Err(VaultError::Gone) => services.vault.new_key(&mut work.append, &stream, None)?,
            key => key?,
        };
        let append = &mut work.append;
        let sealed = services.vault.seal(append, &key, &stream, sequence, value.as_bytes())?;
        Ok(record(sealed))
    }

    /// What the operator is told, once.
    pub(crate) fn shown(self) -> Confidential {
        match self {
            Self::Generated { text, .. } | Self::Chosen { text, .. } | Self::Readable { text } => {
                text
            }
        }
    }
}

pub(super) async fn add(
    services: &Services,
    new: NewClient,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let NewClient { client_id, secret, metadata } = new;
    metadata.check().map_err(|error| AdminError::Invalid(error.to_string()))?;
    check_sector(services, &metadata, None).await?;
    check_algorithms(services, &metadata)?;
    check_hooks(services, &metadata)?;
    check_details(services, &metadata)?;
    let client_id = match client_id {
        Some(client_id) => client_id,
        None => ClientId::parse(&services.entropy.uuid_v4().simple().to_string())
            .map_err(|error| AdminError::Failed(error.to_string()))?,
    };
    let mut work = services.work(about(origin, &client_id))?;
    let needs_none = !metadata.needs_secret();
    let secret = match secret {
        Some(_) if needs_none => {
            let why = "this client has no use for a secret (it is public, or authenticates by a \
                       key of its own): leave it out, or choose another method";
            return Err(AdminError::Invalid(why.to_owned()));
        }
        None if needs_none => None,
        chosen => Some(NewSecret::make(services, chosen.as_ref(), &metadata).await?),
    };
    let record = match &secret {
        Some(secret) => Some(secret.record(services, &client_id, 1, &mut work).await?),
        None => None,
    };
    let command = ClientCommand::Register {
        client_id: client_id.clone(),
        metadata,
        secret: record,
        now: services.now(),
    };
    services
        .clients
        .execute(client_id.as_str(), vec![command], work)
        .await
        .map_err(|error| AdminError::of_client(error, client_id.as_str()))?;
    view(services, &client_id, secret).await
}

pub(super) async fn update(
    services: &Services,
    client_id: &ClientId,
    changes: &Map<String, Value>,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let origin = about(origin, client_id);
    for _ in 0..ATTEMPTS {
        let folded = services.clients.fresh(client_id.as_str()).await?;
        let client = registered(&folded, client_id)?;
        let metadata = changed(&client.metadata, changes)?;
        check_sector(services, &metadata, Some(&client.metadata)).await?;
        check_algorithms(services, &metadata)?;
        check_hooks(services, &metadata)?;
        check_details(services, &metadata)?;
        let work = services.work(origin.clone())?;
        let command = ClientCommand::ReplaceMetadata(metadata.into());
        if append(services, client_id, command, work).await? {
            return view(services, client_id, None).await;
        }
    }
    Err(AppendError::Conflict.into())
}

/// Asks the sector identifier, if it or the redirect URIs are new.
async fn check_sector(
    services: &Services,
    metadata: &ClientMetadata,
    before: Option<&ClientMetadata>,
) -> Result<(), AdminError> {
    let same = |before: &ClientMetadata| {
        before.sector_identifier_uri == metadata.sector_identifier_uri
            && before.redirect_uris == metadata.redirect_uris
    };
    if before.is_some_and(same) {
        return Ok(());
    }
    let checked = sector::check(services, metadata).await;
    checked.map_err(|error| AdminError::Invalid(error.description.into_owned()))
}

/// A client must not be promised signatures that the server can't make.
fn check_algorithms(services: &Services, metadata: &ClientMetadata) -> Result<(), AdminError> {
    let Some(member) = unsupported_algorithm(&services.keys.get(), metadata) else {
        return Ok(());
    };
    Err(AdminError::Invalid(format!(
        "{member}: the server has no key for this algorithm; name it in keys.extra_algorithms, or \
         make one (chancery key rotate --algorithm)"
    )))
}

/// A client whose hooks are not there would get nothing.
fn check_hooks(services: &Services, metadata: &ClientMetadata) -> Result<(), AdminError> {
    match metadata.hooks.iter().find(|name| services.hooks.get(name).is_none()) {
        Some(name) => {
            Err(AdminError::Invalid(format!("hooks: the settings have no [hooks.{name}]")))
        }
        None => Ok(()),
    }
}

/// A reader that is limited to events that there are not could read nothing.
fn check_details(services: &Services, metadata: &ClientMetadata) -> Result<(), AdminError> {
    let mut limits = metadata.authorization_details.events();
    let checked = limits.try_for_each(|access| limits::check(access, services.schemas()));
    checked.map_err(|error| AdminError::Invalid(format!("authorization_details: {error}")))
}

/// RFC 7396, one level deep.
fn changed(
    metadata: &ClientMetadata,
    changes: &Map<String, Value>,
) -> Result<ClientMetadata, AdminError> {
    let invalid = |error: serde_json::Error| AdminError::Invalid(error.to_string());
    let mut all = match serde_json::to_value(metadata).map_err(invalid)? {
        Value::Object(all) => all,
        other => Map::from_iter([(String::new(), other)]),
    };
    for (name, value) in changes {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    serde_json::from_value(Value::Object(all)).map_err(invalid)
}

/// How a secret is replaced.
pub(super) struct Rotation {
    pub secret: Option<Confidential>,
    pub keep_previous_for: Option<Lifetime>,
}

pub(super) async fn rotate_secret(
    services: &Services,
    client_id: &ClientId,
    rotation: Rotation,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let origin = about(origin, client_id);
    for _ in 0..ATTEMPTS {
        let folded = services.clients.fresh(client_id.as_str()).await?;
        let metadata = &registered(&folded, client_id)?.metadata;
        if !metadata.needs_secret() {
            let why = "this client has no secret: it is public, or authenticates by a key of its \
                       own";
            return Err(AdminError::Refused(why.to_owned()));
        }
        let secret = NewSecret::make(services, rotation.secret.as_ref(), metadata).await?;
        let mut work = services.work(origin.clone())?;
        let sequence = folded.head.sequence + 1;
        let record = secret.record(services, client_id, sequence, &mut work).await?;
        let previous_until = rotation.keep_previous_for.map(|time| services.now() + time);
        let command = ClientCommand::RotateSecret { secret: record, previous_until };
        if append(services, client_id, command, work).await? {
            return view(services, client_id, Some(secret)).await;
        }
    }
    Err(AppendError::Conflict.into())
}

pub(super) async fn disable(
    services: &Services,
    client_id: &ClientId,
    reason: String,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    execute(services, client_id, ClientCommand::Disable { reason }, origin).await
}

pub(super) async fn enable(
    services: &Services,
    client_id: &ClientId,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    execute(services, client_id, ClientCommand::Enable, origin).await
}

pub(super) async fn delete(
    services: &Services,
    client_id: &ClientId,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let command = ClientCommand::Delete { now: services.now() };
    execute(services, client_id, command, origin).await
}

async fn execute(
    services: &Services,
    client_id: &ClientId,
    command: ClientCommand,
    origin: Origin,
) -> Result<Outcome, AdminError> {
    let work = services.work(about(origin, client_id))?;
    // What is refused for what is remembered may be good for what is.
    services.clients.forget(client_id.as_str());
    services
        .clients
        .execute(client_id.as_str(), vec![command], work)
        .await
        .map_err(|error| AdminError::of_client(error, client_id.as_str()))?;
    view(services, client_id, None).await
}

/// Appends what was decided on the state just loaded; false after a conflict.
async fn append(
    services: &Services,
    client_id: &ClientId,
    command: ClientCommand,
    mut work: Work,
) -> Result<bool, AdminError> {
    let id = client_id.as_str();
    services
        .clients
        .prepare(id, vec![command], &mut work)
        .await
        .map_err(|error| AdminError::of_client(error, id))?;
    if work.append.events.is_empty() {
        return Ok(true);
    }
    match services.committer.append(work.append).await {
        Ok(_) => {
            services.clients.forget(id);
            Ok(true)
        }
        Err(AppendError::Conflict) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn view(
    services: &Services,
    client_id: &ClientId,
    secret: Option<NewSecret>,
) -> Result<Outcome, AdminError> {
    let folded = services.clients.get(client_id.as_str()).await?;
    let mut view = ClientView::of(registered(&folded, client_id)?);
    if let Some(secret) = secret {
        view.client_secret = Some(secret.shown());
        view.client_secret_expires_at = Some(UnixTime::from_seconds(0));
    }
    Ok(Outcome::Client(Box::new(view)))
}

fn registered<'a>(
    folded: &'a Folded<Client>,
    client_id: &ClientId,
) -> Result<&'a RegisteredClient, AdminError> {
    folded.state.registered().ok_or_else(|| AdminError::not_found("client", client_id))
}

fn about(origin: Origin, client_id: &ClientId) -> Origin {
    Origin { client_id: Some(client_id.clone()), ..origin }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_replace_whole_values_and_null_removes() {
        let metadata = ClientMetadata {
            client_name: Some("Web".to_owned()),
            scope: "openid email".parse().unwrap(),
            ..ClientMetadata::default()
        };
        let Value::Object(changes) = json!({
            "redirect_uris": ["https://rp.example/cb"], "client_name": null, "scope": "openid",
        }) else {
            panic!("an object")
        };
        let after = changed(&metadata, &changes).unwrap();
        assert_eq!(after.redirect_uris.len(), 1);
        assert_eq!(after.client_name, None);
        assert_eq!(after.scope.as_str(), "openid");
        assert_eq!(after.grant_types, metadata.grant_types);
    }

    #[test]
    fn a_value_of_another_shape_is_refused() {
        let Value::Object(changes) = json!({ "grant_types": "code" }) else { panic!("an object") };
        let error = changed(&ClientMetadata::default(), &changes).unwrap_err();
        assert!(matches!(error, AdminError::Invalid(_)), "{error}");
    }
}
