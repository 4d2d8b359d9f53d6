//! Is this the person's password? Slowed down, and in the same time for a name
//! that nobody has.

use chancery_domain::account::RegisteredAccount;
use chancery_domain::envelope::ActorKind;
use chancery_domain::ids::{ClientId, SubjectId};

use super::context::Visit;
use super::device::Device;
use super::texts::Texts;
use super::throttle::{Attempt, Network, Wait};
use crate::accounts;
use crate::aggregates::Origin;
use crate::oauth_error::OAuthError;
use crate::passwords::{Password, PasswordError, needs_rehash};
use crate::services::Services;
use crate::tally::What;

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    UnknownAccount,
    Locked,
    WrongPassword,
    SlowedDown(Wait),
    /// Passwords can't be checked at the moment.
    Unavailable,
}

impl Failure {
    /// Counts it; the client is the one that waits for the login.
    pub fn count(self, services: &Services, client_id: Option<&ClientId>) {
        let word = match self {
            Self::UnknownAccount => "unknown_account",
            Self::Locked => "account_locked",
            Self::WrongPassword => "wrong_password",
            Self::SlowedDown(_) => "slowed_down",
            Self::Unavailable => "unavailable",
        };
        services.tallies.count(What::LoginFailed, word, client_id);
    }

    /// What somebody is told whose account is known, and who is asked for its
    /// password once more.
    #[must_use]
    pub fn message(self, t: &Texts) -> String {
        match self {
            Self::UnknownAccount | Self::Locked | Self::WrongPassword => {
                t.wrong_password.to_owned()
            }
            Self::SlowedDown(Wait(wait)) => t.wait(wait.seconds()),
            Self::Unavailable => t.unavailable.to_owned(),
        }
    }
}

/// An attempt of this browser with this name.
#[must_use]
pub fn attempt(visit: &Visit, device: &Device, username: &str) -> Attempt {
    let account = accounts::name_digest(&visit.keys.get().names, username);
    Attempt { account, network: Network::from(visit.address), device: device.known_for(&account) }
}

/// Is this the account's password? An attempt too many is not even looked at.
pub async fn judge(
    services: &Services,
    attempt: &Attempt,
    username: &str,
    password: &Password,
) -> Result<SubjectId, Failure> {
    services.throttle.admit(attempt, services.now()).map_err(Failure::SlowedDown)?;
    let judged = verify(services, username, password).await;
    match &judged {
        Ok(_) => services.throttle.succeeded(attempt),
        Err(Failure::Unavailable) => services.throttle.not_judged(attempt),
        Err(_) => {}
    }
    judged
}

/// Takes as long for a name that nobody has as for one that somebody has.
async fn verify(
    services: &Services,
    username: &str,
    password: &Password,
) -> Result<SubjectId, Failure> {
    let folded = accounts::find_by_name(services, username).await.map_err(unavailable)?;
    let account: Option<&RegisteredAccount> =
        folded.as_ref().and_then(|folded| folded.state.registered());
    let hash = match account {
        None => None,
        Some(account) => {
            accounts::password_hash(&services.vault, account).await.map_err(unavailable)?
        }
    };
    let right = match &hash {
        Some(hash) => services.passwords.verify(password, hash).await,
        None => services.passwords.verify_nobodys(password).await,
    };
    let right = match right {
        Ok(right) => right,
        Err(PasswordError::TooLong) => false,
        Err(error) => return Err(unavailable(error)),
    };
    let subject = match account {
        None => return Err(Failure::UnknownAccount),
        Some(_) if !right => return Err(Failure::WrongPassword),
        Some(account) if !account.is_usable() => return Err(Failure::Locked),
        Some(account) => account.subject,
    };
    if hash.as_deref().is_some_and(needs_rehash) {
        renew_hash(services, subject, password).await;
    }
    Ok(subject)
}

/// Hashes a right password by today's parameters. Where that fails, the next
/// login tries again.
async fn renew_hash(services: &Services, subject: SubjectId, password: &Password) {
    let renewed = async {
        let hash = services.passwords.hash(password).await?;
        let origin = Origin { subject: Some(subject), ..Origin::of(ActorKind::System, None) };
        accounts::rehash_password(services, subject, &hash, &services.work(origin)?).await?;
        Ok::<_, OAuthError>(())
    };
    if let Err(error) = renewed.await {
        tracing::warn!(%error, "a password could not be hashed anew: {error}");
    }
}

/// The log says why.
fn unavailable(error: impl Into<OAuthError>) -> Failure {
    let _ = error.into();
    Failure::Unavailable
}
