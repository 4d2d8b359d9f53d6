//! JWE content encryption algorithms (RFC 7518 §5.1).

super::parameter_values! {
    /// How content is encrypted.
    ContentEncryption, "enc" {
        /// AES-128 in CBC mode with HMAC SHA-256.
        A128CbcHs256 = "A128CBC-HS256",
        /// AES-256 in CBC mode with HMAC SHA-512.
        A256CbcHs512 = "A256CBC-HS512",
        /// AES-128 in Galois/Counter Mode.
        A128Gcm = "A128GCM",
        /// AES-256 in Galois/Counter Mode.
        A256Gcm = "A256GCM",
    }
}
