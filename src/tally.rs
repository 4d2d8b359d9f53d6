//! Counts what strangers do, in windows: a window's counts are one event, and
//! a window in which nothing happened is none.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chancery_domain::ids::ClientId;
use chancery_domain::tally::{Count, Tally, TallyCommand, WindowCounted};
use chancery_domain::time::{Lifetime, UnixTime};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::aggregates::{Folded, Kept as _, Origin, decide};
use crate::services::Services;
use crate::telemetry::metrics::Refusal;

/// How long a window is.
pub const WINDOW: Lifetime = Lifetime::from_seconds(60);

/// How many different things one window tells apart; what is beyond is counted
/// together.
const KINDS: usize = 256;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    AuthorizationRequestRefused,
    AuthorizationRequestAbandoned,
    LoginFailed,
    ClientAuthenticationFailed,
    TokenRequestRefused,
    PushRefused,
    RegistrationRefused,
    HookFailed,
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationRequestRefused => "authorization_request_refused",
            Self::AuthorizationRequestAbandoned => "authorization_request_begun",
            Self::LoginFailed => "login_failed",
            Self::ClientAuthenticationFailed => "client_authentication_failed",
            Self::TokenRequestRefused => "token_request_refused",
            Self::PushRefused => "push_refused",
            Self::RegistrationRefused => "registration_refused",
            Self::HookFailed => "hook_failed",
        }
    }
}

type Kind = (What, Cow<'static, str>, Option<ClientId>);

/// The counts of the window that is open.
pub struct Tallies {
    open: Mutex<BTreeMap<Kind, u64>>,
    /// The same for the operator, by what is counted alone.
    refusals: Family<Refusal, Counter>,
}

impl Tallies {
    /// Counts here, and there.
    #[must_use]
    pub fn new(refusals: Family<Refusal, Counter>) -> Self {
        Self { open: Mutex::default(), refusals }
    }

    /// Counts one. The client is named only if it is a registered one.
    pub fn count(
        &self,
        what: What,
        reason: impl Into<Cow<'static, str>>,
        client: Option<&ClientId>,
    ) {
        self.refusals.get_or_create(&Refusal { what: what.as_str() }).inc();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (what, reason.into(), client.cloned());
        let kind = if open.len() >= KINDS && !open.contains_key(&kind) {
            (what, Cow::Borrowed("other"), None)
        } else {
            kind
        };
        *open.entry(kind).or_default() += 1;
    }

    fn take(&self) -> Vec<Count> {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        open.into_iter()
            .map(|((what, reason, client), count)| Count {
                what: what.as_str().to_owned(),
                reason: reason.into_owned(),
                client_id: client.map(|id| id.to_string()),
                count,
            })
            .collect()
    }
}

/// Closes the open window: appends its counts, if there are any.
pub async fn close_window(services: &Services, from: UnixTime) {
    let counts = services.tallies.take();
    if counts.is_empty() {
        return;
    }
    let length = services.now().since(from);
    let day = from.seconds().div_euclid(86_400);
    let stream = Tally::stream(&format!("{}-{day}", services.node));
    let window = WindowCounted { from, length, counts };
    let written = async {
        let folded = Folded::<Tally>::load(&*services.store, &stream).await?;
        let decided = decide(&folded.state, vec![TallyCommand::Count(window)]).await;
        let Ok((_, events)) = decided;
        let mut work = services.work(Origin::system("tally"))?;
        work.add(&stream, folded.head, &events)?;
        services.committer.append(work.append).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    if let Err(error) = written.await {
        tracing::warn!(%error, "a window of counts was lost: {error}");
    }
}
