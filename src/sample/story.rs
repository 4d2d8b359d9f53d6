//! What happens to a grant, from its beginning to its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_domain::authorization::{Authentication, Authorization, AuthorizationRequest};
use chancery_domain::client::{Client, ClientCommand};
use chancery_domain::consent::{Consent, ConsentCommand};
use chancery_domain::digest::commitment;
use chancery_domain::envelope::ActorKind;
use chancery_domain::grant::{
    Approve, AuthenticateSubject, Decline, DeclineReason, Grant, GrantCommand, IssueDirectly,
    Presence, Presented, PresentedScope, PushRequest, ReceiveRequest, RedeemCode, RefreshPolicy,
    RevocationCause, Revoke, RevokeAccessToken, TokenPlan, UseRefreshToken,
};
use chancery_domain::ids::{ClientId, ConsentId, GrantId, SessionId};
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::claims::ClaimNames;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::pkce::{CodeChallenge, CodeVerifier};
use chancery_domain::protocol::prompt::Prompts;
use chancery_domain::protocol::response_type::ResponseType;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::secret::{AuthorizationCode, Digest};
use chancery_domain::session::{Session, SessionCommand};
use chancery_domain::time::{Lifetime, UnixTime};

use super::scene::App;
use super::{CODE_LIFETIME, OPERATOR, Sample, SampleError, impossible};
use crate::aggregates::{Folded, Kept, Origin, Work, decide};
use crate::clock::Clock as _;
use crate::tokens::plan;

/// RFC 7636 appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

const SESSION_LIFETIME: Lifetime = Lifetime::from_seconds(12 * 60 * 60);
const HOUR_MS: i64 = 60 * 60 * 1000;

/// A grant that goes on.
pub(super) struct Story {
    id: GrantId,
    folded: Folded<Grant>,
    /// Of the apps.
    app: usize,
    person: usize,
    code: Digest<AuthorizationCode>,
    /// How often it is still refreshed.
    refreshes: i64,
    fate: Fate,
}

/// How a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// By itself.
    Expires,
    RevokedByClient,
    RevokedByOperator,
    /// An access token alone is revoked.
    TokenRevoked,
    CodeReplayed,
    RefreshTokenReused,
    /// Another client presents the code first.
    WrongClient,
}

