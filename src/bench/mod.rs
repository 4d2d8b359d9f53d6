//! The load generator of `chancery bench`: virtual users go through flows of OAuth 2.0 and OpenID
//! Connect against a server that they know by its metadata only, and look at every answer.
//!
//! [`scenario`] says which flows there are, [`user`] goes through them, [`verify`] judges what comes
//! back, [`arrivals`] says when the next one begins, [`run`] measures one scenario, [`report`] has
//! the figures. [`throwaway`] starts a server of our own to measure, [`limits`] says what the
//! machine can do at most.

pub mod arrivals;
pub mod client;
pub mod cookies;
pub mod form;
pub mod http;
pub mod limits;
pub mod process;
pub mod provider;
pub mod report;
pub mod run;
pub mod scenario;
pub mod tally;
pub mod throwaway;
pub mod user;
pub mod verify;

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use self::client::ClientError;
use self::http::{CallError, Wire};
use self::limits::{Asker, Floor, Limit};
use self::process::{Processes, Usage, own_cpu};
use self::report::{Edges, Measured};
use self::run::{Generator, Load, Timing, Witness, measure, prepare};
use self::scenario::Scenario;
use self::throwaway::{Disk, ThrowawayError};
use self::user::{Stage, VirtualUser};
use self::verify::{Step, Wrong};

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the server at {issuer} can't be reached: {error}")]
    Unreachable { issuer: String, error: CallError },
    #[error("the discovery document at {url} can't be used: {reason}")]
    Discovery { url: String, reason: String },
    #[error("the server has no {member}, which the scenario {scenario} calls")]
    NoEndpoint { scenario: Scenario, member: &'static str },
    #[error("no client may do {scenario}: none has the grant type {grant_type}, and a secret")]
    NoClient { scenario: Scenario, grant_type: &'static str },
    #[error("the client {client} has no redirect URI")]
    NoRedirectUri { client: String },
    #[error("the scenario {scenario} acts for a person, and there is no account")]
    NoAccount { scenario: Scenario },
    #[error("the server does not accept the client's credentials: {0}")]
    ClientRefused(Wrong),
    #[error("the server does not let the account in: {0}")]
    LoginRefused(Wrong),
    #[error("the first flow of {scenario} went wrong: {wrong}")]
    FirstFlow { scenario: Scenario, wrong: Wrong },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Throwaway(#[from] ThrowawayError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl SetupError {
    fn of(scenario: Scenario, wrong: Wrong) -> Self {
        if wrong.is_about_the_client() {
            return Self::ClientRefused(wrong);
        }
        if wrong.step == Step::Login && wrong.what == "refused" {
            return Self::LoginRefused(wrong);
        }
        Self::FirstFlow { scenario, wrong }
    }
}

/// Who tells how far a run is.
pub trait Progress {
    /// Something begins that takes so long; nothing: nobody knows.
    fn begins(&self, what: &str, time: Option<Duration>);
    fn passed(&self, time: Duration);
}

/// A bench with its users, ready to measure.
pub struct Bench {
    pub stage: Arc<Stage>,
    pub tls: Arc<ClientConfig>,
    pub timing: Timing,
    pub generator: Generator,
    pub users: Vec<VirtualUser>,
    /// The processes of the server, as far as they are known.
    pub processes: Processes,
}

impl Bench {
    /// Tries one flow of each scenario, so that what can't work is known before anything is
    /// measured.
    pub async fn rehearse(
        &mut self,
        scenarios: &[Scenario],
        progress: &impl Progress,
    ) -> Result<(), SetupError> {
        for scenario in scenarios.iter().copied() {
            progress.begins(&format!("{scenario}: one flow to try"), None);
            self.stage.check(scenario)?;
            let Some(mut user) = self.users.pop() else { return Ok(()) };
            let tried = async move {
                for part in scenario.parts() {
                    user.prepare(part).await?;
                    user.flow(part).await?;
                }
                Ok(user)
            };
            match self.generator.run(tried).await {
                Some(Ok(user)) => self.users.push(user),
                Some(Err(wrong)) => return Err(SetupError::of(scenario, wrong)),
                None => {}
            }
        }
        Ok(())
    }

    /// Measures one scenario.
    pub async fn measure(
        &mut self,
        scenario: Scenario,
        disk: Option<&Disk>,
        progress: &impl Progress,
    ) -> Result<Measured, SetupError> {
        progress.begins(&format!("{scenario}: users get ready"), None);
        let users = std::mem::take(&mut self.users);
        let users = prepare(&self.generator, users, scenario).await;
        let users = users.map_err(|wrong| SetupError::of(scenario, wrong))?;
        progress.begins(scenario.name(), Some(self.timing.warm_up + self.timing.duration));
        let mut eyes =
            Eyes { processes: &self.processes, disk, progress, own: vec![], stored: vec![] };
        let outcome = measure(&self.generator, users, scenario, self.timing, &mut eyes).await?;
        let edges = Edges { generator: both(&eyes.own), disk: both(&eyes.stored) };
        let measured = Measured::of(scenario, &self.timing, &outcome, edges);
        self.users = outcome.users;
        Ok(measured)
    }

    /// What HTTP alone costs: by the same users' number against a server that does nothing else.
    pub async fn http_limit(&self, progress: &impl Progress) -> Result<Limit, SetupError> {
        let floor = Floor::start().await?;
        let target = floor.target.clone();
        let asker = |_| {
            let wire = Wire::new(Arc::clone(&self.tls), self.timing.patience);
            Asker { wire, target: target.clone() }
        };
        let askers = (0..self.users.len()).map(asker).collect();
        let timing = Timing {
            load: Load::Closed,
            warm_up: limits::EACH / 2,
            duration: limits::EACH * 2,
            patience: self.timing.patience,
        };
        progress.begins("limits: HTTP alone", Some(timing.warm_up + timing.duration));
        let mut eyes =
            Eyes { processes: &floor.processes, disk: None, progress, own: vec![], stored: vec![] };
        let scenario = Scenario::ClientCredentials;
        let outcome = measure(&self.generator, askers, scenario, timing, &mut eyes).await?;
        let measured = Measured::of(scenario, &timing, &outcome, Edges::default());
        floor.stop().await?;
        Ok(Limit {
            name: "http",
            unit: "requests (form and Basic, no more)",
            per_second: Some(measured.flows_per_second),
            cpu_us: measured.server.and_then(|server| server.cpu_us_per_flow),
        })
    }
}

fn both<T: Copy>(values: &[Option<T>]) -> Option<(T, T)> {
    match *values {
        [Some(before), Some(after)] => Some((before, after)),
        _ => None,
    }
}

/// Looks at the server, the store and the generator itself.
struct Eyes<'a, P> {
    processes: &'a Processes,
    disk: Option<&'a Disk>,
    progress: &'a P,
    own: Vec<Option<Duration>>,
    stored: Vec<Option<u64>>,
}

impl<P: Progress> Witness for Eyes<'_, P> {
    fn usage(&mut self) -> Option<Usage> {
        self.processes.usage()
    }

    fn passed(&mut self, time: Duration) {
        self.progress.passed(time);
    }

    async fn edge(&mut self) {
        self.own.push(own_cpu());
        let bytes = match self.disk {
            // A store that can't be asked just now has an unknown size.
            Some(disk) => disk.bytes().await.ok(),
            None => None,
        };
        self.stored.push(bytes);
    }
}
