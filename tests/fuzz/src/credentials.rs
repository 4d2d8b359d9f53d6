//! Texts that strangers present as credentials: a handle has exactly one text, so what is read
//! is written as it was.

use chancery::handles::{AccessHandle, Handle, RefreshHandle, TokenRef};
use chancery::secrets::{decode_secret, encode_client_secret};
use chancery::telemetry::trace::Trace;
use chancery_domain::ids::{ClientId, GrantId, KeyId, SessionId, SubjectId};
use chancery_domain::secret::{
    AuthorizationCode, InitialAccessToken, PasswordResetToken, RequestUri, SessionCookie,
};

macro_rules! one_text {
    ($text:expr, $($decode:expr),+ $(,)?) => {$(
        if let Some(handle) = $decode($text) {
            assert_eq!(handle.encode(), $text);
        }
    )+};
}

/// Reads a text in every way that there is.
pub fn credentials(text: &str) {
    one_text!(
        text,
        Handle::<AuthorizationCode>::decode,
        Handle::<RequestUri>::decode,
        Handle::<SessionCookie>::decode,
        Handle::<InitialAccessToken>::decode,
        Handle::<PasswordResetToken>::decode,
        RefreshHandle::decode,
        AccessHandle::decode,
        TokenRef::decode,
    );
    if let Some(handle) = Handle::from_request_uri(text) {
        assert_eq!(handle.to_request_uri(), text);
    }
    if let Some(secret) = decode_secret(text) {
        assert_eq!(encode_client_secret(&secret), text);
    }
    if let Ok(id) = ClientId::parse(text) {
        assert_eq!(id.as_str(), text);
    }
    let _ = text.parse::<KeyId>();
    let _ = (text.parse::<GrantId>(), text.parse::<SessionId>(), text.parse::<SubjectId>());
    let _ = Trace::parse(text);
}
