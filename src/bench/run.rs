//! One scenario, from the first flow of its warm-up to the last that is waited for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::arrivals::{Arrivals, Schedule, Window};
use super::process::Usage;
use super::scenario::Scenario;
use super::tally::{Counts, Tally};
use super::user::VirtualUser;
use super::verify::Wrong;

/// How many users prepare themselves at once: a login costs the server a password hash.
const PREPARING: usize = 4;

/// After an error a user takes a breath, so that a server that refuses everything is not asked
/// ever faster.
const BREATH: Duration = Duration::from_millis(20);

/// How often it is looked at how much memory the server holds.
const LOOK: Duration = Duration::from_millis(100);

/// How flows come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Each user begins the next when the last has ended.
    Closed,
    /// So many in a second, whatever becomes of them.
    Open { per_second: f64 },
}

/// How long, and how.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub load: Load,
    pub warm_up: Duration,
    pub duration: Duration,
    /// How long an answer is waited for.
    pub patience: Duration,
}

/// Who goes through flows.
pub trait User: Send + 'static {
    /// Which flow comes next.
    fn pick(&mut self, scenario: Scenario) -> Scenario;
    /// Gets what the flow needs and is no part of.
    fn prepare(&mut self, part: Scenario) -> impl Future<Output = Result<(), Wrong>> + Send;
    fn flow(&mut self, part: Scenario) -> impl Future<Output = Result<(), Wrong>> + Send;
}

impl User for VirtualUser {
    fn pick(&mut self, scenario: Scenario) -> Scenario {
        self.pick(scenario)
    }

    fn prepare(&mut self, part: Scenario) -> impl Future<Output = Result<(), Wrong>> + Send {
        self.prepare(part)
    }

    fn flow(&mut self, part: Scenario) -> impl Future<Output = Result<(), Wrong>> + Send {
        self.flow(part)
    }
}

/// The threads on which virtual users live.
pub struct Generator(Option<Runtime>);

