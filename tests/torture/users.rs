//! Virtual users: clients and people who do what clients and people do, in an order that the seed
//! decides, at whichever node; and hold the server to what it told them.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::chance::Chance;
use crate::program::{grant_of, jti};
use crate::promises::Promises;
use crate::support::{
    Answer, Browser, PASSWORD, Page, Place, RelyingParty, Tokens, form, good_request_but,
};
use crate::world::{BYE, GRACE, World, account};

/// How old what one node knows of another's doings may be (README.md, Invariants).
const FRESH: Duration = Duration::from_secs(1);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a user waits who got no answer.
const PAUSE: Duration = Duration::from_millis(20);

/// What the grace period loses by being counted in whole seconds, and then some.
const ROUNDING: Duration = Duration::from_millis(1500);

/// What became of a request.
enum Told {
    Yes(Answer),
    /// The client's fault, it says.
    No(Answer),
    /// No answer came, or the server can't just now: nobody knows what was done.
    Nothing,
}

impl Told {
    fn yes(&self) -> Option<&Answer> {
        match self {
            Self::Yes(answer) => Some(answer),
            Self::No(_) | Self::Nothing => None,
        }
    }

    fn is_no(&self) -> bool {
        matches!(self, Self::No(_))
    }
}

/// A grant with a refresh token.
struct Held {
    grant: String,
    opaque: bool,
    refresh: String,
    /// The one before it, and the one before that.
    previous: Option<String>,
    older: Option<String>,
    access: String,
    /// When it was refreshed last.
    since: Instant,
    /// A request with its code or a token of it was not answered. It may yet be carried out, late,
    /// and then be a replay, or the use of a spent token: either ends the grant.
    doubtful: bool,
}

impl Held {
    fn new(grant: String, opaque: bool, refresh: String, access: String) -> Self {
        let (previous, older, since, doubtful) = (None, None, Instant::now(), false);
        Self { grant, opaque, refresh, previous, older, access, since, doubtful }
    }
}

/// What was granted in the session that a browser is in.
struct InSession {
    id_token: String,
    grant: String,
    offline: bool,
}

pub struct User<'w> {
    world: &'w World,
    promises: &'w Promises,
    over: &'w Cell<bool>,
    chance: Chance,
    account: String,
    browser: Browser,
    held: Vec<Held>,
    session: Vec<InSession>,
}

impl<'w> User<'w> {
    pub fn new(
        world: &'w World,
        promises: &'w Promises,
        over: &'w Cell<bool>,
        (seed, index): (u64, usize),
    ) -> Self {
        let chance = Chance::of(seed, 1 + index as u64);
        let account = account(index);
        let browser = Browser::of(&world.nodes[0].address);
        Self { world, promises, over, chance, account, browser, held: vec![], session: vec![] }
    }

    /// Goes on until all is over.
    pub async fn live(mut self) {
        while !self.over.get() {
            match self.chance.within(0..20) {
                0..3 => self.serve_itself().await,
                3 => drop(self.push(false).await),
                4..9 => self.authorize().await,
                9..14 => self.refresh().await,
                14 => self.refresh_again().await,
                15 => self.use_a_spent_token().await,
                16 | 17 => self.look_whether_alive().await,
                18 => self.give_back().await,
                _ => self.log_out().await,
            }
        }
    }

    fn node(&mut self) -> usize {
        self.chance.index(self.world.nodes.len())
    }

