//! Secrets that the operator gives: a password, the master key. Never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use super::problem::Refusal;
use super::value::{Kind, Redaction, TextSetting};

/// A secret text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl TextSetting for SecretText {
    const KIND: Kind = Kind { redaction: Redaction::Whole, ..Kind::text("a secret") };

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Err(Refusal::new("is empty", "give the secret, or leave the setting out"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A file that holds a secret text and, at most, a line end after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    pub path: PathBuf,
    pub text: SecretText,
}

impl TextSetting for SecretFile {
    const KIND: Kind = Kind::text("a path");

    fn parse(text: &str, base: &Path) -> Result<Self, Refusal> {
        let path = PathBuf::parse(text, base)?;
        let remedy = "name a file that holds the secret and that this user may read";
        let content = std::fs::read_to_string(&path).map_err(|error| {
            Refusal::new(format!("{} can't be read: {error}", path.display()), remedy)
        })?;
        let secret = content.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(Refusal::new(format!("{} is empty", path.display()), remedy));
        }
        Ok(Self { text: SecretText(secret.to_owned()), path })
    }
}
