//! What waits to be sent, and who sends it.

use std::sync::Arc;
use std::time::Duration;

use chancery_domain::account::AccountError;
use tokio::sync::{Mutex, mpsc};

use super::{Letter, MailError, Mailer, address_for_resets, reset_letter};
use crate::accounts::{self, AccountFailure};
use crate::aggregates::Origin;
use crate::config::mail::Mail;
use crate::interaction::texts::Texts;
use crate::services::Services;
use crate::telemetry::trace::{self, Trace};

/// How much may wait.
const CAPACITY: usize = 256;

/// How long a letter that was not taken waits for the next try.
const WAITS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

/// Something that is done off the request's path.
pub enum Job {
    Send(Letter),
    /// Sends a link to choose a new password by, if there is such an account:
    /// whoever asks can't tell by the time of the answer.
    ForgottenPassword {
        username: String,
        origin: Box<Origin>,
        /// Of the request that asked for it.
        trace: Option<Trace>,
        texts: &'static Texts,
    },
}

/// Takes what is to be sent.
pub struct Outbox {
    mailer: Option<Mailer>,
    sender: mpsc::Sender<Job>,
    waiting: Mutex<mpsc::Receiver<Job>>,
}

impl Outbox {
    /// By these settings.
    pub fn new(settings: &Mail) -> Result<Self, MailError> {
        let (sender, waiting) = mpsc::channel(CAPACITY);
        Ok(Self { mailer: Mailer::new(settings)?, sender, waiting: Mutex::new(waiting) })
    }

    /// Is there a mail server?
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.mailer.is_some()
    }

    /// Takes something to do later; not if too much waits already.
    #[must_use]
    pub fn take(&self, job: Job) -> bool {
        self.sender.try_send(job).is_ok()
    }

    /// Sends a letter now.
    pub async fn deliver(&self, letter: &Letter) -> Result<(), MailError> {
        match &self.mailer {
            Some(mailer) => mailer.send(letter).await,
            None => Err(MailError::NoServer),
        }
    }

    /// Does what waits, for as long as the server runs.
    pub async fn work(services: Arc<Services>) {
        let mut waiting = services.mail.waiting.lock().await;
        while let Some(job) = waiting.recv().await {
            let letter = match job {
                Job::Send(letter) => Some(letter),
                Job::ForgottenPassword { username, origin, trace, texts } => {
                    let link = link_for(&services, &username, *origin, texts);
                    trace::because_of(trace, "password.link", link).await
                }
            };
            if let Some(letter) = letter {
                services.mail.keep_trying(&letter).await;
            }
        }
    }

    async fn keep_trying(&self, letter: &Letter) {
        let mut waits = WAITS.iter();
        loop {
            match self.deliver(letter).await {
                Ok(()) => return tracing::info!("a mail was sent"),
                Err(error @ MailError::NotNow(_)) => match waits.next() {
                    Some(wait) => {
                        tracing::warn!(%error, "a mail is tried again: {error}");
                        tokio::time::sleep(*wait).await;
                    }
                    None => return tracing::error!(%error, "a mail was given up: {error}"),
                },
                Err(error) => return tracing::error!(%error, "a mail was given up: {error}"),
            }
        }
    }
}

/// Opens a link for an account, if there is one that it can be sent to.
async fn link_for(
    services: &Services,
    username: &str,
    origin: Origin,
    texts: &Texts,
) -> Option<Letter> {
    let written = async {
        let found = accounts::find_by_name(services, username).await?;
        let Some(account) = found.as_ref().and_then(|folded| folded.state.registered()) else {
            return Ok(None);
        };
        let profile = accounts::profile(&services.vault, account).await?;
        let Some(to) = address_for_resets(&profile) else { return Ok(None) };
        let link = accounts::open_reset_link(services, account.subject, origin).await?;
        let url = accounts::reset_url(services, &link);
        Ok::<_, AccountFailure>(Some(reset_letter(to.to_owned(), &url, texts)))
    };
    match written.await {
        Ok(letter) => letter,
        Err(AccountFailure::Refused(AccountError::Locked | AccountError::Erased)) => None,
        Err(error) => {
            tracing::error!(%error, "a link could not be made: {error}");
            None
        }
    }
}
