//! What came back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer to a program.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> Self {
        Self::try_of(response).await.unwrap()
    }

    /// The server may end in the middle.
    pub async fn try_of(response: reqwest::Response) -> reqwest::Result<Self> {
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await?,
        })
    }

    /// A header that may be there once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() < 2, "{name} stands there {} times", values.len());
        values.first().map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The answer is a success, in JSON that nobody keeps.
    #[track_caller]
    pub fn ok(&self) -> Value {
        self.succeeded(200)
    }

    /// The same with another status.
    #[track_caller]
    pub fn succeeded(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        self.is_not_kept();
        self.json()
    }

    /// The answer is an error of RFC 6749 §5.2, and says no more than that.
    #[track_caller]
    pub fn refused(&self, status: u16, error: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        assert_eq!(body["error"], error, "{self:?}");
        let known = ["error", "error_description", "error_uri"];
        assert!(body.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())));
        self.is_not_kept();
    }

    #[track_caller]
    pub fn invalid_grant(&self) {
        self.refused(400, "invalid_grant");
    }

    /// RFC 6749 §5.1: no cache keeps it.
    #[track_caller]
    pub fn is_not_kept(&self) {
        let cache = self.header("cache-control").unwrap_or_default();
        assert!(cache.contains("no-store"), "{self:?}");
    }
}

/// The claims of a JWT, unverified.
#[track_caller]
pub fn claims(jwt: &str) -> Value {
    part(jwt, 1)
}

/// The header of a JWT.
#[track_caller]
pub fn header(jwt: &str) -> Value {
    part(jwt, 0)
}

#[track_caller]
fn part(jwt: &str, index: usize) -> Value {
    let parts: Vec<_> = jwt.split('.').collect();
    assert_eq!(parts.len(), 3, "no JWT: {jwt}");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[index]).unwrap()).unwrap()
}
