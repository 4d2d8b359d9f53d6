//! A virtual user: a client with a browser, who goes through one flow after the other.

mod login;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

pub use self::stage::Stage;
use super::client::{Client, FormText};
use super::cookies::Cookies;
use super::http::{Answer, Outgoing, Target, Wire};
use super::scenario::{Need, Scenario};
use super::verify::{self, Asked, ForClient, Step, Tokens, Wrong};
use crate::clock::{Clock as _, SystemClock};
use crate::entropy::{Entropy, SystemEntropy};
use crate::sample::chance::Chance;

/// How long before its end a token is replaced by a new one, at most.
const MARGIN: Duration = Duration::from_secs(10);

/// A virtual user. No `Debug`: it holds sessions and tokens.
pub struct VirtualUser {
    stage: Arc<Stage>,
    number: usize,
    wire: Wire,
    cookies: Cookies,
    is_logged_in: bool,
    chance: Chance,
    /// The newest refresh token of the user's chain.
    refresh_token: Option<String>,
    introspected: Option<Held>,
    personal: Option<(Held, String)>,
}

/// An access token that is kept, while it is good.
struct Held {
    token: String,
    until: Option<Instant>,
}

impl Held {
    fn of(tokens: &Tokens) -> Self {
        let life = tokens.expires_in.map(Duration::from_secs);
        let until = life.map(|life| Instant::now() + life - MARGIN.min(life / 4));
        Self { token: tokens.access_token.clone(), until }
    }

    fn is_good(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// What is different in each authorization request.
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
}

impl Attempt {
    fn new() -> Self {
        let entropy: &dyn Entropy = &SystemEntropy;
        Self {
            state: URL_SAFE_NO_PAD.encode(entropy.bytes::<16>()),
            nonce: URL_SAFE_NO_PAD.encode(entropy.bytes::<16>()),
            verifier: URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()),
        }
    }

    /// RFC 7636 §4.2
    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }
}

/// How a code flow begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Pushed,
}

impl VirtualUser {
    #[must_use]
    pub fn new(stage: Arc<Stage>, number: usize, wire: Wire) -> Self {
        let chance = Chance::new(u64::try_from(number).unwrap_or(0).wrapping_mul(7919) + 1);
        Self {
            stage,
            number,
            wire,
            cookies: Cookies::default(),
            is_logged_in: false,
            chance,
            refresh_token: None,
            introspected: None,
            personal: None,
        }
    }

    /// Which flow of this scenario comes next.
    pub fn pick(&mut self, scenario: Scenario) -> Scenario {
        scenario.pick(&mut self.chance)
    }

    /// Gets what a flow needs and is no part of: a session, a first refresh token, a token to ask
    /// about.
    pub async fn prepare(&mut self, scenario: Scenario) -> Result<(), Wrong> {
        for part in scenario.parts() {
            self.prepare_one(part).await?;
        }
        Ok(())
    }

    async fn prepare_one(&mut self, part: Scenario) -> Result<(), Wrong> {
        if part.acts_for_a_person() && !self.is_logged_in {
            self.log_in().await?;
        }
        match part {
            Scenario::Refresh if self.refresh_token.is_none() => {
                let scope = self.web()?.scope().to_owned();
                let (tokens, _) = self.code_flow(Way::Plain, &scope).await?;
                let none = || {
                    let hint = "does the client's scope have offline_access?";
                    Wrong::new(Step::Token, "no refresh token", hint)
                };
                self.refresh_token = Some(tokens.refresh_token.ok_or_else(none)?);
            }
            Scenario::Introspect if !self.introspected.as_ref().is_some_and(Held::is_good) => {
                let tokens = match self.stage.direct(self.number) {
                    Some(_) => self.client_credentials().await?,
                    None => self.code_flow_online(Way::Plain).await?.0,
                };
                self.introspected = Some(Held::of(&tokens));
            }
            Scenario::Userinfo if !self.personal.as_ref().is_some_and(|own| own.0.is_good()) => {
                let (tokens, sub) = self.code_flow_online(Way::Plain).await?;
                let none = || Wrong::new(Step::IdToken, "missing", "");
                self.personal = Some((Held::of(&tokens), sub.ok_or_else(none)?));
            }
            _ => {}
        }
        Ok(())
    }

