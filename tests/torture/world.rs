//! The nodes, what they stand on, and how they suffer.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::faults::{Fault, Step};
use crate::link::{Link, Way};
use crate::machine::{self, Machine};
use crate::postgres::{Postgres, signal};
use crate::program::{CHANCERY, cli, configured, finished, program};
use crate::support::server::free_address;
use crate::support::{PASSWORD, REDIRECT_URI, RelyingParty, Tokens, good_request};

/// How soon after the end of a fault everything works again, by itself. (PostgreSQL's own
/// recovery included, and a machine that is busy with other tests.)
pub const RECOVERY: Duration = Duration::from_secs(15);

/// For how long a used refresh token gives its successor again.
pub const GRACE: Duration = Duration::from_secs(6);

/// The name of the account of a user.
pub fn account(user: usize) -> String {
    format!("user-{user}")
}

pub const BYE: &str = "https://rp.example/bye";

pub struct World {
    pub nodes: Vec<Node>,
    database: Option<Postgres>,
    /// An earlier version of the program, which all nodes begin with.
    earlier: Option<PathBuf>,
    /// Has this version been started, and the database become its own?
    upgraded: Cell<bool>,
    /// The longest that a recovery took.
    slowest: Cell<Duration>,
    /// When all clocks went right again.
    clocks_right: Cell<Option<Instant>>,
    // After all that runs in it.
    folder: TempDir,
}

pub struct Node {
    pub address: String,
    pub config: PathBuf,
    /// The clients, talking to this node.
    pub service: RelyingParty,
    pub web: RelyingParty,
    pub opaque: RelyingParty,
    pub analyst: RelyingParty,
    machine: Machine,
    link: Option<Link>,
    /// Does it run, or should it?
    running: Mutex<Option<Child>>,
}

impl World {
    pub async fn begin(
        nodes: usize,
        on_postgres: bool,
        users: usize,
        earlier: Option<PathBuf>,
    ) -> Self {
        // Under /tmp: PostgreSQL's user must be able to come here.
        let folder = tempfile::Builder::new().prefix("torture-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let library = machine::library(folder.path());
        let database =
            if on_postgres { Some(Postgres::new(folder.path(), &library).await) } else { None };
        let addresses: Vec<_> = (0..nodes).map(|_| free_address()).collect();
        let mut places = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let own = folder.path().join(format!("node-{index}"));
            fs::create_dir(&own).unwrap();
            let link = match &database {
                Some(database) => Some(Link::to(database.address).await),
                None => None,
            };
            let store = match (&database, &link) {
                (Some(_), Some(link)) => Postgres::url(link.address),
                _ => format!("sqlite://{}", own.join("store").display()),
            };
            let more = format!(
                "[tokens]\nauthorization_code_lifetime = 300\nrefresh_token_grace = {}\n\
                 [metadata]\ncache_lifetime = 0\n\
                 [events]\nrequests_per_minute = 1000000\n[audit]\ncheckpoint_file = \"{}\"\n",
                GRACE.as_secs(),
                own.join("checkpoint").display(),
            );
            let issuer = format!("http://{}", addresses[0]);
            let config = configured(&own, (&issuer, address), &store, &more);
            places.push((config, Machine::healthy(&library, own.join("machine")), link));
        }
        let begins_with = earlier.as_deref().unwrap_or(Path::new(CHANCERY));
        let parties = registered(begins_with, &places[0].0, users).await;
        let nodes = places.into_iter().zip(addresses).map(|((config, machine, link), address)| {
            let address = format!("http://{address}");
            let [service, web, opaque, analyst] = parties.each_ref().map(|(id, secret)| {
                RelyingParty::new(&address, id, ClientAuthMethod::SecretBasic).with_secret(secret)
            });
            let running = Mutex::new(None);
            Node { address, config, service, web, opaque, analyst, machine, link, running }
        });
        let (nodes, slowest, clocks_right) = (nodes.collect(), Cell::default(), Cell::default());
        let upgraded = Cell::new(earlier.is_none());
        let world = Self { nodes, database, earlier, upgraded, slowest, clocks_right, folder };
        join_all(world.nodes.iter().map(|node| node.start(&world))).await;
        world
    }

    /// Lets faults strike one step after the other; each time all has to work again after it.
    pub async fn suffer(&self, steps: &[Step]) {
        for (index, step) in steps.iter().enumerate() {
            sleep(step.quiet).await;
            eprintln!("  {index}: {step}");
            join_all(step.faults.iter().map(|fault| self.strike(*fault))).await;
            self.recovers(&format!("step {index}: {step}")).await;
        }
    }

