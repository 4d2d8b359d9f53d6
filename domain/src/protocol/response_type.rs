//! `response_type` (RFC 6749 §3.1.1, OAuth 2.0 Multiple Response Type Encoding
//! Practices §3, §5).

super::parameter_values! {
    /// What an authorization request asks for. [`Self::parse`] reads its words
    /// in any order.
    ResponseType, "response_type" {
        /// An authorization code (RFC 6749 §4.1.1).
        Code = "code",
        /// An access token (RFC 6749 §4.2.1).
        Token = "token",
        /// An ID token (OpenID Connect Core §3.2).
        IdToken = "id_token",
        /// Both tokens (OpenID Connect Core §3.2).
        IdTokenToken = "id_token token",
        /// A code and an ID token (OpenID Connect Core §3.3).
        CodeIdToken = "code id_token",
        /// A code and an access token (OpenID Connect Core §3.3).
        CodeToken = "code token",
        /// A code and both tokens (OpenID Connect Core §3.3).
        CodeIdTokenToken = "code id_token token",
    }
}

impl ResponseType {
    /// Reads its words in any order (RFC 6749 §3.1.1); None: unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words: Vec<&str> = text.split(' ').collect();
        words.sort_unstable();
        words.join(" ").parse().ok()
    }

    /// Is a code asked for?
    #[must_use]
    pub fn has_code(self) -> bool {
        self.has("code")
    }

    /// Is an ID token asked of the authorization endpoint?
    #[must_use]
    pub fn has_id_token(self) -> bool {
        self.has("id_token")
    }

    /// Is an access token asked of the authorization endpoint?
    #[must_use]
    pub fn has_token(self) -> bool {
        self.has("token")
    }

    /// Do tokens come by the browser: the implicit and hybrid flows?
    #[must_use]
    pub fn is_front_channel(self) -> bool {
        self != Self::Code
    }

    fn has(self, word: &str) -> bool {
        self.as_str().split(' ').any(|own| own == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6749 §3.1.1
    #[test]
    fn the_order_of_words_does_not_matter() {
        for response_type in ResponseType::ALL {
            let mut words: Vec<_> = response_type.as_str().split(' ').collect();
            words.reverse();
            assert_eq!(ResponseType::parse(&words.join(" ")), Some(*response_type));
        }
        for wrong in ["", " code", "code  token", "code code", "token,code"] {
            assert_eq!(ResponseType::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn its_words_say_what_comes_by_the_browser() {
        let hybrid = ResponseType::CodeIdToken;
        assert!(hybrid.has_code() && hybrid.has_id_token() && !hybrid.has_token());
        assert!(hybrid.is_front_channel() && !ResponseType::Code.is_front_channel());
        assert!(!ResponseType::IdToken.has_token());
    }
}
