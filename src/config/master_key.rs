//! `[master_key]`: where the key comes from that wraps all other keys.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::value::{Kind, TextSetting};

settings! {
    /// Where the master key comes from, which wraps all other keys: exactly one of the
    /// three. It is 32 random bytes, written as base64 or hexadecimal; `openssl rand -hex
    /// 32` makes one. It is not in the store: keep a copy in a safe place apart from the
    /// store's backups. Without it nothing sealed can be read and no token can be signed.
    MasterKey in "master_key" {
        /// A file that holds it.
        file: Option<PathBuf> = optional "/etc/chancery/master.key";
        /// A command that prints it: the program and its arguments, run without a shell.
        command: Option<Vec<String>> = optional ["pass", "show", "chancery/master-key"];
        /// The name of an environment variable that holds it.
        env: Option<VariableName> = optional "CHANCERY_MASTER_KEY";
    }
}

/// The one place that the master key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    File(&'a Path),
    /// A program and its arguments.
    Command(&'a str, &'a [String]),
    Environment(&'a str),
}

impl MasterKey {
    /// Where the key comes from. `None` never gets past the check of the
    /// settings.
    #[must_use]
    pub fn source(&self) -> Option<Source<'_>> {
        if let Some(file) = &self.file {
            return Some(Source::File(file));
        }
        if let Some((program, arguments)) = self.command.as_ref().and_then(|c| c.split_first()) {
            return Some(Source::Command(program, arguments));
        }
        self.env.as_ref().map(|name| Source::Environment(&name.0))
    }

    /// Reads the key from its file, command or variable.
    pub async fn obtain(&self) -> Result<MasterKeyBytes, MasterKeyError> {
        self.source().ok_or(MasterKeyError::NoSource)?.obtain().await
    }
}

impl Source<'_> {
    /// Reads the key.
    pub async fn obtain(self) -> Result<MasterKeyBytes, MasterKeyError> {
        let text = match self {
            Self::File(path) => tokio::fs::read_to_string(path)
                .await
                .map_err(|error| MasterKeyError::File { path: path.to_owned(), error })?,
            Self::Command(program, arguments) => printed(program, arguments).await?,
            #[expect(clippy::disallowed_methods, reason = "config/ is where settings are read")]
            Self::Environment(name) => {
                std::env::var(name).map_err(|_| MasterKeyError::Variable(name.to_owned()))?
            }
        };
        MasterKeyBytes::parse(&text).ok_or_else(|| MasterKeyError::NotAKey(self.to_string()))
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Command(program, _) => write!(f, "the output of {program}"),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
        }
    }
}

async fn printed(program: &str, arguments: &[String]) -> Result<String, MasterKeyError> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .map_err(|error| MasterKeyError::Command(program.to_owned(), error.to_string()))?;
    if !output.status.success() {
        return Err(MasterKeyError::Command(program.to_owned(), output.status.to_string()));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| MasterKeyError::NotAKey(format!("the output of {program}")))
}

/// The master key's 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKeyBytes([u8; 32]);

impl MasterKeyBytes {
    /// Reads base64 (either alphabet, padded or not) or hexadecimal digits;
    /// white space around them is ignored. The two can't be mixed up: 32 bytes
    /// are 64 hexadecimal digits, but at most 44 characters of base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut bytes = [0; 32];
        if text.len() == 64 {
            for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                let pair = std::str::from_utf8(pair).ok()?;
                if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                *byte = u8::from_str_radix(pair, 16).ok()?;
            }
            return Some(Self(bytes));
        }
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        [STANDARD, URL_SAFE].iter().find_map(|alphabet| {
            let decoded = GeneralPurpose::new(alphabet, lenient).decode(text).ok()?;
            decoded.try_into().ok().map(Self)
        })
    }

    /// The bytes themselves, for the one place that wraps keys with them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKeyBytes(…)")
    }
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("master_key says neither file nor command nor env")]
    NoSource,
    #[error("the master key file {} can't be read: {error}", path.display())]
    File {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("the command for the master key, {0}, failed: {1}")]
    Command(String, String),
    #[error("the environment variable for the master key, {0}, is not set")]
    Variable(String),
    #[error("{0} is not a master key: 32 bytes as base64 or 64 hexadecimal digits")]
    NotAKey(String),
}

impl Check for MasterKey {
    fn check(&self, report: &mut Report<'_>) {
        let given = [
            ("file", self.file.is_some()),
            ("command", self.command.is_some()),
            ("env", self.env.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
        let Some(first) = given.next() else {
            report.contradiction(
                "file",
                "is missing, and so are command and env: the master key must come from somewhere",
                "for example: file = \"/etc/chancery/master.key\"",
            );
            return;
        };
        for further in given {
            report.contradiction(
                further,
                &format!("is given besides master_key.{first}"),
                "keep exactly one of file, command and env",
            );
        }
        if self.command.as_ref().is_some_and(Vec::is_empty) {
            report.contradiction(
                "command",
                "is empty",
                "give the program and its arguments, like [\"pass\", \"show\", \"chancery\"]",
            );
        }
    }
}

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableName(String);

impl VariableName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextSetting for VariableName {
    const KIND: Kind = Kind::text("the name of a variable");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let good = !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            // What was given may be the key itself, so it is not repeated.
            return Err(Refusal::new(
                "is not the name of an environment variable",
                "give the variable's name here, and the key in the variable",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}
