//! Hooks: scripts and webhooks of the operator, asked before the server does
//! something. They may refuse, narrow and add; what the server decides by, they
//! can't touch, and events they don't write.
//!
//! [`script`] and [`webhook`] are the two kinds; [`input`] says what each point
//! tells them, [`answers`] what they may say. A point asks in two steps: is
//! there anybody to ask ([`Hooks::at`], which costs next to nothing where there
//! is not), and what do they say ([`Asked::ask`]).

pub mod answers;
mod convert;
mod failure;
pub mod input;
pub mod script;
mod state;
pub mod webhook;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chancery_domain::client::RegisteredClient;
use chancery_domain::ids::ClientId;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use self::answers::{Answer, read, reason};
pub use self::failure::{Failure, Kind};
use self::script::{Script, ScriptError};
use self::state::Counters;
pub use self::state::{HookState, LastFailure};
use self::webhook::{Webhook, World};
use crate::config::hooks::{Clients, Hook as Settings, OnFailure, Point};
use crate::outbound::standard_webhooks::{BadSecret, Signer};
use crate::services::Services;
use crate::tally::What;

/// How often the files of scripts are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How many runs of one script may go on beside the requests, and how many calls of
/// one webhook.
const SCRIPTS_AT_ONCE: usize = 4;
const CALLS_AT_ONCE: usize = 64;

/// Why the hooks can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HookSetupError {
    #[error("hooks.{name}: {source}")]
    Script { name: String, source: ScriptError },
    #[error("hooks.{name}: {source}")]
    Secret { name: String, source: BadSecret },
    #[error("hooks.{name}: there is neither a script nor a webhook with a secret")]
    Nothing { name: String },
}

/// Why a request does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A hook says so, for this reason.
    Denied(String),
    /// A hook that has to be asked could not be.
    Unanswered,
}

/// All hooks.
pub struct Hooks {
    by_name: BTreeMap<String, Arc<Hook>>,
    by_point: BTreeMap<Point, Vec<Arc<Hook>>>,
}

/// One hook.
pub struct Hook {
    name: String,
    settings: Settings,
    how: How,
    /// For what goes on beside the requests.
    permits: Arc<Semaphore>,
    counters: Counters,
}

enum How {
    Script {
        path: PathBuf,
        current: RwLock<Arc<Script>>,
        /// Of the file that was read last.
        seen: Mutex<Stamp>,
    },
    Webhook(Webhook),
}

impl Hooks {
    /// Reads and compiles the scripts.
    pub fn new(settings: &BTreeMap<String, Settings>) -> Result<Self, HookSetupError> {
        let mut by_name = BTreeMap::new();
        let mut by_point = BTreeMap::<_, Vec<_>>::new();
        for (name, settings) in settings {
            let hook = Arc::new(Hook::new(name, settings)?);
            for point in &settings.on {
                by_point.entry(*point).or_default().push(Arc::clone(&hook));
            }
            by_name.insert(name.clone(), hook);
        }
        Ok(Self { by_name, by_point })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Hook> {
        self.by_name.values().map(|hook| &**hook)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Hook> {
        self.by_name.get(name).map(|hook| &**hook)
    }

    /// Who is asked at this point, in the name of this client; none: nobody.
    #[must_use]
    pub fn at(&self, point: Point, client: Option<&RegisteredClient>) -> Option<Asked<'_>> {
        let named = client.map_or(&[][..], |client| &client.metadata.hooks);
        let here = self.by_point.get(&point);
        if here.is_none() && named.is_empty() {
            return None;
        }
        let applies =
            |hook: &&Arc<Hook>| hook.settings.clients == Clients::All || named.contains(&hook.name);
        let hooks: Vec<_> = here.into_iter().flatten().filter(applies).collect();
        // A client that names a hook relies on it.
        let is_missing = named.iter().any(|name| !self.by_name.contains_key(name));
        if hooks.is_empty() && !is_missing {
            return None;
        }
        Some(Asked { hooks, is_missing, client: client.map(|client| client.client_id.clone()) })
    }

    /// Takes scripts whose files have changed, for as long as it is waited for.
    /// Says so, when one did that the metadata depend on.
    pub async fn follow(&self, discovery_changed: impl Fn()) {
        let scripts: Vec<_> =
            self.by_name.values().filter(|hook| matches!(hook.how, How::Script { .. })).collect();
        if scripts.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            for hook in &scripts {
                if hook.renew().await && hook.settings.on.contains(&Point::Discovery) {
                    discovery_changed();
                }
            }
        }
    }
}

