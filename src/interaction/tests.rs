//! The pages as a browser meets them, on a node of its own with a fixed clock.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::cookie::Cookie;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION, RETRY_AFTER, SET_COOKIE};
use actix_web::{App, test, web};
use chancery_domain::account::{AccountCommand, Profile};
use chancery_domain::client::{ClientCommand, ClientMetadata};
use chancery_domain::grant::{Grant, GrantEvent};
use chancery_domain::ids::{ClientId, GrantId, SubjectId};
use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use chancery_domain::protocol::grant_type::GrantType;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::scope::Scope;
use chancery_domain::secret::AuthorizationCode;
use chancery_domain::time::{Lifetime, UnixTime};
use futures_util::future::LocalBoxFuture;
use url::{Url, form_urlencoded};

use super::*;
use crate::accounts;
use crate::aggregates::{Kept as _, Origin};
use crate::app::{Node, OpenStore};
use crate::clock::FixedClock;
use crate::config::{Config, Sources};
use crate::entropy::SeededEntropy;
use crate::handles::Handle;
use crate::passwords::Password;
use crate::sealing::MasterKey;
use crate::services::Services;
use crate::stores::sqlite::SqliteStore;

const ISSUER: &str = "http://localhost:8080";
const CALLBACK: &str = "https://rp.example/cb?own=1";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeGTVH6jkhLJ1nLiFTQ4";

/// A node with a client, two accounts, and nothing else.
struct World {
    services: Arc<Services>,
    clock: Arc<FixedClock>,
    _node: Node,
    _data: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = format!(
            "[server]\nissuer = \"{ISSUER}\"\n[store]\nurl = \"sqlite://{}\"\n\
             [master_key]\nfile = \"unused\"\n\
             [scopes.\"orders:read\"]\ndescription = \"see your orders\"\n",
            data.path().display()
        );
        let config = Config::load(&Sources::of_text("chancery.toml", config)).unwrap().config;
        let entropy: Arc<dyn crate::entropy::Entropy> = Arc::new(SeededEntropy::new(1));
        let clock = Arc::new(FixedClock::at(UnixTime::from_seconds(1_700_000_000)));
        let open =
            OpenStore { store: Arc::new(SqliteStore::open(data.path()).unwrap()), shared: false };
        let master = MasterKey::generate(&*entropy);
        let time: Arc<FixedClock> = Arc::clone(&clock);
        let node = Node::assemble(config, open, master, time, entropy).await.unwrap();
        let world = Self { services: Arc::clone(&node.services), clock, _node: node, _data: data };
        world.register("app", ClientMetadata::default()).await;
        world.account("Alice", "wonderland").await;
        world.account("bob", "builder").await;
        world
    }

    async fn register(&self, client_id: &str, metadata: ClientMetadata) {
        let client_id = ClientId::parse(client_id).unwrap();
        let command = ClientCommand::Register {
            client_id: client_id.clone(),
            metadata: Box::new(ClientMetadata {
                client_name: Some("An <App>".to_owned()),
                redirect_uris: vec![RedirectUri::parse(CALLBACK).unwrap()],
                grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
                scope: Scope::parse("openid email orders:read offline_access").unwrap(),
                token_endpoint_auth_method: ClientAuthMethod::None,
                ..metadata
            }),
            secret: None,
            now: self.services.now(),
        };
        let work = self.services.work(Origin::system("test")).unwrap();
        self.services.clients.execute(client_id.as_str(), vec![command], work).await.unwrap();
    }

    async fn account(&self, name: &str, password: &str) -> SubjectId {
        let services = &self.services;
        let mut work = services.work(Origin::system("test")).unwrap();
        let subject = SubjectId::from_uuid(services.entropy.uuid_v4());
        let claims = serde_json::Map::from_iter([("name".to_owned(), format!("{name} X").into())]);
        let hash = services.passwords.hash(&Password::new(password)).await.unwrap();
        let new = accounts::NewAccount {
            subject,
            profile: &Profile { username: name.to_owned(), claims },
            password_hash: &hash,
            now: services.now(),
        };
        let names = services.keys.get();
        let commands = accounts::register(&services.vault, &names.names, &new, &mut work).unwrap();
        services.accounts.execute(&subject.to_string(), commands, work).await.unwrap();
        subject
    }

    async fn subject(&self, name: &str) -> SubjectId {
        let found = accounts::find_by_name(&self.services, name).await.unwrap().unwrap();
        found.state.registered().unwrap().subject
    }

    async fn events(&self) -> u64 {
        self.services.store.last_position().await.unwrap()
    }

    /// What has happened to the grant of a code.
    async fn grant(&self, code: &str) -> (GrantId, Vec<&'static str>) {
        let id = Handle::<AuthorizationCode>::decode(code).unwrap().owner;
        let stream = Grant::stream(&id.to_string());
        let history = self.services.store.history(&stream).await.unwrap();
        let names = history.iter().map(|stored| {
            use chancery_domain::event::EventFormat as _;
            let event = &stored.event;
            GrantEvent::from_json(&event.event_type, &event.event_version, &event.payload)
                .unwrap()
                .name()
        });
        (id, names.collect())
    }
}

