//! `[metadata]`: what the server says of itself.

use std::path::Path;

use chancery_domain::time::Lifetime;
use url::Url;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::value::{Kind, TextSetting};

settings! {
    /// What the server says of itself at /.well-known/openid-configuration and
    /// /.well-known/oauth-authorization-server (RFC 8414). What is said follows from what is
    /// on; these settings add to it, or keep some of it back.
    Metadata in "metadata" {
        /// Say only these members, by their names, besides those that the standards
        /// require. Empty: all.
        allow: Vec<MemberName> = default [];
        /// Never say these. Those that the standards require can't be kept back.
        deny: Vec<MemberName> = default [];
        /// For how many seconds others may keep the document, and the keys: a new key signs only
        /// when they have it.
        cache_lifetime: Lifetime = default 60 within 0..=86_400;
        /// Add the document once more as a JWT signed by this server (RFC 8414 §2.1).
        signed: bool = default false;
        /// Where developers read about this server.
        service_documentation: Option<PageUrl> = optional "https://login.example.com/docs";
        /// Where they read what they may do with people's data.
        op_policy_uri: Option<PageUrl> = optional "https://login.example.com/policy";
        /// Where they read the terms of service.
        op_tos_uri: Option<PageUrl> = optional "https://login.example.com/terms";
    }
}

/// What RFC 8414 §2 and OpenID Connect Discovery §3 require, and what a client
/// relies on for its safety (RFC 9207 §3).
pub const REQUIRED: [&str; 8] = [
    "authorization_endpoint",
    "authorization_response_iss_parameter_supported",
    "id_token_signing_alg_values_supported",
    "issuer",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "token_endpoint",
];

impl Metadata {
    /// Is this member said?
    #[must_use]
    pub fn says(&self, member: &str) -> bool {
        let named = |list: &[MemberName]| list.iter().any(|name| name.0 == member);
        let allowed = self.allow.is_empty() || named(&self.allow);
        REQUIRED.contains(&member) || allowed && !named(&self.deny)
    }
}

impl Check for Metadata {
    fn check(&self, report: &mut Report<'_>) {
        let required = self.deny.iter().find(|name| REQUIRED.contains(&name.0.as_str()));
        if let Some(MemberName(name)) = required {
            report.contradiction(
                "deny",
                &format!("names {name}, which clients can't do without"),
                "take it out of the list",
            );
        }
        if let Some(MemberName(name)) = self.deny.iter().find(|name| self.allow.contains(name)) {
            report.contradiction(
                "deny",
                &format!("names {name}, and so does metadata.allow"),
                "take it out of one of the two",
            );
        }
    }
}

/// The name of a member of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberName(pub String);

impl TextSetting for MemberName {
    const KIND: Kind = Kind::text("names like claims_supported");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let good = (1..=100).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_#-".contains(&byte));
        if !good {
            return Err(Refusal::new(
                format!("\"{text}\" is not the name of a member"),
                "give names like claims_supported",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The URL of a page for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageUrl(String);

impl PageUrl {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextSetting for PageUrl {
    const KIND: Kind = Kind::text("a URL");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let web = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !web {
            return Err(Refusal::new(
                "is not an http or https URL",
                "give the URL of a page, like https://login.example.com/docs",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}
