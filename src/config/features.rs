//! `[features]`: which endpoints there are.

use super::declaration::{Check, Report, settings};

settings! {
    /// Which endpoints there are. One that is off is answered with 404, and the metadata do
    /// not name it. (Authorization, token, keys and metadata are always there.)
    Features in "features" {
        /// Pushed authorization requests (RFC 9126).
        par: bool = default true;
        /// Claims about the person, by access token (OpenID Connect Core §5.3).
        userinfo: bool = default true;
        /// What a token is worth, for resource servers (RFC 7662).
        introspection: bool = default true;
        /// Clients give tokens back (RFC 7009).
        revocation: bool = default true;
        /// Clients register themselves and look after their registration (RFC 7591, RFC
        /// 7592), by the rules of `[registration]`.
        registration: bool = default false;
        /// Clients end a session (OpenID Connect RP-Initiated Logout); the page on which
        /// people log out goes with it.
        end_session: bool = default true;
        /// Clients learn in the browser, by a frame of ours, whether the same person is
        /// still logged in (OpenID Connect Session Management). Across sites it works in
        /// browsers only that send cookies to frames of other sites.
        session_management: bool = default false;
        /// The administration API, for clients with its scopes.
        admin_api: bool = default true;
        /// The Merkle log over all events: checkpoints, tiles and proofs, at /audit/log. It
        /// tells strangers how many events there are, and nothing else.
        audit_log: bool = default true;
        /// The web console for auditors and operators, at /console: people log in to it with
        /// an account that has the role auditor or admin.
        console: bool = default true;
        /// What auditors ask: the API at /audit, for clients with its scope.
        audit_api: bool = default true;
        /// The stream of events at /events, for clients with its scope, and the schemas of
        /// events at /schemas, for everybody.
        events: bool = default true;
        /// Is the server up, and ready? At /health.
        health: bool = default true;
    }
}

impl Check for Features {
    fn check(&self, _: &mut Report<'_>) {}
}
