//! How often a hook was asked on this node, and how it went.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chancery_domain::time::UnixTime;
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::Failure;
use crate::clock::rfc3339_ms;
use crate::config::hooks::{Hook as Settings, Point};

/// How a hook stands on this node, since it was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HookState {
    pub name: String,
    /// `script` or `webhook`.
    pub kind: &'static str,
    /// The file of the script, or the origin of the webhook.
    pub place: String,
    /// The points where it is asked.
    pub on: Vec<&'static str>,
    /// `all`, or `named`: those whose metadata name it.
    pub clients: &'static str,
    /// `closed` or `open`.
    pub on_failure: &'static str,
    pub timeout_ms: u32,
    /// How often it was asked.
    pub runs: u64,
    /// How often it refused.
    pub denials: u64,
    /// How often it failed.
    pub failures: u64,
    /// How long it took on average, in microseconds.
    pub average_microseconds: u64,
    /// Does the script run in a thread of its own, because it took long?
    pub slow: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// Its file has changed and is wrong: what was there before is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload_problem: Option<String>,
}

/// How a hook failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LastFailure {
    /// RFC 3339
    pub at: String,
    /// At which point.
    pub point: &'static str,
    /// `took_too_long`, `too_large`, `failed`, `unreachable` or `bad_answer`.
    pub kind: &'static str,
    pub detail: String,
}

#[derive(Default)]
pub(super) struct Counters {
    runs: AtomicU64,
    denials: AtomicU64,
    failures: AtomicU64,
    microseconds: AtomicU64,
    texts: Mutex<(Option<LastFailure>, Option<String>)>,
}

impl Counters {
    pub(super) fn note(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(time, Ordering::Relaxed);
    }

    pub(super) fn denied(&self) {
        self.denials.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, point: Point, failure: &Failure, now: UnixTime) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let last = LastFailure {
            at: rfc3339_ms(now.seconds().saturating_mul(1000)),
            point: point.as_str(),
            kind: failure.kind.as_str(),
            detail: failure.to_string(),
        };
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(last);
    }

    pub(super) fn reloaded(&self, problem: Option<String>) {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).1 = problem;
    }

    pub(super) fn state(
        &self,
        name: &str,
        settings: &Settings,
        (kind, place, slow): (&'static str, String, bool),
    ) -> HookState {
        let (last_failure, reload_problem) =
            self.texts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let runs = self.runs.load(Ordering::Relaxed);
        let microseconds = self.microseconds.load(Ordering::Relaxed);
        HookState {
            name: name.to_owned(),
            kind,
            place,
            on: settings.on.iter().map(|point| point.as_str()).collect(),
            clients: settings.clients.as_str(),
            on_failure: settings.on_failure.as_str(),
            timeout_ms: settings.timeout_ms,
            runs,
            denials: self.denials.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            average_microseconds: microseconds.checked_div(runs).unwrap_or(0),
            slow,
            last_failure,
            reload_problem,
        }
    }
}
