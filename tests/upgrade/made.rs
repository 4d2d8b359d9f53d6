//! Databases that earlier versions made, and what was given out from them.

use std::path::{Path, PathBuf};

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::postgres_database::Database;
use crate::program::{configured, finished, program, started_by};
use crate::support::server::free_address;
use crate::support::{
    Browser, PASSWORD, REDIRECT_URI, RelyingParty, Tokens, claims, good_request_but,
};

/// That of all these databases, wherever they are served.
pub const ISSUER: &str = "http://127.0.0.1:9";

pub const SCOPE: &str = "openid offline_access email read";

/// What clients and people of such a database hold.
#[derive(Debug, Serialize, Deserialize)]
pub struct Held {
    pub events: usize,
    pub last_digest: String,
    pub grants: usize,
    pub subject: String,
    svc_secret: String,
    web_secret: String,
    /// A refresh token, the one that it came from, and one of a grant that is over.
    pub refresh: String,
    pub spent: String,
    pub revoked: String,
}

impl Held {
    pub fn read(made: &Path, store: &str) -> Self {
        let text = std::fs::read(made.join(store).with_extension("json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn write(&self, to: &Path) {
        std::fs::write(to, serde_json::to_string_pretty(self).unwrap() + "\n").unwrap();
    }
}

/// Where such a database is served.
pub struct Place {
    pub address: String,
    pub config: PathBuf,
}

impl Place {
    pub fn new(folder: &Path, store: &str) -> Self {
        let address = free_address();
        let tokens = "[tokens]\nrefresh_token_grace = 0\n";
        let config = configured(folder, (ISSUER, &address), store, tokens);
        Self { address: format!("http://{address}"), config }
    }

    pub fn party(&self, id: &str, held: &Held) -> RelyingParty {
        let secret = if id == "svc" { &held.svc_secret } else { &held.web_secret };
        self.party_with(id, secret)
    }

    fn party_with(&self, id: &str, secret: &str) -> RelyingParty {
        RelyingParty::new(&self.address, id, ClientAuthMethod::SecretBasic).with_secret(secret)
    }
}

/// A folder for each version.
pub fn earlier_versions() -> Vec<PathBuf> {
    let all = std::fs::read_dir(here()).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = all.filter(|path| path.is_dir()).collect();
    all.sort();
    assert!(!all.is_empty(), "there are databases of earlier versions");
    all
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade")
}

#[expect(clippy::disallowed_methods, reason = "which program is up to whoever runs it")]
pub async fn make() {
    let by = std::env::var("CHANCERY_UPGRADE_FROM").expect("CHANCERY_UPGRADE_FROM: a program");
    let by = PathBuf::from(by);
    let version = printed(Command::new(&by).arg("--version")).await;
    let made = here().join(version.trim().rsplit(' ').next().unwrap());
    std::fs::create_dir_all(&made).unwrap();

    let folder = TempDir::new().unwrap();
    let store = folder.path().join("store");
    let place = Place::new(folder.path(), &format!("sqlite://{}", store.display()));
    live(&by, &place).await.write(&made.join("sqlite.json"));
    for file in ["chancery", "views"] {
        let database = store.join(file).with_extension("db");
        let dump = printed(Command::new("sqlite3").arg(database).arg(".dump")).await;
        std::fs::write(made.join(file).with_extension("sql"), dump).unwrap();
    }

    let folder = TempDir::new().unwrap();
    let database = Database::empty().await;
    let place = Place::new(folder.path(), &database.url());
    live(&by, &place).await.write(&made.join("postgres.json"));
    let mut dump = Command::new("pg_dump");
    dump.args(["--inserts", "--no-owner", "--dbname", &database.url()]);
    let dump = printed(&mut dump).await;
    // What only psql understands.
    let statements = dump.lines().filter(|line| !line.starts_with('\\'));
    let statements: Vec<_> = statements.collect();
    std::fs::write(made.join("postgres.sql"), statements.join("\n") + "\n").unwrap();
}

/// Lets clients and a person do things; gives what they hold in the end.
async fn live(by: &Path, place: &Place) -> Held {
    let run = async |arguments: &[&str], input: &str| {
        finished(program(by, &place.config, arguments), input).await
    };
    let added = async |arguments: &[&str]| -> (String, String) {
        let client = [&["client", "add", "--json"], arguments].concat();
        let client: Value = serde_json::from_str(&run(&client, "").await).unwrap();
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
    };
    run(&["migrate"], "").await;
    let svc = ["--id", "svc", "--scope", "read", "--grant-type", "client_credentials"];
    let (_, svc_secret) = added(&svc).await;
    // Good for ninety years: this database is opened for as long as there is Chancery.
    let web = ["--id", "web", "--redirect-uri", REDIRECT_URI, "--scope", SCOPE];
    let grants = ["--grant-type", "authorization_code", "--grant-type", "refresh_token"];
    let (_, web_secret) =
        added(&[&web[..], &grants, &["--refresh-token-lifetime", "2838240000"]].concat()).await;
    let ada = ["account", "add", "ada", "--password-stdin", "--claim", "email=ada@example.org"];
    run(&ada, PASSWORD).await;

    let (service, web) =
        (place.party_with("svc", &svc_secret), place.party_with("web", &web_secret));
    let mut server = started_by(by, &place.config, &service).await;
    Tokens::of(&service.client_credentials(&[]).await.ok());
    let mut browser = Browser::of(ISSUER).at_address(&place.address);
    let mut granted = async || {
        let url = web.pushed_url(&good_request_but(&[("scope", SCOPE)])).await;
        let code = browser.go_through(&url, "ada").await.code().to_owned();
        (Tokens::of(&web.redeem(&code).await.ok()), code)
    };
    let (first, _) = granted().await;
    let kept = Tokens::of(&web.refresh(first.refresh()).await.ok());
    let (revoked, _) = granted().await;
    assert_eq!(web.revoke(revoked.refresh()).await.status, 200);
    let (_, code) = granted().await;
    web.redeem(&code).await.refused(400, "invalid_grant");
    let subject = claims(first.id())["sub"].as_str().unwrap().to_owned();

    // In order, so that all is sealed, and all read models are as far as the log.
    let process = server.id().unwrap().to_string();
    printed(Command::new("kill").args(["-s", "TERM", &process])).await;
    assert!(server.wait().await.unwrap().success());
    run(&["audit", "verify"], "").await;
    let log = run(&["events"], "").await;
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let grants = run(&["grant", "list", "--json", "--client", "web"], "").await;
    let grants: Vec<Value> = serde_json::from_str(&grants).unwrap();
    Held {
        events: log.lines().count(),
        last_digest: last["digest"].as_str().unwrap().to_owned(),
        grants: grants.len(),
        subject,
        svc_secret,
        web_secret,
        refresh: kept.refresh().to_owned(),
        spent: first.refresh().to_owned(),
        revoked: revoked.refresh().to_owned(),
    }
}

async fn printed(command: &mut Command) -> String {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
