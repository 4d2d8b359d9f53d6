//! An authorization request that waits for its person, and how it is answered.

use std::sync::Arc;

use actix_web::HttpResponse;
use chancery_domain::authorization::{
    Authentication, Authorization, AuthorizationRequest, SealedParameters,
};
use chancery_domain::consent::ConsentCommand;
use chancery_domain::grant::{
    Approve, AuthenticateSubject, Decline, DeclineReason, Grant, GrantCommand, GrantError,
    GrantEvent, Presented, ReceiveRequest, TokenPlan,
};
use chancery_domain::ids::{ConsentId, GrantId, SessionId, SubjectId};
use chancery_domain::protocol::authorization_details::AuthorizationDetails;
use chancery_domain::protocol::claims::ClaimNames;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::prompt::Prompt;
use chancery_domain::protocol::response_type::ResponseType;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::secret::{AuthorizationCode, Digest, RequestUri};
use serde_json::{Map, Value};

use super::acr::{self, Unmet};
use super::context::Visit;
use super::demands::{Hint, wants_consent};
use super::error_page::Problem;
use super::handle::Interaction;
use super::hooks::Limits;
use super::pages::Frame;
use super::response::{Target, redirect};
use super::session::{LiveSession, Login, note_use};
use super::session_state::SessionState;
use crate::actors::grant::{Done, GrantFailure};
use crate::aggregates::{Apart, Kept as _, Origin, Work};
use crate::claims::{self, Person};
use crate::client_auth::{AuthenticatedClient, known_client};
use crate::handles::Handle;
use crate::hooks::Refusal;
use crate::hooks::answers::Asking;
use crate::oauth_error::OAuthError;
use crate::services::Services;
use crate::stores::AppendError;
use crate::subjects::{session_for, subject_for};
use crate::tally::What;
use crate::tokens::{About, Beside, BrowserTokens, IdTokenEncryption, Issuer, ask_hooks, plan};

/// How often an answer is prepared again when something else was written to the
/// same session or consent.
const ATTEMPTS: usize = 4;

/// An authorization request that waits for its person.
pub struct Pending {
    pub client: AuthenticatedClient,
    pub request: Arc<AuthorizationRequest>,
    pub sealed: Arc<SealedParameters>,
    source: Source,
    /// No more than this of the scope, hooks say.
    narrowed: Option<Scope>,
}

/// Where the request is.
#[derive(Clone, Copy)]
enum Source {
    /// With the browser only.
    Browser,
    Log {
        grant: GrantId,
        request_uri: Option<Digest<RequestUri>>,
        /// Who has authenticated for it.
        subject: Option<SubjectId>,
    },
}

/// Who answers the request.
pub enum Who {
    Session(Box<LiveSession>),
    Login(Box<Login>),
}

impl Who {
    /// In which browser session.
    fn session_id(&self) -> SessionId {
        match self {
            Self::Session(session) => session.id(),
            Self::Login(login) => login.id(),
        }
    }

    const fn authentication(&self) -> &Authentication {
        match self {
            Self::Session(session) => &session.authentication,
            Self::Login(login) => &login.authentication,
        }
    }
}

impl Pending {
    /// A request that a browser brought, checked.
    #[must_use]
    pub fn received(
        client: AuthenticatedClient,
        request: AuthorizationRequest,
        sealed: SealedParameters,
    ) -> Self {
        Self {
            client,
            request: Arc::new(request),
            sealed: Arc::new(sealed),
            source: Source::Browser,
            narrowed: None,
        }
    }

    /// A request that the client pushed (RFC 9126 §4).
    pub async fn pushed(
        visit: &Visit,
        client: AuthenticatedClient,
        handle: &Handle<RequestUri>,
    ) -> Result<Self, Problem> {
        let refused = |error| Problem::request_uri(error, &client.client_id);
        let digest = handle.secret.digest();
        let grant = match visit.grants.look(handle.owner).await {
            Err(GrantFailure::Refused(error)) => return Err(refused(error)),
            other => other?,
        };
        if grant.client_id() != Some(&client.client_id) {
            return Err(refused(GrantError::Unknown));
        }
        grant.check_request_uri(&digest, visit.now()).map_err(refused)?;
        Self::in_log(visit, client, handle.owner, &grant, Some(digest)).await
    }