/// When a file was last changed, and how long it is; none: it can't be said.
type Stamp = Option<(std::time::SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Hook {
    fn new(name: &str, settings: &Settings) -> Result<Self, HookSetupError> {
        let name = name.to_owned();
        let how = match (&settings.script, &settings.url, settings.secret()) {
            (Some(file), ..) => {
                // Looked at before: what changes while it is read is read again.
                let seen = Mutex::new(stamp(&file.path));
                let script = Script::read(&file.path)
                    .map_err(|source| HookSetupError::Script { name: name.clone(), source })?;
                let current = RwLock::new(Arc::new(script));
                How::Script { path: file.path.clone(), current, seen }
            }
            (None, Some(url), Some(secret)) => {
                let signer = Signer::new(secret)
                    .map_err(|source| HookSetupError::Secret { name: name.clone(), source })?;
                How::Webhook(Webhook::new(url.0.clone(), signer))
            }
            (None, ..) => return Err(HookSetupError::Nothing { name }),
        };
        let at_once = match how {
            How::Script { .. } => SCRIPTS_AT_ONCE,
            How::Webhook(_) => CALLS_AT_ONCE,
        };
        let permits = Arc::new(Semaphore::new(at_once));
        let settings = settings.clone();
        Ok(Self { name, settings, how, permits, counters: Counters::default() })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How it stands on this node.
    #[must_use]
    pub fn state(&self) -> HookState {
        let (kind, place, slow) = match &self.how {
            How::Script { path, current, .. } => {
                let current = current.read().unwrap_or_else(PoisonError::into_inner);
                ("script", path.display().to_string(), current.is_slow())
            }
            How::Webhook(webhook) => ("webhook", webhook.place(), false),
        };
        self.counters.state(&self.name, &self.settings, (kind, place, slow))
    }

    /// Asks it once; what it says is not looked at.
    pub async fn run(
        &self,
        point: Point,
        input: &Arc<Value>,
        world: World<'_>,
    ) -> Result<Value, Failure> {
        let deadline = Instant::now() + self.timeout();
        let late = || Failure::new(Kind::TookTooLong, "it took longer than its timeout_ms");
        let current = match &self.how {
            How::Webhook(webhook) => {
                let call = async {
                    let _permit = self.permits.acquire().await;
                    webhook.call(point, input, world).await
                };
                return timeout(self.timeout(), call).await.unwrap_or_else(|_| Err(late()));
            }
            How::Script { current, .. } => current,
        };
        let script = Arc::clone(&current.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(result) = script.run_briefly(point, input) {
            return result;
        }
        let permit = timeout(self.timeout(), Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| late())?;
        let input = Arc::clone(input);
        let run = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            script.run(point, &input, deadline.saturating_duration_since(Instant::now()))
        });
        run.await.unwrap_or_else(|_| Err(Failure::new(Kind::Failed, "its thread ended")))
    }

    /// Asks a script once, in this thread: for where nothing can be waited for.
    fn run_now(&self, point: Point, input: &Value) -> Result<Value, Failure> {
        match &self.how {
            How::Script { current, .. } => {
                let script = Arc::clone(&current.read().unwrap_or_else(PoisonError::into_inner));
                script.run(point, input, self.timeout())
            }
            How::Webhook(_) => Err(Failure::new(Kind::Failed, "only a script can be asked here")),
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.settings.timeout_ms.into())
    }

    /// Takes its script anew, if its file has changed. One that is wrong changes
    /// nothing, but its state says so.
    async fn renew(&self) -> bool {
        let How::Script { path, current, seen } = &self.how else { return false };
        let before = *seen.lock().unwrap_or_else(PoisonError::into_inner);
        let path = path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let now = stamp(&path);
            (now != before).then(|| (now, Script::read(&path)))
        });
        let read = match read.await {
            Ok(Some((now, read))) => {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
                read
            }
            Ok(None) | Err(_) => return false,
        };
        let problem = match read {
            Ok(script) => {
                let missing = self.settings.on.iter().find(|point| !script.has(**point));
                match missing {
                    None => {
                        *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
                        tracing::info!(
                            hook.name = self.name,
                            "the hook {} was read again",
                            self.name
                        );
                        self.counters.reloaded(None);
                        return true;
                    }
                    Some(point) => format!("no function for the point {}", point.as_str()),
                }
            }
            Err(error) => error.to_string(),
        };
        tracing::error!(
            hook.name = self.name,
            error = problem,
            "the hook {} has changed and is wrong, so it stays as it was: {problem}",
            self.name
        );
        self.counters.reloaded(Some(problem));
        false
    }
}

