//! Client metadata (RFC 7591 §2, OpenID Connect Registration §2).

use serde::{Deserialize, Serialize};

use crate::protocol::client_auth_method::ClientAuthMethod;
use crate::protocol::grant_type::GrantType;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::response_type::ResponseType;
use crate::protocol::scope::Scope;
use crate::protocol::signing_algorithm::SigningAlgorithm;
use crate::time::Lifetime;

crate::protocol::parameter_values! {
    /// What access tokens of a client are made of.
    AccessTokenFormat, "access_token_format" {
        /// A signed JWT (RFC 9068).
        Jwt = "jwt",
        /// A handle that only introspection explains.
        Opaque = "opaque",
    }
}

/// What a client is and may do. Field names are those of the registries; the
/// last ones are Chancery's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientMetadata {
    /// Shown to the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The client's home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Where authorization responses may go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<RedirectUri>,
    /// Where the browser may go after logout.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// How it may get tokens.
    pub grant_types: Vec<GrantType>,
    /// What it may ask of the authorization endpoint.
    pub response_types: Vec<ResponseType>,
    /// The scopes that it may ask for.
    pub scope: Scope,
    /// How it authenticates.
    pub token_endpoint_auth_method: ClientAuthMethod,
    /// The algorithm of its ID tokens; absent: the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<SigningAlgorithm>,
    /// An authorization request of this client must be pushed (RFC 9126 §6).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_pushed_authorization_requests: bool,
    /// Its access tokens; absent: the server's format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_format: Option<AccessTokenFormat>,
    /// The audience of its access tokens; absent: the issuer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_token_audience: Vec<String>,
    /// Seconds; absent: the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<Lifetime>,
    /// Seconds; absent: the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token_lifetime: Option<Lifetime>,
    /// Seconds; absent: the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_lifetime: Option<Lifetime>,
    /// Seconds that a pushed request is good for; absent: the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub par_lifetime: Option<Lifetime>,
    /// A resource server: it may introspect tokens that were issued to others
    /// (RFC 7662 §4).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub introspect_any_token: bool,
    /// Operated by the same people as the server: it needs no consent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_consent: bool,
}

impl Default for ClientMetadata {
    /// The defaults of RFC 7591 §2.
    fn default() -> Self {
        Self {
            client_name: None,
            client_uri: None,
            redirect_uris: vec![],
            post_logout_redirect_uris: vec![],
            grant_types: vec![GrantType::AuthorizationCode],
            response_types: vec![ResponseType::Code],
            scope: Scope::default(),
            token_endpoint_auth_method: ClientAuthMethod::SecretBasic,
            id_token_signed_response_alg: None,
            require_pushed_authorization_requests: false,
            access_token_format: None,
            access_token_audience: vec![],
            access_token_lifetime: None,
            refresh_token_lifetime: None,
            id_token_lifetime: None,
            par_lifetime: None,
            introspect_any_token: false,
            skip_consent: false,
        }
    }
}

/// Metadata that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// The code flow needs somewhere to go.
    #[error("the authorization_code grant needs at least one redirect_uri")]
    RedirectUriMissing,
    /// RFC 7591 §2.1: grant types and response types go together.
    #[error("response_type code and grant_type authorization_code go together")]
    ResponseTypeMismatch,
    /// Nobody vouches for a public client (RFC 6749 §4.4).
    #[error("a public client can't use the client_credentials grant")]
    PublicClientCredentials,
    /// A refresh token comes only with another grant.
    #[error("the refresh_token grant needs another grant type beside it")]
    RefreshAlone,
    /// There is nothing that it could do.
    #[error("a client needs at least one grant_type")]
    NoGrantType,
    /// A lifetime of zero.
    #[error("a lifetime must be at least one second (par_lifetime: five)")]
    Lifetime,
    /// A name that does not fit on a page.
    #[error("client_name must have 1 to 200 characters and no control characters")]
    Name,
    /// A URI of the client's is no web address.
    #[error("client_uri must be an http or https URL")]
    Uri,
}

