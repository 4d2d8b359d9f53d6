//! What is sealed beside events, for whoever may see it. Who saw what, and why,
//! is recorded for each person before anything leaves.
//!
//! Secrets are sealed too (password hashes, `state`, tokens): those are nobody's
//! to see, and are not here.

use std::collections::BTreeMap;

use chancery_domain::account::{AccountEvent, Profile};
use chancery_domain::authorization::{AuthorizationRequest, SealedParameters};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::envelope::ActorKind;
use chancery_domain::event::AnyEvent;
use chancery_domain::grant::GrantEvent;
use chancery_domain::ids::{GrantId, SubjectId};
use chancery_domain::session::SessionEvent;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::at;
use crate::accounts::{self, AccountFailure};
use crate::actors::grant::GrantFailure;
use crate::aggregates::{LoadError, Origin, VaultError};
use crate::feed::decode;
use crate::interaction::session::Circumstances;
use crate::services::Services;
use crate::stores::{StoreError, StoredEvent};
use crate::tokens::Added;

/// What was sealed beside an event, opened. It has no `Debug`, since it is about somebody.
pub struct Opened {
    pub stored: StoredEvent,
    /// Whose it is; none: nobody's, or of somebody who never logged in.
    pub subject: Option<SubjectId>,
    /// By name; empty: there is nothing, or it is gone.
    pub values: Map<String, Value>,
}

