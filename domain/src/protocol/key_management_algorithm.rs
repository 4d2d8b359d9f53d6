//! JWE key management algorithms (RFC 7518 §4.1).

super::parameter_values! {
    /// How the key that encrypts content is agreed upon or encrypted itself.
    KeyManagementAlgorithm, "alg" {
        /// RSAES OAEP with SHA-1, which OAEP does not need to be collision free.
        RsaOaep = "RSA-OAEP",
        /// RSAES OAEP with SHA-256.
        RsaOaep256 = "RSA-OAEP-256",
        /// Elliptic Curve Diffie-Hellman, used as it comes.
        EcdhEs = "ECDH-ES",
        /// Elliptic Curve Diffie-Hellman that wraps a key.
        EcdhEsA128Kw = "ECDH-ES+A128KW",
        /// Elliptic Curve Diffie-Hellman that wraps a key.
        EcdhEsA256Kw = "ECDH-ES+A256KW",
        /// AES Key Wrap under the client's secret (OpenID Connect Core §10.2).
        A128Kw = "A128KW",
        /// AES Key Wrap under the client's secret (OpenID Connect Core §10.2).
        A256Kw = "A256KW",
    }
}

impl KeyManagementAlgorithm {
    /// Does it work with the client's secret?
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::A128Kw | Self::A256Kw)
    }
}