    /// Goes through one flow.
    pub async fn flow(&mut self, part: Scenario) -> Result<(), Wrong> {
        let result = match part {
            Scenario::ClientCredentials => self.client_credentials().await.map(drop),
            Scenario::Par => self.push().await,
            Scenario::Code => self.code_flow_online(Way::Plain).await.map(drop),
            Scenario::ParCode => self.code_flow_online(Way::Pushed).await.map(drop),
            Scenario::Refresh => self.refresh().await,
            Scenario::Introspect => self.introspect().await,
            Scenario::Userinfo => self.userinfo().await,
            Scenario::Mixed => Ok(()),
        };
        if result.is_err() {
            self.begin_again(part);
        }
        result
    }

    /// What did not work is not tried again with the same.
    fn begin_again(&mut self, part: Scenario) {
        match part {
            Scenario::Refresh => self.refresh_token = None,
            Scenario::Introspect => self.introspected = None,
            Scenario::Userinfo => self.personal = None,
            _ => {}
        }
    }

    async fn client_credentials(&mut self) -> Result<Tokens, Wrong> {
        let client = self.direct()?;
        let form = FormText::default().with("grant_type", "client_credentials");
        let answer = self.post(Step::Token, Need::Token, &client, form).await?;
        verify::tokens(&answer)
    }

    async fn push(&mut self) -> Result<(), Wrong> {
        let client = self.web()?;
        let attempt = Attempt::new();
        let form = self.request(&client, &attempt, &client.scope_online());
        self.push_form(&client, form).await.map(drop)
    }

    async fn push_form(&mut self, client: &Client, form: FormText) -> Result<String, Wrong> {
        let answer = self.post(Step::Par, Need::Par, client, form).await?;
        verify::pushed(&answer)
    }

    async fn refresh(&mut self) -> Result<(), Wrong> {
        let client = self.web()?;
        let Some(sent) = self.refresh_token.clone() else {
            return Err(Wrong::new(Step::Token, "no refresh token", ""));
        };
        let form = FormText::default().with("grant_type", "refresh_token");
        let form = form.with("refresh_token", &sent);
        let answer = self.post(Step::Token, Need::Token, &client, form).await?;
        let mut tokens = verify::tokens(&answer)?;
        if self.stage.keeps_refresh_tokens && tokens.refresh_token.is_none() {
            return Ok(());
        }
        self.refresh_token = Some(verify::rotated(&mut tokens, &sent)?);
        Ok(())
    }

    async fn introspect(&mut self) -> Result<(), Wrong> {
        let client = self.direct().or_else(|_| self.web())?;
        let Some(held) = &self.introspected else {
            return Err(Wrong::new(Step::Introspection, "no token", ""));
        };
        let form = FormText::default().with("token", &held.token);
        let answer = self.post(Step::Introspection, Need::Introspection, &client, form).await?;
        verify::active(&answer)
    }

    async fn userinfo(&mut self) -> Result<(), Wrong> {
        let step = Step::Userinfo;
        let Some((held, sub)) = &self.personal else {
            return Err(Wrong::new(step, "no token", ""));
        };
        let bearer = HeaderValue::try_from(format!("Bearer {}", held.token));
        let bearer = bearer.map_err(|_| Wrong::new(step, "a token that can't be sent", ""))?;
        let target = endpoint(&self.stage, step, Need::Userinfo)?;
        let request = Outgoing::get(target).header(AUTHORIZATION, bearer);
        let answer = self.wire.call(&request).await;
        verify::userinfo(&answer.map_err(|error| Wrong::no_answer(step, &error))?, sub)
    }

    async fn code_flow_online(&mut self, way: Way) -> Result<(Tokens, Option<String>), Wrong> {
        let scope = self.web()?.scope_online();
        self.code_flow(way, &scope).await
    }

