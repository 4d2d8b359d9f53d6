//! `none`: a public client only says who it is (RFC 6749 §3.2.1).

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;

use super::{Method, Presented, Refusal, Sent};

pub(super) const METHOD: Method = Method {
    name: ClientAuthMethod::None,
    find,
    verify: |_| Box::pin(async { Ok(None) }),
    algorithms: &[],
};

#[expect(clippy::unnecessary_wraps, reason = "other methods can fail to find theirs")]
fn find(sent: &Sent<'_>) -> Result<Option<Presented>, Refusal> {
    let client_id = sent.parameters.get("client_id").map(str::to_owned);
    Ok(client_id.map(|client_id| Presented { client_id, credential: String::new() }))
}
