//! JWS algorithms (RFC 7518 §3.1, RFC 8037 §3.1).

super::parameter_values! {
    /// How the server signs.
    SigningAlgorithm, "alg" {
        /// ECDSA using P-256 and SHA-256.
        ES256 = "ES256",
        /// RSASSA-PKCS1-v1_5 using SHA-256.
        RS256 = "RS256",
        /// Ed25519.
        EdDSA = "EdDSA",
    }
}

impl SigningAlgorithm {
    /// Is it a MAC, which whoever can check it can also make?
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        self.as_str().starts_with("HS")
    }
}