    async fn strike(&self, fault: Fault) {
        let machine = |node: usize| &self.nodes[node].machine;
        // Who writes to the disk.
        let disk = self.database.as_ref().map_or(machine(0), |database| &database.machine);
        let way = |node: usize, way: Way| self.nodes[node].link.as_ref().unwrap().is(way);
        let lasts = sleep(fault.lasts());
        match fault {
            Fault::NodeKilled { node, .. } => {
                self.nodes[node].kill().await;
                lasts.await;
                self.nodes[node].start(self).await;
            }
            Fault::NodeRestarted { node } => {
                self.nodes[node].end().await;
                self.nodes[node].start(self).await;
            }
            Fault::NodeUpgraded { node } => {
                self.nodes[node].end().await;
                self.upgraded.set(true);
                self.nodes[node].start(self).await;
            }
            Fault::KeyRotated { node } => {
                // It fails where another fault has befallen what it needs.
                let mut command = self.program(&self.nodes[node].config, &["key", "rotate"]);
                let _ = timeout(RECOVERY, command.output()).await;
            }
            Fault::NodeStopped { node, .. } => {
                let Some(process) = self.nodes[node].process().await else { return };
                signal("STOP", &[process]).await;
                lasts.await;
                signal("CONT", &[process]).await;
            }
            Fault::DatabaseKilled { .. } => {
                let database = self.database.as_ref().unwrap();
                database.kill().await;
                lasts.await;
                database.start().await;
            }
            Fault::LinkCut { node, .. } => {
                way(node, Way::Cut);
                lasts.await;
                way(node, Way::Open);
            }
            Fault::LinkHangs { node, .. } => {
                way(node, Way::Hangs);
                lasts.await;
                way(node, Way::Open);
            }
            Fault::LinkSlow { node, delay, .. } => {
                way(node, Way::Slow(delay));
                lasts.await;
                way(node, Way::Open);
            }
            Fault::DiskFull { .. } => {
                disk.fill_disk(true);
                lasts.await;
                disk.fill_disk(false);
                self.database_is_up().await;
            }
            Fault::DiskSlow { delay, .. } => {
                disk.slow_disk(delay);
                lasts.await;
                disk.slow_disk(0);
            }
            Fault::DiskBroken { .. } => {
                disk.break_disk(true);
                lasts.await;
                disk.break_disk(false);
                self.database_is_up().await;
            }
            Fault::ClockMoved { node, by_ms, .. } => {
                machine(node).move_clock(by_ms);
                self.clocks_right.set(Some(Instant::now() + fault.lasts()));
                lasts.await;
                machine(node).move_clock(0);
                self.clocks_right.set(Some(Instant::now()));
            }
        }
    }

    /// The version that can be started: the earlier one, until this one has been.
    fn program(&self, config: &Path, arguments: &[&str]) -> Command {
        let earlier = self.earlier.as_deref().filter(|_| !self.upgraded.get());
        let mut command = program(earlier.unwrap_or(Path::new(CHANCERY)), config, arguments);
        if self.earlier.is_none() {
            // What happens is in packs right away. An earlier version may know no packs.
            command.env("CHANCERY_STORE_PACK_AFTER", "1");
        }
        command
    }

    /// PostgreSQL ends itself when it can't write; the nodes must not.
    async fn database_is_up(&self) {
        if let Some(database) = &self.database {
            database.start().await;
        }
    }

    /// Everything works again on every node, soon and by itself.
    async fn recovers(&self, after: &str) {
        let began = Instant::now();
        let all = join_all(self.nodes.iter().map(async |node| {
            while !node.works().await {
                node.still_runs(after).await;
                sleep(Duration::from_millis(20)).await;
            }
        }));
        let recovered = timeout(RECOVERY, all).await.is_ok();
        assert!(recovered, "not all works again {RECOVERY:?} after {after}");
        self.slowest.set(self.slowest.get().max(began.elapsed()));
    }

    /// Was any clock off since then?
    pub fn clocks_were_off(&self, since: Instant) -> bool {
        self.clocks_right.get().is_some_and(|right| right > since)
    }

    pub fn slowest_recovery(&self) -> Duration {
        self.slowest.get()
    }

    /// How often the machines themselves struck: a disk, a clock.
    pub fn struck(&self) -> i64 {
        let machines = self.nodes.iter().map(|node| &node.machine);
        machines.chain(self.database.as_ref().map(|own| &own.machine)).map(Machine::struck).sum()
    }

