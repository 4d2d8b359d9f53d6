//! A node, who is known to it, and what was learnt from its answers.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::SystemRunner;
use actix_web::body::to_bytes;
use actix_web::dev::Service as _;
use actix_web::http::header::{HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use actix_web::http::{Method, Uri};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery::accounts::{NewAccount, register};
use chancery::aggregates::Origin;
use chancery::app::{Background, Node, endpoints, open_store};
use chancery::clock::{Clock as _, FixedClock};
use chancery::config::{Config, Sources};
use chancery::entropy::SystemEntropy;
use chancery::jose::PrivateKey;
use chancery::outbound;
use chancery::passwords::Password;
use chancery::sealing::MasterKey;
use chancery::secrets::encode_client_secret;
use chancery::services::Services;
use chancery_domain::account::Profile;
use chancery_domain::client::{ClientCommand, ClientMetadata, SecretRecord};
use chancery_domain::ids::{ClientId, SubjectId};
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use chancery_domain::secret::{ClientSecret, Secret};
use chancery_domain::time::{Lifetime, UnixTime};
use futures_util::future::LocalBoxFuture;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use url::Url;

use crate::oracle::Answer;
use crate::script::{Request, filled};

pub const ISSUER: &str = "http://127.0.0.1:4000";

const BEGINNING: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// All that can be switched on is, and nothing is counted out: an input is to come through.
const SETTINGS: &str = r#"
[authorization]
response_types = ["code", "id_token", "token", "id_token token", "code id_token", "code token", "code id_token token"]
custom_parameters = ["app_hint"]
[features]
registration = true
session_management = true
[registration]
open = true
[accounts]
self_registration = true
[login]
failures_before_delay = 100
[mail]
host = "127.0.0.1"
port = 9
security = "none"
from = "login@app.example"
"#;

/// The secret of the clients `app` and `service`.
const SECRET: [u8; 32] = [7; 32];
const PASSWORD: &str = "correct horse battery staple";

/// What an answer may bring for the requests after it.
const HARVESTED: [&str; 14] = [
    "location",
    "csrf",
    "interaction",
    "select",
    "to",
    "request_uri",
    "access_token",
    "refresh_token",
    "id_token",
    "code",
    "registration_access_token",
    "client_id",
    "next",
    "position",
];

/// How long a body is waited for: the streams of events never end.
const PATIENCE: Duration = Duration::from_millis(20);

type Known = BTreeMap<String, String>;
type Ask = dyn Fn(TestRequest, String) -> LocalBoxFuture<'static, Answer>;

thread_local! {
    static WORLD: World = World::begin();
}

/// Requests of strangers, clients, people and operators, to a whole node.
pub fn server(input: &str) {
    WORLD.with(|world| world.run(input));
}

/// A node, and what the requests to it may say.
struct World {
    system: SystemRunner,
    clock: Arc<FixedClock>,
    key: PrivateKey,
    ask: Box<Ask>,
    /// Known from the beginning.
    given: Known,
    rounds: Cell<u64>,
    _running: (Node, Background, TempDir),
}

impl World {
    /// Starts a node; a person has logged in, and has allowed a client what it wants.
    fn begin() -> Self {
        outbound::crypto_provider();
        let system = actix::System::new();
        let clock = Arc::new(FixedClock::at(BEGINNING));
        let key = PrivateKey::generate(SigningAlgorithm::ES256).expect("a key");
        let folder = TempDir::new().expect("a folder");
        let home = folder.path().display().to_string();
        let (ask, node, background) = system.block_on(start(&home, Arc::clone(&clock), &key));
        let mut world = Self {
            system,
            clock,
            key,
            ask,
            given: Known::new(),
            rounds: Cell::new(0),
            _running: (node, background, folder),
        };
        world.given = world.introduced();
        world
    }

    /// Sends what an input says, and checks each answer.
    fn run(&self, input: &str) {
        self.run_knowing(self.given.clone(), input);
    }

    /// Gives what is known after it.
    fn run_knowing(&self, mut known: Known, input: &str) -> Known {
        let round = self.rounds.get() + 1;
        self.rounds.set(round);
        // So that budgets are filled again.
        self.clock.advance(Lifetime::from_seconds(60));
        let now = self.clock.now().seconds();
        for (name, number) in [("now", now), ("soon", now + 60)] {
            known.insert(name.to_owned(), number.to_string());
        }
        known.insert("round".to_owned(), round.to_string());
        for request in Request::all(input) {
            let Some((sent, path)) = self.sent(&request, &known) else { continue };
            let answer = self.system.block_on((self.ask)(sent, path));
            answer.check();
            harvest(&answer, &mut known);
        }
        known
    }

    /// The request as it goes out; nothing if HTTP has no such thing.
    fn sent(&self, request: &Request<'_>, known: &Known) -> Option<(TestRequest, String)> {
        let fill = |text| filled(text, known, |typ, claims| self.signed(typ, claims));
        let target: Uri = fill(request.target).parse().ok()?;
        target.path_and_query()?;
        let path = target.path().to_owned();
        let mut sent = TestRequest::with_uri(&target.to_string())
            .method(Method::from_bytes(request.method.as_bytes()).ok()?)
            .peer_addr(([127, 0, 0, 1], 5000).into());
        if !request.body.is_empty() && !request.has("content-type") {
            sent = sent.insert_header(("content-type", "application/x-www-form-urlencoded"));
        }
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = HeaderValue::from_bytes(fill(value).as_bytes()).ok()?;
            sent = sent.append_header((name, value));
        }
        Some((sent.set_payload(fill(request.body).into_owned()), path))
    }

    fn signed(&self, typ: &str, claims: &str) -> Option<String> {
        // Members that stand there twice, and their order, are left as they are.
        let claims: &RawValue = serde_json::from_str(claims).ok()?;
        self.key.sign(typ, claims).ok()
    }

    /// What a person and the clients have after they came once.
    fn introduced(&self) -> Known {
        let mut known = Known::new();
        for (name, value) in [
            ("secret", secret()),
            ("basic", basic("app")),
            ("basic_service", basic("service")),
            ("password", PASSWORD.replace(' ', "+")),
        ] {
            known.insert(name.to_owned(), value);
        }
        known = self.run_knowing(known, include_str!("../seeds/server/operator"));
        let operator = known.remove("access_token").expect("a token for the operator");
        known.insert("operator".to_owned(), operator);
        known = self.run_knowing(known, include_str!("../seeds/server/login"));
        for name in ["cookies", "refresh_token", "access_token", "id_token"] {
            assert!(known.contains_key(name), "nobody got {name}: {known:?}");
        }
        known
    }
}

