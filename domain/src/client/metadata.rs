//! Client metadata (RFC 7591 §2, OpenID Connect Registration §2).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::authorization_details::AuthorizationDetails;
use crate::protocol::client_auth_method::ClientAuthMethod;
use crate::protocol::content_encryption::ContentEncryption;
use crate::protocol::grant_type::GrantType;
use crate::protocol::key_management_algorithm::KeyManagementAlgorithm;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::redirect_uri_pattern::{InvalidPattern, RedirectUriPattern};
use crate::protocol::response_type::ResponseType;
use crate::protocol::scope::Scope;
use crate::protocol::signing_algorithm::SigningAlgorithm;
use crate::time::{Lifetime, UnixTime};

crate::protocol::parameter_values! {
    /// What access tokens of a client are made of.
    AccessTokenFormat, "access_token_format" {
        /// A signed JWT (RFC 9068).
        Jwt = "jwt",
        /// A handle that only introspection explains.
        Opaque = "opaque",
    }
}

crate::protocol::parameter_values! {
    /// Where a client runs (OpenID Connect Registration §2).
    ApplicationType, "application_type" {
        /// On a web server, or in a browser.
        Web = "web",
        /// On a person's device.
        Native = "native",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro declares the enum")]
impl Default for ApplicationType {
    fn default() -> Self {
        Self::Web
    }
}

crate::protocol::parameter_values! {
    /// What a client knows people by (OpenID Connect Core §8).
    SubjectType, "subject_type" {
        /// The same `sub` as every such client.
        Public = "public",
        /// A `sub` of its sector's own.
        Pairwise = "pairwise",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro declares the enum")]
impl Default for SubjectType {
    fn default() -> Self {
        Self::Public
    }
}

crate::protocol::parameter_values! {
    /// Rules that a client lives by, beyond those for all.
    SecurityProfile, "security_profile" {
        /// OAuth 2.0 and OpenID Connect as they stand.
        Standard = "standard",
        /// The FAPI 2.0 Security Profile.
        Fapi2 = "fapi2",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro declares the enum")]
impl Default for SecurityProfile {
    fn default() -> Self {
        Self::Standard
    }
}

/// What a client is and may do. Field names are those of the registries;
/// `security_profile`, `hooks` and their like are Chancery's own.
///
/// A value that is absent, or as it is by default, is not written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the registries have so many")]
pub struct ClientMetadata {
    /// Shown to the person.
    #[serde(skip_serializing_if = "absent")]
    pub client_name: Option<String>,
    /// The client's home page.
    #[serde(skip_serializing_if = "absent")]
    pub client_uri: Option<String>,
    /// A picture of it.
    #[serde(skip_serializing_if = "absent")]
    pub logo_uri: Option<String>,
    /// How it treats the person's data.
    #[serde(skip_serializing_if = "absent")]
    pub policy_uri: Option<String>,
    /// Its terms of service.
    #[serde(skip_serializing_if = "absent")]
    pub tos_uri: Option<String>,
    /// Whom to write to about it.
    #[serde(skip_serializing_if = "absent")]
    pub contacts: Vec<String>,
    /// Where it runs (OpenID Connect Registration §2).
    #[serde(skip_serializing_if = "absent")]
    pub application_type: ApplicationType,
    /// Where authorization responses may go.
    #[serde(skip_serializing_if = "absent")]
    pub redirect_uris: Vec<RedirectUri>,
    /// Where the browser may go after logout.
    #[serde(skip_serializing_if = "absent")]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// A regular expression of further redirect URIs: it matches the whole URI,
    /// begins with `https://`, and says its host.
    #[serde(skip_serializing_if = "absent")]
    pub redirect_uris_regex: Option<String>,
    /// Where others send a browser to begin a login at the client.
    #[serde(skip_serializing_if = "absent")]
    pub initiate_login_uri: Option<String>,
    /// How it may get tokens.
    pub grant_types: Vec<GrantType>,
    /// What it may ask of the authorization endpoint.
    pub response_types: Vec<ResponseType>,
    /// The scopes that it may ask for.
    pub scope: Scope,
    /// How it authenticates.
    pub token_endpoint_auth_method: ClientAuthMethod,
    /// Other ways in which it may authenticate.
    #[serde(skip_serializing_if = "absent")]
    pub additional_token_endpoint_auth_methods: Vec<ClientAuthMethod>,
    /// The algorithm of its client assertions; absent: any that fits.
    #[serde(skip_serializing_if = "absent")]
    pub token_endpoint_auth_signing_alg: Option<SigningAlgorithm>,
    /// Its public keys (RFC 7517 §5), given here.
    #[serde(skip_serializing_if = "absent")]
    pub jwks: Option<serde_json::Value>,
    /// Where its public keys are found.
    #[serde(skip_serializing_if = "absent")]
    pub jwks_uri: Option<String>,
    /// Which software it is (RFC 7591 §2).
    #[serde(skip_serializing_if = "absent")]
    pub software_id: Option<String>,
    /// Which version of that.
    #[serde(skip_serializing_if = "absent")]
    pub software_version: Option<String>,
    /// What somebody vouches for (RFC 7591 §2.3), as it came.
    #[serde(skip_serializing_if = "absent")]
    pub software_statement: Option<String>,
    /// What the client knows people by.
    #[serde(skip_serializing_if = "absent")]
    pub subject_type: SubjectType,
    /// Where the redirect URIs stand of the clients that know people by the
    /// same `sub`.
    #[serde(skip_serializing_if = "absent")]
    pub sector_identifier_uri: Option<String>,
    /// The algorithm of its ID tokens; absent: the server's.
    #[serde(skip_serializing_if = "absent")]
    pub id_token_signed_response_alg: Option<SigningAlgorithm>,
    /// Its ID tokens are encrypted for it by this; absent: they are not.
    #[serde(skip_serializing_if = "absent")]
    pub id_token_encrypted_response_alg: Option<KeyManagementAlgorithm>,
    /// See [`Self::content_encryption`].
    #[serde(skip_serializing_if = "absent")]
    pub id_token_encrypted_response_enc: Option<ContentEncryption>,
    /// Userinfo answers are signed by this; absent: they are plain JSON.
    #[serde(skip_serializing_if = "absent")]
    pub userinfo_signed_response_alg: Option<SigningAlgorithm>,
    /// Userinfo answers are encrypted for it by this.
    #[serde(skip_serializing_if = "absent")]
    pub userinfo_encrypted_response_alg: Option<KeyManagementAlgorithm>,
    /// See [`Self::content_encryption`].
    #[serde(skip_serializing_if = "absent")]
    pub userinfo_encrypted_response_enc: Option<ContentEncryption>,
    /// Introspection answers as JWTs are signed by this (RFC 9701 §6).
    #[serde(skip_serializing_if = "absent")]
    pub introspection_signed_response_alg: Option<SigningAlgorithm>,
    /// Introspection answers are encrypted for it by this.
    #[serde(skip_serializing_if = "absent")]
    pub introspection_encrypted_response_alg: Option<KeyManagementAlgorithm>,
    /// See [`Self::content_encryption`].
    #[serde(skip_serializing_if = "absent")]
    pub introspection_encrypted_response_enc: Option<ContentEncryption>,
    /// Authorization responses as JWTs are signed by this (JARM §3).
    #[serde(skip_serializing_if = "absent")]
    pub authorization_signed_response_alg: Option<SigningAlgorithm>,
    /// Authorization responses as JWTs are encrypted for it by this.
    #[serde(skip_serializing_if = "absent")]
    pub authorization_encrypted_response_alg: Option<KeyManagementAlgorithm>,
    /// See [`Self::content_encryption`].
    #[serde(skip_serializing_if = "absent")]
    pub authorization_encrypted_response_enc: Option<ContentEncryption>,
    /// Its request objects must be signed by this; absent: by any that fits.
    #[serde(skip_serializing_if = "absent")]
    pub request_object_signing_alg: Option<SigningAlgorithm>,
    /// It may encrypt its request objects by this.
    #[serde(skip_serializing_if = "absent")]
    pub request_object_encryption_alg: Option<KeyManagementAlgorithm>,
    /// See [`Self::content_encryption`].
    #[serde(skip_serializing_if = "absent")]
    pub request_object_encryption_enc: Option<ContentEncryption>,
    /// Its authorization requests must come as signed request objects (RFC 9101
    /// §10.5).
    #[serde(skip_serializing_if = "absent")]
    pub require_signed_request_object: bool,
    /// Where its request objects may be fetched from.
    #[serde(skip_serializing_if = "absent")]
    pub request_uris: Vec<String>,
    /// An authorization request of this client must be pushed (RFC 9126 §6).
    #[serde(skip_serializing_if = "absent")]
    pub require_pushed_authorization_requests: bool,
    /// Its authorization requests must have a code challenge (RFC 7636).
    #[serde(skip_serializing_if = "absent")]
    pub require_pkce: bool,
    /// The oldest authentication that is good enough where a request names
    /// none, in seconds.
    #[serde(skip_serializing_if = "absent")]
    pub default_max_age: Option<Lifetime>,
    /// It relies on `auth_time`.
    #[serde(skip_serializing_if = "absent")]
    pub require_auth_time: bool,
    /// Authentication context classes where a request names none.
    #[serde(skip_serializing_if = "absent")]
    pub default_acr_values: Vec<String>,
    /// No weaker authentication context class is good enough for it.
    #[serde(skip_serializing_if = "absent")]
    pub minimum_acr: Option<String>,
    /// The only classes that it may ask for; empty: any.
    #[serde(skip_serializing_if = "absent")]
    pub authorized_acr_values: Vec<String>,
    /// People enter their credentials each time, as if each request had
    /// `prompt=login`.
    #[serde(skip_serializing_if = "absent")]
    pub default_prompt_login: bool,
    /// Where it is told that a session ended (OpenID Connect Back-Channel
    /// Logout §2.2).
    #[serde(skip_serializing_if = "absent")]
    pub backchannel_logout_uri: Option<String>,
    /// It needs the `sid` there.
    #[serde(skip_serializing_if = "absent")]
    pub backchannel_logout_session_required: bool,
    /// What a browser loads when its session ends (OpenID Connect Front-Channel
    /// Logout §2).
    #[serde(skip_serializing_if = "absent")]
    pub frontchannel_logout_uri: Option<String>,
    /// It needs `iss` and `sid` there.
    #[serde(skip_serializing_if = "absent")]
    pub frontchannel_logout_session_required: bool,
    /// The types of authorization details that it uses (RFC 9396 §10).
    #[serde(skip_serializing_if = "absent")]
    pub authorization_details_types: Vec<String>,
    /// What it gets where it asks for no authorization details, and the most that it gets:
    /// empty: there is no such limit.
    #[serde(skip_serializing_if = "absent")]
    pub authorization_details: AuthorizationDetails,
    /// Its access tokens are always bound to a key (RFC 9449 §5.2).
    #[serde(skip_serializing_if = "absent")]
    pub dpop_bound_access_tokens: bool,
    /// The rules that it lives by.
    #[serde(skip_serializing_if = "absent")]
    pub security_profile: SecurityProfile,
    /// Its access tokens; absent: the server's format.
    #[serde(skip_serializing_if = "absent")]
    pub access_token_format: Option<AccessTokenFormat>,
    /// The algorithm of its access tokens that are JWTs; absent: the server's.
    #[serde(skip_serializing_if = "absent")]
    pub access_token_signing_alg: Option<SigningAlgorithm>,
    /// The audience of its access tokens; absent: the issuer.
    #[serde(skip_serializing_if = "absent")]
    pub access_token_audience: Vec<String>,
    /// Seconds; absent: the server's.
    #[serde(skip_serializing_if = "absent")]
    pub access_token_lifetime: Option<Lifetime>,
    /// Seconds; absent: the server's.
    #[serde(skip_serializing_if = "absent")]
    pub refresh_token_lifetime: Option<Lifetime>,
    /// Its refresh tokens are replaced at each use; absent: as the server does.
    #[serde(skip_serializing_if = "absent")]
    pub refresh_token_rotation: Option<bool>,
    /// Seconds; absent: the server's.
    #[serde(skip_serializing_if = "absent")]
    pub id_token_lifetime: Option<Lifetime>,
    /// Whom its ID tokens are for besides itself (OpenID Connect Core §2: `aud`,
    /// with the client as `azp`).
    #[serde(skip_serializing_if = "absent")]
    pub additional_audience: Vec<String>,
    /// Seconds that a pushed request is good for; absent: the server's.
    #[serde(skip_serializing_if = "absent")]
    pub par_lifetime: Option<Lifetime>,
    /// A resource server: it may introspect tokens that were issued to others
    /// (RFC 7662 §4).
    #[serde(skip_serializing_if = "absent")]
    pub introspect_any_token: bool,
    /// Operated by the same people as the server: it needs no consent.
    #[serde(skip_serializing_if = "absent")]
    pub skip_consent: bool,
    /// The hooks that run for it, by their names in the settings.
    #[serde(skip_serializing_if = "absent")]
    pub hooks: Vec<String>,
    /// When it can be used no more; absent: never.
    #[serde(skip_serializing_if = "absent")]
    pub client_expires_at: Option<UnixTime>,
    /// What people read in other languages (RFC 7591 §2.2): `client_name#de`
    /// and its like.
    #[serde(flatten)]
    pub localized: BTreeMap<String, serde_json::Value>,
}

fn absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for ClientMetadata {
    /// The defaults of RFC 7591 §2.
    fn default() -> Self {
        Self {
            client_name: None,
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            contacts: vec![],
            application_type: ApplicationType::default(),
            redirect_uris: vec![],
            redirect_uris_regex: None,
            initiate_login_uri: None,
            grant_types: vec![GrantType::AuthorizationCode],
            response_types: vec![ResponseType::Code],
            scope: Scope::default(),
            token_endpoint_auth_method: ClientAuthMethod::SecretBasic,
            additional_token_endpoint_auth_methods: vec![],
            token_endpoint_auth_signing_alg: None,
            jwks: None,
            jwks_uri: None,
            software_id: None,
            software_version: None,
            software_statement: None,
            subject_type: SubjectType::default(),
            sector_identifier_uri: None,
            id_token_signed_response_alg: None,
            id_token_encrypted_response_alg: None,
            id_token_encrypted_response_enc: None,
            userinfo_signed_response_alg: None,
            userinfo_encrypted_response_alg: None,
            userinfo_encrypted_response_enc: None,
            introspection_signed_response_alg: None,
            introspection_encrypted_response_alg: None,
            introspection_encrypted_response_enc: None,
            authorization_signed_response_alg: None,
            authorization_encrypted_response_alg: None,
            authorization_encrypted_response_enc: None,
            request_object_signing_alg: None,
            request_object_encryption_alg: None,
            request_object_encryption_enc: None,
            require_signed_request_object: false,
            request_uris: vec![],
            require_pushed_authorization_requests: false,
            require_pkce: false,
            default_max_age: None,
            require_auth_time: false,
            default_acr_values: vec![],
            minimum_acr: None,
            authorized_acr_values: vec![],
            default_prompt_login: false,
            post_logout_redirect_uris: vec![],
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            frontchannel_logout_uri: None,
            frontchannel_logout_session_required: false,
            authorization_details_types: vec![],
            authorization_details: AuthorizationDetails::default(),
            dpop_bound_access_tokens: false,
            security_profile: SecurityProfile::default(),
            access_token_format: None,
            access_token_signing_alg: None,
            access_token_audience: vec![],
            access_token_lifetime: None,
            refresh_token_lifetime: None,
            refresh_token_rotation: None,
            id_token_lifetime: None,
            additional_audience: vec![],
            par_lifetime: None,
            introspect_any_token: false,
            skip_consent: false,
            hooks: vec![],
            client_expires_at: None,
            localized: BTreeMap::new(),
        }
    }
}

/// Metadata that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// The code and implicit flows need somewhere to go.
    #[error("the authorization_code and implicit grants need at least one redirect_uri")]
    RedirectUriMissing,
    /// RFC 7591 §2.1: grant types and response types go together.
    #[error(
        "response_types with code go together with grant_type authorization_code, those with \
         token or id_token with implicit"
    )]
    ResponseTypeMismatch,
    /// FAPI 2.0 Security Profile §5.3.2.2
    #[error("a client under FAPI 2.0 has no response_type but code")]
    CodeOnly,
    /// Nobody vouches for a public client (RFC 6749 §4.4).
    #[error("a public client can't use the client_credentials grant")]
    PublicClientCredentials,
    /// A public client has no other way to authenticate.
    #[error("additional_token_endpoint_auth_methods are for clients that authenticate")]
    PublicMethods,
    /// FAPI 2.0 §5.3.2.1
    #[error("a client of the profile fapi2 can't use the password grant")]
    PasswordUnderFapi,
    /// Resource servers don't know the client's secret.
    #[error("access_token_signing_alg must be an algorithm of the server's keys")]
    AccessTokenAlgorithm,
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
    #[error("{0} must be an http or https URL")]
    Uri(&'static str),
    /// A pattern that would let in what nobody thought of.
    #[error("redirect_uris_regex {0}")]
    Pattern(InvalidPattern),
    /// RFC 7591 §2: keys are given in one way.
    #[error("give jwks or jwks_uri, not both")]
    TwoKeySets,
    /// Something needs the client's public keys.
    #[error("{0} needs jwks or jwks_uri")]
    KeysMissing(&'static str),
    /// It is no JWK Set.
    #[error("jwks must be an object with a list \"keys\" of public keys (RFC 7517 §5)")]
    Keys,
    /// Content is encrypted only along with a key.
    #[error("{0} needs the alg beside it")]
    EncryptionWithoutAlgorithm(&'static str),
    /// Some algorithms work with the client's secret.
    #[error("{0} works with the client's secret, and a public client has none")]
    SecretMissing(&'static str),
    /// OpenID Connect Core §8.1: it is not clear what sector it is of.
    #[error(
        "a pairwise client with redirect_uris on several hosts, or both on one and on the \
         person's device, needs a sector_identifier_uri"
    )]
    SeveralHosts,
    /// A signing algorithm that the method can't use.
    #[error("token_endpoint_auth_signing_alg does not fit the client's authentication methods")]
    AssertionAlgorithm,
    /// A member that this server does not know.
    #[error("unknown member {0}")]
    Unknown(String),
}

/// What people read of a client, in one language or another (RFC 7591 §2.2).
const LOCALIZED: [&str; 5] = ["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"];

impl ClientMetadata {
    /// May it use this grant?
    #[must_use]
    pub fn allows(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// May it ask this of the authorization endpoint? A client under FAPI 2.0
    /// asks for codes only (FAPI 2.0 Security Profile §5.3.2.2).
    #[must_use]
    pub fn allows_response_type(&self, response_type: ResponseType) -> bool {
        let front = response_type.is_front_channel();
        self.response_types.contains(&response_type)
            && (!response_type.has_code() || self.allows(GrantType::AuthorizationCode))
            && (!front || self.allows(GrantType::Implicit))
            && (!front || self.security_profile != SecurityProfile::Fapi2)
    }

    /// May answers go there?
    #[must_use]
    pub fn allows_redirect_uri(&self, uri: &RedirectUri) -> bool {
        self.redirect_uris.iter().any(|own| own.allows(uri))
            || self
                .redirect_uris_regex
                .as_deref()
                .and_then(|pattern| RedirectUriPattern::parse(pattern).ok())
                .is_some_and(|pattern| pattern.allows(uri))
    }

    /// Every way in which it may authenticate, the usual one first.
    pub fn auth_methods(&self) -> impl Iterator<Item = ClientAuthMethod> {
        let additional = self.additional_token_endpoint_auth_methods.iter().copied();
        std::iter::once(self.token_endpoint_auth_method).chain(additional)
    }

    /// Does it have public keys?
    #[must_use]
    pub const fn has_keys(&self) -> bool {
        self.jwks.is_some() || self.jwks_uri.is_some()
    }

    /// Must the server be able to read its secret? To compare secrets, a
    /// digest is enough; an HMAC needs the secret itself.
    #[must_use]
    pub fn needs_readable_secret(&self) -> bool {
        self.auth_methods().any(|method| method == ClientAuthMethod::SecretJwt)
            || self.secret_user().is_some()
    }

    /// How many bytes a secret must have that the server can read: as many as
    /// the hash of each MAC that is made with it (RFC 7518 §3.2).
    #[must_use]
    pub fn shortest_secret(&self) -> usize {
        let assertions = self.token_endpoint_auth_signing_alg;
        let signatures = self.signatures().into_iter().filter_map(|(_, algorithm)| algorithm);
        let least = |algorithm| match algorithm {
            SigningAlgorithm::HS512 => 64,
            SigningAlgorithm::HS384 => 48,
            _ => 32,
        };
        signatures.chain(assertions).map(least).max().unwrap_or(32)
    }

    /// Does it have a secret?
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        self.auth_methods().any(ClientAuthMethod::uses_secret) || self.secret_user().is_some()
    }

    /// How content is encrypted where only `alg` was registered (OpenID
    /// Connect Registration §2).
    #[must_use]
    pub fn content_encryption(registered: Option<ContentEncryption>) -> ContentEncryption {
        registered.unwrap_or(ContentEncryption::A128CbcHs256)
    }

    /// What people read in a language, if it was given in that: the value of
    /// `name#tag`, tried with ever shorter tags.
    #[must_use]
    pub fn localized(&self, name: &str, locale: &str) -> Option<&str> {
        let mut tag = locale;
        loop {
            let found = self.localized.iter().find(|(member, _)| {
                member.split_once('#').is_some_and(|(own, language)| {
                    own == name && language.eq_ignore_ascii_case(tag)
                })
            });
            if let Some(text) = found.and_then(|(_, value)| value.as_str()) {
                return Some(text);
            }
            tag = tag.rsplit_once('-')?.0;
        }
    }

    /// The JWTs that the server signs for it, or it for the server.
    fn signatures(&self) -> [(&'static str, Option<SigningAlgorithm>); 5] {
        [
            ("id_token_signed_response_alg", self.id_token_signed_response_alg),
            ("userinfo_signed_response_alg", self.userinfo_signed_response_alg),
            ("introspection_signed_response_alg", self.introspection_signed_response_alg),
            ("authorization_signed_response_alg", self.authorization_signed_response_alg),
            ("request_object_signing_alg", self.request_object_signing_alg),
        ]
    }

    /// The JWTs that are encrypted for it.
    fn encryptions(
        &self,
    ) -> [(&'static str, Option<KeyManagementAlgorithm>, Option<ContentEncryption>); 4] {
        [
            (
                "id_token_encrypted_response_alg",
                self.id_token_encrypted_response_alg,
                self.id_token_encrypted_response_enc,
            ),
            (
                "userinfo_encrypted_response_alg",
                self.userinfo_encrypted_response_alg,
                self.userinfo_encrypted_response_enc,
            ),
            (
                "introspection_encrypted_response_alg",
                self.introspection_encrypted_response_alg,
                self.introspection_encrypted_response_enc,
            ),
            (
                "authorization_encrypted_response_alg",
                self.authorization_encrypted_response_alg,
                self.authorization_encrypted_response_enc,
            ),
        ]
    }

    /// What works with its secret, apart from its authentication.
    fn secret_user(&self) -> Option<&'static str> {
        let signs = self
            .signatures()
            .into_iter()
            .find(|(_, algorithm)| algorithm.is_some_and(SigningAlgorithm::is_symmetric));
        let opens = (
            "request_object_encryption_alg",
            self.request_object_encryption_alg,
            self.request_object_encryption_enc,
        );
        let encrypts =
            self.encryptions().into_iter().chain([opens]).find(|(_, algorithm, _)| {
                algorithm.is_some_and(KeyManagementAlgorithm::is_symmetric)
            });
        signs.map(|(name, _)| name).or(encrypts.map(|(name, ..)| name))
    }

    /// Refuses metadata that contradict themselves.
    pub fn check(&self) -> Result<(), InvalidMetadata> {
        self.check_flows()?;
        self.check_lifetimes()?;
        self.check_presentation()?;
        self.check_uris()?;
        self.check_authentication()?;
        self.check_encryption()?;
        self.check_sector()
    }

    /// RFC 7591 §2.1
    fn check_flows(&self) -> Result<(), InvalidMetadata> {
        if self.grant_types.is_empty() {
            return Err(InvalidMetadata::NoGrantType);
        }
        let code = self.allows(GrantType::AuthorizationCode);
        let implicit = self.allows(GrantType::Implicit);
        if (code || implicit) && self.redirect_uris.is_empty() {
            return Err(InvalidMetadata::RedirectUriMissing);
        }
        let asks = |part: fn(ResponseType) -> bool| self.response_types.iter().copied().any(part);
        if code != asks(ResponseType::has_code) || implicit != asks(ResponseType::is_front_channel)
        {
            return Err(InvalidMetadata::ResponseTypeMismatch);
        }
        if implicit && self.security_profile == SecurityProfile::Fapi2 {
            return Err(InvalidMetadata::CodeOnly);
        }
        let public = self.token_endpoint_auth_method == ClientAuthMethod::None;
        if public && self.allows(GrantType::ClientCredentials) {
            return Err(InvalidMetadata::PublicClientCredentials);
        }
        if self.allows(GrantType::Password) && self.security_profile == SecurityProfile::Fapi2 {
            return Err(InvalidMetadata::PasswordUnderFapi);
        }
        if self.access_token_signing_alg.is_some_and(SigningAlgorithm::is_symmetric) {
            return Err(InvalidMetadata::AccessTokenAlgorithm);
        }
        if self.grant_types.iter().all(|grant| *grant == GrantType::RefreshToken) {
            return Err(InvalidMetadata::RefreshAlone);
        }
        Ok(())
    }

    fn check_lifetimes(&self) -> Result<(), InvalidMetadata> {
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
        Ok(())
    }

    fn check_presentation(&self) -> Result<(), InvalidMetadata> {
        let name_fits = |name: &str| {
            (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control)
        };
        if !self.client_name.as_deref().is_none_or(name_fits) {
            return Err(InvalidMetadata::Name);
        }
        for (member, value) in &self.localized {
            let name = member.split_once('#').and_then(|(name, tag)| {
                let known = LOCALIZED.into_iter().find(|own| *own == name);
                known.filter(|_| is_language_tag(tag))
            });
            let name = name.ok_or_else(|| InvalidMetadata::Unknown(member.clone()))?;
            let text = value.as_str();
            if name == "client_name" {
                text.filter(|text| name_fits(text)).ok_or(InvalidMetadata::Name)?;
            } else {
                text.filter(|text| is_web(text)).ok_or(InvalidMetadata::Uri(name))?;
            }
        }
        Ok(())
    }

    fn check_uris(&self) -> Result<(), InvalidMetadata> {
        let single = [
            ("client_uri", &self.client_uri),
            ("logo_uri", &self.logo_uri),
            ("policy_uri", &self.policy_uri),
            ("tos_uri", &self.tos_uri),
            ("initiate_login_uri", &self.initiate_login_uri),
            ("jwks_uri", &self.jwks_uri),
            ("sector_identifier_uri", &self.sector_identifier_uri),
            ("backchannel_logout_uri", &self.backchannel_logout_uri),
            ("frontchannel_logout_uri", &self.frontchannel_logout_uri),
        ];
        let wrong = single
            .into_iter()
            .find(|(_, uri)| !uri.as_deref().is_none_or(is_web))
            .map(|(name, _)| name);
        if let Some(pattern) = &self.redirect_uris_regex {
            RedirectUriPattern::parse(pattern).map_err(InvalidMetadata::Pattern)?;
        }
        let wrong_request_uri = || self.request_uris.iter().any(|uri| !is_web(uri));
        match wrong.or_else(|| wrong_request_uri().then_some("request_uris")) {
            Some(name) => Err(InvalidMetadata::Uri(name)),
            None => Ok(()),
        }
    }

    fn check_authentication(&self) -> Result<(), InvalidMetadata> {
        let public = self.token_endpoint_auth_method == ClientAuthMethod::None;
        let additional = &self.additional_token_endpoint_auth_methods;
        if public && !additional.is_empty() || additional.contains(&ClientAuthMethod::None) {
            return Err(InvalidMetadata::PublicMethods);
        }
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            return Err(InvalidMetadata::TwoKeySets);
        }
        let is_set = |jwks: &serde_json::Value| {
            let keys = jwks.get("keys").and_then(serde_json::Value::as_array);
            keys.is_some_and(|keys| keys.iter().all(is_public_key))
        };
        if !self.jwks.as_ref().is_none_or(is_set) {
            return Err(InvalidMetadata::Keys);
        }
        let signs = self.auth_methods().any(|method| method == ClientAuthMethod::PrivateKeyJwt);
        if signs && !self.has_keys() {
            return Err(InvalidMetadata::KeysMissing("private_key_jwt"));
        }
        let mac = self.auth_methods().any(|method| method == ClientAuthMethod::SecretJwt);
        let fits = |algorithm: SigningAlgorithm| if algorithm.is_symmetric() { mac } else { signs };
        if !self.token_endpoint_auth_signing_alg.is_none_or(fits) {
            return Err(InvalidMetadata::AssertionAlgorithm);
        }
        match self.secret_user() {
            Some(name) if public => Err(InvalidMetadata::SecretMissing(name)),
            _ => Ok(()),
        }
    }

    fn check_encryption(&self) -> Result<(), InvalidMetadata> {
        for (name, algorithm, content) in self.encryptions() {
            match algorithm {
                None if content.is_some() => {
                    return Err(InvalidMetadata::EncryptionWithoutAlgorithm(name));
                }
                Some(algorithm) if !algorithm.is_symmetric() && !self.has_keys() => {
                    return Err(InvalidMetadata::KeysMissing(name));
                }
                _ => {}
            }
        }
        let asymmetric = |algorithm: SigningAlgorithm| !algorithm.is_symmetric();
        if self.request_object_signing_alg.is_some_and(asymmetric) && !self.has_keys() {
            return Err(InvalidMetadata::KeysMissing("request_object_signing_alg"));
        }
        Ok(())
    }
}

fn is_web(uri: &str) -> bool {
    url::Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// BCP 47, loosely.
fn is_language_tag(tag: &str) -> bool {
    !tag.is_empty()
        && tag.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// A private or secret part has no business here (RFC 7517 §4, RFC 7518 §6).
fn is_public_key(key: &serde_json::Value) -> bool {
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    key.get("kty").is_some_and(serde_json::Value::is_string)
        && private.iter().all(|member| key.get(member).is_none())
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

    /// FAPI 2.0 §5.3.2.1; RFC 9068 §2.1
    #[test]
    fn what_a_profile_or_a_resource_server_can_t_live_with_is_refused() {
        let metadata = ClientMetadata {
            grant_types: vec![GrantType::AuthorizationCode, GrantType::Password],
            security_profile: SecurityProfile::Fapi2,
            ..good()
        };
        assert_eq!(metadata.check(), Err(InvalidMetadata::PasswordUnderFapi));
        let access_token_signing_alg = Some(SigningAlgorithm::HS256);
        let metadata = ClientMetadata { access_token_signing_alg, ..good() };
        assert_eq!(metadata.check(), Err(InvalidMetadata::AccessTokenAlgorithm));
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
            (
                |m| m.client_uri = Some("javascript:alert(1)".to_owned()),
                InvalidMetadata::Uri("client_uri"),
            ),
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

    #[test]
    fn a_redirect_uri_is_registered_or_matches_the_pattern() {
        let pattern = Some(r"https://[a-z]+\.rp\.example/cb".to_owned());
        let metadata = ClientMetadata { redirect_uris_regex: pattern, ..good() };
        assert_eq!(metadata.check(), Ok(()));
        let allows = |uri: &str| metadata.allows_redirect_uri(&RedirectUri::parse(uri).unwrap());
        assert!(allows("https://rp.example/cb") && allows("https://one.rp.example/cb"));
        assert!(!allows("https://one.rp.example/cb/") && !allows("https://evil.example/cb"));
        let open = ClientMetadata { redirect_uris_regex: Some(".*".to_owned()), ..good() };
        assert_eq!(open.check(), Err(InvalidMetadata::Pattern(InvalidPattern::NotHttps)));
    }

    /// RFC 7591 §2, §2.1
    #[test]
    fn what_needs_keys_or_a_secret_says_so() {
        let key = serde_json::json!({ "kty": "EC" });
        let secret_key = serde_json::json!({ "kty": "oct", "k": "c2VjcmV0" });
        let keys = |key: &serde_json::Value| Some(serde_json::json!({ "keys": [key] }));
        let signed = ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt,
            jwks: keys(&key),
            ..good()
        };
        assert_eq!(signed.check(), Ok(()));
        assert!(!signed.needs_secret());
        let public =
            ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..good() };
        for (metadata, error) in [
            (
                ClientMetadata { jwks: None, ..signed.clone() },
                InvalidMetadata::KeysMissing("private_key_jwt"),
            ),
            (
                ClientMetadata {
                    jwks_uri: Some("https://rp.example/jwks".to_owned()),
                    ..signed.clone()
                },
                InvalidMetadata::TwoKeySets,
            ),
            (ClientMetadata { jwks: keys(&secret_key), ..signed.clone() }, InvalidMetadata::Keys),
            (
                ClientMetadata {
                    token_endpoint_auth_signing_alg: Some(SigningAlgorithm::ES256),
                    ..good()
                },
                InvalidMetadata::AssertionAlgorithm,
            ),
            (
                ClientMetadata {
                    id_token_encrypted_response_alg: Some(KeyManagementAlgorithm::A128Kw),
                    ..public.clone()
                },
                InvalidMetadata::SecretMissing("id_token_encrypted_response_alg"),
            ),
            (
                ClientMetadata {
                    userinfo_encrypted_response_alg: Some(KeyManagementAlgorithm::EcdhEs),
                    ..public.clone()
                },
                InvalidMetadata::KeysMissing("userinfo_encrypted_response_alg"),
            ),
            (
                ClientMetadata {
                    userinfo_encrypted_response_enc: Some(ContentEncryption::A128Gcm),
                    ..public.clone()
                },
                InvalidMetadata::EncryptionWithoutAlgorithm("userinfo_encrypted_response_alg"),
            ),
            (
                ClientMetadata {
                    additional_token_endpoint_auth_methods: vec![ClientAuthMethod::SecretPost],
                    ..public
                },
                InvalidMetadata::PublicMethods,
            ),
        ] {
            assert_eq!(metadata.check(), Err(error));
        }
    }

    #[test]
    fn a_secret_is_readable_only_where_a_mac_or_key_is_made_of_it() {
        assert!(good().needs_secret() && !good().needs_readable_secret());
        let mac = ClientMetadata {
            additional_token_endpoint_auth_methods: vec![ClientAuthMethod::SecretJwt],
            ..good()
        };
        assert!(mac.needs_readable_secret());
        assert_eq!(mac.shortest_secret(), 32);
        let userinfo =
            ClientMetadata { userinfo_signed_response_alg: Some(SigningAlgorithm::HS512), ..mac };
        assert_eq!(userinfo.shortest_secret(), 64);
    }

    /// RFC 7591 §2.2
    #[test]
    fn a_name_may_be_given_in_several_languages() {
        let read = |json: &str| serde_json::from_str::<ClientMetadata>(json).unwrap();
        let client = ClientMetadata {
            redirect_uris: good().redirect_uris,
            ..read(r#"{"client_name":"A","client_name#de":"B","client_name#zh-Hant":"C"}"#)
        };
        assert_eq!(client.check(), Ok(()));
        assert_eq!(client.localized("client_name", "de-AT"), Some("B"));
        assert_eq!(client.localized("client_name", "zh-hant-HK"), Some("C"));
        assert_eq!(client.localized("client_name", "zh"), None);
        assert_eq!(client.localized("logo_uri", "de"), None);
        for (json, error) in [
            (r#"{"a_typo":1}"#, InvalidMetadata::Unknown("a_typo".to_owned())),
            (r#"{"scope#de":"x"}"#, InvalidMetadata::Unknown("scope#de".to_owned())),
            (r#"{"client_name#":"x"}"#, InvalidMetadata::Unknown("client_name#".to_owned())),
            (r#"{"client_name#de":""}"#, InvalidMetadata::Name),
            (r#"{"logo_uri#de":"javascript:x"}"#, InvalidMetadata::Uri("logo_uri")),
        ] {
            let client = ClientMetadata { redirect_uris: good().redirect_uris, ..read(json) };
            assert_eq!(client.check(), Err(error));
        }
    }

    #[test]
    fn implicit_and_code_go_with_their_response_types() {
        let implicit = ClientMetadata {
            grant_types: vec![GrantType::Implicit],
            response_types: vec![ResponseType::IdToken],
            ..good()
        };
        assert_eq!(implicit.check(), Ok(()));
        for response_types in [vec![ResponseType::CodeIdToken], vec![ResponseType::Code]] {
            let metadata = ClientMetadata { response_types, ..implicit.clone() };
            assert_eq!(metadata.check(), Err(InvalidMetadata::ResponseTypeMismatch));
        }
        let hybrid = ClientMetadata {
            grant_types: vec![GrantType::Implicit, GrantType::AuthorizationCode],
            response_types: vec![ResponseType::CodeIdToken],
            ..implicit
        };
        assert_eq!(hybrid.check(), Ok(()));
        let fapi = ClientMetadata { security_profile: SecurityProfile::Fapi2, ..hybrid };
        assert_eq!(fapi.check(), Err(InvalidMetadata::CodeOnly));
    }

    /// RFC 7591 §2
    #[test]
    fn what_is_left_out_has_the_defaults_of_the_standard() {
        let read: ClientMetadata = serde_json::from_str("{}").unwrap();
        assert_eq!(read, ClientMetadata::default());
    }
}