    /// A request that the browser carries from page to page. The session that is
    /// good enough for it comes along, if one is.
    pub async fn carried(
        visit: &Visit,
        handle: &str,
    ) -> Result<(Self, Option<SessionId>), Problem> {
        let interaction = Interaction::open(&visit.keys.get(), handle, visit.now())
            .map_err(|_| Problem::lost_interaction())?;
        let (id, request_uri, session) = match interaction {
            Interaction::Received { request, sealed } => {
                let client = enabled_client(visit, request.client_id.as_str()).await?;
                return Ok((
                    Self { client, request, sealed, source: Source::Browser, narrowed: None },
                    None,
                ));
            }
            Interaction::Recorded { grant, request_uri } => (grant, request_uri, None),
            Interaction::Consent { grant, request_uri, session } => {
                (grant, request_uri, Some(session))
            }
        };
        let grant = visit.grants.look(id).await?;
        let client_id = grant.client_id().ok_or(GrantFailure::Refused(GrantError::Unknown))?;
        let client = enabled_client(visit, client_id.as_str()).await?;
        // How long a login may take after the request_uri's end, the grant decides.
        if !matches!(grant, Grant::Pushed(_) | Grant::Authenticated(_)) {
            return Err(Problem::refused(GrantError::Answered, client_id));
        }
        Ok((Self::in_log(visit, client, id, &grant, request_uri).await?, session))
    }

    async fn in_log(
        visit: &Visit,
        client: AuthenticatedClient,
        id: GrantId,
        grant: &Grant,
        request_uri: Option<Digest<RequestUri>>,
    ) -> Result<Self, Problem> {
        let request = grant.request_made().ok_or(GrantFailure::Refused(GrantError::Answered))?;
        let sealed = match request.sealed {
            Some(_) => visit.grants.unseal(id).await?,
            None => Arc::default(),
        };
        let source = Source::Log { grant: id, request_uri, subject: grant.subject() };
        Ok(Self { client, request: Arc::clone(request), sealed, source, narrowed: None })
    }

    /// Does the request expect this person?
    #[must_use]
    pub fn hint(&self, services: &Services, person: Option<SubjectId>) -> Hint {
        let hint = Hint::read(services, &self.client, self.sealed.id_token_hint.as_deref(), person);
        let Some(claims) = &self.sealed.claims else { return hint };
        // OpenID Connect Core §3.1.2.2: a `sub` that is asked for is the only answer.
        let sub = person.map(|person| subject_for(&services.keys.get(), &self.client, person));
        match claims.admits(sub.as_deref().unwrap_or_default()) {
            Some(false) => Hint::Differs,
            Some(true) if hint == Hint::Absent => Hint::Matches,
            Some(true) | None => hint,
        }
    }

    /// Of which authentication context class a login is for it.
    pub fn acr(&self, services: &Services) -> Result<String, Unmet> {
        let met = &services.config.login.acr_values;
        let claims = self.sealed.claims.as_ref();
        acr::choose(met, &self.client.metadata, &self.request, claims).map(str::to_owned)
    }

    /// The claims asked for by name that the client may know.
    #[must_use]
    pub fn claims(&self, services: &Services) -> ClaimNames {
        // What a hook withholds as a scope is not given by name either.
        let withheld =
            |name: &&str| self.request.scope.contains(name) && !self.scope().contains(name);
        let registered = self.client.scope();
        let registered: Scope = registered.iter().filter(|name| !withheld(name)).collect();
        claims::that_may_be_known(services, &registered, &self.request.claims)
    }

    /// Those of them that this person can grant: all but those that shall have
    /// another value than theirs.
    async fn claims_of(&self, visit: &Visit, subject: SubjectId) -> Result<ClaimNames, Problem> {
        let asked = self.claims(visit);
        let Some(values) = self.sealed.claims.as_ref().filter(|_| !asked.is_empty()) else {
            return Ok(asked);
        };
        let person = Person::of(visit, subject).await?;
        Ok(person
            .map_or_else(ClaimNames::default, |person| claims::that_fit(&person, asked, values)))
    }

