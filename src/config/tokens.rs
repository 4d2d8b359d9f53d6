//! `[tokens]`: what is issued, and how long it lives.

use chancery_domain::client::AccessTokenFormat;
use chancery_domain::time::Lifetime;

use super::declaration::{Check, Report, settings};
use super::value::protocol_value;

settings! {
    /// What is issued, and how long it lives. All times are in seconds.
    Tokens in "tokens" {
        /// How long an access token is good.
        access_token_lifetime: Lifetime = default 300 within 1..=86_400;
        /// How long a refresh token is good after it was issued. Each use gives a new one,
        /// so this is how long a client may be idle.
        refresh_token_lifetime: Lifetime = default 14_400 within 1..=31_536_000;
        /// How long refreshing may go on after the person has logged in. 0: without end.
        refresh_token_absolute_lifetime: Lifetime = default 0 within 0..=315_360_000;
        /// How long a refresh token that has been used gives the same successor again, for
        /// a client that lost the answer on the network. It ends when the successor is used.
        refresh_token_grace: Lifetime = default 30 within 0..=300;
        /// Replace a refresh token at each use, and take the use of one that was replaced for
        /// theft (RFC 9700 §4.14.2). If false, it stays the same, but for public clients: theirs
        /// are always replaced. A client can be registered otherwise (`refresh_token_rotation`).
        refresh_token_rotation: bool = default true;
        /// Begin the lifetime of a refresh token anew at each use. If false, the end of the
        /// first one is the end.
        refresh_token_extension: bool = default true;
        /// Say in the answer how long the refresh token is good (`refresh_token_expires_in`).
        refresh_token_expires_in: bool = default false;
        /// Refuse to refresh while the session is over in which the person logged in. A grant
        /// by password has no session, and is never refreshed then.
        refresh_needs_session: bool = default false;
        /// Give refresh tokens only to those who ask for the scope `offline_access` (OpenID
        /// Connect Core §11). If false: to every client registered for `refresh_token`.
        refresh_only_with_offline_access: bool = default true;
        /// How long an ID token is good.
        id_token_lifetime: Lifetime = default 3600 within 1..=86_400;
        /// How long an authorization code is good (RFC 6749 §4.1.2 allows ten minutes).
        authorization_code_lifetime: Lifetime = default 60 within 1..=600;
        /// How long a pushed request waits for the browser (RFC 9126 §2.2).
        request_uri_lifetime: Lifetime = default 600 within 5..=3600;
        /// The form of access tokens, for clients that are not registered with one: jwt
        /// (RFC 9068; read by resource servers without asking) or opaque (introspected).
        access_token_format: AccessTokenFormat = default "jwt";
        /// Let clients that are registered for the grant type `password` get tokens by the
        /// name and password of a person (RFC 6749 §4.3). RFC 9700 §2.4 says never to.
        password_grant: bool = default false;
    }
}

protocol_value!(AccessTokenFormat, "forms of access tokens");

impl Check for Tokens {
    fn check(&self, report: &mut Report<'_>) {
        let absolute = self.refresh_token_absolute_lifetime;
        if absolute != Lifetime::from_seconds(0) && absolute < self.refresh_token_lifetime {
            report.contradiction(
                "refresh_token_absolute_lifetime",
                "is shorter than tokens.refresh_token_lifetime, so no token could live that long",
                "make it at least as long, or 0 for no end",
            );
        }
    }
}
