//! Who is registered: clients and accounts, as an operator makes them.

use chancery::accounts::{NewAccount, register};
use chancery::aggregates::Origin;
use chancery::passwords::Password;
use chancery::secrets::encode_client_secret;
use chancery_domain::account::{AccountCommand, Profile};
use chancery_domain::client::{ClientCommand, ClientMetadata, SecretRecord};
use chancery_domain::consent::ConsentCommand;
use chancery_domain::ids::{ClientId, ConsentId, SubjectId};
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::secret::{ClientSecret, Secret};

use super::{RelyingParty, TestServer};

/// Where the clients of these tests want their answers.
pub const REDIRECT_URI: &str = "https://rp.example/cb";

/// A web application with a server of its own.
pub fn confidential() -> ClientMetadata {
    ClientMetadata {
        client_name: Some("The App".to_owned()),
        redirect_uris: vec![RedirectUri::parse(REDIRECT_URI).unwrap()],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scope: Scope::parse("openid profile email offline_access read write").unwrap(),
        ..ClientMetadata::default()
    }
}

/// An application in the person's own hands.
pub fn public() -> ClientMetadata {
    ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..confidential() }
}

/// A program that acts for nobody but itself.
pub fn service() -> ClientMetadata {
    ClientMetadata {
        grant_types: vec![GrantType::ClientCredentials],
        response_types: vec![],
        scope: Scope::parse("read write").unwrap(),
        ..ClientMetadata::default()
    }
}

/// The verifier and the challenge of RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An authorization request that nothing is wrong with.
pub fn good_request() -> Vec<(&'static str, &'static str)> {
    vec![
        ("response_type", "code"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid read"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

/// The same with some parameters replaced or added; left out where they are
/// empty.
pub fn good_request_but<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut request: Vec<(&'a str, &'a str)> = good_request();
    request.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    request.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    request
}

impl TestServer {
    /// Registers a client; gives the relying party that is it.
    pub async fn register(&self, client_id: &str, metadata: ClientMetadata) -> RelyingParty {
        let client_id = ClientId::parse(client_id).unwrap();
        let method = metadata.token_endpoint_auth_method;
        let party = RelyingParty::new(&self.address, client_id.as_str(), method);
        let needs_secret = metadata.needs_secret();
        let (secret, now) = self
            .act(move |services| async move {
                let secret: Option<Secret<ClientSecret>> =
                    needs_secret.then(|| services.entropy.secret());
                (secret, services.now())
            })
            .await;
        let record = secret.as_ref().map(|secret| SecretRecord::Generated(secret.digest()));
        let id = client_id.to_string();
        let metadata = Box::new(metadata);
        let command = ClientCommand::Register { client_id, metadata, secret: record, now };
        self.command_client(&id, command).await;
        match secret {
            Some(secret) => party.with_secret(&encode_client_secret(&secret)),
            None => party,
        }
    }

    /// Does something to a client.
    pub async fn command_client(&self, client_id: &str, command: ClientCommand) {
        let client_id = client_id.to_owned();
        self.act(move |services| async move {
            let work = services.work(Origin::system("test")).unwrap();
            services.clients.execute(&client_id, vec![command], work).await.unwrap();
        })
        .await;
    }
}

/// The password of every account in these tests.
pub const PASSWORD: &str = "correct horse battery staple";

impl TestServer {
    /// Makes an account with a few claims.
    pub async fn account(&self, username: &str) -> SubjectId {
        let mut claims = serde_json::Map::new();
        claims.insert("name".to_owned(), "Ada Lovelace".into());
        claims.insert("email".to_owned(), format!("{username}@example.com").into());
        claims.insert("email_verified".to_owned(), true.into());
        claims.insert("phone_number".to_owned(), "+44 1".into());
        let profile = Profile { username: username.to_owned(), claims };
        self.act(|services| async move {
            let hash = services.passwords.hash(&Password::new(PASSWORD)).await.unwrap();
            let subject = SubjectId::from_uuid(services.entropy.uuid_v4());
            let new = NewAccount {
                subject,
                profile: &profile,
                password_hash: &hash,
                now: services.now(),
            };
            let mut work = services.work(Origin::system("test")).unwrap();
            let names = &services.keys.get().names;
            let commands = register(&services.vault, names, &new, &mut work).unwrap();
            services.accounts.execute(&subject.to_string(), commands, work).await.unwrap();
            subject
        })
        .await
    }

    /// Does something to an account.
    pub async fn command_account(&self, subject: SubjectId, command: AccountCommand) {
        self.act(move |services| async move {
            let work = services.work(Origin::system("test")).unwrap();
            services.accounts.execute(&subject.to_string(), vec![command], work).await.unwrap();
        })
        .await;
    }

    /// Takes back what a person allowed a client.
    pub async fn withdraw_consent(&self, subject: SubjectId, client_id: &str) {
        let consent = ConsentId::of(subject, &ClientId::parse(client_id).unwrap());
        self.act(move |services| async move {
            let work = services.work(Origin::subject(subject)).unwrap();
            let command = ConsentCommand::Withdraw { now: services.now() };
            services.consents.execute(&consent.to_string(), vec![command], work).await.unwrap();
        })
        .await;
    }
}
