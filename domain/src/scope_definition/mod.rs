//! The definition of a scope (RFC 6749 §3.3, OpenID Connect Core §5.4), made and
//! changed while the server runs: what it allows, in words for people, and the
//! claims that it releases. Its id is the scope's name.
//!
//! A standard scope, or one of the settings, can be defined here too: as long as
//! it is, this definition is the one that counts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{aggregate, events};
use crate::ids::AggregateKind;
use crate::protocol::scope::Scope;
use crate::time::UnixTime;

events! {
    /// What has happened to the definition of a scope.
    ScopeDefinitionEvent {
        ScopeDefined = "1",
        ScopeRemoved = "1",
    }
}

/// An operator said what the scope means, for the first time or anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeDefined {
    /// The scope.
    pub name: String,
    /// All that it means from now on.
    #[serde(flatten)]
    pub definition: Definition,
    /// When.
    pub at: UnixTime,
}

/// An operator took the definition back. A standard scope, or one of the
/// settings, means again what it meant before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeRemoved {
    /// When.
    pub at: UnixTime,
}

/// What a scope means.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Definition {
    /// What a person is asked to agree to: it follows on "would like to". Only a
    /// standard scope may be without: then it has the server's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The same in other languages, by their tags (BCP 47).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub localized: BTreeMap<String, String>,
    /// The claims about the person that come with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// It reaches beyond what one person grants: a client that registered itself
    /// never has it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub privileged: bool,
    /// A client that registers itself may ask for it, besides those of the
    /// settings.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ScopeDefinition {
    /// Nobody has defined it here, or not any more.
    #[default]
    None,
    /// It is defined.
    Defined {
        /// What it means.
        definition: Definition,
        /// Since when.
        at: UnixTime,
    },
}

/// What can be done to a definition.
#[derive(Debug, Clone)]
pub enum ScopeDefinitionCommand {
    /// Defines what was not defined here.
    Add(ScopeDefined),
    /// Defines it anew.
    Replace {
        /// As it is to be.
        defined: ScopeDefined,
        /// As it was defined here when the change was made up; none: it was not.
        instead_of: Option<Definition>,
    },
    /// Takes the definition back.
    Remove {
        /// Now.
        now: UnixTime,
    },
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeDefinitionError {
    /// There is no definition to take back.
    #[error("there is no definition of this scope")]
    Unknown,
    /// Somebody else was faster.
    #[error("the definition was changed meanwhile")]
    Changed,
    /// There is one already.
    #[error("this scope is defined already")]
    Exists,
    /// RFC 6749 §3.3
    #[error("a scope has a name of 1 to 128 visible ASCII characters other than \" and \\")]
    Name,
    /// The protocol itself says what it means.
    #[error("what {0} means is not for an operator to say")]
    Fixed(String),
    /// People would be asked for nothing.
    #[error("a scope needs a description: it follows on \"would like to\"")]
    DescriptionMissing,
    /// It does not fit on a page.
    #[error("a description has 1 to 200 characters and no control characters")]
    Description,
    /// It is no tag of a language.
    #[error("{0:?} is no tag of a language (BCP 47), as de or pt-BR")]
    Language(String),
    /// It is no name of a claim.
    #[error("a claim has a name of 1 to 128 visible ASCII characters other than \" \\ and #")]
    Claim,
    /// Tokens say it of themselves.
    #[error("the claim {0} is the server's own: no scope releases it")]
    OwnClaim(String),
    /// More than a scope may have.
    #[error("a scope releases 100 claims and has 50 languages at most")]
    TooMany,
    /// Nobody who registers can have it.
    #[error("a privileged scope can't be open to clients that register themselves")]
    PrivilegedAndOpen,
    /// It reaches too far whatever an operator says.
    #[error("{0} is always privileged")]
    AlwaysPrivileged(String),
}

/// What tokens say of themselves and of a login (RFC 7519 §4.1, OpenID Connect
/// Core §2): not about the person.
pub const OWN_CLAIMS: [&str; 22] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "events",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "s_hash",
    "scope",
    "sid",
    "sub",
    "sub_jwk",
    "token_introspection",
];

