//! A PostgreSQL of the test's own, to be killed.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::machine::Machine;
use crate::support::server::free_address;

/// How long it may take to start, its recovery from what befell it included.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Postgres {
    pub address: SocketAddr,
    pub machine: Machine,
    bin: PathBuf,
    data: PathBuf,
    /// Whom it runs as; it refuses to be root.
    owner: Option<(u32, u32)>,
    running: Mutex<Option<Child>>,
}

impl Postgres {
    /// Makes one in this folder, which its user must be able to enter.
    pub async fn new(folder: &Path, library: &Path) -> Self {
        let home = folder.join("postgres");
        fs::create_dir(&home).unwrap();
        let owner = (fs::metadata("/proc/self").unwrap().uid() == 0).then(owner);
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(&home, Some(uid), Some(gid)).unwrap();
        }
        let machine = Machine::healthy(library, folder.join("postgres.machine"));
        let (address, data) = (free_address().parse().unwrap(), home.join("data"));
        let bin = bin();
        let postgres = Self { address, machine, bin, data, owner, running: Mutex::new(None) };
        let mut made = postgres.program("initdb");
        made.arg("--pgdata").arg(&postgres.data);
        made.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        // Small segments: on a full disk the next one is asked for soon.
        let made = made.args(["--no-sync", "--wal-segsize=1"]).output().await.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.start().await;
        postgres
    }

    /// The URL of its database, by way of this address.
    pub fn url(by: SocketAddr) -> String {
        format!("postgres://postgres@{by}/postgres")
    }

    /// Has it run, whatever befell it: as whatever watches over services would.
    pub async fn start(&self) {
        let mut running = self.running.lock().await;
        let end = Instant::now() + PATIENCE;
        loop {
            let gone = running.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            if gone {
                *running = Some(self.spawn());
            }
            let options: PgConnectOptions = Self::url(self.address).parse().unwrap();
            if let Ok(connection) = options.connect().await {
                let _ = connection.close().await;
                return;
            }
            assert!(
                Instant::now() < end,
                "PostgreSQL does not start: see {}",
                self.log().display()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills every process of it at once, as when the machine goes down.
    pub async fn kill(&self) {
        let Some(mut child) = self.running.lock().await.take() else { return };
        let Some(postmaster) = child.id() else { return };
        let mut all = vec![postmaster];
        all.extend(children(postmaster));
        signal("KILL", &all).await;
        child.wait().await.unwrap();
    }

    fn spawn(&self) -> Child {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let (host, port) = (self.address.ip(), self.address.port());
        let sockets = self.data.parent().unwrap().display();
        let mut command = self.program("postgres");
        command.arg("-D").arg(&self.data).envs(self.machine.environment());
        for setting in [
            format!("listen_addresses={host}"),
            format!("port={port}"),
            format!("unix_socket_directories={sockets}"),
            "fsync=on".to_owned(),
            "shared_buffers=32MB".to_owned(),
            // Small, so that checkpoints and new segments are frequent.
            "max_wal_size=8MB".to_owned(),
            "min_wal_size=2MB".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.kill_on_drop(true).spawn().unwrap()
    }

    fn log(&self) -> PathBuf {
        self.data.parent().unwrap().with_extension("log")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir("/");
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Sends a signal to processes, as far as they are still there.
pub async fn signal(name: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    let sent = Command::new("kill").arg("-s").arg(name).args(processes).output().await.unwrap();
    let errors = String::from_utf8_lossy(&sent.stderr);
    assert!(sent.status.success() || errors.contains("No such process"), "{errors}");
}

fn children(parent: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse() else { continue };
        // It may have ended.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let after_name = stat.rsplit_once(") ").unwrap().1;
        if after_name.split(' ').nth(1) == Some(&parent.to_string()) {
            children.push(process);
        }
    }
    children
}

/// Where PostgreSQL's programs are: where one looks for programs, or where Debian has them.
fn bin() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    debian.reverse();
    let mut all = std::env::split_paths(&path).chain(debian);
    all.find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .expect("PostgreSQL's programs (Debian: postgresql): run the tests by tests/run")
}

/// The user that Debian's package makes.
fn owner() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    let fields: Vec<&str> = user.expect("a user postgres").split(':').collect();
    (fields[1].parse().unwrap(), fields[2].parse().unwrap())
}
