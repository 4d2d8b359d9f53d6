//! `token_endpoint_auth_method` (RFC 7591 §2, OpenID Connect Core §9).

super::parameter_values! {
    /// How a client authenticates at the endpoints that it calls itself.
    ClientAuthMethod, "token_endpoint_auth_method" {
        /// A public client: it has no credentials.
        None = "none",
        /// `Authorization: Basic` (RFC 6749 §2.3.1).
        SecretBasic = "client_secret_basic",
        /// `client_secret` in the form body (RFC 6749 §2.3.1).
        SecretPost = "client_secret_post",
        /// A JWT with a MAC by its secret (OpenID Connect Core §9).
        SecretJwt = "client_secret_jwt",
        /// A JWT that it signed (RFC 7523 §2.2).
        PrivateKeyJwt = "private_key_jwt",
    }
}

impl ClientAuthMethod {
    /// Does the client prove that it knows its secret?
    #[must_use]
    pub const fn uses_secret(self) -> bool {
        matches!(self, Self::SecretBasic | Self::SecretPost | Self::SecretJwt)
    }
}
