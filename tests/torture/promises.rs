//! What the answers promised, and what of it was broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::Value;
use tokio::time::Instant;

use crate::program::issued_jti;

/// What each answer promised. An answer that was lost, or said that the server can't just now,
/// promised nothing.
pub struct Promises {
    began: Instant,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// The grants of pushed requests.
    pushed: BTreeSet<String>,
    /// The grants whose codes came back to the client, and those that were redeemed.
    codes: BTreeSet<String>,
    redeemed: BTreeSet<String>,
    /// The `jti` of each access token.
    issued: BTreeSet<String>,
    /// The grants that are over, and why we think so.
    over: BTreeMap<String, &'static str>,
    /// The `jti` of access tokens that were taken back alone.
    taken_back: BTreeSet<String>,
    /// The one successor of each refresh token.
    successors: BTreeMap<String, String>,
    answers: BTreeMap<&'static str, u64>,
    broken: Vec<String>,
}

impl Promises {
    pub fn none() -> Self {
        Self { began: Instant::now(), made: Mutex::default() }
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap()
    }

    pub fn pushed(&self, grant: String) {
        self.made().pushed.insert(grant);
    }

    pub fn code(&self, grant: String) {
        self.made().codes.insert(grant);
    }

    /// A code was answered with tokens.
    pub fn redeemed(&self, grant: &str) {
        if !self.made().redeemed.insert(grant.to_owned()) {
            self.broken(&format!("the code of {grant} was redeemed twice"));
        }
    }

    pub fn issued(&self, jti: String) {
        self.made().issued.insert(jti);
    }

    /// The grant is over, and nothing comes of it any more.
    pub fn over(&self, grant: &str, why: &'static str) {
        self.made().over.insert(grant.to_owned(), why);
    }

    pub fn taken_back(&self, jti: String) {
        self.made().taken_back.insert(jti);
    }

    /// A refresh token was answered with its successor.
    pub fn rotated(&self, grant: &str, token: &str, successor: &str) {
        let mut made = self.made();
        let first = made.successors.entry(token.to_owned()).or_insert_with(|| successor.to_owned());
        if first != successor {
            drop(made);
            self.broken(&format!("a refresh token of {grant} has two different successors"));
        }
    }

    /// For the report.
    pub fn count(&self, answer: &'static str) {
        *self.made().answers.entry(answer).or_default() += 1;
    }

    pub fn answers(&self, of: &str) -> u64 {
        self.made().answers.get(of).copied().unwrap_or(0)
    }

    pub fn broken(&self, what: &str) {
        let at = self.began.elapsed();
        eprintln!("  BROKEN at {at:?}: {what}");
        self.made().broken.push(format!("at {at:?}: {what}"));
    }

    pub fn all_broken(&self) -> Vec<String> {
        self.made().broken.clone()
    }

    pub fn report(&self) -> String {
        format!("{:?}", self.made().answers)
    }

    /// Compares the log, from its first event on, with what was promised.
    pub fn compare(&self, log: &[Value]) {
        let histories = Histories::of(log);
        for problem in &histories.problems {
            self.broken(problem);
        }
        let mut missing = Vec::new();
        {
            let made = self.made();
            let mut want = |what: &str, all: &BTreeSet<String>, there: &BTreeSet<String>| {
                for one in all.difference(there) {
                    missing.push(format!("the log does not have it: {what} {one}"));
                }
            };
            want("pushed request of grant", &made.pushed, &histories.having("RequestPushed"));
            want("code of grant", &made.codes, &histories.having("CodeIssued"));
            want("redeemed code of grant", &made.redeemed, &histories.having("CodeRedeemed"));
            want("access token", &made.issued, &log.iter().filter_map(issued_jti).collect());
            want("end of access token", &made.taken_back, &histories.taken_back);
            let revoked = histories.having("GrantRevoked");
            for (grant, why) in &made.over {
                if !revoked.contains(grant) {
                    missing.push(format!("the log does not have the end of {grant}: {why}"));
                }
            }
        }
        for missing in missing {
            self.broken(&missing);
        }
    }
}

/// The log, grant by grant.
#[derive(Default)]
struct Histories {
    types: BTreeMap<String, Vec<String>>,
    taken_back: BTreeSet<String>,
    problems: Vec<String>,
}

impl Histories {
    fn of(log: &[Value]) -> Self {
        let mut histories = Self::default();
        let mut sequences = BTreeMap::<(String, String), u64>::new();
        let mut generations = BTreeMap::<String, u64>::new();
        let mut numbers = BTreeMap::<String, u64>::new();
        let mut last_position = 0;
        for event in log {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let (kind, id, event_type) =
                (text("aggregate_type"), text("aggregate_id"), text("event_type"));
            let position = event["position"].as_u64().unwrap();
            if position <= last_position {
                histories.problems.push(format!("position {position} after {last_position}"));
            }
            last_position = position;
            let sequence = sequences.entry((kind.clone(), id.clone())).or_default();
            *sequence += 1;
            if event["sequence"] != *sequence {
                let problem = format!("{kind} {id}: {} in place of {sequence}", event["sequence"]);
                histories.problems.push(problem);
            }
            if kind != "grant" {
                continue;
            }
            let payload = &event["payload"];
            if event_type == "AccessTokenRevoked" {
                histories.taken_back.extend(jti(&id, &payload["number"]));
            }
            // Each generation follows on the one before it: there is no second branch.
            if let Some(generation) = payload["tokens"]["refresh"]["generation"].as_u64() {
                let before = generations.insert(id.clone(), generation).unwrap_or(0);
                if generation != before + 1 {
                    let problem = format!("grant {id}: generation {generation} after {before}");
                    histories.problems.push(problem);
                }
            }
            let issues = payload["tokens"]["access"]["number"].as_u64();
            if let Some(number) = issues {
                let before = numbers.insert(id.clone(), number).unwrap_or(0);
                if number <= before {
                    let problem = format!("grant {id}: access token {number} after {before}");
                    histories.problems.push(problem);
                }
            }
            let types = histories.types.entry(id.clone()).or_default();
            let is_over = types.iter().any(|before| before == "GrantRevoked");
            if is_over && (issues.is_some() || event_type == "CodeIssued") {
                histories.problems.push(format!("grant {id}: {event_type} after its end"));
            }
            let once = ["CodeIssued", "CodeRedeemed", "CodeReplayed", "GrantRevoked"];
            if once.contains(&&*event_type) && types.contains(&event_type) {
                histories.problems.push(format!("grant {id}: {event_type} twice"));
            }
            types.push(event_type);
        }
        histories
    }

    /// The grants that have an event of this type.
    fn having(&self, event_type: &str) -> BTreeSet<String> {
        let having =
            self.types.iter().filter(|(_, types)| types.iter().any(|own| own == event_type));
        having.map(|(id, _)| id.clone()).collect()
    }
}

fn jti(grant: &str, number: &Value) -> Option<String> {
    let number = u32::try_from(number.as_u64()?).ok()?;
    Some(chancery::handles::TokenRef { grant: grant.parse().ok()?, number }.encode())
}