async fn start(
    folder: &str,
    clock: Arc<FixedClock>,
    key: &PrivateKey,
) -> (Box<Ask>, Node, Background) {
    let file = format!(
        "[server]\nissuer = \"{ISSUER}\"\nlisten = [\"127.0.0.1:4000\"]\nworkers = 1\n\
         [store]\nurl = \"sqlite://{folder}\"\n[master_key]\nenv = \"NOT_ASKED\"\n{SETTINGS}"
    );
    let config = Config::load(&Sources::of_text("fuzz.toml", file));
    let config = config.unwrap_or_else(|problems| panic!("{problems}")).config;
    let store = open_store(&config).await.expect("a store");
    let master = MasterKey::from_bytes([7; 32]);
    let node = Node::assemble(config, store, master, clock, Arc::new(SystemEntropy));
    let node = node.await.expect("a node");
    let background = node.keep_up();
    introduce(&node.services, key).await;

    let services = web::Data::from(Arc::clone(&node.services));
    let limit = usize::try_from(node.services.config.http.max_body_bytes).unwrap_or(usize::MAX);
    let app =
        App::new().app_data(services).app_data(web::PayloadConfig::new(limit)).configure(endpoints);
    let app = Rc::new(init_service(app).await);
    let ask = move |sent: TestRequest, path: String| -> LocalBoxFuture<'static, Answer> {
        let app = Rc::clone(&app);
        Box::pin(async move {
            let answer = match app.call(sent.to_request()).await {
                Ok(answer) => answer.into_parts().1.map_into_boxed_body(),
                Err(error) => error.error_response(),
            };
            let (head, body) = answer.into_parts();
            let (status, headers) = (head.status(), head.headers().clone());
            // What never ends is read for a moment.
            let body = timeout(PATIENCE, to_bytes(body)).await;
            let body = body.map_or(vec![], |body| body.unwrap_or_default().to_vec());
            Answer { path, status, headers, body }
        })
    };
    (Box::new(ask), node, background)
}