/// What came back.
struct Page {
    status: StatusCode,
    location: Option<String>,
    csp: String,
    retry_after: Option<String>,
    body: String,
}

impl Page {
    /// The value of a hidden field.
    fn field(&self, name: &str) -> &str {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&start).unwrap_or_else(|| panic!("{}", self.body));
        rest.split_once('"').unwrap().0
    }

    /// Where the browser is sent, and with which parameters.
    fn to(&self) -> (String, BTreeMap<String, String>) {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        let url = Url::parse(self.location.as_deref().unwrap()).unwrap();
        let place = match url.origin().ascii_serialization().as_str() {
            ISSUER => url.path().to_owned(),
            other => format!("{other}{}", url.path()),
        };
        (place, url.query_pairs().into_owned().collect())
    }

    #[track_caller]
    fn shows(&self, status: StatusCode, id: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.body.contains(&format!("id=\"{id}\"")), "{id}: {}", self.body);
    }

    #[track_caller]
    fn at_relying_party(&self) -> BTreeMap<String, String> {
        let (place, parameters) = self.to();
        assert_eq!(place, "https://rp.example/cb");
        assert_eq!(parameters["own"], "1");
        assert_eq!(parameters["iss"], ISSUER);
        parameters
    }
}

/// The server, as a browser reaches it.
type Wire = dyn Fn(test::TestRequest) -> LocalBoxFuture<'static, ServiceResponse>;

