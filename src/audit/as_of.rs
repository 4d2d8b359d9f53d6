//! The log position that an answer is true at.

use schemars::JsonSchema;
use serde::Serialize;

/// At which position of the log an answer is true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AsOf {
    /// It is true here: nothing recorded later is in it.
    pub position: u64,
    /// The end of the log when it was asked.
    pub log_end: u64,
    /// The read models that it was found by; none: it was read in the log itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_models: Vec<ReadModel>,
    /// The read models moved on while they were asked, so something recorded after
    /// `position` may be in it. (Ask again.)
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unsettled: bool,
}

/// How far a read model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReadModel {
    pub name: String,
    pub state: ReadModelState,
    /// All up to here is in it.
    pub position: u64,
}

/// What a read model is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadModelState {
    /// It holds all that the log held when it was asked.
    Current,
    /// It holds all up to its position.
    Behind,
    /// There is none yet (a server makes it), or one of another version.
    NotBuilt,
}

impl AsOf {
    /// Does the log hold more than the answer knows of?
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.position < self.log_end
    }

    /// In words, for people.
    #[must_use]
    pub fn told(&self) -> String {
        let mut text = format!("true at position {} of the log", self.position);
        let unbuilt = |model: &&ReadModel| model.state == ReadModelState::NotBuilt;
        let unbuilt: Vec<_> =
            self.read_models.iter().filter(unbuilt).map(|model| model.name.as_str()).collect();
        if !unbuilt.is_empty() {
            text.push_str("; not built yet: ");
            text.push_str(&unbuilt.join(", "));
        } else if self.is_behind() {
            text.push_str(", which goes on to ");
            text.push_str(&self.log_end.to_string());
        }
        if self.unsettled {
            text.push_str("; something later may be in it already");
        }
        text
    }
}

/// An answer, and where it is true.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "{T}Answer")]
pub struct Stated<T> {
    pub as_of: AsOf,
    #[serde(flatten)]
    pub answer: T,
}

/// A part of a list, and where it is true.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "{T}Answers")]
pub struct StatedList<T> {
    pub as_of: AsOf,
    pub items: Vec<T>,
    /// Where the next part begins (`after`); absent at the end. A part may be shorter than was
    /// asked for, where much had to be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
