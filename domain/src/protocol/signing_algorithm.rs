//! JWS algorithms (RFC 7518 §3.1, RFC 8037 §3.1). `none` is not one of them.

super::parameter_values! {
    /// How something is signed, or authenticated by a secret that both sides
    /// know.
    SigningAlgorithm, "alg" {
        /// ECDSA using P-256 and SHA-256.
        ES256 = "ES256",
        /// RSASSA-PKCS1-v1_5 using SHA-256.
        RS256 = "RS256",
        /// Ed25519.
        EdDSA = "EdDSA",
        /// ECDSA using P-384 and SHA-384.
        ES384 = "ES384",
        /// ECDSA using P-521 and SHA-512.
        ES512 = "ES512",
        /// RSASSA-PKCS1-v1_5 using SHA-384.
        RS384 = "RS384",
        /// RSASSA-PKCS1-v1_5 using SHA-512.
        RS512 = "RS512",
        /// RSASSA-PSS using SHA-256.
        PS256 = "PS256",
        /// RSASSA-PSS using SHA-384.
        PS384 = "PS384",
        /// RSASSA-PSS using SHA-512.
        PS512 = "PS512",
        /// HMAC using SHA-256.
        HS256 = "HS256",
        /// HMAC using SHA-384.
        HS384 = "HS384",
        /// HMAC using SHA-512.
        HS512 = "HS512",
    }
}

impl SigningAlgorithm {
    /// Those with a private and a public key: all that a server can have keys
    /// of, for all to verify.
    pub const ASYMMETRIC: &'static [Self] = Self::ALL.split_at(10).0;

    /// The names of [`Self::ASYMMETRIC`].
    pub const ASYMMETRIC_NAMES: &'static [&'static str] = Self::NAMES.split_at(10).0;

    /// Those of FAPI 2.0 (Security Profile §5.4.1).
    pub const FAPI2: &'static [Self] = &[Self::PS256, Self::ES256, Self::EdDSA];

    /// Does it need a secret that signer and verifier share? RFC 7518 §3.2.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

#[cfg(test)]
mod tests {
    use super::SigningAlgorithm;

    #[test]
    fn every_algorithm_is_symmetric_or_has_a_public_key() {
        for alg in SigningAlgorithm::ALL {
            assert_ne!(alg.is_symmetric(), SigningAlgorithm::ASYMMETRIC.contains(alg), "{alg}");
            let is_named = SigningAlgorithm::ASYMMETRIC_NAMES.contains(&alg.as_str());
            assert_ne!(alg.is_symmetric(), is_named, "{alg}");
        }
    }

    /// RFC 8725 §3.1
    #[test]
    fn none_is_no_algorithm() {
        for text in ["none", "None", "NONE", ""] {
            assert!(text.parse::<SigningAlgorithm>().is_err(), "{text}");
        }
    }
}