/// Why nothing was opened.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// There is no event at this position that the reader may see.
    #[error("there is no such event")]
    NoEvent(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(VaultError),
    #[error(transparent)]
    Account(#[from] AccountFailure),
    #[error("{0}")]
    Failed(String),
}

impl From<LoadError> for SealedError {
    fn from(error: LoadError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<GrantFailure> for SealedError {
    fn from(error: GrantFailure) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Opens what is sealed beside the events at these positions, in this reader's name and for this
/// reason. Only events that `may_see` lets through are there.
pub async fn open(
    services: &Services,
    positions: &[u64],
    (reader, reason): (&str, &str),
    may_see: impl Fn(&StoredEvent) -> bool,
) -> Result<Vec<Opened>, SealedError> {
    let mut all = Vec::with_capacity(positions.len());
    for position in positions {
        let stored = at(&*services.store, *position).await?.filter(&may_see);
        let stored = stored.ok_or(SealedError::NoEvent(*position))?;
        all.push(Opened::of(services, stored).await?);
    }
    let mut seen = BTreeMap::<SubjectId, Vec<String>>::new();
    for opened in &all {
        let Some(subject) = opened.subject.filter(|_| !opened.values.is_empty()) else { continue };
        let names = seen.entry(subject).or_default();
        for name in opened.values.keys() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    for (subject, what) in seen {
        let origin = Origin::of(ActorKind::Operator, Some(reader.to_owned()));
        accounts::note_read(services, subject, what, reason, origin).await?;
    }
    Ok(all)
}

impl Opened {
    async fn of(services: &Services, stored: StoredEvent) -> Result<Self, SealedError> {
        let read = Unsealing { services, stored: &stored }.values().await?;
        let mut opened = match read {
            None => return Ok(Self { stored, subject: None, values: Map::new() }),
            Some((subject, values)) => Self { stored, subject, values },
        };
        // What is nobody's yet could not be told to anybody.
        let usable = match opened.subject {
            None => false,
            Some(subject) => {
                let account = services.accounts.fresh(&subject.to_string()).await?;
                account.state.registered().is_some_and(|account| account.erasure.is_none())
            }
        };
        if !usable {
            opened.values.clear();
        }
        Ok(opened)
    }
}

/// Opens what is sealed beside one event.
struct Unsealing<'a> {
    services: &'a Services,
    stored: &'a StoredEvent,
}

type Found = Option<(Option<SubjectId>, Map<String, Value>)>;

impl Unsealing<'_> {
    async fn values(&self) -> Result<Found, SealedError> {
        let recorded =
            decode(self.stored).map_err(|error| SealedError::Failed(error.to_string()))?;
        Ok(match recorded.event {
            AnyEvent::Account(AccountEvent::AccountRegistered(event)) => {
                self.profile(Some(event.subject), event.profile).await?
            }
            AnyEvent::Account(AccountEvent::ProfileReplaced(event)) => {
                let subject = self.stored.event.stream.id.parse().ok();
                self.profile(subject, event.profile).await?
            }
            AnyEvent::Session(SessionEvent::SessionStarted(event)) => {
                let subject = event.authentication.subject;
                let Some(commitment) = event.circumstances else { return Ok(None) };
                let Some(found) = self.beside::<Circumstances>(commitment).await? else {
                    return Ok(None);
                };
                Some((
                    Some(subject),
                    told([
                        ("address", found.address.map(Value::from)),
                        ("user_agent", found.user_agent.map(Value::from)),
                    ]),
                ))
            }
            AnyEvent::Grant(event) => self.of_grant(&event).await?,
            _ => None,
        })
    }

    async fn profile(
        &self,
        subject: Option<SubjectId>,
        commitment: Sha256Digest,
    ) -> Result<Found, SealedError> {
        let Some(profile) = self.beside::<Profile>(commitment).await? else { return Ok(None) };
        let mut values = told([("username", Some(Value::from(profile.username)))]);
        values.extend(profile.claims);
        Ok(Some((subject, values)))
    }

    async fn of_grant(&self, event: &GrantEvent) -> Result<Found, SealedError> {
        let values = match event {
            GrantEvent::RequestPushed(event) => self.request(&event.request).await?,
            GrantEvent::RequestReceived(event) => self.request(&event.request).await?,
            other => match other.added_claims() {
                None => return Ok(None),
                Some(commitment) => self.added(commitment).await?,
            },
        };
        let Ok(id) = self.stored.event.stream.id.parse::<GrantId>() else { return Ok(None) };
        let grant = self.services.grants.look_for(id, |grant| grant.subject().is_some()).await?;
        Ok(Some((grant.subject(), values)))
    }

    /// `state` and `nonce` are secrets of client and browser, and an `id_token_hint` is a token.
    async fn request(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<Map<String, Value>, SealedError> {
        let Some(commitment) = request.sealed else { return Ok(Map::new()) };
        let found = self.beside::<SealedParameters>(commitment).await?;
        let Some(SealedParameters { login_hint, custom, claims, .. }) = found else {
            return Ok(Map::new());
        };
        let claims = claims.and_then(|claims| serde_json::to_value(claims).ok());
        let mut values = told([("login_hint", login_hint.map(Value::from)), ("claims", claims)]);
        values.extend(custom.into_iter().map(|(name, value)| (name, value.into())));
        Ok(values)
    }

    /// What hooks added to tokens.
    async fn added(&self, commitment: Sha256Digest) -> Result<Map<String, Value>, SealedError> {
        let stream = &self.stored.event.stream;
        let opened = self.services.vault.open_apart(stream, commitment).await;
        let Some(added) = read::<Added>(opened)? else { return Ok(Map::new()) };
        let mut values = added.access;
        values.extend(added.id);
        Ok(values)
    }

    async fn beside<T: DeserializeOwned>(
        &self,
        commitment: Sha256Digest,
    ) -> Result<Option<T>, SealedError> {
        let event = &self.stored.event;
        read(self.services.vault.open(&event.stream, event.sequence, commitment).await)
    }
}

fn read<T: DeserializeOwned>(
    opened: Result<Vec<u8>, VaultError>,
) -> Result<Option<T>, SealedError> {
    match opened {
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .map_err(|_| SealedError::Failed("a sealed value can't be read".to_owned())),
        Err(VaultError::Gone) => Ok(None),
        Err(error) => Err(SealedError::Vault(error)),
    }
}

fn told<const N: usize>(values: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let there = values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    there.collect()
}
