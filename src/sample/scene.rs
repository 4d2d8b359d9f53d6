//! Who takes part: clients and people.

use chancery_domain::account::{Account, AccountCommand, Profile};
use chancery_domain::client::ClientMetadata;
use chancery_domain::envelope::ActorKind;
use chancery_domain::ids::{ClientId, SubjectId};
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::Lifetime;
use serde_json::json;

use super::{OPERATOR, Sample, SampleError, Spec, impossible};
use crate::accounts::{self, NewAccount};
use crate::admin::{NewClient, Operation, perform};
use crate::aggregates::{Kept as _, Origin, Work, decide};
use crate::passwords::Password;
use crate::services::Services;
use crate::stores::Head;

/// The password of all people in it.
pub const PASSWORD: &str = "sample";

const REDIRECT_URI: &str = "https://app.example/callback";

/// Of four clients, three act for people.
pub(super) struct Scene {
    pub(super) apps: Vec<App>,
    pub(super) services: Vec<App>,
    pub(super) people: Vec<SubjectId>,
}

/// A client.
pub(super) struct App {
    pub(super) id: ClientId,
    pub(super) metadata: ClientMetadata,
    pub(super) disabled: bool,
}

impl Scene {
    /// Registers the clients.
    pub(super) async fn set(services: &Services, spec: &Spec) -> Result<Self, SampleError> {
        let mut scene = Self { apps: vec![], services: vec![], people: vec![] };
        for number in 0..spec.clients.max(2) {
            let acts_for_itself = number % 4 == 1;
            let metadata = if acts_for_itself { service()? } else { app(number)? };
            let name = if acts_for_itself { "service" } else { "app" };
            let id = ClientId::parse(&format!("{name}-{number:03}")).map_err(impossible)?;
            let new = NewClient {
                client_id: Some(id.clone()),
                secret: None,
                metadata: Box::new(metadata.clone()),
            };
            perform(services, Operation::AddClient(new), OPERATOR).await?;
            let client = App { id, metadata, disabled: false };
            if acts_for_itself { scene.services.push(client) } else { scene.apps.push(client) }
        }
        Ok(scene)
    }
}

fn app(number: u32) -> Result<ClientMetadata, SampleError> {
    // Half of them are used on telephones, where people stay logged in.
    let month = number.is_multiple_of(2).then(|| Lifetime::from_seconds(30 * 24 * 60 * 60));
    Ok(ClientMetadata {
        client_name: Some(format!("App {number}")),
        redirect_uris: vec![RedirectUri::parse(REDIRECT_URI).map_err(impossible)?],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scope: Scope::parse("openid profile email offline_access").map_err(impossible)?,
        refresh_token_lifetime: month,
        access_token_audience: vec![format!("https://api-{}.example", number % 10)],
        ..ClientMetadata::default()
    })
}

fn service() -> Result<ClientMetadata, SampleError> {
    Ok(ClientMetadata {
        grant_types: vec![GrantType::ClientCredentials],
        response_types: vec![],
        scope: Scope::parse("read write").map_err(impossible)?,
        ..ClientMetadata::default()
    })
}

impl Sample<'_> {
    /// One person for twenty grants.
    pub(super) async fn register_people(&mut self, spec: &Spec) -> Result<(), SampleError> {
        let services = self.services;
        let hash = services.passwords.hash(&Password::new(PASSWORD)).await;
        let password_hash = hash.map_err(impossible)?;
        for number in 0..(spec.grants / 20).max(1) {
            let subject = SubjectId::from_uuid(self.entropy.uuid_v4());
            let username = format!("person-{number:07}");
            let claims = json!({
                "name": format!("Person {number}"),
                "email": format!("{username}@people.example"),
            });
            let claims = claims.as_object().cloned().unwrap_or_default();
            let profile = Profile { username, claims };
            let new = NewAccount {
                subject,
                profile: &profile,
                password_hash: &password_hash,
                now: services.now(),
            };
            let origin = Origin {
                subject: Some(subject),
                ..Origin::of(ActorKind::Operator, Some(OPERATOR.into()))
            };
            let mut work = self.work(origin)?;
            let names = &services.keys.get().names;
            let commands: Vec<AccountCommand> =
                accounts::register(&services.vault, names, &new, &mut work).map_err(impossible)?;
            let account = Account::default();
            let (_, events) = decide(&account, commands).await.map_err(impossible)?;
            let stream = Account::stream(&subject.to_string());
            work.add(&stream, Head::START, &events)?;
            self.take(work).await?;
            self.scene.people.push(subject);
            self.summary.accounts += 1;
        }
        self.flush().await
    }

    /// Work of one command, decided now.
    pub(super) fn work(&self, origin: Origin) -> Result<Work, SampleError> {
        Ok(Work::new(origin, "sample", self.clock, &*self.entropy)?)
    }
}
