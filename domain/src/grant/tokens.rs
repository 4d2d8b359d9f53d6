//! The facts about issued tokens: from them, and from nothing else, the tokens
//! are made after the commit, and made again where an answer was lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{Salt, Sha256Digest};
use crate::ids::KeyId;
use crate::protocol::response_type::ResponseType;
use crate::protocol::scope::Scope;
use crate::protocol::signing_algorithm::SigningAlgorithm;
use crate::time::{Lifetime, UnixTime};

/// What the refresh tokens and opaque access tokens of a grant are derived
/// from, together with the handle key: worth nothing without that key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandleSeed {
    /// Which handle key.
    pub key: KeyId,
    /// Sets this grant apart from all others under the same key.
    pub salt: Salt,
}

/// What an access token is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenForm {
    /// A JWT (RFC 9068), signed by this key.
    Jwt(KeyId),
    /// Derived from the grant's [`HandleSeed`].
    Opaque,
}

/// One access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessTokenFacts {
    /// Counts the access tokens of this grant, from 1. Grant and number
    /// together are its `jti`.
    pub number: u32,
    /// What it is made of.
    pub form: AccessTokenForm,
    /// What it is good for.
    pub scope: Scope,
    /// Whom it is for (`aud`, RFC 9068 §3); empty: the issuer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// `iat`
    pub issued_at: UnixTime,
    /// `exp`
    pub expires_at: UnixTime,
    /// The commitment to the claims that hooks added, sealed beside the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Sha256Digest>,
}

/// What signs an ID token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdTokenKey {
    /// The server's key with this `kid`.
    Key(KeyId),
    /// The client's secret, with this algorithm (OpenID Connect Core §10.1).
    Secret(SigningAlgorithm),
}

/// One ID token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdTokenFacts {
    /// What signs it.
    #[serde(flatten)]
    pub signed_by: IdTokenKey,
    /// Whom it is for besides the client (`aud`, OpenID Connect Core §2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// `iat`
    pub issued_at: UnixTime,
    /// `exp`
    pub expires_at: UnixTime,
    /// The commitment to the claims that hooks added, sealed beside the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Sha256Digest>,
}

/// One refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshTokenFacts {
    /// Counts the refresh tokens of this grant, from 1.
    pub generation: u32,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// The tokens of one answer of the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedTokens {
    /// The access token.
    pub access: AccessTokenFacts,
    /// The ID token, if this is OpenID Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<IdTokenFacts>,
    /// The refresh token, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<RefreshTokenFacts>,
    /// Where the grant's derived tokens come from; stands in the first answer
    /// that has such a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<HandleSeed>,
}

/// The tokens that came by the browser, with the authorization response: no
/// refresh token is among them (RFC 6749 §4.2.2, RFC 9700 §2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrontChannelTokens {
    /// The access token, if the response type asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessTokenFacts>,
    /// The ID token, if the response type asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<IdTokenFacts>,
    /// Where the grant's derived tokens come from, if the access token is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<HandleSeed>,
}

/// What the server would issue if the grant allows it: policy and keys of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlan {
    /// What the access token is made of.
    pub access_form: AccessTokenForm,
    /// How long it lasts.
    pub access_lifetime: Lifetime,
    /// Whom it is for; empty: the issuer.
    pub audience: Vec<String>,
    /// What signs an ID token.
    pub id_key: IdTokenKey,
    /// Whom an ID token is for besides the client.
    pub id_audience: Vec<String>,
    /// How long an ID token lasts.
    pub id_lifetime: Lifetime,
    /// How long a refresh token lasts; none: the client gets no refresh
    /// tokens.
    pub refresh_lifetime: Option<Lifetime>,
    /// Only `offline_access` brings a refresh token (OpenID Connect Core §11)
    /// where the request is OpenID Connect.
    pub refresh_needs_offline_access: bool,
    /// For the first derived token of the grant.
    pub seed: HandleSeed,
    /// The commitment to the claims that hooks add, if there are any.
    pub claims: Option<Sha256Digest>,
}

impl TokenPlan {
    /// Issues the tokens of one answer.
    ///
    /// `number` is that of the new access token; `refresh` the generation of
    /// the new refresh token and the latest time that it may end at, if there
    /// is one.
    pub(super) fn issue(
        &self,
        now: UnixTime,
        scope: &Scope,
        number: u32,
        with: Accompanying,
    ) -> IssuedTokens {
        let refresh =
            self.refresh_lifetime.filter(|_| with.refresh_generation > 0).map(|lifetime| {
                RefreshTokenFacts {
                    generation: with.refresh_generation,
                    expires_at: now + lifetime,
                }
            });
        let derived = refresh.is_some() || self.access_form == AccessTokenForm::Opaque;
        IssuedTokens {
            access: self.access_token(now, scope, number),
            id: with.id_token.then(|| self.id_token(now)),
            refresh,
            seed: (derived && !with.has_seed).then(|| self.seed.clone()),
        }
    }

    /// Issues what comes by the browser for this response type: the first
    /// tokens of their grant.
    pub(super) fn issue_to_browser(
        &self,
        now: UnixTime,
        scope: &Scope,
        response_type: ResponseType,
    ) -> FrontChannelTokens {
        let access = response_type.has_token().then(|| self.access_token(now, scope, 1));
        let derived = access.is_some() && self.access_form == AccessTokenForm::Opaque;
        FrontChannelTokens {
            access,
            id: response_type.has_id_token().then(|| self.id_token(now)),
            seed: derived.then(|| self.seed.clone()),
        }
    }

    fn access_token(&self, now: UnixTime, scope: &Scope, number: u32) -> AccessTokenFacts {
        AccessTokenFacts {
            number,
            form: self.access_form.clone(),
            scope: scope.clone(),
            audience: self.audience.clone(),
            issued_at: now,
            expires_at: now + self.access_lifetime,
            claims: self.claims,
        }
    }

    fn id_token(&self, now: UnixTime) -> IdTokenFacts {
        IdTokenFacts {
            signed_by: self.id_key.clone(),
            audience: self.id_audience.clone(),
            issued_at: now,
            expires_at: now + self.id_lifetime,
            claims: self.claims,
        }
    }

    /// Does a grant of this scope come with a refresh token?
    pub(super) fn refreshes(&self, scope: &Scope) -> bool {
        let asked = !self.refresh_needs_offline_access
            || !scope.contains(Scope::OPENID)
            || scope.contains(Scope::OFFLINE_ACCESS);
        self.refresh_lifetime.is_some() && asked
    }
}

/// What comes with an access token.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Accompanying {
    /// An ID token.
    pub id_token: bool,
    /// A refresh token of this generation; 0: none.
    pub refresh_generation: u32,
    /// The grant has a seed already.
    pub has_seed: bool,
}