    /// What its pages have in common, in the language that it asks for.
    #[must_use]
    pub fn frame<'a>(&self, visit: &'a Visit) -> Frame<'a> {
        visit.frame(&self.request.ui_locales)
    }

    /// Is nothing of it in the log?
    #[must_use]
    pub const fn is_unrecorded(&self) -> bool {
        matches!(self.source, Source::Browser)
    }

    /// What the browser carries to the login page.
    pub fn for_login(&self, visit: &Visit) -> Result<String, OAuthError> {
        let interaction = match self.source {
            Source::Browser => Interaction::Received {
                request: Arc::clone(&self.request),
                sealed: Arc::clone(&self.sealed),
            },
            Source::Log { grant, request_uri, .. } => Interaction::Recorded { grant, request_uri },
        };
        Ok(interaction.seal(&visit.keys.get(), visit.now(), &*visit.entropy)?)
    }

    /// Goes on, now that the person is known: to the consent page, or back to the
    /// client.
    pub async fn go_on(&self, visit: &Visit, who: &Who) -> Result<HttpResponse, Problem> {
        let subject = who.authentication().subject;
        if !self.hint(visit, Some(subject)).admits() {
            return self.decline(visit, DeclineReason::LoginRequired, Some(who)).await;
        }
        let consent = ConsentId::of(subject, &self.client.client_id).to_string();
        let mut given = visit.consents.get(&consent).await?;
        let person = who.authentication();
        if let Err(refusal) = self.ask_post_authentication(visit, person).await {
            return self.refuse(visit, refusal, Some(who)).await;
        }
        loop {
            let limits = match self.ask_limits(visit, person, given.state.scope()).await {
                Ok(limits) => limits,
                Err(refusal) => return self.refuse(visit, refusal, Some(who)).await,
            };
            let limited = self.within(&limits);
            let wanted = {
                let mut request = (*self.request).clone();
                request.scope = limited.scope().clone();
                let scope = given.state.scope().map(|given| given.union(&request.scope));
                let scope = scope.as_ref().unwrap_or(&request.scope);
                let named = claims::beyond(visit, scope, &limited.claims(visit));
                let skip =
                    self.client.metadata.skip_consent || limits.consent == Some(Asking::Skip);
                wants_consent(&request, &named, &given.state, skip)
                    || limits.consent == Some(Asking::Require)
            };
            if !wanted {
                return limited.approve(visit, who, None).await;
            }
            // Nobody is asked, and nobody refused, by what is old.
            let now = visit.consents.fresh(&consent).await?;
            if now.head == given.head {
                break;
            }
            given = now;
        }
        if self.request.prompt.contains(Prompt::None) {
            return self.decline(visit, DeclineReason::ConsentRequired, Some(who)).await;
        }
        let Ok(acr) = self.acr(visit) else { return self.unmet(visit, who).await };
        let grant = self.record(visit, who, &acr, None).await?.0;
        let session = who.session_id();
        let interaction = Interaction::Consent { grant, request_uri: self.request_uri(), session };
        let handle = interaction.seal(&visit.keys.get(), visit.now(), &*visit.entropy)?;
        let url = visit.config.server.issuer.endpoint(&format!("/consent?i={handle}"));
        Ok(with_session(visit, who, redirect(url)))
    }

    /// Answers with what was asked for. `presented` is what the person agreed
    /// to just now.
    pub async fn approve(
        &self,
        visit: &Visit,
        who: &Who,
        presented: Option<Presented>,
    ) -> Result<HttpResponse, Problem> {
        let Ok(acr) = self.acr(visit) else { return self.unmet(visit, who).await };
        let claims = self.claims_of(visit, who.authentication().subject).await?;
        let target = self.target(visit, Some(who));
        let envelope = target.envelope().await?;
        let grant = match self.source {
            Source::Browser => visit.new_grant_id(),
            Source::Log { grant, .. } => grant,
        };
        let ready = match self.ready(visit, who, grant, &claims).await {
            Ok(ready) => ready,
            Err(error) => {
                let word = error.code.as_str();
                let client_id = Some(&self.client.client_id);
                visit.tallies.count(What::AuthorizationRequestRefused, word, client_id);
                return Ok(target.error(&error).await?);
            }
        };
        let code = Handle::<AuthorizationCode>::mint(grant, &*visit.entropy);
        let approval = Approval { code: &code, claims, presented, ready: &ready };
        let done = self.record(visit, who, &acr, Some(approval)).await?.1;
        let code = self.request.response_type.has_code().then(|| code.encode());
        let tokens = self.tokens(visit, grant, &done, &ready, code.as_deref()).await?;
        let mut parameters: Vec<(&str, &str)> = vec![];
        parameters.extend(code.as_deref().map(|code| ("code", code)));
        let expires_in = tokens.access.as_ref().map(|access| access.expires_in.to_string());
        if let (Some(access), Some(expires_in)) = (&tokens.access, &expires_in) {
            parameters.extend([
                ("access_token", access.text.as_str()),
                ("token_type", "Bearer"),
                ("expires_in", expires_in),
                ("scope", &access.scope),
            ]);
        }
        parameters.extend(tokens.id_token.as_deref().map(|token| ("id_token", token)));
        let session_id = who.session_id();
        let names_session = visit.config.authorization.sid_in_response && self.request.is_openid();
        let sid = names_session.then(|| session_for(&visit.keys.get(), &self.client, session_id));
        parameters.extend(sid.as_deref().map(|sid| ("sid", sid)));
        Ok(with_session(visit, who, target.send(&envelope, &parameters).await?))
    }

    /// What tokens by the browser need, before anything is committed.
    async fn ready(
        &self,
        visit: &Visit,
        who: &Who,
        grant: GrantId,
        granted: &ClaimNames,
    ) -> Result<Ready, OAuthError> {
        let response_type = self.request.response_type;
        let mut plan = plan(visit, &visit.keys.get(), &self.client.metadata)
            .map_err(|error| OAuthError::internal(&error))?;
        let scope = self.scope();
        let mut apart = None;
        if response_type.is_front_channel() {
            let authorization = Authorization {
                client_id: self.client.client_id.clone(),
                authentication: Some(who.authentication().clone()),
                scope: scope.clone(),
                claims: granted.clone(),
                authorization_details: AuthorizationDetails::default(),
            };
            let about = About {
                client: &self.client,
                grant_type: GrantType::Implicit.as_str(),
                grant,
                authorization: &authorization,
                scope,
            };
            apart = ask_hooks(visit, about, &mut plan).await?;
        }
        let encryption = if response_type.has_id_token() {
            IdTokenEncryption::of(visit, &self.client, scope).await?
        } else {
            IdTokenEncryption::default()
        };
        // OpenID Connect Core §5.4: without an access token there is no userinfo.
        let released = if response_type == ResponseType::IdToken {
            let person = Person::of(visit, who.authentication().subject).await?;
            let person = person.ok_or_else(|| OAuthError::from(DeclineReason::AccountUnusable))?;
            person.by_scope(&claims::scopes(visit), scope)
        } else {
            Map::new()
        };
        Ok(Ready { plan, apart, encryption, released })
    }

    /// The tokens that come by the browser, from what was committed.
    async fn tokens(
        &self,
        visit: &Visit,
        grant: GrantId,
        done: &Done,
        ready: &Ready,
        code: Option<&str>,
    ) -> Result<BrowserTokens, OAuthError> {
        let issued = done.events.iter().find_map(GrantEvent::front_channel_tokens);
        let (Some(issued), Some(out)) = (issued, done.grant.tokens_out()) else {
            return Ok(BrowserTokens { access: None, id_token: None });
        };
        let answering = Issuer {
            services: visit,
            client: &self.client,
            grant,
            authorization: &out.authorization,
            seed: out.seed.as_ref(),
            nonce: self.sealed.nonce.as_deref(),
            encryption: &ready.encryption,
            released: &ready.released,
        };
        let state = self.sealed.state.as_deref();
        answering.render_for_browser(issued, Beside { code, state }).await
    }

    /// What is demanded of the login can't be met, by whatever the person does.
    async fn unmet(&self, visit: &Visit, who: &Who) -> Result<HttpResponse, Problem> {
        self.decline(visit, DeclineReason::AuthenticationUnmet, Some(who)).await
    }

    /// Answers with an error. Of a request that is in the log, the log says so;
    /// others are counted.
    pub async fn decline(
        &self,
        visit: &Visit,
        reason: DeclineReason,
        who: Option<&Who>,
    ) -> Result<HttpResponse, Problem> {
        self.decline_with(visit, reason, OAuthError::from(reason), who).await
    }

    async fn decline_with(
        &self,
        visit: &Visit,
        reason: DeclineReason,
        error: OAuthError,
        who: Option<&Who>,
    ) -> Result<HttpResponse, Problem> {
        match self.source {
            Source::Browser => {
                let client_id = Some(&self.client.client_id);
                let word = error.code.as_str();
                visit.tallies.count(What::AuthorizationRequestRefused, word, client_id);
            }
            Source::Log { grant, .. } => {
                let command = GrantCommand::Decline(Decline { reason, now: visit.now() });
                let work = visit.work(self.origin(visit, grant, who))?;
                match visit.grants.execute(grant, vec![command], work).await {
                    Err(GrantFailure::Refused(error)) => {
                        return Err(Problem::refused(error, &self.client.client_id));
                    }
                    other => drop(other?),
                }
            }
        }
        Ok(self.target(visit, who).error(&error).await?)
    }

    /// Answers as a hook has it, or without the one that had to be asked: then
    /// the request stays as it was.
    pub async fn refuse(
        &self,
        visit: &Visit,
        refusal: Refusal,
        who: Option<&Who>,
    ) -> Result<HttpResponse, Problem> {
        let error = OAuthError::from(refusal.clone());
        match refusal {
            Refusal::Denied(_) => {
                self.decline_with(visit, DeclineReason::DeniedByPolicy, error, who).await
            }
            Refusal::Unanswered => Ok(self.target(visit, who).error(&error).await?),
        }
    }

    /// What of the scope is to be granted.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.narrowed.as_ref().unwrap_or(&self.request.scope)
    }

    /// The same request, with no more than this of its scope.
    #[must_use]
    pub fn within(&self, limits: &Limits) -> Self {
        Self {
            client: self.client.clone(),
            request: Arc::clone(&self.request),
            sealed: Arc::clone(&self.sealed),
            source: self.source,
            narrowed: limits.scope.clone(),
        }
    }

    const fn request_uri(&self) -> Option<Digest<RequestUri>> {
        match self.source {
            Source::Browser => None,
            Source::Log { request_uri, .. } => request_uri,
        }
    }

    fn target<'a>(&'a self, visit: &'a Visit, who: Option<&Who>) -> Target<'a> {
        let session = who.map(Who::session_id);
        let is_openid = self.request.scope.contains(Scope::OPENID);
        Target {
            services: visit,
            frame: self.frame(visit),
            client: &self.client,
            redirect_uri: &self.request.redirect_uri,
            mode: self.request.response_mode(),
            state: self.sealed.state.as_deref(),
            session_state: SessionState::of(visit, session).filter(|_| is_openid),
        }
    }

    fn origin(&self, visit: &Visit, grant: GrantId, who: Option<&Who>) -> Origin {
        let mut origin = visit.origin(Some(grant), Some(&self.client.client_id));
        if let Some(who) = who {
            let authentication = who.authentication();
            origin.actor.reference = Some(authentication.subject.to_string());
            origin.subject = Some(authentication.subject);
            origin.session_id = Some(who.session_id());
        }
        origin
    }

    /// Writes, in one append: the request if it is not in the log, who answers it
    /// and what that does to their session, and their approval.
    async fn record(
        &self,
        visit: &Visit,
        who: &Who,
        acr: &str,
        approval: Option<Approval<'_>>,
    ) -> Result<(GrantId, Done), Problem> {
        let grant = match (self.source, &approval) {
            (Source::Log { grant, .. }, _) => grant,
            (Source::Browser, Some(approval)) => approval.code.owner,
            (Source::Browser, None) => visit.new_grant_id(),
        };
        let consent = ConsentId::of(who.authentication().subject, &self.client.client_id);
        let presented = approval.as_ref().is_some_and(|approval| approval.presented.is_some());
        let mut attempt = 1;
        loop {
            let mut work = visit.work(self.origin(visit, grant, Some(who)))?;
            if let Who::Login(login) = who {
                login.prepare(visit, visit.now(), &mut work).await?;
            }
            if presented {
                let command = self.consent_command(visit, who, grant);
                visit.consents.prepare(&consent.to_string(), vec![command], &mut work).await?;
            }
            work.apart = approval.as_ref().and_then(|approval| approval.ready.apart.clone());
            let answer = Answer { who, acr, grant, approval: approval.as_ref() };
            let commands = self.commands(visit, &answer, &mut work)?;
            let done = match self.source {
                Source::Browser => {
                    let sealed = Some(Arc::clone(&self.sealed));
                    visit.grants.begin(grant, commands, work, sealed).await
                }
                Source::Log { .. } => visit.grants.execute(grant, commands, work).await,
            };
            // What is in memory of them is old, whether this was written or not.
            if presented {
                visit.consents.forget(&consent.to_string());
            }
            if let Who::Login(login) = who {
                login.forget(visit);
            }
            match done {
                Ok(done) => return Ok((grant, done)),
                Err(GrantFailure::Append(AppendError::Conflict)) if attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(GrantFailure::Refused(error)) => {
                    return Err(Problem::refused(error, &self.client.client_id));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The grant's part of an append, and what stands beside it.
    fn commands(
        &self,
        visit: &Visit,
        answer: &Answer<'_>,
        work: &mut Work,
    ) -> Result<Vec<GrantCommand>, OAuthError> {
        let Answer { who, acr, grant, approval } = *answer;
        let now = visit.now();
        let authentication = who.authentication();
        let stream = Grant::stream(&grant.to_string());
        let subject: Arc<str> = authentication.subject.to_string().into();
        let mut commands = Vec::with_capacity(3);
        match self.source {
            Source::Browser => {
                let mut request = (*self.request).clone();
                if !self.sealed.is_empty() {
                    let made = work.apart.as_ref().and_then(Apart::made_key).cloned();
                    let key = match made {
                        Some(key) => key,
                        None => visit.vault.new_key(&mut work.append, &stream, Some(subject))?,
                    };
                    let value = serde_json::to_vec(&*self.sealed)
                        .map_err(|error| OAuthError::internal(&error))?;
                    let commitment =
                        visit.vault.seal(&mut work.append, &key, &stream, 1, &value)?;
                    request.sealed = Some(commitment);
                }
                let request = Arc::new(request);
                commands.push(GrantCommand::Request(ReceiveRequest { request, now }));
            }
            Source::Log { subject: before, .. } => {
                let is_theirs = before == Some(authentication.subject) && approval.is_none();
                if self.request.sealed.is_some() && !is_theirs {
                    work.append.bind_data_keys.push((stream, subject));
                }
            }
        }
        // Said again with the approval, so that it is this person's, whoever has
        // opened the same request elsewhere in the meantime.
        commands.push(GrantCommand::Authenticate(AuthenticateSubject {
            authentication: Authentication { acr: acr.to_owned(), ..authentication.clone() },
            request_uri: self.request_uri(),
            now,
        }));
        if let Some(approval) = approval {
            commands.push(GrantCommand::Approve(Approve {
                session_id: who.session_id(),
                scope: self.scope().clone(),
                claims: approval.claims.clone(),
                presented: approval.presented.clone(),
                code: approval.code.secret.digest(),
                lifetime: visit.config.tokens.authorization_code_lifetime,
                plan: approval.ready.plan.clone(),
                now,
            }));
        }
        Ok(commands)
    }

    fn consent_command(&self, visit: &Visit, who: &Who, grant_id: GrantId) -> ConsentCommand {
        ConsentCommand::Record {
            subject: who.authentication().subject,
            client_id: self.client.client_id.clone(),
            scope: self.scope().clone(),
            claims: claims::beyond(visit, self.scope(), &self.claims(visit)),
            grant_id,
            now: visit.now(),
        }
    }
}

/// What is written of a grant that is being answered.
#[derive(Clone, Copy)]
struct Answer<'a> {
    who: &'a Who,
    acr: &'a str,
    grant: GrantId,
    approval: Option<&'a Approval<'a>>,
}

/// What tokens by the browser need beside what is committed.
struct Ready {
    plan: TokenPlan,
    /// Claims that hooks add.
    apart: Option<Apart>,
    encryption: IdTokenEncryption,
    /// Claims about the person that stand in the ID token.
    released: Map<String, Value>,
}

struct Approval<'a> {
    code: &'a Handle<AuthorizationCode>,
    claims: ClaimNames,
    presented: Option<Presented>,
    ready: &'a Ready,
}

/// Gives the browser its key to the session, where a login made a new one.
fn with_session(visit: &Visit, who: &Who, mut answer: HttpResponse) -> HttpResponse {
    if let Who::Login(login) = who {
        // Fails only for a cookie that is no header value; ours are base64url.
        let _ = answer.add_cookie(&login.cookie(visit.is_secure()));
    }
    note_use(visit, who.session_id(), &mut answer);
    answer
}

async fn enabled_client(visit: &Visit, client_id: &str) -> Result<AuthenticatedClient, Problem> {
    let client = known_client(visit, client_id).await?;
    client.ok_or_else(|| Problem::unknown_client(Some(client_id)))
}
