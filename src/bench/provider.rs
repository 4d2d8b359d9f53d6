//! The server that is measured, as it describes itself (OpenID Connect Discovery, RFC 8414).

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::SetupError;
use super::http::{Outgoing, Target, Wire};
use super::scenario::{Need, Scenario};

/// What of its metadata matters here.
#[derive(Debug)]
pub struct Provider {
    pub issuer: String,
    token: Option<Target>,
    par: Option<Target>,
    authorization: Option<Target>,
    introspection: Option<Target>,
    userinfo: Option<Target>,
    /// RFC 9207: every authorization response names the issuer.
    pub names_itself: bool,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Provider {
    /// Asks the server.
    pub async fn discover(wire: &mut Wire, issuer: &Url) -> Result<Self, SetupError> {
        let mut missing = None;
        for url in documents(issuer) {
            let wrong = |reason: String| SetupError::Discovery { url: url.to_string(), reason };
            let target =
                Target::of(&url).ok_or_else(|| wrong("it is no http or https URL".to_owned()))?;
            let answer = wire
                .call(&Outgoing::get(&target))
                .await
                .map_err(|error| SetupError::Unreachable { issuer: issuer.to_string(), error })?;
            if answer.status != 200 {
                missing.get_or_insert_with(|| wrong(format!("the answer is {}", answer.status)));
                continue;
            }
            return Self::read(&answer.body, issuer.as_str()).map_err(wrong);
        }
        Err(missing.unwrap_or_else(|| SetupError::Discovery {
            url: issuer.to_string(),
            reason: "it can't have a discovery document".to_owned(),
        }))
    }

    fn read(body: &[u8], issuer: &str) -> Result<Self, String> {
        let members: Value =
            serde_json::from_slice(body).map_err(|error| format!("it is no JSON: {error}"))?;
        let metadata = Metadata::deserialize(&members)
            .map_err(|error| format!("it is no metadata of a server: {error}"))?;
        // A URL without a path is written with a slash by some.
        if metadata.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            return Err(format!("it is of another issuer, {}", metadata.issuer));
        }
        let endpoint = |need: Need| {
            let Some(text) = members.get(need.member()).and_then(Value::as_str) else {
                return Ok(None);
            };
            let target = text.parse().ok().and_then(|url| Target::of(&url));
            target.map(Some).ok_or_else(|| format!("its {} is no URL", need.member()))
        };
        Ok(Self {
            token: endpoint(Need::Token)?,
            par: endpoint(Need::Par)?,
            authorization: endpoint(Need::Authorization)?,
            introspection: endpoint(Need::Introspection)?,
            userinfo: endpoint(Need::Userinfo)?,
            issuer: metadata.issuer,
            names_itself: metadata.authorization_response_iss_parameter_supported,
        })
    }

    /// An endpoint, if the server has it.
    #[must_use]
    pub const fn endpoint(&self, need: Need) -> Option<&Target> {
        match need {
            Need::Token => self.token.as_ref(),
            Need::Par => self.par.as_ref(),
            Need::Authorization => self.authorization.as_ref(),
            Need::Introspection => self.introspection.as_ref(),
            Need::Userinfo => self.userinfo.as_ref(),
        }
    }

    /// The first endpoint that a scenario calls and the server has not.
    #[must_use]
    pub fn lacks(&self, scenario: Scenario) -> Option<Need> {
        scenario.needs().into_iter().find(|need| self.endpoint(*need).is_none())
    }
}

/// Where the metadata may be: behind the issuer, or, for a server without OpenID Connect, before
/// its path (RFC 8414 §3.1).
fn documents(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    vec![
        at(format!("{path}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{path}")),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(members: &Value, issuer: &str) -> Result<Provider, String> {
        Provider::read(members.to_string().as_bytes(), issuer)
    }

    #[test]
    fn what_a_server_lacks_is_known_from_its_metadata() {
        let members = json!({
            "issuer": "https://as.example",
            "token_endpoint": "https://as.example/token",
            "authorization_endpoint": "https://as.example/authorize",
        });
        let provider = read(&members, "https://as.example/").unwrap();
        assert_eq!(provider.lacks(Scenario::Code), None);
        assert_eq!(provider.lacks(Scenario::ParCode), Some(Need::Par));
        assert_eq!(provider.lacks(Scenario::Userinfo), Some(Need::Userinfo));
        assert!(!provider.names_itself);
    }

    #[test]
    fn metadata_of_another_issuer_are_refused() {
        let members = json!({ "issuer": "https://other.example" });
        let said = read(&members, "https://as.example").unwrap_err();
        assert!(said.contains("another issuer, https://other.example"), "{said}");
        assert!(read(&json!([]), "https://as.example").is_err());
        let members = json!({ "issuer": "https://as.example", "token_endpoint": "token" });
        assert!(read(&members, "https://as.example").unwrap_err().contains("token_endpoint"));
    }

    #[test]
    fn the_document_stands_behind_the_issuer_or_before_its_path() {
        let urls = documents(&"https://as.example/tenant".parse().unwrap());
        let urls: Vec<_> = urls.iter().map(Url::as_str).collect();
        assert_eq!(
            urls,
            [
                "https://as.example/tenant/.well-known/openid-configuration",
                "https://as.example/.well-known/oauth-authorization-server/tenant",
            ]
        );
    }
}
