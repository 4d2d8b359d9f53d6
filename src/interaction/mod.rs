//! What people see of the server: plain forms that work without script.

pub mod assets;
pub mod headers;
pub mod pages;

use crate::http::oauth::metadata::ServerMetadata;
use chancery_domain::protocol::prompt::Prompt;
use chancery_domain::protocol::response_mode::ResponseMode;
use chancery_domain::protocol::response_type::ResponseType;

/// What the authorization endpoint says of itself.
pub(crate) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("authorization_endpoint", "/authorize");
    metadata.set("response_types_supported", ResponseType::ALL);
    metadata.set("response_modes_supported", ResponseMode::ALL);
    metadata.set("code_challenge_methods_supported", &["S256"]);
    metadata.set("prompt_values_supported", Prompt::ALL);
    metadata.set("authorization_response_iss_parameter_supported", &true);
}

/// Where people go.
pub fn configure(_: &mut actix_web::web::ServiceConfig) {}
