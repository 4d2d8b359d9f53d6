//! A process, as all clients of Prometheus show theirs. By `/proc`: where
//! there is none, nothing is shown.

use std::fs;
use std::time::Duration;

/// What the machine says of a process.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Process {
    pub cpu_seconds: Option<f64>,
    /// Of the processes that it started and that have ended.
    pub children_cpu_seconds: Option<f64>,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub open_files: Option<u64>,
    pub max_files: Option<u64>,
    pub threads: Option<u64>,
}

/// Ticks in a second, as `/proc` counts them for programs: the same on all
/// machines that Linux runs on today.
const TICKS: f64 = 100.0;

impl Process {
    /// This process, as it is now.
    #[must_use]
    pub fn now() -> Self {
        Self::at("/proc/self")
    }

    /// Another process, as it is now; nothing: there is none.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let process = Self::at(&format!("/proc/{pid}"));
        process.cpu_seconds.is_some().then_some(process)
    }

    /// What it has used, and what those have that it started and that have ended.
    #[must_use]
    pub fn cpu_with_children(&self) -> Option<Duration> {
        let seconds = self.cpu_seconds? + self.children_cpu_seconds.unwrap_or(0.0);
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn at(folder: &str) -> Self {
        let read = |name: &str| fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
        let (stat, status, limits) = (read("stat"), read("status"), read("limits"));
        let files = fs::read_dir(format!("{folder}/fd")).ok();
        Self {
            // Not the one that the folder is read by.
            open_files: files.map(|files| files.count().saturating_sub(1) as u64),
            ..Self::read(&stat, &status, &limits)
        }
    }

    fn read(stat: &str, status: &str, limits: &str) -> Self {
        // The name of the program may have spaces and parentheses in it.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = |at: usize| after_name.split_whitespace().nth(at)?.parse::<u32>().ok();
        let cpu = |user, system| {
            let (user, system) = (ticks(user)?, ticks(system)?);
            Some((f64::from(user) + f64::from(system)) / TICKS)
        };
        let status = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Self {
            cpu_seconds: cpu(11, 12),
            children_cpu_seconds: cpu(13, 14),
            resident_bytes: status("VmRSS:").map(|kib| kib * 1024),
            virtual_bytes: status("VmSize:").map(|kib| kib * 1024),
            open_files: None,
            max_files: limit.and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
            threads: status("Threads:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_read_as_proc_has_it() {
        let stat = "42 (cha) (ncery) S 1 42 42 0 -1 4194560 5 0 0 0 250 125 50 25 20 0 9 0 7 8 9";
        let status = "Name:\tchancery\nVmSize:\t  2048 kB\nVmRSS:\t    1024 kB\nThreads:\t9\n";
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 4096                 files\n";
        let process = Process {
            cpu_seconds: Some(3.75),
            children_cpu_seconds: Some(0.75),
            resident_bytes: Some(1 << 20),
            virtual_bytes: Some(2 << 20),
            open_files: None,
            max_files: Some(1024),
            threads: Some(9),
        };
        assert_eq!(Process::read(stat, status, limits), process);
        assert_eq!(process.cpu_with_children(), Some(Duration::from_millis(4500)));
        assert_eq!(Process::read("", "", "Max open files unlimited"), Process::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_files() {
        let process = Process::now();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
        assert!(process.open_files.is_some_and(|files| files > 0), "{process:?}");
        assert!(process.cpu_seconds.is_some(), "{process:?}");
        let same = Process::of(std::process::id()).unwrap();
        assert!(same.resident_bytes.is_some(), "{same:?}");
        assert_eq!(Process::of(u32::MAX), None);
    }
}