    fn web(&self, node: usize, opaque: bool) -> &'w RelyingParty {
        let node = &self.world.nodes[node];
        if opaque { &node.opaque } else { &node.web }
    }

    /// Now and then the client goes away before the answer is there.
    fn patience(&mut self) -> Duration {
        if self.chance.one_in(16) {
            return Duration::from_millis(self.chance.within(1..40));
        }
        PATIENCE
    }

    /// What becomes of a form that is posted.
    async fn tell(
        &self,
        what: &'static str,
        (party, path): (&RelyingParty, &str),
        form: &[(&str, &str)],
        patience: Duration,
    ) -> Told {
        let told = match timeout(patience, party.try_post(path, form)).await {
            Ok(Ok(answer)) if answer.status < 300 => Told::Yes(answer),
            Ok(Ok(answer)) if answer.status < 500 && answer.status != 429 => Told::No(answer),
            Ok(Ok(_) | Err(_)) | Err(_) => Told::Nothing,
        };
        match &told {
            Told::Yes(_) => self.promises.count(what),
            Told::Nothing => {
                self.promises.count("not answered");
                sleep(PAUSE).await;
            }
            Told::No(answer) => {
                self.promises.count("refused");
                // All that is said here is well said, by clients that are there.
                let error = answer.json()["error"].clone();
                if error != "invalid_grant" {
                    self.promises.broken(&format!("{what}: refused with {error}: {}", answer.body));
                }
            }
        }
        told
    }

    // --- a client for itself ---------------------------------------------------------------------

    async fn serve_itself(&mut self) {
        let (node, patience) = (self.node(), self.patience());
        let at = (&self.world.nodes[node].service, "/token");
        let form = [("grant_type", "client_credentials")];
        let told = self.tell("client_credentials", at, &form, patience).await;
        let Some(answer) = told.yes() else { return };
        let access = Tokens::of(&answer.ok()).access;
        let id = jti(&access);
        self.promises.issued(id.clone());
        if self.chance.one_in(3) {
            let node = self.node();
            let service = &self.world.nodes[node].service;
            if self.is_alive(service, &access).await == Some(false) {
                self.promises.broken(&format!("the token {id} is not alive on node {node}"));
            }
        }
        if self.chance.one_in(5) {
            let (node, patience) = (self.node(), self.patience());
            let at = (&self.world.nodes[node].service, "/revoke");
            let told = self.tell("revoke a token", at, &[("token", &access)], patience).await;
            if told.yes().is_some() {
                let since = Instant::now();
                self.promises.taken_back(id.clone());
                let all = self.world.nodes.iter().map(|node| &node.service);
                self.is_dead(all, &access, since, &format!("the token {id}")).await;
            }
        }
    }

    /// What introspection says; nothing where it says nothing.
    async fn is_alive(&self, party: &RelyingParty, token: &str) -> Option<bool> {
        let form = [("token", token)];
        let told = self.tell("introspect", (party, "/introspect"), &form, PATIENCE).await;
        told.yes()?.json()["active"].as_bool()
    }

    /// Nobody says that the token is alive, once all must have heard of its end.
    async fn is_dead(
        &self,
        parties: impl Iterator<Item = &RelyingParty>,
        token: &str,
        since: Instant,
        what: &str,
    ) {
        sleep_until(since + FRESH).await;
        join_all(parties.enumerate().map(async |(node, party)| {
            let asked = Instant::now();
            if self.is_alive(party, token).await == Some(true) {
                let late = asked - since;
                self.promises
                    .broken(&format!("{what} is alive on node {node} {late:?} after its end"));
            }
        }))
        .await;
    }

    // --- a person, and a client of theirs ----------------------------------------------------------

    /// Pushes a request; gives its `request_uri`.
    async fn push(&mut self, opaque: bool) -> Option<(String, bool)> {
        let (node, patience) = (self.node(), self.patience());
        let offline = self.chance.one_in(2);
        let request = request(offline);
        let told = self.tell("push", (self.web(node, opaque), "/par"), &request, patience).await;
        let request_uri = told.yes()?.json()["request_uri"].as_str().unwrap().to_owned();
        self.promises.pushed(grant_of(request_uri.rsplit(':').next().unwrap()));
        Some((request_uri, offline))
    }

    async fn authorize(&mut self) {
        let opaque = self.chance.one_in(3);
        let pushed = self.chance.one_in(2);
        // By the issuer's name: the browser knows which node to ask.
        let client = self.web(0, opaque);
        let (url, offline) = if pushed {
            let Some((request_uri, offline)) = self.push(opaque).await else { return };
            (client.authorize_url(&[("request_uri", &request_uri)]), offline)
        } else {
            let offline = self.chance.one_in(2);
            (client.authorize_url(&request(offline)), offline)
        };
        let Some(code) = self.go_through(&url).await else { return };
        self.promises.count("code");
        self.promises.code(grant_of(&code));
        if pushed && self.chance.one_in(4) {
            self.use_again(&url).await;
        }
        match self.chance.within(0..8) {
            0 => {}
            1 | 2 => self.redeem_at_two_nodes(&code, opaque).await,
            3 => {
                if self.redeem(&code, opaque, offline).await {
                    self.replay(&code, opaque).await;
                }
            }
            _ => drop(self.redeem(&code, opaque, offline).await),
        }
    }

    /// Logs in and allows, each step at whichever node; gives the code.
    async fn go_through(&mut self, url: &str) -> Option<String> {
        let mut place = self.visit(url).await?;
        for _ in 0..4 {
            let page = match place {
                Place::Returned(returned) => {
                    if let Some(code) = returned.get("code") {
                        return Some(code.to_owned());
                    }
                    let error = returned.get("error").unwrap_or_default();
                    // It can't just now.
                    if !["server_error", "temporarily_unavailable"].contains(&error) {
                        self.promises.broken(&format!("authorization: {returned:?}"));
                    }
                    return None;
                }
                // It can't just now; 429 too: an attempt that was not answered counts as failed.
                Place::Page(page) if page.status >= 500 || page.status == 429 => return None,
                Place::Page(page) => page,
            };
            let account = self.account.clone();
            let (form, fields) = if page.has("login-form") {
                let password = ("password", PASSWORD);
                ("login-form", vec![("username", &*account), password, ("action", "login")])
            } else if page.has("consent-form") {
                ("consent-form", vec![("action", "allow")])
            } else {
                let (status, code) = (page.status, page.text_of("error-code"));
                self.promises.broken(&format!("authorization: a page with {status}: {code:?}"));
                return None;
            };
            if form == "login-form" {
                // Another session begins.
                self.session.clear();
            }
            place = self.submit(&page, form, &fields).await?;
        }
        self.promises.broken(&format!("authorization comes to no end: {place:?}"));
        None
    }

    fn go_to_some_node(&mut self) {
        let node = self.node();
        self.browser = self.browser.at_address(&self.world.nodes[node].address);
    }

    async fn visit(&mut self, url: &str) -> Option<Place> {
        self.go_to_some_node();
        let patience = self.patience();
        let place = timeout(patience, self.browser.try_open(url)).await;
        self.came(place.ok()?.ok()).await
    }

    async fn came(&self, place: Option<Place>) -> Option<Place> {
        self.promises.count(if place.is_some() { "page" } else { "not answered" });
        if place.is_none() {
            sleep(PAUSE).await;
        }
        place
    }

    async fn submit(&mut self, page: &Page, form: &str, fields: &[(&str, &str)]) -> Option<Place> {
        self.go_to_some_node();
        let patience = self.patience();
        let place = self.browser.try_submit(page, form, fields);
        let place = timeout(patience, place).await;
        self.came(place.ok()?.ok()).await
    }

    /// RFC 9126 §7.3: a `request_uri` that brought a code is good for nothing more.
    async fn use_again(&mut self, url: &str) {
        self.promises.count("request_uri used again");
        if let Some(Place::Returned(returned)) = self.visit(url).await
            && returned.get("code").is_some()
        {
            self.promises.broken(&format!("a request_uri brought a second code: {returned:?}"));
        }
    }

    /// Gives whether tokens came.
    async fn redeem(&mut self, code: &str, opaque: bool, offline: bool) -> bool {
        let mut lost = false;
        for _ in 0..3 {
            let (node, patience) = (self.node(), self.patience());
            let form = redemption(code);
            let at = (self.web(node, opaque), "/token");
            match self.tell("redeem", at, &form, patience).await {
                Told::Yes(answer) => {
                    self.keep(grant_of(code), &Tokens::of(&answer.ok()), (opaque, offline, lost));
                    return true;
                }
                // Then what was not answered may have come through, and this was a replay.
                Told::No(answer) if !lost => {
                    self.promises.broken(&format!("a good code is refused: {}", answer.body));
                    return false;
                }
                Told::No(_) => return false,
                Told::Nothing => lost = true,
            }
        }
        false
    }

    fn keep(
        &mut self,
        grant: String,
        tokens: &Tokens,
        (opaque, offline, doubtful): (bool, bool, bool),
    ) {
        self.promises.redeemed(&grant);
        if !opaque {
            self.promises.issued(jti(&tokens.access));
        }
        let id_token = tokens.id().to_owned();
        self.session.push(InSession { id_token, grant: grant.clone(), offline });
        let Some(refresh) = tokens.refresh.clone() else {
            if offline {
                self.promises.broken(&format!("{grant} has no refresh token"));
            }
            return;
        };
        let access = tokens.access.clone();
        self.held.push(Held { doubtful, ..Held::new(grant, opaque, refresh, access) });
        if self.held.len() > 6 {
            self.held.remove(0);
        }
    }

    async fn redeem_at_two_nodes(&mut self, code: &str, opaque: bool) {
        let form = redemption(code);
        let (node, other) = (self.node(), self.node());
        let [node, other] = [node, other].map(|node| (self.web(node, opaque), "/token"));
        let patience = self.patience();
        let both = tokio::join!(
            self.tell("redeem at once", node, &form, PATIENCE),
            self.tell("redeem at once", other, &form, patience),
        );
        let grant = grant_of(code);
        let good: Vec<_> = [&both.0, &both.1].into_iter().filter_map(Told::yes).collect();
        match good[..] {
            [] if both.0.is_no() && both.1.is_no() => {
                self.promises.broken(&format!("a good code of {grant} is refused to both"));
            }
            [] => {}
            [answer] => {
                let tokens = Tokens::of(&answer.ok());
                self.promises.redeemed(&grant);
                if !opaque {
                    self.promises.issued(jti(&tokens.access));
                }
                if both.0.is_no() || both.1.is_no() {
                    self.ends(&grant, "its code was used twice at once", opaque, &tokens).await;
                }
            }
            [..] => self.promises.broken(&format!("the code of {grant} was good twice at once")),
        }
    }

    /// RFC 6749 §4.1.2: nothing comes of it, and what came of it is revoked.
    async fn replay(&mut self, code: &str, opaque: bool) {
        let grant = grant_of(code);
        let (node, patience) = (self.node(), self.patience());
        let at = (self.web(node, opaque), "/token");
        let told = self.tell("replay", at, &redemption(code), patience).await;
        let held = self.held.iter().position(|held| held.grant == grant);
        let held = held.map(|index| self.held.remove(index));
        match told {
            Told::Yes(_) => {
                self.promises.broken(&format!("the code of {grant} was good twice"));
            }
            Told::No(_) => {
                self.promises.over(&grant, "its code was replayed");
                self.promises.count("replayed");
                if let Some(held) = held {
                    self.is_over(&held, Instant::now()).await;
                }
            }
            Told::Nothing => {}
        }
    }

    async fn ends(&mut self, grant: &str, why: &'static str, opaque: bool, tokens: &Tokens) {
        let since = Instant::now();
        self.promises.over(grant, why);
        let refresh = tokens.refresh.clone().unwrap_or_default();
        let held = Held::new(grant.to_owned(), opaque, refresh, tokens.access.clone());
        self.is_over(&held, since).await;
    }

    /// Nothing comes of a grant that is over: of what would have to be written at once, of what
    /// is only looked up as soon as all must have heard of it.
    async fn is_over(&self, held: &Held, since: Instant) {
        let grant = &held.grant;
        let parties = || (0..self.world.nodes.len()).map(|node| self.web(node, held.opaque));
        if !held.refresh.is_empty() {
            self.is_spent(parties(), grant, &held.refresh, "a refresh token").await;
        }
        self.is_dead(parties(), &held.access, since, &format!("a token of {grant}")).await;
        if let Some(previous) = &held.previous {
            self.is_spent(parties(), grant, previous, "a used refresh token").await;
        }
    }

    async fn is_spent(
        &self,
        parties: impl Iterator<Item = &RelyingParty>,
        grant: &str,
        token: &str,
        what: &str,
    ) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let told = parties.map(|party| self.tell("spent", (party, "/token"), &form, PATIENCE));
        if join_all(told).await.iter().any(|told| told.yes().is_some()) {
            self.promises.broken(&format!("{what} of {grant} is good after its end"));
        }
    }

    // --- refresh tokens ----------------------------------------------------------------------------

    /// Takes one of the grants that are held: it comes back if all goes well.
    fn take(&mut self) -> Option<Held> {
        if self.held.is_empty() {
            return None;
        }
        let index = self.chance.index(self.held.len());
        Some(self.held.swap_remove(index))
    }

    async fn refresh(&mut self) {
        let Some(mut held) = self.take() else { return };
        let began = Instant::now();
        for attempt in 0..4 {
            let at_once = if self.chance.one_in(3) { 2 } else { 1 };
            let asked: Vec<_> = (0..at_once).map(|_| (self.node(), self.patience())).collect();
            let form = [("grant_type", "refresh_token"), ("refresh_token", &*held.refresh)];
            let told = join_all(asked.into_iter().map(|(node, patience)| {
                self.tell("refresh", (self.web(node, held.opaque), "/token"), &form, patience)
            }));
            let told = told.await;
            let mut next = None;
            for answer in told.iter().filter_map(Told::yes) {
                let tokens = Tokens::of(&answer.ok());
                self.promises.rotated(&held.grant, &held.refresh, tokens.refresh());
                if !held.opaque {
                    self.promises.issued(jti(&tokens.access));
                }
                next = Some(tokens);
            }
            held.doubtful |= told.iter().any(|told| matches!(told, Told::Nothing));
            if let Some(Told::No(answer)) = told.iter().find(|told| told.is_no()) {
                // Too late, or by a clock that was off: a reuse.
                let late = began.elapsed() + ROUNDING > GRACE || self.world.clocks_were_off(began);
                if !late && !held.doubtful {
                    let (grant, body) = (&held.grant, &answer.body);
                    self.promises.broken(&format!("a good token of {grant} is refused: {body}"));
                }
                return;
            }
            if let Some(tokens) = next {
                held.since = Instant::now();
                held.older = held.previous.take();
                held.access.clone_from(&tokens.access);
                let successor = tokens.refresh().to_owned();
                held.previous = Some(std::mem::replace(&mut held.refresh, successor));
                self.held.push(held);
                return;
            }
            if began.elapsed() + ROUNDING > GRACE {
                return;
            }
            sleep(Duration::from_millis(100 << attempt)).await;
        }
    }

    /// The answer came, and the client asks once more: within the grace period it is the same.
    async fn refresh_again(&mut self) {
        let Some(held) = self.take() else { return };
        let Some(previous) = held.previous.clone() else { return self.held.push(held) };
        let node = self.node();
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*previous)];
        let at = (self.web(node, held.opaque), "/token");
        match self.tell("refresh again", at, &form, PATIENCE).await {
            Told::Yes(answer) => {
                let tokens = Tokens::of(&answer.ok());
                self.promises.rotated(&held.grant, &previous, tokens.refresh());
                self.held.push(held);
            }
            Told::No(_) => self.was_reused(&held).await,
            Told::Nothing => self.held.push(Held { doubtful: true, ..held }),
        }
    }

    /// RFC 9700 §4.14.2: a token whose successor has been used is stolen, or its successor is.
    async fn use_a_spent_token(&mut self) {
        let Some(held) = self.take() else { return };
        let Some(older) = held.older.clone() else { return self.held.push(held) };
        // A node that has not heard of the last use may take it for a repetition.
        sleep_until(held.since + FRESH).await;
        let node = self.node();
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*older)];
        let at = (self.web(node, held.opaque), "/token");
        match self.tell("use a spent token", at, &form, PATIENCE).await {
            Told::Yes(_) => {
                let grant = &held.grant;
                self.promises.broken(&format!("a refresh token of {grant} is good although spent"));
            }
            Told::No(_) => self.was_reused(&held).await,
            Told::Nothing => {}
        }
    }

    async fn was_reused(&mut self, held: &Held) {
        self.promises.count("reused");
        let since = Instant::now();
        self.promises.over(&held.grant, "a refresh token was reused");
        self.is_over(held, since).await;
    }

    // --- what else there is to do ---------------------------------------------------------------

    async fn look_whether_alive(&mut self) {
        let Some(held) = self.take() else { return };
        let node = self.node();
        if self.is_alive(self.web(node, held.opaque), &held.refresh).await == Some(false)
            && !held.doubtful
        {
            let grant = &held.grant;
            self.promises.broken(&format!("the refresh token of {grant} is not known on {node}"));
        }
        self.held.push(held);
    }

    /// RFC 7009: a refresh token ends its grant.
    async fn give_back(&mut self) {
        let Some(held) = self.take() else { return };
        let (node, patience) = (self.node(), self.patience());
        let at = (self.web(node, held.opaque), "/revoke");
        let told = self.tell("revoke", at, &[("token", &held.refresh)], patience).await;
        if told.yes().is_some() {
            let since = Instant::now();
            self.promises.over(&held.grant, "its refresh token was given back");
            self.is_over(&held, since).await;
        }
    }

    /// OpenID Connect RP-Initiated Logout.
    async fn log_out(&mut self) {
        let Some(last) = self.session.last() else { return };
        let query = form(&[("id_token_hint", &last.id_token), ("post_logout_redirect_uri", BYE)]);
        let url = format!("{}/end_session?{query}", self.world.nodes[0].address);
        // A thief's, who kept the cookies.
        let mut before = self.browser.clone();
        let place = self.visit(&url).await;
        self.browser.cookies.clear();
        let session = std::mem::take(&mut self.session);
        let Some(Place::Returned(_)) = place else { return };
        let since = Instant::now();
        self.promises.count("logout");
        for ended in session.iter().filter(|granted| !granted.offline) {
            self.promises.over(&ended.grant, "its session was ended");
        }
        sleep_until(since + FRESH).await;
        let silent = good_request_but(&[("prompt", "none")]);
        let silent = self.web(0, false).authorize_url(&silent);
        for node in &self.world.nodes {
            before = before.at_address(&node.address);
            let place = timeout(PATIENCE, before.try_open(&silent)).await;
            if let Ok(Ok(Place::Returned(returned))) = place
                && returned.get("code").is_some()
            {
                self.promises.broken(&format!("{}: still logged in: {returned:?}", node.address));
            }
        }
    }
}

/// An authorization request, with or without access while the person is away.
fn request(offline: bool) -> Vec<(&'static str, &'static str)> {
    let scope = if offline { "openid offline_access read" } else { "openid read" };
    good_request_but(&[("scope", scope)])
}

fn redemption(code: &str) -> Vec<(&str, &str)> {
    use crate::support::{REDIRECT_URI, VERIFIER};
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ]
}
