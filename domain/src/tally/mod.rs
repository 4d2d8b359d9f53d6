//! The tally: what strangers did, counted in windows, since no stranger may
//! make the log grow by an event each.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{aggregate, events};
use crate::ids::AggregateKind;
use crate::time::{Lifetime, UnixTime};

events! {
    /// What has happened to a tally.
    TallyEvent {
        WindowCounted = "1",
    }
}

/// A window ended in which something was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowCounted {
    /// When it began.
    pub from: UnixTime,
    /// How long it was, in seconds.
    pub length: Lifetime,
    /// How often what happened.
    pub counts: Vec<Count>,
}

/// How often one thing happened in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// What: `login_failed`, `authorization_request_refused`, …
    pub what: String,
    /// Why, in a word.
    pub reason: String,
    /// For which client, if it is a registered one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How often.
    pub count: u64,
}

/// The aggregate: one for each node and day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Sums by `what`.
    pub totals: BTreeMap<String, u64>,
}

/// What can be done to a tally.
#[derive(Debug, Clone)]
pub enum TallyCommand {
    /// Adds a window.
    Count(WindowCounted),
}

/// Why a command was refused: it never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {}

impl Tally {
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the shape of aggregates")]
    fn decide(&self, command: TallyCommand) -> Result<Vec<TallyEvent>, TallyError> {
        let TallyCommand::Count(window) = command;
        Ok(if window.counts.is_empty() { vec![] } else { vec![window.into()] })
    }

    fn assign(&mut self, event: TallyEvent) {
        let TallyEvent::WindowCounted(window) = event;
        for count in window.counts {
            let total = self.totals.entry(count.what).or_default();
            *total = total.saturating_add(count.count);
        }
    }
}

aggregate!(Tally, AggregateKind::Tally, TallyCommand, TallyEvent, TallyError);

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn window(counts: &[(&str, u64)]) -> WindowCounted {
        let counts = counts.iter().map(|(what, count)| Count {
            what: (*what).to_owned(),
            reason: "wrong_password".to_owned(),
            client_id: None,
            count: *count,
        });
        WindowCounted {
            from: UnixTime::from_seconds(60),
            length: Lifetime::from_seconds(60),
            counts: counts.collect(),
        }
    }

    #[test]
    fn a_window_in_which_nothing_happened_is_no_event() {
        TestFramework::<Tally>::with(())
            .given_no_previous_events()
            .when(TallyCommand::Count(window(&[])))
            .then_expect_events(vec![]);
    }

    #[test]
    fn a_window_is_one_event() {
        TestFramework::<Tally>::with(())
            .given(vec![window(&[("login_failed", 2)]).into()])
            .when(TallyCommand::Count(window(&[("login_failed", 3), ("other", 1)])))
            .then_expect_events(vec![window(&[("login_failed", 3), ("other", 1)]).into()]);
    }

    #[test]
    fn counts_add_up_and_never_overflow() {
        let mut tally = Tally::default();
        for count in [2, 3] {
            tally.assign(window(&[("login_failed", count), ("flood", u64::MAX)]).into());
        }
        assert_eq!(tally.totals["login_failed"], 5);
        assert_eq!(tally.totals["flood"], u64::MAX);
    }
}
