//! OpenID Connect endpoints, and what the server says of its ID tokens.

pub mod userinfo;

use chancery_domain::client::SubjectType;

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
    metadata.set("id_token_signing_alg_values_supported", &algorithms);
    metadata.set("subject_types_supported", SubjectType::NAMES);
    metadata.set("claim_types_supported", &["normal"]);
    metadata.set("claims_parameter_supported", &true);
    let scopes: Vec<_> = claims::scopes(metadata.services()).names().map(str::to_owned).collect();
    metadata.set("scopes_supported", &scopes);
}
