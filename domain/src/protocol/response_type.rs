//! `response_type` (RFC 6749 §3.1.1).

super::parameter_values! {
    /// What an authorization request asks for.
    ResponseType, "response_type" {
        /// An authorization code (RFC 6749 §4.1.1).
        Code = "code",
    }
}