/// A browser with its cookies.
struct Browser<'a> {
    app: &'a Wire,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    fn new(app: &'a Wire) -> Self {
        Self { app, cookies: RefCell::default() }
    }

    async fn send(&self, mut request: test::TestRequest) -> Page {
        for (name, value) in &*self.cookies.borrow() {
            request = request.cookie(Cookie::new(name.clone(), value.clone()));
        }
        let request = request.peer_addr("192.0.2.1:1".parse().unwrap());
        let answer = (self.app)(request).await;
        for header in answer.headers().get_all(SET_COOKIE) {
            let cookie = Cookie::parse(header.to_str().unwrap().to_owned()).unwrap();
            assert!(cookie.http_only().unwrap() && cookie.path() == Some("/"));
            let (name, value) = (cookie.name().to_owned(), cookie.value().to_owned());
            if value.is_empty() {
                self.cookies.borrow_mut().remove(&name);
            } else {
                self.cookies.borrow_mut().insert(name, value);
            }
        }
        let header = |name| {
            let value = answer.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let (location, csp) = (header(LOCATION), header(CONTENT_SECURITY_POLICY));
        let (retry_after, status) = (header(RETRY_AFTER), answer.status());
        let body = String::from_utf8(test::read_body(answer).await.to_vec()).unwrap();
        Page { status, location, csp: csp.unwrap_or_default(), retry_after, body }
    }

    async fn get(&self, path: &str) -> Page {
        self.send(test::TestRequest::get().uri(path)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.send(form_post(path, fields).insert_header(("Origin", ISSUER))).await
    }

    /// Goes where the last answer says.
    async fn follow(&self, page: &Page) -> Page {
        let location = page.location.as_deref().unwrap_or_else(|| panic!("{}", page.body));
        self.get(location.strip_prefix(ISSUER).unwrap()).await
    }

    async fn authorize(&self, more: &[(&str, &str)]) -> Page {
        self.get(&format!("/authorize?{}", query(more))).await
    }

    async fn log_in(&self, page: &Page, name: &str, password: &str) -> Page {
        self.post(
            "/login",
            &[
                ("interaction", page.field("interaction")),
                ("csrf", page.field("csrf")),
                ("username", name),
                ("password", password),
                ("action", "login"),
            ],
        )
        .await
    }

    async fn consent(&self, page: &Page, action: &str) -> Page {
        let fields = [
            ("interaction", page.field("interaction")),
            ("csrf", page.field("csrf")),
            ("action", action),
        ];
        self.post("/consent", &fields).await
    }

    /// From the first request to the code.
    async fn full(&self, name: &str, password: &str) -> BTreeMap<String, String> {
        let page = self.authorize(&[]).await;
        let page = self.follow(&page).await;
        page.shows(StatusCode::OK, "login-form");
        let page = self.log_in(&page, name, password).await;
        assert_eq!(page.to().0, "/consent");
        let page = self.follow(&page).await;
        page.shows(StatusCode::OK, "consent-form");
        self.consent(&page, "allow").await.at_relying_party()
    }
}

fn form_post(path: &str, fields: &[(&str, &str)]) -> test::TestRequest {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    test::TestRequest::post()
        .uri(path)
        .insert_header(("Content-Type", "application/x-www-form-urlencoded"))
        .set_payload(body)
}

fn query(more: &[(&str, &str)]) -> String {
    let mut all = BTreeMap::from([
        ("client_id", "app"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "s t&"),
        ("nonce", "n"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    all.extend(more.iter().copied());
    form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish()
}

macro_rules! app {
    ($world:expr) => {{
        let app = App::new()
            .app_data(web::Data::from(Arc::clone(&$world.services)))
            .configure(crate::http::configure)
            .configure(configure);
        let service = Rc::new(test::init_service(app).await);
        move |request: test::TestRequest| -> LocalBoxFuture<'static, ServiceResponse> {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let answer = test::call_service(&*service, request.to_request()).await;
                answer.map_into_boxed_body()
            })
        }
    }};
}

/// RFC 6749 §4.1.2, RFC 9207 §2
#[actix_web::test]
async fn a_person_logs_in_consents_and_returns_with_a_code() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    let before = world.events().await;

    let page = browser.authorize(&[("login_hint", "alice")]).await;
    assert_eq!(page.to().0, "/login");
    let page = browser.follow(&page).await;
    page.shows(StatusCode::OK, "login-form");
    assert!(page.body.contains("An &#60;App&#62;") && page.body.contains("value=\"alice\""));
    assert!(page.csp.contains("form-action 'self' https://rp.example;"), "{}", page.csp);
    assert_eq!(world.events().await, before, "no stranger makes an event");

    let page = browser.log_in(&page, " ALICE ", "wonderland").await;
    assert_eq!(page.to().0, "/consent");
    // Session started, request received, subject authenticated: one append.
    assert_eq!(world.events().await, before + 3);
    let page = browser.follow(&page).await;
    page.shows(StatusCode::OK, "consent-form");
    assert!(page.body.contains("Alice X") && page.body.contains("Read your e-mail address"));
    assert!(page.csp.contains("form-action 'self' https://rp.example;"), "{}", page.csp);

    let parameters = browser.consent(&page, "allow").await.at_relying_party();
    assert_eq!(parameters["state"], "s t&");
    let (grant, events) = world.grant(&parameters["code"]).await;
    assert_eq!(events, ["RequestReceived", "SubjectAuthenticated", "ConsentGiven", "CodeIssued"]);
    let sealed = world.services.grants.unseal(grant).await.unwrap();
    assert_eq!(sealed.nonce.as_deref(), Some("n"));
    let Grant::CodeIssued(stage) = world.services.grants.look(grant).await.unwrap() else {
        panic!("no code")
    };
    assert_eq!(stage.authorization.subject(), Some(world.subject("alice").await));
    assert_eq!(stage.expires_at, world.services.now() + Lifetime::from_seconds(60));

    // Who goes back and answers again is told so.
    browser.consent(&page, "allow").await.shows(StatusCode::BAD_REQUEST, "error-page");
}

