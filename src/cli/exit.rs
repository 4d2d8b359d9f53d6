//! How a command ends: exit codes that scripts can act on, and errors of one
//! line with a hint.

use std::fmt;

/// The exit codes, for `--help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line or the settings are wrong
  3  not found
  4  refused: it conflicts with what is there
  5  the store can't be reached or used
  6  replay or audit found differences
  7  audit: less is there than was sealed
  8  audit: signed by a key that is not known";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Done = 0,
    Failed = 1,
    /// The command line or the settings are wrong.
    Usage = 2,
    NotFound = 3,
    /// It conflicts with what is there.
    Refused = 4,
    StoreUnavailable = 5,
    /// Replay or audit found differences.
    Differences = 6,
    /// Less is there than was sealed.
    Incomplete = 7,
    /// Signed by a key that is not known.
    UnknownKey = 8,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command failed, and what may help.
#[derive(Debug)]
pub struct CliError {
    pub code: ExitCode,
    message: String,
    hint: Option<String>,
}

impl CliError {
    pub fn new(code: ExitCode, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), hint: None }
    }

    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(ExitCode::Failed, message)
    }

    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// "no such client: demo"
    pub fn not_found(what: &str, name: impl fmt::Display) -> Self {
        Self::new(ExitCode::NotFound, format_args!("no such {what}: {name}"))
    }

    pub fn refused(message: impl fmt::Display) -> Self {
        Self::new(ExitCode::Refused, message)
    }

    pub fn store_unavailable(message: impl fmt::Display) -> Self {
        Self::new(ExitCode::StoreUnavailable, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CliError {}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}
