//! `grant_type` (RFC 6749 §4, RFC 7591 §2).

super::parameter_values! {
    /// How a client gets tokens.
    GrantType, "grant_type" {
        /// RFC 6749 §4.1.
        AuthorizationCode = "authorization_code",
        /// RFC 6749 §4.2: by the authorization endpoint alone. No value of the
        /// token endpoint's parameter.
        Implicit = "implicit",
        /// RFC 6749 §6.
        RefreshToken = "refresh_token",
        /// RFC 6749 §4.4.
        ClientCredentials = "client_credentials",
        /// RFC 6749 §4.3, which RFC 9700 §2.4 forbids: off by default.
        Password = "password",
    }
}
