//! What this machine can do at most, whatever the server is like: signatures of one core, group
//! commits of the disk, requests of a server that does nothing else than HTTP.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::http::{Outgoing, Target, Wire};
use super::process::{Processes, thread_cpu};
use super::run::User;
use super::scenario::Scenario;
use super::verify::{Step, Wrong};
use crate::http::floor;
use crate::jose::PrivateKey;

/// How long each is measured.
pub const EACH: Duration = Duration::from_millis(500);

/// One page of a database: the least that a commit writes.
const PAGE: [u8; 4096] = [0x5a; 4096];

/// The hidden argument by which this program is a server that only speaks HTTP.
pub const FLOOR: &str = "--http-floor";

/// A limit of the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limit {
    pub name: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// Nothing: not known.
    pub per_second: Option<f64>,
    /// Processor time of one, in microseconds.
    pub cpu_us: Option<f64>,
}

/// Signatures of one core, as access tokens are signed: by seconds of processor time, so that who
/// else is at work on the machine does not count.
#[must_use]
pub fn signatures() -> Vec<Limit> {
    let algorithms = [
        ("ES256", SigningAlgorithm::ES256),
        ("EdDSA", SigningAlgorithm::EdDSA),
        ("RS256", SigningAlgorithm::RS256),
    ];
    let limits = algorithms.map(|(name, algorithm)| {
        let per_second = sign(algorithm);
        let cpu_us = per_second.map(|rate| 1e6 / rate);
        Limit { name, unit: "signatures of one core", per_second, cpu_us }
    });
    limits.into()
}

fn sign(algorithm: SigningAlgorithm) -> Option<f64> {
    let key = PrivateKey::generate(algorithm).ok()?;
    let claims = json!({
        "iss": "http://127.0.0.1:8080", "sub": "bench", "aud": "http://127.0.0.1:8080",
        "client_id": "bench", "scope": "read write", "iat": 1_800_000_000, "exp": 1_800_000_300,
        "jti": "AZ0mN0V2fDSSiAfPfJqjzAAAAAE",
    });
    let (begun, cpu) = (Instant::now(), thread_cpu());
    let mut count = 0_u32;
    while begun.elapsed() < EACH {
        key.sign("at+jwt", &claims).ok()?;
        count += 1;
    }
    let wall = begun.elapsed();
    // Where the machine does not tell, the time of the day has to do.
    let used = thread_cpu().zip(cpu).map(|(after, before)| after.saturating_sub(before));
    let used = used.filter(|used| !used.is_zero()).unwrap_or(wall);
    Some(f64::from(count) / used.as_secs_f64())
}

/// How often in a second something can be made durable in this folder.
pub fn commits(folder: &Path) -> io::Result<Limit> {
    let path = folder.join(format!("chancery-bench-{}.tmp", std::process::id()));
    let file = OpenOptions::new().create_new(true).append(true).open(&path);
    let counted = file.and_then(|mut file| {
        let begun = Instant::now();
        let mut count = 0_u32;
        while begun.elapsed() < EACH {
            file.write_all(&PAGE)?;
            file.sync_data()?;
            count += 1;
        }
        Ok(f64::from(count) / begun.elapsed().as_secs_f64())
    });
    drop(fs::remove_file(&path));
    counted.map(|rate| Limit {
        name: "disk",
        unit: "group commits (4 KiB, fdatasync)",
        per_second: Some(rate),
        cpu_us: None,
    })
}

/// A server that only speaks HTTP, as a process of its own.
pub struct Floor {
    pub target: Target,
    pub processes: Processes,
    /// Ends with this.
    child: Child,
}

impl Floor {
    pub async fn start() -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench", FLOOR])
            .env_clear()
            // It ends when nobody holds the other end any more.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).await?;
        }
        let url = format!("http://{}{}", line.trim(), floor::PATH).parse().ok();
        let target = url.as_ref().and_then(Target::of);
        let target = target.ok_or_else(|| io::Error::other("the HTTP server did not start"))?;
        let processes = Processes(child.id().into_iter().collect());
        Ok(Self { target, processes, child })
    }

    pub async fn stop(mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

/// Who asks such a server.
pub struct Asker {
    pub wire: Wire,
    pub target: Target,
}

impl User for Asker {
    fn pick(&mut self, scenario: Scenario) -> Scenario {
        scenario
    }

    async fn prepare(&mut self, _: Scenario) -> Result<(), Wrong> {
        Ok(())
    }

    async fn flow(&mut self, _: Scenario) -> Result<(), Wrong> {
        let basic = hyper::header::HeaderValue::from_static("Basic YmVuY2g6YmVuY2g=");
        let request = Outgoing::form(&self.target, "grant_type=client_credentials".to_owned())
            .header(hyper::header::AUTHORIZATION, basic);
        let answer = self.wire.call(&request).await;
        super::verify::tokens(&answer.map_err(|error| Wrong::no_answer(Step::Token, &error))?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_a_rate() {
        for limit in signatures() {
            assert!(limit.per_second.is_some_and(|rate| rate > 0.0), "{limit:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let disk = commits(folder.path()).unwrap();
        assert!(disk.per_second.is_some_and(|rate| rate > 0.0), "{disk:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
