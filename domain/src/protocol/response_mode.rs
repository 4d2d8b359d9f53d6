//! `response_mode` (OAuth 2.0 Multiple Response Type Encoding Practices §2.1,
//! JARM §2.3).

super::parameter_values! {
    /// How the authorization response travels to the redirect URI.
    ResponseMode, "response_mode" {
        /// In the query component.
        Query = "query",
        /// In the fragment component.
        Fragment = "fragment",
        /// In the body of a form that the browser posts (OAuth 2.0 Form Post
        /// Response Mode).
        FormPost = "form_post",
        /// As a JWT in the query component.
        QueryJwt = "query.jwt",
        /// As a JWT in the fragment component.
        FragmentJwt = "fragment.jwt",
        /// As a JWT in the body of a form that the browser posts.
        FormPostJwt = "form_post.jwt",
        /// As a JWT, where the response type would be without one.
        Jwt = "jwt",
    }
}

impl ResponseMode {
    /// Is the response a JWT (JARM §2.3)?
    #[must_use]
    pub const fn is_jwt(self) -> bool {
        match self {
            Self::Query | Self::Fragment | Self::FormPost => false,
            Self::QueryJwt | Self::FragmentJwt | Self::FormPostJwt | Self::Jwt => true,
        }
    }
}