impl ScopeDefined {
    /// Can it be so?
    pub fn check(&self) -> Result<(), ScopeDefinitionError> {
        let name = self.name.as_str();
        if !is_name(name) {
            return Err(ScopeDefinitionError::Name);
        }
        if [Scope::OPENID, Scope::OFFLINE_ACCESS].contains(&name) {
            return Err(ScopeDefinitionError::Fixed(name.to_owned()));
        }
        let definition = &self.definition;
        let standard = Scope::ABOUT_A_PERSON.contains(&name);
        if definition.description.is_none() && !standard {
            return Err(ScopeDefinitionError::DescriptionMissing);
        }
        let texts = definition.description.iter().chain(definition.localized.values());
        if !texts.into_iter().all(|text| is_description(text)) {
            return Err(ScopeDefinitionError::Description);
        }
        if let Some(tag) = definition.localized.keys().find(|tag| !is_language(tag)) {
            return Err(ScopeDefinitionError::Language(tag.clone()));
        }
        if definition.claims.len() > 100 || definition.localized.len() > 50 {
            return Err(ScopeDefinitionError::TooMany);
        }
        if !definition.claims.iter().all(|claim| is_name(claim) && !claim.contains('#')) {
            return Err(ScopeDefinitionError::Claim);
        }
        let own = definition.claims.iter().find(|claim| OWN_CLAIMS.contains(&claim.as_str()));
        if let Some(claim) = own {
            return Err(ScopeDefinitionError::OwnClaim(claim.clone()));
        }
        if definition.privileged && definition.open {
            return Err(ScopeDefinitionError::PrivilegedAndOpen);
        }
        if Scope::is_privileged(name) && !definition.privileged {
            return Err(ScopeDefinitionError::AlwaysPrivileged(name.to_owned()));
        }
        Ok(())
    }
}