impl Sample<'_> {
    /// A grant begins; two of five are of clients acting for themselves.
    pub(super) async fn begin(&mut self, number: u64) -> Result<(), SampleError> {
        self.summary.grants += 1;
        let id = GrantId::from_uuid(self.entropy.uuid_v7(self.clock.now_ms()));
        if self.chance.happens(400) {
            return self.issue_directly(id).await;
        }
        let app = self.chance.one_of(self.scene.apps.len());
        if self.scene.apps.get(app).is_none_or(|app| app.disabled) {
            return self.issue_directly(id).await;
        }
        let lasting = self.chance.happens(800);
        let scope = if lasting { "openid email offline_access" } else { "openid profile" };
        let scope = Scope::parse(scope).map_err(impossible)?;
        let story = Story {
            id,
            folded: Folded::default(),
            app,
            person: self.person_of(app),
            code: Digest::of(&self.entropy.bytes::<32>()),
            refreshes: if lasting { self.chance.below(8) } else { 0 },
            fate: self.fate(lasting),
        };
        self.request(number, story, scope).await
    }

    /// People use few of the clients, and those again and again.
    fn person_of(&mut self, app: usize) -> usize {
        let people = self.scene.people.len();
        let person = self.chance.one_of(people);
        (person / 4 * 4 + app % 4) % people.max(1)
    }

    fn fate(&mut self, lasting: bool) -> Fate {
        match self.chance.below(1000) {
            0..40 if lasting => Fate::RevokedByClient,
            40..44 => Fate::RevokedByOperator,
            44..64 => Fate::TokenRevoked,
            64..68 => Fate::CodeReplayed,
            68..72 if lasting => Fate::RefreshTokenReused,
            72..74 => Fate::WrongClient,
            _ => Fate::Expires,
        }
    }

    async fn issue_directly(&mut self, id: GrantId) -> Result<(), SampleError> {
        let service = self.chance.one_of(self.scene.services.len());
        let Some(client) = self.scene.services.get(service) else { return Ok(()) };
        let authorization = Authorization {
            client_id: client.id.clone(),
            authentication: None,
            scope: client.metadata.scope.clone(),
            claims: ClaimNames::default(),
            authorization_details: AuthorizationDetails::default(),
        };
        let command = GrantCommand::IssueDirectly(IssueDirectly {
            grant_type: GrantType::ClientCredentials,
            authorization,
            plan: self.plan(client)?,
            now: self.clock.now(),
        });
        let mut work = self.work(Origin::client(&client.id))?;
        let mut folded = Folded::default();
        add::<Grant>(&mut work, &id.to_string(), &mut folded, vec![command]).await?;
        self.take(work).await
    }

    /// A request, and mostly its answer at once.
    async fn request(
        &mut self,
        number: u64,
        mut story: Story,
        scope: Scope,
    ) -> Result<(), SampleError> {
        let Some(app) = self.scene.apps.get(story.app) else { return Ok(()) };
        let request = Arc::new(request(app, &scope)?);
        let now = self.clock.now();
        let request_uri = self.chance.happens(500).then(|| Digest::of(&self.entropy.bytes::<32>()));
        let id = story.id.to_string();
        if let Some(request_uri) = request_uri {
            let lifetime = Lifetime::from_seconds(600);
            let push = PushRequest { request: Arc::clone(&request), request_uri, now, lifetime };
            let mut work = self.work(about(Origin::client(&app.id), &story))?;
            let commands = vec![GrantCommand::Push(push)];
            add::<Grant>(&mut work, &id, &mut story.folded, commands).await?;
            self.take(work).await?;
            if self.chance.happens(30) {
                // Nobody came.
                return Ok(());
            }
        }
        let Some(subject) = self.scene.people.get(story.person).copied() else { return Ok(()) };
        let (session_id, cookie) = (
            SessionId::from_uuid(self.entropy.uuid_v7(self.clock.now_ms())),
            Digest::of(&self.entropy.bytes::<32>()),
        );
        let authentication = Authentication {
            subject,
            session_id: Some(session_id),
            auth_time: now,
            acr: "1".to_owned(),
            amr: vec!["pwd".to_owned()],
        };
        let Some(app) = self.scene.apps.get(story.app) else { return Ok(()) };
        let client_id = app.id.clone();
        let plan = self.plan(app)?;
        let origin = Origin {
            client_id: Some(client_id.clone()),
            session_id: Some(session_id),
            ..about(Origin::subject(subject), &story)
        };
        let mut work = self.work(origin)?;
        let start = SessionCommand::Start {
            authentication: authentication.clone(),
            cookie,
            circumstances: None,
            now,
            lifetime: SESSION_LIFETIME,
        };
        let mut session = Folded::default();
        add::<Session>(&mut work, &session_id.to_string(), &mut session, vec![start]).await?;

        let mut commands = vec![];
        if request_uri.is_none() {
            commands.push(GrantCommand::Request(ReceiveRequest { request, now }));
        }
        commands.push(GrantCommand::Authenticate(AuthenticateSubject {
            authentication,
            request_uri,
            now,
        }));
        if self.chance.happens(30) {
            let reason = DeclineReason::ConsentDenied;
            commands.push(GrantCommand::Decline(Decline { reason, now }));
            add::<Grant>(&mut work, &id, &mut story.folded, commands).await?;
            return self.take(work).await;
        }
        let consent_id = ConsentId::of(subject, &client_id).to_string();
        let mut consent = self.consent(&consent_id);
        let presented = (!consent.state.covers(&scope)).then(|| presented(&scope));
        if presented.is_some() {
            let record = ConsentCommand::Record {
                subject,
                client_id,
                scope: scope.clone(),
                claims: BTreeSet::new(),
                grant_id: story.id,
                now,
            };
            add::<Consent>(&mut work, &consent_id, &mut consent, vec![record]).await?;
            self.consents.insert(consent_id, consent);
        }
        commands.push(GrantCommand::Approve(Approve {
            session_id,
            scope,
            claims: ClaimNames::default(),
            presented,
            code: story.code,
            lifetime: CODE_LIFETIME,
            plan,
            now,
        }));
        add::<Grant>(&mut work, &id, &mut story.folded, commands).await?;
        self.take(work).await?;
        let soon = self.clock.now_ms() + 200 + self.chance.below(20_000);
        self.next.push(std::cmp::Reverse((soon, number)));
        self.going_on.insert(number, story);
        Ok(())
    }

    /// The next thing that happens to a grant; when the one after that does, if there is one.
    pub(super) async fn go_on(&mut self, story: &mut Story) -> Result<Option<i64>, SampleError> {
        let Some(app) = self.scene.apps.get(story.app) else { return Ok(None) };
        let (now, client_id) = (self.clock.now(), app.id.clone());
        let plan = self.plan(app)?;
        let long = app.metadata.refresh_token_lifetime.is_some();
        let active = matches!(story.folded.state, Grant::Active(_));
        let mut origin = about(Origin::client(&client_id), story);
        let command = if !active {
            let stranger = story.fate == Fate::WrongClient;
            let presenter = if stranger { self.another(&client_id) } else { client_id };
            if stranger {
                story.fate = Fate::Expires;
                origin = about(Origin::client(&presenter), story);
            }
            redeem(story, presenter, plan, now)?
        } else if story.refreshes > 0 {
            story.refreshes -= 1;
            let Some(generation) = generation(story) else { return Ok(None) };
            refresh(client_id, generation, plan, now)
        } else {
            match end(story, client_id, plan, now)? {
                None => return Ok(None),
                Some(command) => {
                    story.fate = Fate::Expires;
                    if matches!(&command, GrantCommand::Revoke(own)
                        if own.cause != RevocationCause::RevokedByClient)
                    {
                        origin = about(by_operator(), story);
                    }
                    command
                }
            }
        };
        let mut work = self.work(origin)?;
        add::<Grant>(&mut work, &story.id.to_string(), &mut story.folded, vec![command]).await?;
        self.take(work).await?;
        let goes_on = !story.folded.state.has_ended()
            && (story.refreshes > 0 || story.fate != Fate::Expires || !active);
        let pause = if !matches!(story.folded.state, Grant::Active(_)) {
            1000
        } else if story.refreshes == 0 {
            // While there is something to revoke.
            10_000 + self.chance.below(200_000)
        } else if long {
            HOUR_MS / 12 + self.chance.below(5 * 24 * HOUR_MS)
        } else {
            HOUR_MS / 12 + self.chance.below(3 * HOUR_MS)
        };
        Ok(goes_on.then(|| self.clock.now_ms() + pause))
    }

    /// Some client but this one.
    fn another(&self, client_id: &ClientId) -> ClientId {
        let all = self.scene.services.iter().chain(&self.scene.apps);
        let mut others = all.map(|client| &client.id).filter(|id| *id != client_id);
        others.next().unwrap_or(client_id).clone()
    }

    /// A client is switched off for good, and its grants end.
    pub(super) async fn disable_a_client(&mut self) -> Result<(), SampleError> {
        let number = self.chance.one_of(self.scene.apps.len());
        let Some(app) = self.scene.apps.get_mut(number).filter(|app| !app.disabled) else {
            return Ok(());
        };
        app.disabled = true;
        let client_id = app.id.clone();
        let origin = Origin { client_id: Some(client_id.clone()), ..by_operator() };
        let mut work = self.work(origin)?;
        let store = &*self.services.store;
        let stream = Client::stream(client_id.as_str());
        let mut client = Folded::load(store, &stream).await.map_err(impossible)?;
        let command = ClientCommand::Disable { reason: "its secret has leaked".to_owned() };
        add::<Client>(&mut work, client_id.as_str(), &mut client, vec![command]).await?;
        self.take(work).await?;
        let because_of = format!("client/{client_id}/{}", client.head.sequence);
        self.cascade(|story| story.app == number, RevocationCause::ClientDisabled, &because_of)
            .await
    }

    /// A person takes their consent back, and the grants that rest on it end.
    pub(super) async fn withdraw_a_consent(&mut self) -> Result<(), SampleError> {
        let Some((app, person)) =
            self.going_on.values().next().map(|story| (story.app, story.person))
        else {
            return Ok(());
        };
        let (Some(client), Some(subject)) =
            (self.scene.apps.get(app), self.scene.people.get(person).copied())
        else {
            return Ok(());
        };
        let id = ConsentId::of(subject, &client.id).to_string();
        let origin = Origin { client_id: Some(client.id.clone()), ..Origin::subject(subject) };
        let mut work = self.work(origin)?;
        let mut consent = self.consent(&id);
        let command = ConsentCommand::Withdraw { now: self.clock.now() };
        add::<Consent>(&mut work, &id, &mut consent, vec![command]).await?;
        let because_of = format!("consent/{id}/{}", consent.head.sequence);
        self.consents.insert(id, consent);
        self.take(work).await?;
        let rests = |story: &Story| story.app == app && story.person == person;
        self.cascade(rests, RevocationCause::ConsentWithdrawn, &because_of).await
    }

    async fn cascade(
        &mut self,
        ends: impl Fn(&Story) -> bool,
        cause: RevocationCause,
        because_of: &str,
    ) -> Result<(), SampleError> {
        let ending = self.going_on.iter().filter(|(_, story)| ends(story));
        let ending: Vec<u64> = ending.map(|(number, _)| *number).collect();
        for number in ending {
            let Some(mut story) = self.going_on.remove(&number) else { continue };
            let origin = Origin {
                causation_id: Some(because_of.to_owned()),
                ..Origin::system("process manager")
            };
            let mut work = self.work(origin)?;
            let command =
                GrantCommand::Revoke(Revoke { cause: cause.clone(), now: self.clock.now() });
            let id = story.id.to_string();
            add::<Grant>(&mut work, &id, &mut story.folded, vec![command]).await?;
            self.take(work).await?;
        }
        Ok(())
    }

    /// A consent as it is; kept in memory, since it is asked for at each login.
    fn consent(&self, id: &str) -> Folded<Consent> {
        self.consents.get(id).cloned().unwrap_or_default()
    }

    fn plan(&self, app: &App) -> Result<TokenPlan, SampleError> {
        plan(self.services, &self.services.keys.get(), &app.metadata).map_err(impossible)
    }
}

