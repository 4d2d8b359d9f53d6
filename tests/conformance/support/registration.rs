//! Clients that register themselves.

use chancery::admin::{NewRegistrationToken, Operation, Outcome, perform};
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, REDIRECT_URI, RelyingParty, TestServer};

/// Settings by which anybody may register.
pub const OPEN: &str = "[features]\nregistration = true\n[registration]\nopen = true\n";

/// Metadata that nothing is wrong with.
pub fn good_metadata() -> Value {
    json!({
        "client_name": "The App",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

/// The same with some members replaced or added.
pub fn good_metadata_but(changes: &Value) -> Value {
    let mut metadata = good_metadata();
    for (name, value) in changes.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    metadata
}

impl TestServer {
    /// Asks to be registered (RFC 7591 §3.1).
    pub async fn ask_to_register(&self, token: Option<&str>, metadata: &Value) -> Answer {
        self.registration(Method::POST, "/register", token, Some(metadata)).await
    }

    /// A request about registrations.
    pub async fn registration(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let stranger = RelyingParty::new(&self.address, "nobody", ClientAuthMethod::None);
        let mut request = stranger.request(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// The relying party that was registered.
    pub fn registered(&self, answer: &Value) -> RelyingParty {
        let client_id = answer["client_id"].as_str().unwrap();
        let method = answer["token_endpoint_auth_method"].as_str().unwrap().parse().unwrap();
        let party = RelyingParty::new(&self.address, client_id, method);
        match answer.get("client_secret") {
            Some(secret) => party.with_secret(secret.as_str().unwrap()),
            None => party,
        }
    }

    /// An initial access token, as an operator issues it: its id, and the token.
    pub async fn initial_token(&self, new: NewRegistrationToken) -> (String, String) {
        let operation = Operation::IssueRegistrationToken(new);
        let outcome = self
            .act(|services| async move { perform(&services, operation, "test").await.unwrap() })
            .await;
        let Outcome::RegistrationToken(token) = outcome else { panic!("{outcome:?}") };
        #[expect(clippy::disallowed_methods, reason = "this is for whom it was made")]
        let text = token.token.as_ref().unwrap().expose().to_owned();
        (token.token_id.to_string(), text)
    }
}

/// A token that is good for so many clients.
pub fn good_for(uses: u32) -> NewRegistrationToken {
    NewRegistrationToken {
        label: None,
        uses: Some(uses),
        expires_at: None,
        constraints: chancery_domain::registration_token::Constraints::default(),
    }
}