/// Those who are asked at one point.
pub struct Asked<'a> {
    hooks: Vec<&'a Arc<Hook>>,
    is_missing: bool,
    client: Option<ClientId>,
}

impl Asked<'_> {
    /// Does one of them see the claims about the person?
    #[must_use]
    pub fn sees_claims(&self) -> bool {
        self.hooks.iter().any(|hook| hook.settings.sees_claims)
    }

    /// Asks all of them, one after the other: what they say together, or why
    /// the request does not go on.
    pub async fn ask<A: Answer>(
        &self,
        services: &Services,
        input: impl Fn(Sight) -> Value,
    ) -> Result<A, Refusal> {
        let world = World {
            outbound: &services.outbound,
            clock: &*services.clock,
            entropy: &*services.entropy,
        };
        let mut together = self.begin(services)?;
        let mut input = Inputs { make: input, made: BTreeMap::new() };
        for hook in &self.hooks {
            let input = input.of(hook);
            let begun = Instant::now();
            let said = hook.run(A::POINT, &input, world).await;
            self.take(services, hook, (said, begun.elapsed()), &mut together)?;
        }
        Ok(together)
    }

    /// The same in this thread, of scripts.
    pub fn ask_now<A: Answer>(&self, services: &Services, input: &Value) -> Result<A, Refusal> {
        let mut together = self.begin(services)?;
        for hook in &self.hooks {
            let begun = Instant::now();
            let said = hook.run_now(A::POINT, input);
            self.take(services, hook, (said, begun.elapsed()), &mut together)?;
        }
        Ok(together)
    }

    fn begin<A: Answer>(&self, services: &Services) -> Result<A, Refusal> {
        if !self.is_missing {
            return Ok(A::default());
        }
        let client = self.client.as_ref().map(ClientId::to_string).unwrap_or_default();
        tracing::error!(client.id = client, "the client {client} names a hook that there is not");
        services.tallies.count(What::HookFailed, Kind::Missing.as_str(), self.client.as_ref());
        Err(Refusal::Unanswered)
    }

    /// Notes how it went with one hook, and adds what it said.
    fn take<A: Answer>(
        &self,
        services: &Services,
        hook: &Hook,
        (said, time): (Result<Value, Failure>, Duration),
        together: &mut A,
    ) -> Result<(), Refusal> {
        let bad = |why| Failure::new(Kind::BadAnswer, why);
        let answer = said.and_then(|value| read::<A>(value).map_err(bad));
        hook.counters.note(time);
        let failure = match answer {
            Ok(answer) => {
                if let Some(text) = answer.denial() {
                    hook.counters.denied();
                    return Err(Refusal::Denied(reason(text)));
                }
                together.join(answer);
                return Ok(());
            }
            Err(failure) => failure,
        };
        let open = hook.settings.on_failure == OnFailure::Open;
        hook.counters.failed(A::POINT, &failure, services.now());
        let reason = format!("{}: {}", hook.name, failure.kind.as_str());
        services.tallies.count(What::HookFailed, reason, self.client.as_ref());
        tracing::error!(
            hook.name = hook.name,
            hook.point = A::POINT.as_str(),
            hook.open = open,
            error = %failure,
            "the hook {} failed at {}: {failure}",
            hook.name,
            A::POINT.as_str(),
        );
        if open { Ok(()) } else { Err(Refusal::Unanswered) }
    }
}

/// What a hook may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// Nothing that says who a person is, but for what the point is about.
    Plain,
    /// Claims about the person too.
    Claims,
}

/// The input, made once for each sight that somebody has.
struct Inputs<F> {
    make: F,
    made: BTreeMap<Sight, Arc<Value>>,
}

impl<F: Fn(Sight) -> Value> Inputs<F> {
    fn of(&mut self, hook: &Hook) -> Arc<Value> {
        let sight = if hook.settings.sees_claims { Sight::Claims } else { Sight::Plain };
        let made = self.made.entry(sight).or_insert_with(|| Arc::new((self.make)(sight)));
        Arc::clone(made)
    }
}

#[cfg(test)]
mod tests;