#[actix_web::test]
async fn session_and_consent_are_remembered() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    browser.full("alice", "wonderland").await;
    let before = world.events().await;
    for prompt in [&[][..], &[("prompt", "none")]] {
        let parameters = browser.authorize(prompt).await.at_relying_party();
        let (_, events) = world.grant(&parameters["code"]).await;
        assert_eq!(events.len(), 4);
    }
    assert_eq!(world.events().await, before + 8);

    // More scope is asked for again, and what is new is marked.
    let more = [("scope", "openid email orders:read")];
    let silent = [("scope", "openid email orders:read"), ("prompt", "none")];
    let parameters = browser.authorize(&silent).await.at_relying_party();
    assert_eq!(parameters["error"], "consent_required");
    let page = browser.authorize(&more).await;
    assert_eq!(page.to().0, "/consent");
    let page = browser.follow(&page).await;
    assert_eq!(page.body.matches("class=\"badge\"").count(), 1);
    assert!(page.body.contains("See your orders"));
    browser.consent(&page, "allow").await.at_relying_party();
    assert!(browser.authorize(&silent).await.at_relying_party().contains_key("code"));

    let page = browser.authorize(&[("prompt", "consent")]).await;
    assert_eq!(page.to().0, "/consent");

    // The session ends by itself.
    world.clock.advance(Lifetime::from_seconds(28_800));
    let parameters = browser.authorize(&[("prompt", "none")]).await.at_relying_party();
    assert_eq!(parameters["error"], "login_required");
}

/// OpenID Connect Core §3.1.2.1
#[actix_web::test]
async fn a_login_that_is_asked_for_is_later_than_the_request() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    browser.full("alice", "wonderland").await;
    let session = browser.cookies.borrow()["chancery-session"].clone();
    for wish in [("prompt", "login"), ("max_age", "0"), ("max_age", "99")] {
        world.clock.advance(Lifetime::from_seconds(100));
        let page = browser.authorize(&[wish]).await;
        assert_eq!(page.to().0, "/login", "{wish:?}");
        let page = browser.follow(&page).await;
        let page = browser.log_in(&page, "alice", "wonderland").await;
        let parameters = page.at_relying_party();
        let (grant, _) = world.grant(&parameters["code"]).await;
        let Grant::CodeIssued(stage) = world.services.grants.look(grant).await.unwrap() else {
            panic!("no code")
        };
        let authentication = stage.authorization.authentication.as_ref().unwrap();
        assert_eq!(authentication.auth_time, world.services.now(), "{wish:?}");
    }
    assert_ne!(browser.cookies.borrow()["chancery-session"], session, "a login renews the cookie");
    let page = browser.authorize(&[("max_age", "10000")]).await;
    assert!(page.at_relying_party().contains_key("code"));
    // The old cookie is worth nothing.
    browser.cookies.borrow_mut().insert("chancery-session".to_owned(), session);
    let page = browser.authorize(&[("prompt", "none")]).await;
    assert_eq!(page.at_relying_party()["error"], "login_required");
}

#[actix_web::test]
async fn another_person_takes_the_browser_over() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    browser.full("alice", "wonderland").await;
    let page = browser.authorize(&[("prompt", "consent")]).await;
    let page = browser.follow(&page).await;
    let page = browser.consent(&page, "switch").await;
    assert_eq!(page.to().0, "/login");
    let before = world.events().await;
    let page = browser.follow(&page).await;
    let page = browser.log_in(&page, "bob", "builder").await;
    // Alice's session ended, Bob's began, and the grant is his.
    assert_eq!(world.events().await, before + 3);
    let page = browser.follow(&page).await;
    assert!(page.body.contains("bob X"));
    let parameters = browser.consent(&page, "allow").await.at_relying_party();
    let (grant, _) = world.grant(&parameters["code"]).await;
    let grant = world.services.grants.look(grant).await.unwrap();
    assert_eq!(grant.subject(), Some(world.subject("bob").await));
}