/// RFC 6749 §3.3: a scope token; short enough for a page.
fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn is_description(text: &str) -> bool {
    (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Near enough to BCP 47 for what pages look up.
fn is_language(tag: &str) -> bool {
    let part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    tag.len() <= 35 && tag.split('-').all(part)
}

impl ScopeDefinition {
    /// What the scope means, if it is defined here.
    #[must_use]
    pub fn defined(&self) -> Option<&Definition> {
        match self {
            Self::None => None,
            Self::Defined { definition, .. } => Some(definition),
        }
    }

    fn decide(
        &self,
        command: ScopeDefinitionCommand,
    ) -> Result<Vec<ScopeDefinitionEvent>, ScopeDefinitionError> {
        match (self, command) {
            (Self::Defined { .. }, ScopeDefinitionCommand::Add(_)) => {
                Err(ScopeDefinitionError::Exists)
            }
            (Self::None, ScopeDefinitionCommand::Add(defined)) => {
                defined.check()?;
                Ok(vec![defined.into()])
            }
            (current, ScopeDefinitionCommand::Replace { defined, instead_of }) => {
                defined.check()?;
                if current.defined() != instead_of.as_ref() {
                    return Err(ScopeDefinitionError::Changed);
                }
                if current.defined() == Some(&defined.definition) {
                    return Ok(vec![]);
                }
                Ok(vec![defined.into()])
            }
            (Self::None, ScopeDefinitionCommand::Remove { .. }) => {
                Err(ScopeDefinitionError::Unknown)
            }
            (Self::Defined { .. }, ScopeDefinitionCommand::Remove { now }) => {
                Ok(vec![ScopeRemoved { at: now }.into()])
            }
        }
    }

    fn assign(&mut self, event: ScopeDefinitionEvent) {
        *self = match event {
            ScopeDefinitionEvent::ScopeDefined(event) => {
                Self::Defined { definition: event.definition, at: event.at }
            }
            ScopeDefinitionEvent::ScopeRemoved(_) => Self::None,
        };
    }
}

aggregate!(
    ScopeDefinition,
    AggregateKind::ScopeDefinition,
    ScopeDefinitionCommand,
    ScopeDefinitionEvent,
    ScopeDefinitionError
);

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    use super::*;

    fn given(events: Vec<ScopeDefinitionEvent>) -> AggregateTestExecutor<ScopeDefinition> {
        TestFramework::with(()).given(events)
    }

    fn defined(description: &str) -> ScopeDefined {
        ScopeDefined {
            name: "accounts:read".to_owned(),
            definition: Definition {
                description: Some(description.to_owned()),
                claims: vec!["department".to_owned()],
                ..Definition::default()
            },
            at: UnixTime::from_seconds(5),
        }
    }

    fn but(change: impl FnOnce(&mut ScopeDefined)) -> ScopeDefined {
        let mut all = defined("see your accounts");
        change(&mut all);
        all
    }

    fn removed() -> ScopeDefinitionEvent {
        ScopeRemoved { at: UnixTime::from_seconds(9) }.into()
    }

    fn remove() -> ScopeDefinitionCommand {
        ScopeDefinitionCommand::Remove { now: UnixTime::from_seconds(9) }
    }

    fn replace(with: ScopeDefined, instead_of: Option<&str>) -> ScopeDefinitionCommand {
        let instead_of = instead_of.map(|description| defined(description).definition);
        ScopeDefinitionCommand::Replace { defined: with, instead_of }
    }

    #[test]
    fn a_definition_that_can_t_be_is_refused() {
        use ScopeDefinitionError as E;
        let language = |tag: &str| {
            but(|all| {
                all.definition.localized.insert(tag.to_owned(), "x".to_owned());
            })
        };
        let claim = |name: &str| but(|all| all.definition.claims.push(name.to_owned()));
        for (wrong, error) in [
            (but(|all| all.name = String::new()), E::Name),
            (but(|all| all.name = "two words".to_owned()), E::Name),
            (but(|all| all.name = "x".repeat(129)), E::Name),
            (but(|all| all.name = "openid".to_owned()), E::Fixed("openid".to_owned())),
            (
                but(|all| all.name = "offline_access".to_owned()),
                E::Fixed("offline_access".to_owned()),
            ),
            (but(|all| all.definition.description = None), E::DescriptionMissing),
            (but(|all| all.definition.description = Some(String::new())), E::Description),
            (but(|all| all.definition.description = Some("a\nb".to_owned())), E::Description),
            (language("not a tag"), E::Language("not a tag".to_owned())),
            (language(""), E::Language(String::new())),
            (claim(""), E::Claim),
            (claim("name#de"), E::Claim),
            (claim("sub"), E::OwnClaim("sub".to_owned())),
            (but(|all| all.definition.claims = vec!["a".to_owned(); 101]), E::TooMany),
            (
                but(|all| (all.definition.privileged, all.definition.open) = (true, true)),
                E::PrivilegedAndOpen,
            ),
            (but(|all| all.name = "admin".to_owned()), E::AlwaysPrivileged("admin".to_owned())),
        ] {
            let replace = replace(wrong.clone(), None);
            for command in [ScopeDefinitionCommand::Add(wrong), replace] {
                given(vec![]).when(command).then_expect_error(error.clone());
            }
        }
    }

    #[test]
    fn what_is_not_defined_can_t_be_taken_back() {
        given(vec![]).when(remove()).then_expect_error(ScopeDefinitionError::Unknown);
        given(vec![defined("a").into(), removed()])
            .when(remove())
            .then_expect_error(ScopeDefinitionError::Unknown);
    }

    #[test]
    fn what_is_defined_is_not_added_again() {
        given(vec![defined("a").into()])
            .when(ScopeDefinitionCommand::Add(defined("b")))
            .then_expect_error(ScopeDefinitionError::Exists);
        given(vec![defined("a").into(), removed()])
            .when(ScopeDefinitionCommand::Add(defined("b")))
            .then_expect_events(vec![defined("b").into()]);
    }

    #[test]
    fn the_same_definition_again_is_no_event() {
        let again = ScopeDefined { at: UnixTime::from_seconds(8), ..defined("a") };
        given(vec![defined("a").into()]).when(replace(again, Some("a"))).then_expect_events(vec![]);
        given(vec![defined("a").into()])
            .when(replace(defined("b"), Some("a")))
            .then_expect_events(vec![defined("b").into()]);
    }

    #[test]
    fn of_two_who_change_it_at_once_one_is_told() {
        for (before, instead_of) in [
            (vec![defined("a").into()], None),
            (vec![defined("a").into()], Some("b")),
            (vec![], Some("a")),
            (vec![defined("a").into(), removed()], Some("a")),
        ] {
            given(before)
                .when(replace(defined("c"), instead_of))
                .then_expect_error(ScopeDefinitionError::Changed);
        }
    }

    #[test]
    fn a_standard_scope_may_keep_the_server_s_words() {
        let email = but(|all| {
            all.name = "email".to_owned();
            all.definition.description = None;
            all.definition.claims = vec!["email".to_owned()];
        });
        given(vec![]).when(replace(email.clone(), None)).then_expect_events(vec![email.into()]);
    }

    #[test]
    fn a_definition_is_taken_back() {
        given(vec![defined("a").into()]).when(remove()).then_expect_events(vec![removed()]);
    }
}
