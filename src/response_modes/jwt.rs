//! The modes in which the whole response is a JWT (JWT Secured Authorization
//! Response Mode for OAuth 2.0, JARM): signed by us for one client, and
//! encrypted for it where it is registered so. Nothing stands beside it.

use chancery_domain::client::RegisteredClient;
use chancery_domain::time::{Lifetime, UnixTime};
use serde_json::{Map, Value};

use super::Parameters;
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::tokens::for_client::{Content, Encrypter, Encryption, Signer};

/// A browser carries it straight on (JARM §2.1: ten minutes at most).
const LIFETIME: Lifetime = Lifetime::from_seconds(300);

/// What makes the responses of one client JWTs: at hand before anything is
/// committed that a response must tell.
pub struct Sealer {
    signer: Signer,
    encrypter: Option<Encrypter>,
}

impl Sealer {
    /// JARM §3: as the client is registered; if it does not say, by the
    /// server's algorithm.
    pub async fn of(services: &Services, client: &RegisteredClient) -> Result<Self, OAuthError> {
        let metadata = &client.metadata;
        let usual = services.config.keys.signing_algorithm;
        let alg = metadata.authorization_signed_response_alg.unwrap_or(usual);
        let encryption = Encryption::registered(
            metadata.authorization_encrypted_response_alg,
            metadata.authorization_encrypted_response_enc,
        );
        let encrypter = match encryption {
            Some(how) => Some(Encrypter::of(services, client, how).await?),
            None => None,
        };
        Ok(Self { signer: Signer::of(services, client, alg).await?, encrypter })
    }

    /// JARM §2.1, §2.2: signed, then encrypted.
    pub async fn seal(
        &self,
        parameters: &Parameters<'_>,
        issuer: &str,
        client: &RegisteredClient,
        now: UnixTime,
    ) -> Result<String, OAuthError> {
        let claims = claims(parameters, issuer, client.client_id.as_str(), now + LIFETIME);
        let token = self.signer.sign("JWT", &claims).await?;
        match &self.encrypter {
            Some(encrypter) => encrypter.encrypt(Content::Token(&token)),
            None => Ok(token),
        }
    }
}

fn claims(
    parameters: &Parameters<'_>,
    issuer: &str,
    audience: &str,
    expires_at: UnixTime,
) -> Map<String, Value> {
    let value = |name: &str, text: &str| match text.parse::<u64>() {
        Ok(number) if name == "expires_in" => Value::from(number),
        _ => Value::from(text),
    };
    let own = parameters.iter().map(|(name, text)| ((*name).to_owned(), value(name, text)));
    let mut claims: Map<String, Value> = own.collect();
    claims.insert("iss".to_owned(), issuer.into());
    claims.insert("aud".to_owned(), audience.into());
    claims.insert("exp".to_owned(), expires_at.seconds().into());
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JARM §2.1: strings are strings, numbers numbers.
    #[test]
    fn the_parameters_are_claims() {
        let parameters = [("code", "12"), ("state", "7"), ("expires_in", "300")];
        let exp = UnixTime::from_seconds(1000);
        let found = claims(&parameters, "https://as", "rp", exp);
        let expected = serde_json::json!({
            "code": "12", "state": "7", "expires_in": 300, "iss": "https://as", "aud": "rp",
            "exp": 1000,
        });
        assert_eq!(Value::Object(found), expected);
    }
}