#[actix_web::test]
async fn a_person_may_say_no() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let page = browser.follow(&page).await;
    let before = world.events().await;
    let fields = [
        ("interaction", page.field("interaction")),
        ("csrf", page.field("csrf")),
        ("action", "cancel"),
    ];
    let parameters = browser.post("/login", &fields).await.at_relying_party();
    assert_eq!(parameters["error"], "access_denied");
    assert_eq!(world.events().await, before, "no stranger makes an event");

    let page = browser.log_in(&page, "alice", "wonderland").await;
    let page = browser.follow(&page).await;
    let parameters = browser.consent(&page, "deny").await.at_relying_party();
    assert_eq!((&*parameters["error"], &*parameters["state"]), ("access_denied", "s t&"));
    // Consent was not remembered.
    assert_eq!(browser.authorize(&[]).await.to().0, "/consent");
}

#[actix_web::test]
async fn a_form_counts_only_from_our_page_in_this_browser() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let login = browser.follow(&page).await;
    let fields = |csrf| {
        vec![
            ("interaction", login.field("interaction")),
            ("csrf", csrf),
            ("username", "alice"),
            ("password", "wonderland"),
            ("action", "login"),
        ]
    };
    let expired = |page: Page| {
        page.shows(StatusCode::BAD_REQUEST, "login-error");
        assert!(page.body.contains("open for too long"));
    };
    expired(browser.post("/login", &fields("")).await);
    expired(browser.post("/login", &fields("AAAA")).await);
    let good = login.field("csrf");
    for (name, value) in
        [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        expired(
            browser.send(form_post("/login", &fields(good)).insert_header((name, value))).await,
        );
    }
    let other = Browser::new(&app);
    expired(other.post("/login", &fields(good)).await);
    let consent = browser.post("/login", &fields(good)).await;
    let consent = browser.follow(&consent).await;

    // A token of one page is none of another.
    let wrong =
        [("interaction", consent.field("interaction")), ("csrf", good), ("action", "allow")];
    browser.post("/consent", &wrong).await.shows(StatusCode::BAD_REQUEST, "consent-form");
    // Another browser does not get to consent in the person's name.
    let stolen = other.get(consent_url(&consent).as_str()).await;
    assert_eq!(stolen.to().0, "/login");
    browser.consent(&consent, "allow").await.at_relying_party();
}

fn consent_url(page: &Page) -> String {
    format!("/consent?i={}", page.field("interaction"))
}

#[actix_web::test]
async fn guessing_is_slowed_down_but_not_for_who_is_known() {
    let world = World::new().await;
    let app = app!(world);
    let known = Browser::new(&app);
    known.full("alice", "wonderland").await;
    known.cookies.borrow_mut().remove("chancery-session");

    let stranger = Browser::new(&app);
    let page = stranger.authorize(&[]).await;
    let page = stranger.follow(&page).await;
    let before = world.events().await;
    for _ in 0..5 {
        let page = stranger.log_in(&page, "alice", "guess").await;
        page.shows(StatusCode::BAD_REQUEST, "login-error");
        assert!(page.body.contains("not right"));
    }
    let slowed = stranger.log_in(&page, "alice", "wonderland").await;
    slowed.shows(StatusCode::TOO_MANY_REQUESTS, "login-error");
    assert_eq!(slowed.retry_after.as_deref(), Some("1"));
    assert_eq!(world.events().await, before);

    let known_page = known.authorize(&[]).await;
    let known_page = known.follow(&known_page).await;
    known.log_in(&known_page, "alice", "wonderland").await.at_relying_party();

    world.clock.advance(Lifetime::from_seconds(1));
    let page = stranger.log_in(&page, "alice", "wonderland").await;
    page.at_relying_party();
}

