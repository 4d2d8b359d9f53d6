//! From committed facts to the texts that clients hold, and back.

mod access;
mod added;
pub mod for_client;
pub mod hint;
mod issue;
mod plan;

pub use self::access::{
    AccessTokenClaims, Audience, LiveToken, TokenRefusal, VerifiedTokens, find_access_token,
};
pub use self::added::{About, Added, AddedClaims, ask_hooks};
pub use self::issue::{Beside, BrowserTokens, IdTokenEncryption, Issuer, TokenResponse};
pub use self::plan::{plan, refresh_policy, unsupported_algorithm};
