//! What a browser carries from page to page: an authorization request on its
//! way to an answer, sealed, and good for half an hour.

use std::sync::Arc;

use chancery_domain::authorization::{AuthorizationRequest, SealedParameters};
use chancery_domain::ids::{GrantId, SessionId};
use chancery_domain::secret::{Digest, RequestUri};
use chancery_domain::time::{Lifetime, UnixTime};
use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;
use crate::keys::Keys;
use crate::sealing::{SealedTokenError, SealingFailed};

/// How long a person may take from page to page.
pub const LIFETIME: Lifetime = Lifetime::from_seconds(1800);

const CONTEXT: &str = "interaction";

/// An authorization request on its way.
#[derive(Clone, Serialize, Deserialize)]
pub enum Interaction {
    /// A browser brought it, and nobody has authenticated: nothing of it is in
    /// the log.
    Received { request: Arc<AuthorizationRequest>, sealed: Arc<SealedParameters> },
    /// It is in the log, and somebody has to log in.
    Recorded {
        grant: GrantId,
        /// Of a pushed request.
        request_uri: Option<Digest<RequestUri>>,
    },
    /// The person of this session is good enough for it, and has to consent.
    Consent { grant: GrantId, request_uri: Option<Digest<RequestUri>>, session: SessionId },
}

impl Interaction {
    /// The text that the browser carries.
    pub fn seal(
        &self,
        keys: &Keys,
        now: UnixTime,
        entropy: &dyn Entropy,
    ) -> Result<String, SealingFailed> {
        keys.interactions.seal(CONTEXT, now + LIFETIME, self, entropy)
    }

    /// Reads what a browser brought back.
    pub fn open(keys: &Keys, text: &str, now: UnixTime) -> Result<Self, SealedTokenError> {
        keys.interactions.open(CONTEXT, text, now)
    }
}
