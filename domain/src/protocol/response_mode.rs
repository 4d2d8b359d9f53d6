//! `response_mode` (OAuth 2.0 Multiple Response Type Encoding Practices §2.1).

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
    }
}
