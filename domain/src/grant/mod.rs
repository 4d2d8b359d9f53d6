//! The grant: everything that happens because of one authorization request, or
//! of one request at the token endpoint that needs no person.
//!
//! pushed or requested → authenticated → consented or denied → code issued, or
//! tokens by the browser, or both → code redeemed, tokens issued → rotated … →
//! revoked. One file for each
//! transition; [`state`] says what is known at each stage.

mod access_tokens;
mod code;
mod commands;
mod direct;
mod error;
mod events;
mod interaction;
mod refresh;
mod request;
mod revoke;
mod state;
#[cfg(test)]
mod testing;
mod tokens;

pub use self::access_tokens::AccessTokens;
pub use self::commands::*;
pub use self::error::GrantError;
pub use self::events::*;
pub use self::state::{Active, Grant, RefreshFamily, Rotation};
pub use self::tokens::{
    AccessTokenFacts, AccessTokenForm, FrontChannelTokens, HandleSeed, IdTokenFacts, IdTokenKey,
    IssuedTokens, RefreshTokenFacts, TokenPlan,
};
use crate::event::aggregate;
use crate::ids::AggregateKind;

impl Grant {
    fn decide(&self, command: GrantCommand) -> Result<Vec<GrantEvent>, GrantError> {
        match command {
            GrantCommand::Push(command) => self.push(command),
            GrantCommand::Request(command) => self.request(command),
            GrantCommand::Authenticate(command) => self.authenticate(command),
            GrantCommand::Approve(command) => self.approve(command),
            GrantCommand::Decline(command) => self.decline(&command),
            GrantCommand::RedeemCode(command) => self.redeem_code(command),
            GrantCommand::Refresh(command) => self.refresh(command),
            GrantCommand::IssueDirectly(command) => self.issue_directly(command),
            GrantCommand::RevokeAccessToken(command) => self.revoke_access_token(&command),
            GrantCommand::Revoke(command) => self.revoke(command),
        }
    }
}

aggregate!(Grant, AggregateKind::Grant, GrantCommand, GrantEvent, GrantError);