impl ClientMetadata {
    /// May it use this grant?
    #[must_use]
    pub fn allows(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// Refuses metadata that contradict themselves.
    pub fn check(&self) -> Result<(), InvalidMetadata> {
        let code = self.allows(GrantType::AuthorizationCode);
        if self.grant_types.is_empty() {
            return Err(InvalidMetadata::NoGrantType);
        }
        if code && self.redirect_uris.is_empty() {
            return Err(InvalidMetadata::RedirectUriMissing);
        }
        if code != self.response_types.contains(&ResponseType::Code) {
            return Err(InvalidMetadata::ResponseTypeMismatch);
        }
        let public = self.token_endpoint_auth_method == ClientAuthMethod::None;
        if public && self.allows(GrantType::ClientCredentials) {
            return Err(InvalidMetadata::PublicClientCredentials);
        }
        if self.grant_types.iter().all(|grant| *grant == GrantType::RefreshToken) {
            return Err(InvalidMetadata::RefreshAlone);
        }
        let too_short = |lifetime: Option<Lifetime>, least| {
            lifetime.is_some_and(|lifetime| lifetime.seconds() < least)
        };
        if too_short(self.access_token_lifetime, 1)
            || too_short(self.refresh_token_lifetime, 1)
            || too_short(self.id_token_lifetime, 1)
            || too_short(self.par_lifetime, 5)
        {
            return Err(InvalidMetadata::Lifetime);
        }
        let name_fits = |name: &String| {
            (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control)
        };
        if !self.client_name.as_ref().is_none_or(name_fits) {
            return Err(InvalidMetadata::Name);
        }
        let is_web = |uri: &String| {
            url::Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        if !self.client_uri.as_ref().is_none_or(is_web) {
            return Err(InvalidMetadata::Uri);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_client_gets_no_client_credentials() {
        let metadata = ClientMetadata {
            grant_types: vec![GrantType::ClientCredentials],
            response_types: vec![],
            token_endpoint_auth_method: ClientAuthMethod::None,
            ..ClientMetadata::default()
        };
        assert_eq!(metadata.check(), Err(InvalidMetadata::PublicClientCredentials));
    }

    #[test]
    fn the_code_flow_needs_somewhere_to_go() {
        assert_eq!(ClientMetadata::default().check(), Err(InvalidMetadata::RedirectUriMissing));
    }

    #[test]
    fn a_client_that_only_refreshes_makes_no_sense() {
        let metadata = ClientMetadata {
            grant_types: vec![GrantType::RefreshToken],
            response_types: vec![],
            ..ClientMetadata::default()
        };
        assert_eq!(metadata.check(), Err(InvalidMetadata::RefreshAlone));
    }

    fn good() -> ClientMetadata {
        ClientMetadata {
            redirect_uris: vec![RedirectUri::parse("https://rp.example/cb").unwrap()],
            ..ClientMetadata::default()
        }
    }

    #[test]
    fn each_contradiction_has_its_name() {
        type Spoil = fn(&mut ClientMetadata);
        let lifetime = |seconds| Some(Lifetime::from_seconds(seconds));
        let spoils: [(Spoil, InvalidMetadata); 6] = [
            (|m| m.grant_types = vec![], InvalidMetadata::NoGrantType),
            (|m| m.response_types = vec![], InvalidMetadata::ResponseTypeMismatch),
            (
                |m| m.grant_types = vec![GrantType::ClientCredentials],
                InvalidMetadata::ResponseTypeMismatch,
            ),
            (|m| m.client_name = Some(String::new()), InvalidMetadata::Name),
            (|m| m.client_name = Some("two\nlines".to_owned()), InvalidMetadata::Name),
            (|m| m.client_uri = Some("javascript:alert(1)".to_owned()), InvalidMetadata::Uri),
        ];
        for (spoil, error) in spoils {
            let mut metadata = good();
            spoil(&mut metadata);
            assert_eq!(metadata.check(), Err(error));
        }
        for metadata in [
            ClientMetadata { access_token_lifetime: lifetime(0), ..good() },
            ClientMetadata { refresh_token_lifetime: lifetime(0), ..good() },
            ClientMetadata { id_token_lifetime: lifetime(0), ..good() },
            ClientMetadata { par_lifetime: lifetime(4), ..good() },
        ] {
            assert_eq!(metadata.check(), Err(InvalidMetadata::Lifetime));
        }
        let whole = ClientMetadata {
            client_name: Some("Ä".repeat(200)),
            client_uri: Some("https://rp.example/".to_owned()),
            par_lifetime: lifetime(5),
            ..good()
        };
        assert_eq!(whole.check(), Ok(()));
    }

    /// RFC 7591 §2
    #[test]
    fn what_is_left_out_has_the_defaults_of_the_standard() {
        let read: ClientMetadata = serde_json::from_str("{}").unwrap();
        assert_eq!(read, ClientMetadata::default());
    }
}
