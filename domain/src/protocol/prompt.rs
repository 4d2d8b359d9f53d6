//! `prompt` (OpenID Connect Core §3.1.2.1).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

super::parameter_values! {
    /// One thing the person shall, or shall not, be asked.
    Prompt, "prompt" {
        /// No page may be shown.
        None = "none",
        /// The person signs in again.
        Login = "login",
        /// The person consents again.
        Consent = "consent",
        /// The person chooses an account.
        SelectAccount = "select_account",
        /// The person makes an account (Initiating User Registration via OpenID
        /// Connect §4).
        Create = "create",
    }
}

/// The values of one `prompt` parameter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Prompts(BTreeSet<Prompt>);

/// Why a `prompt` parameter can't be honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// A value that the server does not know.
    #[error("prompt has a value that this server does not know")]
    Unknown,
    /// `none` stands beside another value.
    #[error("prompt=none can't be combined with another value")]
    NoneCombined,
    /// `create`, where people make no accounts themselves.
    #[error("prompt=create is not supported by this server")]
    CreateNotOffered,
}

impl Prompts {
    /// Reads a space-delimited list.
    pub fn parse(text: &str) -> Result<Self, PromptError> {
        let prompts = text
            .split_ascii_whitespace()
            .map(|word| word.parse().map_err(|_| PromptError::Unknown))
            .collect::<Result<BTreeSet<Prompt>, _>>()?;
        if prompts.contains(&Prompt::None) && prompts.len() > 1 {
            return Err(PromptError::NoneCombined);
        }
        Ok(Self(prompts))
    }

    /// Was this asked for?
    #[must_use]
    pub fn contains(&self, prompt: Prompt) -> bool {
        self.0.contains(&prompt)
    }

    /// Was nothing asked for?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_stands_alone() {
        assert_eq!(Prompts::parse("none login"), Err(PromptError::NoneCombined));
        assert!(Prompts::parse("none").unwrap().contains(Prompt::None));
    }

    #[test]
    fn an_unknown_value_is_refused() {
        assert_eq!(Prompts::parse("login dance"), Err(PromptError::Unknown));
    }
}