#[actix_web::test]
async fn unknown_names_and_locked_accounts_look_like_wrong_passwords() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    browser.full("bob", "builder").await;
    let bob = world.subject("bob").await.to_string();
    let lock = AccountCommand::Lock { reason: "test".to_owned() };
    let work = world.services.work(Origin::system("test")).unwrap();
    world.services.accounts.execute(&bob, vec![lock], work).await.unwrap();

    let page = browser.authorize(&[]).await;
    assert_eq!(page.to().0, "/login", "a locked account has no session");
    let page = browser.follow(&page).await;
    let long = "x".repeat(2000);
    for (name, password) in
        [("bob", "builder"), ("alice", "x"), ("nobody", "x"), ("", ""), ("alice", &*long)]
    {
        let page = browser.log_in(&page, name, password).await;
        page.shows(StatusCode::BAD_REQUEST, "login-error");
        assert!(page.body.contains("not right"), "{name}");
    }
}

/// RFC 6749 §4.1.2.1
#[actix_web::test]
async fn nobody_is_redirected_to_where_no_client_is_known_to_be() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    for wrong in [
        [("client_id", "stranger")],
        [("client_id", "")],
        [("redirect_uri", "https://rp.example/cb")],
        [("redirect_uri", "https://rp.example/cb?own=2")],
        [("redirect_uri", "https://evil.example/cb")],
        [("request_uri", "urn:ietf:params:oauth:request_uri:unknown")],
    ] {
        let page = browser.authorize(&wrong).await;
        page.shows(StatusCode::BAD_REQUEST, "error-page");
        assert!(!page.body.contains("evil.example"));
    }
    let page = browser.get(&format!("/authorize?{}&client_id=app", query(&[]))).await;
    page.shows(StatusCode::BAD_REQUEST, "error-page");

    for (wrong, error) in [
        (("response_type", "pigeon"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("scope", "other"), "invalid_scope"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("prompt", "none login"), "invalid_request"),
        (("request", "x"), "invalid_request_object"),
        (("request_uri", "https://rp.example/r"), "invalid_request_uri"),
        (("prompt", "none"), "login_required"),
    ] {
        let parameters = browser.authorize(&[wrong]).await.at_relying_party();
        assert_eq!(parameters["error"], error, "{wrong:?}");
        assert_eq!(parameters["state"], "s t&");
    }
    let page = browser.authorize(&[("state", ""), ("prompt", "none")]).await;
    assert!(!page.at_relying_party().contains_key("state"));
    let page = browser.get(&format!("/authorize?{}&prompt=a&prompt=b", query(&[]))).await;
    assert_eq!(page.at_relying_party()["error"], "invalid_request");
}

#[actix_web::test]
async fn the_response_travels_as_the_client_asks() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    browser.full("alice", "wonderland").await;

    let page = browser.authorize(&[("response_mode", "fragment")]).await;
    let location = page.location.unwrap();
    assert!(location.starts_with("https://rp.example/cb?own=1#code="), "{location}");

    let page = browser.authorize(&[("response_mode", "form_post")]).await;
    page.shows(StatusCode::OK, "form-post");
    assert!(page.csp.contains("script-src 'self'"), "{}", page.csp);
    assert!(page.csp.contains("form-action 'self' https://rp.example;"), "{}", page.csp);
    assert_eq!((page.field("state"), page.field("iss")), ("s t&#38;", ISSUER));
    assert!(world.grant(page.field("code")).await.1.contains(&"CodeIssued"));

    let page = browser.authorize(&[("response_mode", "carrier pigeon")]).await;
    assert_eq!(page.at_relying_party()["error"], "invalid_request");
}

