//! What is wrong with the settings: where, what, and the remedy.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Place {
    /// Nowhere: the default applies, or nothing is set.
    Default,
    /// In the file; both count from 1.
    File { line: usize, column: usize },
    /// In this environment variable.
    Environment { variable: String },
    /// On the command line.
    CommandLine,
}

/// Why a value was refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    pub remedy: String,
}

impl Refusal {
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

/// One thing to put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(flatten)]
    pub place: Place,
    /// The setting it is about, as `section.name`; empty for a fault in the
    /// file's syntax.
    pub setting: String,
    pub message: String,
    pub remedy: String,
}

/// Everything that is wrong with the settings, in the order of the file, then
/// of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file that was read.
    pub file: Option<PathBuf>,
    pub list: Vec<Problem>,
}

impl Problems {
    /// Where a problem is, as people read it: `chancery.toml:3:1`.
    #[must_use]
    pub fn place_of(&self, problem: &Problem) -> String {
        let file = self.file.as_ref().map(|path| path.display().to_string());
        match (&problem.place, file) {
            (Place::File { line, column }, file) => {
                format!("{}:{line}:{column}", file.unwrap_or_default())
            }
            (Place::Environment { variable }, _) => variable.clone(),
            (Place::CommandLine, _) => "command line".to_owned(),
            (Place::Default, Some(file)) => file,
            (Place::Default, None) => "settings".to_owned(),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: ", self.place_of(problem))?;
            if !problem.setting.is_empty() {
                write!(f, "{}: ", problem.setting)?;
            }
            write!(f, "{}\n    {}", problem.message, problem.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The candidate that was probably meant.
pub fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(written, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.84)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