    /// From the authorization request to the tokens; with the subject, where there is an ID token.
    async fn code_flow(
        &mut self,
        way: Way,
        scope: &str,
    ) -> Result<(Tokens, Option<String>), Wrong> {
        let client = self.web()?;
        let attempt = Attempt::new();
        let mut request = self.request(&client, &attempt, scope);
        if way == Way::Pushed {
            let request_uri = self.push_form(&client, request).await?;
            request =
                FormText::default().with("client_id", &client.id).with("request_uri", &request_uri);
        }
        let stage = Arc::clone(&self.stage);
        let target = endpoint(&stage, Step::Authorize, Need::Authorization)?;
        let target = target.with_query(&request.finish());
        let answer = self.browse(Step::Authorize, Outgoing::get(&target), &target).await?;
        let redirect_uri = client.redirect_uri.as_deref().unwrap_or_default();
        let code = verify::code(&answer, &self.asked(redirect_uri, &attempt));
        // A session that is gone is begun again before the next flow.
        self.is_logged_in = code.is_ok();
        let code = code?;

        let form = FormText::default()
            .with("grant_type", "authorization_code")
            .with("code", &code)
            .with("redirect_uri", redirect_uri)
            .with("code_verifier", &attempt.verifier);
        let answer = self.post(Step::Token, Need::Token, &client, form).await?;
        let tokens = verify::tokens(&answer)?;
        if !scope.split(' ').any(|value| value == "openid") {
            return Ok((tokens, None));
        }
        let none = || Wrong::new(Step::IdToken, "missing", "");
        let expected = ForClient {
            issuer: &self.stage.provider.issuer,
            client_id: &client.id,
            nonce: &attempt.nonce,
            now: SystemClock.now().seconds(),
        };
        let sub = verify::id_token(tokens.id_token.as_deref().ok_or_else(none)?, &expected)?;
        Ok((tokens, Some(sub)))
    }

    /// The parameters of an authorization request, pushed or not.
    fn request(&self, client: &Client, attempt: &Attempt, scope: &str) -> FormText {
        let mut form = FormText::default()
            .with("response_type", "code")
            .with("client_id", &client.id)
            .with("redirect_uri", client.redirect_uri.as_deref().unwrap_or_default())
            .with("scope", scope)
            .with("state", &attempt.state)
            .with("nonce", &attempt.nonce)
            .with("code_challenge", &attempt.challenge())
            .with("code_challenge_method", "S256");
        for (name, value) in &self.stage.parameters {
            form.append(name, value);
        }
        form
    }

    fn asked<'a>(&'a self, redirect_uri: &'a str, attempt: &'a Attempt) -> Asked<'a> {
        let provider = &self.stage.provider;
        let (issuer, names_issuer) = (&*provider.issuer, provider.names_itself);
        Asked { redirect_uri, state: &attempt.state, issuer, names_issuer }
    }

    /// A request of the browser, with its cookies.
    async fn browse(
        &mut self,
        step: Step,
        request: Outgoing<'_>,
        target: &Target,
    ) -> Result<Answer, Wrong> {
        let request = match self.cookies.header(target.host()) {
            Some(cookies) => request.header(COOKIE, cookies),
            None => request,
        };
        let request = request.header(ACCEPT, HeaderValue::from_static("text/html"));
        let answer = self.wire.call(&request).await;
        let answer = answer.map_err(|error| Wrong::no_answer(step, &error))?;
        self.cookies.take(target.host(), &answer.headers);
        Ok(answer)
    }

    /// A request of the client itself.
    async fn post(
        &mut self,
        step: Step,
        need: Need,
        client: &Client,
        mut form: FormText,
    ) -> Result<Answer, Wrong> {
        let target = endpoint(&self.stage, step, need)?;
        // A pushed request has it among its parameters.
        if need != Need::Par || client.is_confidential() {
            client.sign(&mut form);
        }
        let mut request = Outgoing::form(target, form.finish());
        if let Some((name, value)) = client.header() {
            let name: HeaderName = name;
            request = request.header(name, value);
        }
        self.wire.call(&request).await.map_err(|error| Wrong::no_answer(step, &error))
    }

    fn direct(&self) -> Result<Arc<Client>, Wrong> {
        let client = self.stage.direct(self.number).cloned();
        client.ok_or_else(|| Wrong::new(Step::Token, "no client for this", ""))
    }

    fn web(&self) -> Result<Arc<Client>, Wrong> {
        let client = self.stage.web(self.number).cloned();
        client.ok_or_else(|| Wrong::new(Step::Token, "no client for this", ""))
    }
}

fn endpoint(stage: &Stage, step: Step, need: Need) -> Result<&Target, Wrong> {
    let target = stage.provider.endpoint(need);
    target.ok_or_else(|| Wrong::new(step, "no such endpoint", need.member()))
}