/// RFC 9126 §4: the `request_uri` is for its client, for a while, for one answer.
#[actix_web::test]
async fn a_pushed_request_is_answered_once() {
    let world = World::new().await;
    world.register("other", ClientMetadata::default()).await;
    let app = app!(world);
    let browser = Browser::new(&app);
    let push = async || {
        let pairs = form_urlencoded::parse(query(&[]).as_bytes()).into_owned().collect::<Vec<_>>();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        let page = browser.send(form_post("/par", &pairs)).await;
        assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
        let answer: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        let uri = answer["request_uri"].as_str().unwrap().to_owned();
        let uri: String = form_urlencoded::byte_serialize(uri.as_bytes()).collect();
        format!("/authorize?client_id=app&request_uri={uri}")
    };
    let url = push().await;

    let page = browser.get(&url.replace("=app", "=other")).await;
    page.shows(StatusCode::BAD_REQUEST, "error-page");
    assert!(page.body.contains("invalid_request_uri"));

    // Beside it nothing counts; reloading is no second use.
    let page = browser.get(&format!("{url}&state=other&response_type=nonsense")).await;
    let _ = browser.get(&url).await;
    let page = browser.follow(&page).await;
    let page = browser.log_in(&page, "alice", "wonderland").await;
    let consent = browser.follow(&page).await;
    consent.shows(StatusCode::OK, "consent-form");
    let before = world.events().await;
    assert_eq!(browser.get(&url).await.to().0, "/consent");
    assert_eq!(world.events().await, before, "a reload writes nothing");
    let parameters = browser.consent(&consent, "allow").await.at_relying_party();
    assert_eq!(parameters["state"], "s t&");
    let (grant, events) = world.grant(&parameters["code"]).await;
    assert_eq!(events, ["RequestPushed", "SubjectAuthenticated", "ConsentGiven", "CodeIssued"]);
    assert_eq!(world.services.grants.unseal(grant).await.unwrap().nonce.as_deref(), Some("n"));
    browser.get(&url).await.shows(StatusCode::BAD_REQUEST, "error-page");

    // An error is an answer too.
    browser.cookies.borrow_mut().remove("chancery-session");
    let url = push().await;
    let page = browser.get(&url).await;
    let page = browser.follow(&page).await;
    let fields = [
        ("interaction", page.field("interaction")),
        ("csrf", page.field("csrf")),
        ("action", "cancel"),
    ];
    let parameters = browser.post("/login", &fields).await.at_relying_party();
    assert_eq!(parameters["error"], "access_denied");
    browser.get(&url).await.shows(StatusCode::BAD_REQUEST, "error-page");

    let url = push().await;
    world.clock.advance(Lifetime::from_seconds(600));
    browser.get(&url).await.shows(StatusCode::BAD_REQUEST, "error-page");
}

#[actix_web::test]
async fn a_login_may_take_longer_than_the_request_uri_is_good() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    let pairs = form_urlencoded::parse(query(&[]).as_bytes()).into_owned().collect::<Vec<_>>();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    let page = browser.send(form_post("/par", &pairs)).await;
    let answer: serde_json::Value = serde_json::from_str(&page.body).unwrap();
    let uri = answer["request_uri"].as_str().unwrap();
    let page = browser.get(&format!("/authorize?client_id=app&request_uri={uri}")).await;
    let page = browser.follow(&page).await;
    world.clock.advance(Lifetime::from_seconds(700));
    let page = browser.log_in(&page, "alice", "wonderland").await;
    assert_eq!(page.to().0, "/consent");
    // What the browser carries ends, too.
    let page = browser.follow(&page).await;
    world.clock.advance(Lifetime::from_seconds(1800));
    browser.consent(&page, "allow").await.shows(StatusCode::BAD_REQUEST, "error-page");
}