/// Registers clients and a person.
async fn introduce(services: &Services, key: &PrivateKey) {
    let now = services.now();
    let jwks = json!({ "keys": [key.public_jwk()] });
    let uris = |path| format!("https://app.example/{path}");
    let app = json!({
        "client_name": "The App",
        "redirect_uris": [uris("cb"), "http://127.0.0.1/cb"],
        "post_logout_redirect_uris": [uris("out")],
        "grant_types": ["authorization_code", "refresh_token", "implicit"],
        "response_types": [
            "code", "id_token", "token", "id_token token", "code id_token", "code token",
            "code id_token token",
        ],
        "scope": "openid profile email offline_access read write",
        "jwks": jwks,
        "additional_token_endpoint_auth_methods": ["private_key_jwt"],
    });
    let public = json!({
        "redirect_uris": [uris("cb")],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid read",
    });
    let service = json!({
        "redirect_uris": [],
        "response_types": [],
        "grant_types": ["client_credentials"],
        "scope": "read admin events:read audit:read",
        "introspect_any_token": true,
    });
    for (name, metadata) in [("app", app), ("public", public), ("service", service)] {
        let metadata: ClientMetadata = serde_json::from_value(metadata).expect("metadata");
        let secret = Secret::<ClientSecret>::from_bytes(SECRET);
        let command = ClientCommand::Register {
            client_id: ClientId::parse(name).expect("a name"),
            secret: metadata.needs_secret().then(|| SecretRecord::Generated(secret.digest())),
            metadata: Box::new(metadata),
            now,
        };
        let work = services.work(Origin::system("fuzz")).expect("work");
        services.clients.execute(name, vec![command], work).await.expect("a client");
    }

    let claims = json!({ "name": "Ada Lovelace", "email": "ada@example.com" });
    let Value::Object(claims) = claims else { unreachable!("an object") };
    let profile = Profile { username: "ada".to_owned(), claims };
    let hash = services.passwords.hash(&Password::new(PASSWORD)).await.expect("a hash");
    let subject = SubjectId::from_uuid(services.entropy.uuid_v4());
    let new = NewAccount { subject, profile: &profile, password_hash: &hash, now };
    let mut work = services.work(Origin::system("fuzz")).expect("work");
    let names = &services.keys.get().names;
    let commands = register(&services.vault, names, &new, &mut work).expect("commands");
    let account = services.accounts.execute(&subject.to_string(), commands, work).await;
    account.expect("an account");
}

fn secret() -> String {
    encode_client_secret(&Secret::from_bytes(SECRET))
}

fn basic(client: &str) -> String {
    STANDARD.encode(format!("{client}:{}", secret()))
}

/// Takes what further requests may need from an answer.
fn harvest(answer: &Answer, known: &mut Known) {
    let mut take = |name: &str, value: &str| {
        if HARVESTED.contains(&name) {
            known.insert(name.to_owned(), value.to_owned());
        }
    };
    let json = answer.json();
    for (name, value) in json.iter().filter_map(Value::as_object).flatten() {
        match value {
            Value::String(text) => take(name, text),
            Value::Number(number) => take(name, &number.to_string()),
            _ => {}
        }
    }
    let location = answer.header(&LOCATION).and_then(|it| Url::parse(ISSUER).ok()?.join(it).ok());
    if let Some(location) = location {
        take("location", &location[url::Position::BeforePath..url::Position::AfterQuery]);
        let fragment = location.fragment().unwrap_or_default();
        let fragment = url::form_urlencoded::parse(fragment.as_bytes());
        for (name, value) in location.query_pairs().chain(fragment) {
            take(&name, &value);
        }
    }
    for field in answer.text().split("<input type=\"hidden\" name=\"").skip(1) {
        let parts = field.split_once("\" value=\"");
        let parts = parts.and_then(|(name, rest)| Some((name, rest.split_once('"')?.0)));
        if let Some((name, value)) = parts {
            take(name, value);
        }
    }
    let mut cookies: BTreeMap<_, _> = known
        .get("cookies")
        .map(|text| text.split("; ").filter_map(|it| it.split_once('=')).collect())
        .unwrap_or_default();
    let set = answer.headers.get_all(SET_COOKIE).filter_map(|it| it.to_str().ok());
    cookies.extend(set.filter_map(|it| it.split(';').next()?.split_once('=')));
    let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    known.insert("cookies".to_owned(), cookies.join("; "));
}
