//! `[registration]`: what clients that register themselves may have.

use std::path::{Path, PathBuf};

use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::Lifetime;
use url::Url;

use super::declaration::{Check, Report, settings};
use super::metadata::MemberName;
use super::problem::Refusal;
use super::scopes::is_scope_token;
use super::value::{Kind, TextSetting, protocol_value};
use crate::jose::JwkSet;

settings! {
    /// What clients that register themselves may have (RFC 7591), where `features.registration`
    /// is on.
    Registration in "registration" {
        /// Let strangers register. If false, an initial access token is needed: see
        /// `chancery registration-token`.
        open: bool = default false;
        /// The scopes that they may ask for; what else they ask for is left out. Scopes of
        /// administration, audit, personal data and events are never among them.
        scopes: Vec<OpenScope> = default ["openid", "profile", "email", "address", "phone", "offline_access"];
        /// The grant types that they may use.
        grant_types: Vec<GrantType> = default ["authorization_code", "refresh_token"];
        /// The members of their metadata (RFC 7591 §2) that they may set. Empty: all that
        /// the standards have. Consent, introspection, hooks, lifetimes and audiences are
        /// always the operator's.
        metadata: Vec<MemberName> = default [];
        /// How long such a client can be used. 0: without end.
        client_lifetime: Lifetime = default 0 within 0..=315_360_000;
        /// Registrations, and changes of them, from one network (/24 of IPv4, /56 of IPv6)
        /// within a minute. More are refused with 429, and only counted.
        per_minute: u32 = default 10 within 1..=1_000_000;
        /// How many URIs one member of the metadata may have.
        most_uris: u32 = default 20 within 1..=1000;
        /// Whose software statements (RFC 7591 §2.3) are believed: each the issuer, a space,
        /// and where its keys are, a URL or a file with a JWK Set.
        software_statement_issuers: Vec<StatementIssuer> = default [];
        /// Register only software that one of these vouches for.
        require_software_statement: bool = default false;
    }
}

protocol_value!(GrantType, "grant types");

impl Check for Registration {
    fn check(&self, report: &mut Report<'_>) {
        if self.require_software_statement && self.software_statement_issuers.is_empty() {
            report.contradiction(
                "require_software_statement",
                "is true, but nobody's statements are believed",
                "name the issuers in registration.software_statement_issuers",
            );
        }
        if self.grant_types.is_empty() {
            report.contradiction(
                "grant_types",
                "is empty, so no client could be registered",
                "give at least one, or switch features.registration off",
            );
        }
    }
}

/// A scope that whoever registers may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenScope(pub String);

impl TextSetting for OpenScope {
    const KIND: Kind = Kind::text("scopes");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        if !is_scope_token(text) {
            return Err(Refusal::new(
                format!("\"{text}\" is not a name that a scope can have (RFC 6749 §3.3)"),
                "use visible ASCII characters other than \" and \\",
            ));
        }
        if Scope::is_privileged(text) {
            return Err(Refusal::new(
                format!("{text} is never given to a client that registered itself"),
                "take it out; register the client that needs it by `chancery client add`",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Somebody whose software statements are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementIssuer {
    /// The `iss` of the statements.
    pub issuer: String,
    pub keys: StatementKeys,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementKeys {
    At(Url),
    Given(JwkSet),
}

impl TextSetting for StatementIssuer {
    const KIND: Kind = Kind::text("issuers with their keys");

    fn parse(text: &str, base: &Path) -> Result<Self, Refusal> {
        let remedy = "give the issuer, a space, and the URL or file of its JWK Set, like \
                      \"https://directory.example https://directory.example/jwks\"";
        let refused = |why: String| Refusal::new(why, remedy);
        let (issuer, keys) = text
            .split_once(' ')
            .map(|(issuer, keys)| (issuer, keys.trim()))
            .filter(|(issuer, keys)| !issuer.is_empty() && !keys.is_empty())
            .ok_or_else(|| refused(format!("\"{text}\" names no keys")))?;
        let issuer = issuer.to_owned();
        if let Ok(url) = Url::parse(keys)
            && matches!(url.scheme(), "http" | "https")
        {
            return Ok(Self { issuer, keys: StatementKeys::At(url) });
        }
        let path = PathBuf::parse(keys, base)?;
        let content = std::fs::read(&path)
            .map_err(|error| refused(format!("{} can't be read: {error}", path.display())))?;
        let set: JwkSet = serde_json::from_slice(&content)
            .map_err(|error| refused(format!("{} is no JWK Set: {error}", path.display())))?;
        if set.keys.is_empty() {
            return Err(refused(format!("{} has no key that can verify", path.display())));
        }
        Ok(Self { issuer, keys: StatementKeys::Given(set) })
    }
}