/// Decides commands, and adds what comes of them.
async fn add<A: Kept>(
    work: &mut Work,
    id: &str,
    folded: &mut Folded<A>,
    commands: Vec<A::Command>,
) -> Result<(), SampleError> {
    let (state, events) = decide(&folded.state, commands).await.map_err(impossible)?;
    folded.head = work.add(&A::stream(id), folded.head, &events)?;
    folded.state = state;
    Ok(())
}

fn about(origin: Origin, story: &Story) -> Origin {
    Origin { correlation_id: Some(story.id.to_string()), ..origin }
}

fn by_operator() -> Origin {
    Origin::of(ActorKind::Operator, Some(OPERATOR.to_owned()))
}

fn request(app: &App, scope: &Scope) -> Result<AuthorizationRequest, SampleError> {
    let redirect_uri = app.metadata.redirect_uris.first().cloned();
    Ok(AuthorizationRequest {
        client_id: app.id.clone(),
        redirect_uri: redirect_uri.ok_or_else(|| impossible("an app has a redirect URI"))?,
        redirect_uri_by_default: false,
        response_type: ResponseType::Code,
        response_mode: None,
        scope: scope.clone(),
        code_challenge: CodeChallenge::parse(Some(CHALLENGE), Some("S256")).map_err(impossible)?,
        prompt: Prompts::default(),
        max_age: None,
        claims: ClaimNames::default(),
        acr_values: vec![],
        ui_locales: vec![],
        sealed: None,
    })
}