    /// Runs a command where the first node is.
    pub async fn command(&self, arguments: &[&str]) -> String {
        cli(&self.nodes[0].config, &[arguments], "").await
    }

    pub async fn log(&self) -> Vec<Value> {
        let lines = self.command(&["events"]).await;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("what the nodes said, and their store: {}", self.folder.path().display());
        }
    }
}

impl Node {
    /// Starts it, and again where it ends because the store is not there: as whatever watches
    /// over services would. Returns when it is ready.
    async fn start(&self, world: &World) {
        let began = Instant::now();
        loop {
            let log = self.config.with_file_name("log");
            let log = fs::File::options().create(true).append(true).open(log).unwrap();
            let mut command = world.program(&self.config, &["serve"]);
            let command = command.envs(self.machine.environment()).stdin(Stdio::null());
            let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
            *self.running.lock().await = Some(child);
            loop {
                if let Some(status) =
                    self.running.lock().await.as_mut().unwrap().try_wait().unwrap()
                {
                    // 5: the store can't be reached or used.
                    assert!(
                        status.code() == Some(5) || world.database.is_none(),
                        "a node that starts ends with {status}"
                    );
                    break;
                }
                let ready = self.service.request(reqwest::Method::GET, "/health/ready").send();
                let ready = timeout(Duration::from_secs(1), ready).await;
                if matches!(ready, Ok(Ok(answer)) if answer.status() == 200) {
                    return;
                }
                assert!(began.elapsed() < RECOVERY * 2, "{} does not get ready", self.address);
                sleep(Duration::from_millis(20)).await;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn kill(&self) {
        if let Some(mut child) = self.running.lock().await.take() {
            child.kill().await.unwrap();
        }
    }

    /// Has it end in order.
    async fn end(&self) {
        let Some(mut child) = self.running.lock().await.take() else { return };
        signal("TERM", &[child.id().unwrap()]).await;
        let ended = timeout(RECOVERY, child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{} does not end", self.address)).unwrap();
        assert!(ended.success(), "{} ends with {ended}", self.address);
    }

    async fn process(&self) -> Option<u32> {
        self.running.lock().await.as_ref()?.id()
    }

    /// A node never ends by itself.
    async fn still_runs(&self, after: &str) {
        if let Some(child) = self.running.lock().await.as_mut() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{} has ended ({ended:?}) after {after}", self.address);
        }
    }

    /// Does it write, and read what it wrote?
    async fn works(&self) -> bool {
        let once = async {
            let form = [("grant_type", "client_credentials")];
            let token = self.service.try_post("/token", &form).await.ok()?;
            let token = Tokens::of(&(token.status == 200).then(|| token.json())?).access;
            let pushed = self.web.try_post("/par", &good_request()).await.ok()?;
            let told = self.service.try_post("/introspect", &[("token", &token)]).await.ok()?;
            let told = (told.status == 200).then(|| told.json())?;
            Some(pushed.status == 201 && told["active"] == true)
        };
        timeout(Duration::from_secs(5), once).await.ok().flatten().unwrap_or(false)
    }
}

/// Clients and accounts; gives ids and secrets.
async fn registered(by: &Path, config: &Path, users: usize) -> [(String, String); 4] {
    let run = async |arguments: &[&[&str]], input: &str| {
        finished(program(by, config, &arguments.concat()), input).await
    };
    run(&[&["migrate"]], "").await;
    let direct = ["--grant-type", "client_credentials"];
    let code = [
        "--scope",
        "openid offline_access read",
        "--redirect-uri",
        REDIRECT_URI,
        "--post-logout-redirect-uri",
        BYE,
        "--grant-type",
        "authorization_code",
        "--grant-type",
        "refresh_token",
    ];
    let kinds: [(&str, Vec<&str>); 4] = [
        ("svc", [&direct[..], &["--scope", "read"]].concat()),
        ("web", code.to_vec()),
        ("opaque", [&code[..], &["--access-token-format", "opaque"]].concat()),
        (
            "analyst",
            [&direct[..], &["--scope", "events:read", "--access-token-lifetime", "86400"]].concat(),
        ),
    ];
    let mut parties = Vec::new();
    for (id, more) in kinds {
        let added = run(&[&["client", "add", "--json", "--id", id], &more], "").await;
        let added: Value = serde_json::from_str(&added).unwrap();
        parties.push((id.to_owned(), added["client_secret"].as_str().unwrap().to_owned()));
    }
    for user in 0..users {
        run(&[&["account", "add", &account(user), "--password-stdin"]], PASSWORD).await;
    }
    parties.try_into().unwrap()
}
