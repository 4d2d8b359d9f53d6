//! What most tests begin with: a server, a relying party, and Ada's browser.

use chancery_domain::client::ClientMetadata;
use chancery_domain::ids::SubjectId;
use serde_json::Value;

use super::people::{confidential, good_request_but};
use super::relying_party::Form;
use super::{Browser, RelyingParty, StoreKind, TestServer};

/// A server with the confidential client `rp` and the account `ada`.
pub struct Scene {
    pub rp: RelyingParty,
    pub ada: SubjectId,
    pub browser: Browser,
    pub server: TestServer,
}

impl Scene {
    pub async fn new(store: StoreKind) -> Self {
        Self::with(store, "", confidential()).await
    }

    /// With further settings of the server, and this client.
    pub async fn with(store: StoreKind, settings: &str, metadata: ClientMetadata) -> Self {
        let server = TestServer::with_settings(store, settings).await;
        let rp = server.register("rp", metadata).await;
        let ada = server.account("ada").await;
        let browser = Browser::new(&server);
        Self { rp, ada, browser, server }
    }

    /// A code for the good request with these changes, pushed; Ada logs in and
    /// allows as far as she is asked.
    pub async fn code(&mut self, changes: &Form<'_>) -> String {
        let url = self.rp.pushed_url(&good_request_but(changes)).await;
        self.browser.go_through(&url, "ada").await.code().to_owned()
    }

    /// The tokens for such a code.
    pub async fn tokens(&mut self, changes: &Form<'_>) -> Tokens {
        let code = self.code(changes).await;
        Tokens::of(&self.rp.redeem(&code).await.ok())
    }

    /// Tokens with a refresh token among them.
    pub async fn lasting_tokens(&mut self) -> Tokens {
        self.tokens(&[("scope", "openid offline_access email read")]).await
    }
}

/// An answer of the token endpoint.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub id: Option<String>,
    pub scope: String,
}

impl Tokens {
    #[track_caller]
    pub fn of(answer: &Value) -> Self {
        let text = |name: &str| answer.get(name).map(|value| value.as_str().unwrap().to_owned());
        Self {
            access: text("access_token").expect("an access token"),
            refresh: text("refresh_token"),
            id: text("id_token"),
            scope: text("scope").expect("the scope"),
        }
    }

    #[track_caller]
    pub fn refresh(&self) -> &str {
        self.refresh.as_deref().expect("a refresh token")
    }

    #[track_caller]
    pub fn id(&self) -> &str {
        self.id.as_deref().expect("an ID token")
    }
}
