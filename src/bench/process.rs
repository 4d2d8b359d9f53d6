//! What processes use of the machine, as Linux tells it in `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::telemetry::metrics::Process;

/// What was used by processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Since they began; with that of their children that have ended.
    pub cpu: Duration,
    /// Memory that they hold now, in bytes; what they share is counted for each.
    pub resident: u64,
}

/// The processes of a server: these, and those that they started.
#[derive(Debug, Clone)]
pub struct Processes(pub Vec<u32>);

impl Processes {
    /// Nothing: one of them is gone, or the machine does not tell.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        if self.0.is_empty() {
            return None;
        }
        let mut all = BTreeSet::new();
        for pid in &self.0 {
            with_children(*pid, &mut all);
        }
        let mut usage = Usage { cpu: Duration::ZERO, resident: 0 };
        for pid in all {
            let process = Process::of(pid);
            let used =
                process.and_then(|own| Some((own.cpu_with_children()?, own.resident_bytes?)));
            match used {
                Some((cpu, resident)) => {
                    usage.cpu += cpu;
                    usage.resident += resident;
                }
                None if self.0.contains(&pid) => return None,
                // It ended just now: its parent has its time.
                None => {}
            }
        }
        Some(usage)
    }
}

/// What this process has used.
#[must_use]
pub fn own_cpu() -> Option<Duration> {
    Process::now().cpu_seconds.map(Duration::from_secs_f64)
}

/// What the calling thread has used, exactly.
#[must_use]
pub fn thread_cpu() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn with_children(pid: u32, all: &mut BTreeSet<u32>) {
    if !all.insert(pid) {
        return;
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
    for thread in threads.flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|text| text.parse().ok()) {
            with_children(child, all);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn processes_are_seen_with_those_that_they_started() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let own = std::process::id();
        let mut all = BTreeSet::new();
        with_children(own, &mut all);
        assert!(all.contains(&own) && all.contains(&child.id()), "{all:?}");
        let usage = Processes(vec![own]).usage().unwrap();
        assert!(usage.resident > 1 << 20, "{usage:?}");
        let alone = Processes(vec![child.id()]).usage().unwrap();
        assert!(alone.resident < usage.resident);
        child.kill().unwrap();
        while Processes(vec![child.id()]).usage().is_some() {
            // Its end takes a moment; a process that has ended holds nothing, waited for or not.
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(Processes(vec![child.id()]).usage(), None, "it is gone");
        assert_eq!(Processes(vec![]).usage(), None);
        assert!(thread_cpu().unwrap() > Duration::ZERO);
    }
}
