//! `none`: a public client only says who it is (RFC 6749 §3.2.1).

use chancery_domain::authorization::Parameters;
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;

use super::Presented;

pub(super) fn find(parameters: &Parameters<'_>) -> Option<Presented> {
    let client_id = parameters.get("client_id")?.to_owned();
    Some(Presented { client_id, method: ClientAuthMethod::None, secret: None })
}
