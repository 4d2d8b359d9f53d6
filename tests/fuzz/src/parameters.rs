//! Parameters of authorization requests, and metadata of clients: what is read, written and read
//! again is the same.

use chancery_domain::authorization::{CustomParameter, Parameters};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::claims::ClaimsRequest;
use chancery_domain::protocol::pkce::{CodeChallenge, CodeVerifier};
use chancery_domain::protocol::prompt::Prompts;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::redirect_uri_pattern::RedirectUriPattern;
use chancery_domain::protocol::response_type::ResponseType;
use chancery_domain::protocol::scope::Scope;

/// Reads a text in every way that there is.
pub fn parameters(text: &str) {
    if let Ok(scope) = Scope::parse(text) {
        assert_eq!(Scope::parse(scope.as_str()).as_ref(), Ok(&scope));
        assert!(scope.is_within(&scope) && scope.narrow(&scope) == scope);
    }
    if let Ok(uri) = RedirectUri::parse(text) {
        assert_eq!(uri.as_str(), text, "a redirect URI is compared as it was written");
        assert!(uri.allows(&uri));
        let _ = uri.origin();
        if let Ok(pattern) = RedirectUriPattern::parse("https://[a-z]+\\.example/.*") {
            let _ = pattern.allows(&uri);
        }
    }
    let _ = RedirectUriPattern::parse(text);
    if let Ok(claims) = ClaimsRequest::parse(text) {
        let written = serde_json::to_string(&claims).expect("JSON");
        assert!(ClaimsRequest::parse(&written).expect("claims") == claims, "{written}");
        let _ = (claims.names(), claims.says_more(), claims.admits("ada"));
    }
    if let Ok(details) = AuthorizationDetails::parse(text) {
        let written = serde_json::to_string(&details).expect("JSON");
        assert_eq!(AuthorizationDetails::parse(&written).expect("details"), details);
        let _ = AuthorizationDetails::granted(Some(details.clone()), &details);
    }
    let _ = (Prompts::parse(text), ResponseType::parse(text), CustomParameter::parse(text));
    for method in [None, Some("S256"), Some("plain")] {
        let challenge = CodeChallenge::parse_or_plain(Some(text), method);
        if let (Ok(Some(challenge)), Ok(verifier)) = (challenge, CodeVerifier::parse(text)) {
            let _ = challenge.matches(&verifier);
        }
    }
    let parameters = Parameters::parse(text.as_bytes());
    let _ = (parameters.once("scope"), parameters.repeated(), parameters.len());
    if let Ok(metadata) = serde_json::from_str::<ClientMetadata>(text) {
        let _ = metadata.check();
        let written = serde_json::to_string(&metadata).expect("JSON");
        assert_eq!(serde_json::from_str::<ClientMetadata>(&written).expect("metadata"), metadata);
    }
}