fn presented(scope: &Scope) -> Presented {
    let description = |name: &str| match name {
        "openid" => "Know that it is you".to_owned(),
        "email" => "Read your e-mail address".to_owned(),
        "offline_access" => "Act for you while you are away".to_owned(),
        other => format!("Read your {other}"),
    };
    let lines = scope
        .iter()
        .map(|name| PresentedScope { name: name.to_owned(), description: description(name) });
    Presented {
        locale: "en".to_owned(),
        text: commitment(&[0; 16], scope.as_str().as_bytes()),
        scopes: lines.collect(),
        claims: vec![],
    }
}

fn redeem(
    story: &Story,
    client_id: ClientId,
    plan: TokenPlan,
    now: UnixTime,
) -> Result<GrantCommand, SampleError> {
    let redirect_uri = story.folded.state.request_made().map(|own| own.redirect_uri.as_str());
    Ok(GrantCommand::RedeemCode(RedeemCode {
        client_id,
        code: story.code,
        redirect_uri: redirect_uri.map(str::to_owned),
        verifier: Some(CodeVerifier::parse(VERIFIER).map_err(impossible)?),
        plan,
        now,
    }))
}

fn refresh(client_id: ClientId, generation: u32, plan: TokenPlan, now: UnixTime) -> GrantCommand {
    GrantCommand::Refresh(UseRefreshToken {
        client_id,
        generation,
        genuine: true,
        scope: None,
        policy: RefreshPolicy {
            rotate: true,
            extend: true,
            grace: Lifetime::from_seconds(30),
            absolute_lifetime: None,
        },
        presence: Presence::NotAsked,
        plan,
        now,
    })
}

/// The generation of the refresh token that is alive.
fn generation(story: &Story) -> Option<u32> {
    match &story.folded.state {
        Grant::Active(stage) => stage.refresh.as_ref().map(|family| family.generation),
        _ => None,
    }
}

/// What ends a grant; none: nothing does, but time.
fn end(
    story: &Story,
    client_id: ClientId,
    plan: TokenPlan,
    now: UnixTime,
) -> Result<Option<GrantCommand>, SampleError> {
    let revoke = |cause| Some(GrantCommand::Revoke(Revoke { cause, now }));
    Ok(match story.fate {
        Fate::Expires | Fate::WrongClient => None,
        Fate::RevokedByClient => revoke(RevocationCause::RevokedByClient),
        Fate::RevokedByOperator => {
            revoke(RevocationCause::RevokedByOperator { reason: "device was lost".to_owned() })
        }
        Fate::TokenRevoked => match &story.folded.state {
            Grant::Active(stage) => Some(GrantCommand::RevokeAccessToken(RevokeAccessToken {
                client_id,
                number: stage.last_number,
                now,
            })),
            _ => None,
        },
        Fate::CodeReplayed => Some(redeem(story, client_id, plan, now)?),
        // Not the one before the last: that may be a lost answer.
        Fate::RefreshTokenReused => match generation(story) {
            Some(generation) if generation > 2 => Some(refresh(client_id, 1, plan, now)),
            _ => None,
        },
    })
}