#[actix_web::test]
async fn a_posted_request_comes_again_as_a_get_with_the_session() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    let body = query(&[]);
    let pairs = form_urlencoded::parse(body.as_bytes()).into_owned().collect::<Vec<_>>();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    let page = browser.send(form_post("/authorize", &pairs)).await;
    assert_eq!(page.to().0, "/authorize");
    let page = browser.follow(&page).await;
    assert_eq!(page.to().0, "/login");

    // Too long for a URL: the login page at once.
    let long = "x".repeat(7000);
    let mut pairs = pairs;
    pairs.push(("unknown", &long));
    let page = browser.send(form_post("/authorize", &pairs)).await;
    assert_eq!(page.to().0, "/login");
    let state = pairs.iter_mut().find(|(name, _)| *name == "state").unwrap();
    state.1 = &long;
    let page = browser.send(form_post("/authorize", &pairs)).await;
    page.shows(StatusCode::OK, "login-form");
    let page = browser.log_in(&page, "alice", "wonderland").await;
    let page = browser.follow(&page).await;
    let parameters = browser.consent(&page, "allow").await.at_relying_party();
    assert_eq!(parameters["state"], long);

    let page = browser.send(test::TestRequest::post().uri("/authorize").set_payload("x")).await;
    page.shows(StatusCode::BAD_REQUEST, "error-page");
    let page = browser.send(test::TestRequest::put().uri("/authorize")).await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[actix_web::test]
async fn logging_out_ends_the_session() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    browser.get("/logout").await.shows(StatusCode::OK, "logged-out-page");
    browser.full("alice", "wonderland").await;
    let session = browser.cookies.borrow()["chancery-session"].clone();
    let page = browser.get("/logout").await;
    page.shows(StatusCode::OK, "logout-form");
    assert!(page.body.contains("Alice X"));
    let action = |action| [("csrf", page.field("csrf")), ("action", action)];

    let wrong = [("csrf", "AAAA"), ("action", "logout")];
    browser.post("/logout", &wrong).await.shows(StatusCode::BAD_REQUEST, "logout-form");
    assert_eq!(browser.post("/logout", &action("cancel")).await.to().0, "/logout");
    browser.post("/logout", &action("logout")).await.shows(StatusCode::OK, "logged-out-page");
    assert!(!browser.cookies.borrow().contains_key("chancery-session"));
    browser.cookies.borrow_mut().insert("chancery-session".to_owned(), session);
    let parameters = browser.authorize(&[("prompt", "none")]).await.at_relying_party();
    assert_eq!(parameters["error"], "login_required");
}

/// OpenID Connect Core §3.1.2.1: `id_token_hint`.
#[actix_web::test]
async fn a_hint_is_believed_only_if_we_signed_it_for_this_client() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    browser.full("alice", "wonderland").await;
    let keys = world.services.keys.get();
    let algorithm = keys.algorithms().next().unwrap();
    let key = keys.signing(algorithm, world.services.now()).unwrap();
    let hint = |sub: SubjectId, aud: &str, typ: &str| {
        key.sign(typ, &serde_json::json!({"iss": ISSUER, "sub": sub, "aud": aud, "exp": 1}))
            .unwrap()
    };
    let (alice, bob) = (world.subject("alice").await, world.subject("bob").await);
    for (hint, expected) in [
        (hint(alice, "app", "JWT"), "code"),
        (hint(bob, "app", "JWT"), "error"),
        (hint(alice, "other", "JWT"), "error"),
        (hint(alice, "app", "at+jwt"), "error"),
        ("e30.e30.".to_owned(), "error"),
    ] {
        let wishes = [("prompt", "none"), ("id_token_hint", &*hint)];
        let parameters = browser.authorize(&wishes).await.at_relying_party();
        assert!(parameters.contains_key(expected), "{parameters:?}");
        if expected == "error" {
            assert_eq!(parameters["error"], "login_required");
        }
    }
    // Whoever logs in must be the one that was hinted at.
    let hint = hint(bob, "app", "JWT");
    let page = browser.authorize(&[("id_token_hint", &hint)]).await;
    assert_eq!(page.to().0, "/login");
    let page = browser.follow(&page).await;
    let parameters = browser.log_in(&page, "alice", "wonderland").await.at_relying_party();
    assert_eq!(parameters["error"], "login_required");
}

#[actix_web::test]
async fn the_files_of_the_pages_are_there() {
    let world = World::new().await;
    let app = app!(world);
    let browser = Browser::new(&app);
    for asset in assets::assets() {
        let page = browser.get(&asset.url).await;
        assert_eq!((page.status, &*page.body), (StatusCode::OK, asset.body));
    }
    assert_eq!(browser.get("/assets/none.css").await.status, StatusCode::NOT_FOUND);
}
