//! OpenID Connect endpoints, and what the server says of its ID tokens.

pub mod userinfo;

use chancery_domain::client::SubjectType;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;

use super::oauth::metadata::ServerMetadata;
use crate::claims;

/// OpenID Connect Discovery §3.
pub(super) fn describe(metadata: &mut ServerMetadata<'_>) {
    let mut algorithms = metadata.config().keys.algorithms();
    for algorithm in metadata.services().keys.get().algorithms() {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    // By a client's own secret (Core §10.1).
    let secrets = SigningAlgorithm::ALL.iter().copied().filter(|alg| alg.is_symmetric());
    algorithms.extend(secrets);
    metadata.set("id_token_signing_alg_values_supported", &algorithms);
    metadata.set("subject_types_supported", SubjectType::NAMES);
    let (algorithms, contents) = (KeyManagementAlgorithm::ALL, ContentEncryption::ALL);
    metadata.set("id_token_encryption_alg_values_supported", algorithms);
    metadata.set("id_token_encryption_enc_values_supported", contents);
    metadata.set("claim_types_supported", &["normal"]);
    metadata.set("claims_parameter_supported", &true);
    let scopes: Vec<_> = claims::scopes(metadata.services()).names().map(str::to_owned).collect();
    metadata.set("scopes_supported", &scopes);
}
