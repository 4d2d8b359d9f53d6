//! Clients that get tokens by the browser, and what they check of them.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery::jose::jwe::{AcceptEncrypted, DecryptionKey, decrypt};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::response_type::ResponseType;

use super::people::confidential;

/// Settings by which every response type is answered.
pub const ALL_RESPONSE_TYPES: &str = r#"
[authorization]
response_types = ["code", "token", "id_token", "id_token token", "code id_token", "code token",
    "code id_token token"]
"#;

/// A client that is registered for every response type.
pub fn front_channel() -> ClientMetadata {
    ClientMetadata {
        grant_types: vec![
            GrantType::AuthorizationCode,
            GrantType::Implicit,
            GrantType::RefreshToken,
        ],
        response_types: ResponseType::ALL.to_vec(),
        ..confidential()
    }
}

/// `at_hash` and its like, for algorithms with SHA-256 (OpenID Connect Core
/// §3.3.2.11).
pub fn half_hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
}

/// What was encrypted to a client: a token within.
#[track_caller]
pub fn nested(key: &DecryptionKey, token: &str) -> String {
    let accept = AcceptEncrypted {
        algorithms: KeyManagementAlgorithm::ALL,
        encryptions: ContentEncryption::ALL,
    };
    let found = decrypt([key], token, &accept).unwrap();
    assert_eq!(found.cty.as_deref(), Some("JWT"));
    String::from_utf8(found.payload).unwrap()
}
