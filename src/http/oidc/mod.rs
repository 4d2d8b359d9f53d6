//! OpenID Connect endpoints, and what the server says of its ID tokens.

pub mod userinfo;

use chancery_domain::protocol::scope::Scope;

use super::oauth::metadata::ServerMetadata;

/// OpenID Connect Discovery §3.
pub(super) fn describe(metadata: &mut ServerMetadata<'_>) {
    let mut algorithms = metadata.config().keys.algorithms();
    for algorithm in metadata.services().keys.get().algorithms() {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    metadata.set("id_token_signing_alg_values_supported", &algorithms);
    metadata.set("subject_types_supported", &["public"]);
    metadata.set("claim_types_supported", &["normal"]);
    metadata.set("claims_parameter_supported", &false);
    metadata.set("request_parameter_supported", &false);
    metadata.set("request_uri_parameter_supported", &false);
    let own = metadata.config().scopes.keys().map(String::as_str);
    let standard = [Scope::OPENID, Scope::OFFLINE_ACCESS];
    let released = userinfo::SCOPES.iter().map(|(scope, _)| *scope);
    let scopes: Vec<_> =
        standard.into_iter().chain(released).chain(own).map(str::to_owned).collect();
    metadata.set("scopes_supported", &scopes);
}