impl Generator {
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).thread_name("bench-users").enable_all();
        runtime.build().map(|runtime| Self(Some(runtime)))
    }

    /// Has something done there; it ends when nobody waits for it any more.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut task = Ended(self.0.as_ref()?.spawn(work));
        (&mut task.0).await.ok()
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<Ended<T>> {
        Some(Ended(self.0.as_ref()?.spawn(work)))
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // It may be dropped where waiting is not allowed.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A task that ends with who waits for it.
struct Ended<T>(JoinHandle<T>);

impl<T> Drop for Ended<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is looked at beside the users, while they are at work.
pub trait Witness {
    /// What the server has used until now; nothing: not known.
    fn usage(&mut self) -> Option<Usage>;
    /// So much of the time has passed.
    fn passed(&mut self, time: Duration);
    /// The window opens, or closes.
    fn edge(&mut self) -> impl Future<Output = ()>;
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome<U> {
    pub users: Vec<U>,
    pub counts: Counts,
    /// How long the window really was, for what was looked at.
    pub seconds: f64,
    pub before: Option<Usage>,
    pub after: Option<Usage>,
    /// The most memory that was seen in the window.
    pub peak: Option<u64>,
}

/// Gets all users ready; the first error ends it.
pub async fn prepare<U: User>(
    generator: &Generator,
    users: Vec<U>,
    scenario: Scenario,
) -> Result<Vec<U>, Wrong> {
    let all = stream::iter(users).map(move |mut user| async move {
        for part in scenario.parts() {
            user.prepare(part).await?;
        }
        Ok(user)
    });
    let all = async move {
        let ready: Vec<Result<U, Wrong>> = all.buffered(PREPARING).collect().await;
        ready.into_iter().collect()
    };
    generator.run(all).await.unwrap_or_else(|| Ok(Vec::new()))
}

/// Lets users go through flows until the window has closed.
pub async fn measure<U: User>(
    generator: &Generator,
    users: Vec<U>,
    scenario: Scenario,
    timing: Timing,
    witness: &mut impl Witness,
) -> std::io::Result<Outcome<U>> {
    let begun = Instant::now();
    let start = begun + timing.warm_up;
    let window = Window { start, end: start + timing.duration };
    let tally = Arc::new(Tally::default());
    let arrivals = match timing.load {
        Load::Closed => None,
        Load::Open { per_second } => {
            let schedule = Schedule::new(begun, per_second, timing.warm_up + timing.duration);
            Some(Arrivals::begin(schedule, users.len())?)
        }
    };
    let at_work: Vec<_> = users
        .into_iter()
        .filter_map(|user| {
            let post = Post { user, scenario, window, tally: Arc::clone(&tally) };
            let (arrivals, patience) = (arrivals.clone(), timing.patience);
            generator.spawn(async move {
                match arrivals {
                    None => post.closed().await,
                    Some(arrivals) => post.open(&arrivals, patience).await,
                }
            })
        })
        .collect();

    let mut peak = None;
    watch(begun, window.start, witness, &mut None).await;
    witness.edge().await;
    let (opened, before) = (Instant::now(), witness.usage());
    watch(begun, window.end, witness, &mut peak).await;
    let (closed, after) = (Instant::now(), witness.usage());
    witness.edge().await;
    let mut users = Vec::with_capacity(at_work.len());
    for mut task in at_work {
        users.extend((&mut task.0).await.ok());
    }
    let seconds = closed.duration_since(opened).as_secs_f64();
    Ok(Outcome { users, counts: tally.take(), seconds, before, after, peak })
}

async fn watch(begun: Instant, until: Instant, witness: &mut impl Witness, peak: &mut Option<u64>) {
    loop {
        witness.passed(begun.elapsed());
        if let Some(usage) = witness.usage() {
            *peak = Some(peak.unwrap_or(0).max(usage.resident));
        }
        let now = Instant::now();
        if now >= until {
            return;
        }
        sleep_until(until.min(now + LOOK)).await;
    }
}

/// A user at work.
struct Post<U> {
    user: U,
    scenario: Scenario,
    window: Window,
    tally: Arc<Tally>,
}

impl<U: User> Post<U> {
    /// What ends within the window counts.
    async fn closed(mut self) -> U {
        while Instant::now() < self.window.end {
            let part = self.user.pick(self.scenario);
            let prepared = self.user.prepare(part).await;
            let begun = Instant::now();
            let result = match prepared {
                Ok(()) => self.user.flow(part).await,
                Err(wrong) => Err(wrong),
            };
            let ended = Instant::now();
            let counts = self.window.contains(ended);
            match result {
                Ok(()) if counts => {
                    self.tally.flow();
                    self.tally.latency(ended - begun);
                }
                Ok(()) => {}
                Err(wrong) => {
                    if counts {
                        self.tally.wrong(&wrong);
                    }
                    sleep(BREATH).await;
                }
            }
        }
        self.user
    }

    /// What is meant to begin within the window counts, and is waited for; what ends within it,
    /// makes the rate.
    async fn open(mut self, arrivals: &Arrivals, patience: Duration) -> U {
        while let Some(meant) = arrivals.next().await {
            let counts = self.window.contains(meant);
            if Instant::now() > self.window.end + patience {
                if counts {
                    self.tally.not_begun(meant.elapsed());
                }
                continue;
            }
            let part = self.user.pick(self.scenario);
            let result = match self.user.prepare(part).await {
                Ok(()) => self.user.flow(part).await,
                Err(wrong) => Err(wrong),
            };
            let ended = Instant::now();
            match result {
                Ok(()) => {
                    if self.window.contains(ended) {
                        self.tally.flow();
                    }
                    if counts {
                        self.tally.latency(ended - meant);
                    }
                }
                Err(wrong) if counts => self.tally.wrong(&wrong),
                Err(_) => {}
            }
        }
        self.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::verify::Step;

    /// Stalls once, and is quick otherwise; or fails always.
    struct Fake {
        flows: u32,
        stall: Duration,
        fails: bool,
    }

    impl User for Fake {
        fn pick(&mut self, scenario: Scenario) -> Scenario {
            scenario
        }

        async fn prepare(&mut self, _: Scenario) -> Result<(), Wrong> {
            Ok(())
        }

        async fn flow(&mut self, _: Scenario) -> Result<(), Wrong> {
            self.flows += 1;
            if self.flows == 1 {
                sleep(self.stall).await;
            }
            tokio::task::yield_now().await;
            if self.fails { Err(Wrong::new(Step::Authorize, "another state", "")) } else { Ok(()) }
        }
    }

    #[derive(Default)]
    struct Bystander {
        edges: u32,
        passed: Duration,
    }

    impl Witness for Bystander {
        fn usage(&mut self) -> Option<Usage> {
            Some(Usage { cpu: Duration::ZERO, resident: 7 })
        }

        fn passed(&mut self, time: Duration) {
            self.passed = time;
        }

        async fn edge(&mut self) {
            self.edges += 1;
        }
    }

    async fn measured(fake: Fake, load: Load) -> Outcome<Fake> {
        let generator = Generator::start(1).unwrap();
        let timing = Timing {
            load,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(500),
            patience: Duration::from_secs(5),
        };
        let mut bystander = Bystander::default();
        let scenario = Scenario::Code;
        let outcome =
            measure(&generator, vec![fake], scenario, timing, &mut bystander).await.unwrap();
        assert_eq!(bystander.edges, 2);
        assert!(bystander.passed >= timing.duration);
        assert_eq!((outcome.users.len(), outcome.peak), (1, Some(7)));
        outcome
    }

    /// A server that stalls for 300 ms holds up all who come meanwhile: in an open loop they count.
    #[tokio::test]
    async fn who_waits_for_a_stalled_server_counts_in_an_open_loop() {
        let stalling = || Fake { flows: 0, stall: Duration::from_millis(300), fails: false };
        let open = measured(stalling(), Load::Open { per_second: 200.0 }).await;
        let latencies = open.counts.latencies.summary();
        assert_eq!(latencies.count, 100, "every arrival counts");
        // Sixty arrive within the stall; the last of them are served soon.
        assert!(latencies.p50 >= 45_000, "{latencies:?}");
        assert!(latencies.max >= 300_000, "{latencies:?}");

        let closed = measured(stalling(), Load::Closed).await;
        let omitted = closed.counts.latencies.summary();
        assert!(omitted.max >= 300_000 && omitted.p50 < latencies.p50, "{omitted:?}");
    }

    #[tokio::test]
    async fn what_is_wrong_is_an_error_and_no_flow() {
        for load in [Load::Closed, Load::Open { per_second: 100.0 }] {
            let failing = Fake { flows: 0, stall: Duration::ZERO, fails: true };
            let counts = measured(failing, load).await.counts;
            assert_eq!(counts.flows, 0);
            assert_eq!(counts.latencies.summary().count, 0);
            assert!(counts.errors["authorize: another state"].count > 0);
        }
    }
}
