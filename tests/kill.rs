//! `kill -9` while the server works: whatever it has answered is in the log, no
//! code is good twice, and all goes on by itself after the next start.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "stores/postgres_database.rs"]
#[expect(dead_code, reason = "some of it is for the tests of the stores")]
mod postgres_database;
#[path = "kill/program.rs"]
mod program;
#[path = "kill/readers.rs"]
mod readers;
#[path = "conformance/support/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "most of it is for conformance")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chancery_domain::protocol::client_auth_method::ClientAuthMethod;
use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Child;

use crate::postgres_database::Database;
use crate::program::{cli, configured, grant_of, issued_jti, jti, started};
use crate::support::server::free_address;
use crate::support::{
    Answer, Browser, PASSWORD, REDIRECT_URI, RelyingParty, Tokens, good_request, good_request_but,
    until,
};

/// How long the server works before it is killed, in each life. After the last it is
/// only looked at.
const LIVES: [Duration; 3] =
    [Duration::from_millis(400), Duration::from_millis(900), Duration::from_millis(650)];

/// How many codes wait in each life, and how many of them are sent just before
/// its end.
const CODES: usize = 40;
const LAST_CODES: usize = 12;

#[test]
fn what_was_answered_outlives_a_kill_on_sqlite() {
    support::run(async {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store").display());
        Story::begin(folder.path(), &url).await.tell().await;
    });
}

#[test]
fn what_was_answered_outlives_a_kill_on_postgres() {
    support::run(async {
        let folder = TempDir::new().unwrap();
        let database = Database::empty().await;
        Story::begin(folder.path(), &database.url()).await.tell().await;
    });
}

/// A server as operators run it, its clients, and what they were told.
struct Story {
    config: PathBuf,
    service: RelyingParty,
    web: RelyingParty,
    browser: Browser,
    told: Told,
}

/// What was answered with success.
#[derive(Default)]
struct Told {
    /// Of all access tokens.
    jtis: BTreeSet<String>,
    request_uris: Vec<String>,
    codes: Vec<Code>,
    /// The last refresh token of each family.
    families: Vec<String>,
}

struct Code {
    text: String,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Redeemed,
    /// Sent, and never answered.
    InFlight,
    /// Not sent.
    Kept,
}

impl Story {
    async fn begin(folder: &Path, store: &str) -> Self {
        let address = free_address();
        let issuer = format!("http://{address}");
        let config = configured(folder, (&issuer, &address), store, "");
        cli(&config, &[&["migrate"]], "").await;
        let service = ["client", "add", "--json", "--id", "svc", "--scope", "read"];
        let service =
            cli(&config, &[&service[..], &["--grant-type", "client_credentials"]], "").await;
        let web = ["client", "add", "--json", "--id", "web", "--redirect-uri", REDIRECT_URI];
        let scope = ["--scope", "openid offline_access read"];
        let grants = ["--grant-type", "authorization_code", "--grant-type", "refresh_token"];
        let web = cli(&config, &[&web, &scope, &grants], "").await;
        cli(&config, &[&["account", "add", "ada", "--password-stdin"]], PASSWORD).await;
        let party = |registered: &str| {
            let registered: Value = serde_json::from_str(registered).unwrap();
            let text = |name: &str| registered[name].as_str().unwrap().to_owned();
            RelyingParty::new(&issuer, &text("client_id"), ClientAuthMethod::SecretBasic)
                .with_secret(&text("client_secret"))
        };
        let (service, web) = (party(&service), party(&web));
        let browser = Browser::of(&issuer);
        Self { config, service, web, browser, told: Told::default() }
    }

    async fn tell(mut self) {
        let mut server = self.start().await;
        for life in LIVES {
            self.prepare().await;
            let before = self.told.jtis.len();
            self.work_and_die(&mut server, life).await;
            assert!(self.told.jtis.len() > before + 10, "there was work going on");
            server = self.start().await;
            self.everything_told_is_in_the_log().await;
        }
        self.no_code_is_good_twice().await;
        self.families_go_on().await;
        self.the_rest_follows().await;
        server.kill().await.unwrap();
    }

    /// Starts the server; gives it when it is ready.
    async fn start(&self) -> Child {
        started(&self.config, &self.service).await
    }

    /// Codes to redeem, and families to refresh.
    async fn prepare(&mut self) {
        let request = good_request_but(&[("scope", "openid offline_access read")]);
        for _ in 0..4 {
            let url = self.web.pushed_url(&request).await;
            let returned = self.browser.go_through(&url, "ada").await;
            let tokens = Tokens::of(&self.web.redeem(returned.code()).await.ok());
            self.told.families.push(tokens.refresh().to_owned());
            self.told.jtis.insert(jti(&tokens.access));
        }
        for _ in 0..CODES {
            let url = self.web.authorize_url(&good_request());
            let text = self.browser.go_through(&url, "ada").await.code().to_owned();
            self.told.codes.push(Code { text, fate: Fate::Kept });
        }
    }

    /// All clients at work at once, until the server is killed.
    async fn work_and_die(&mut self, server: &mut Child, life: Duration) {
        let (web, service) = (&self.web, &self.service);
        let tokens = join_all((0..4).map(|_| get_tokens(service)));
        let pushes = join_all((0..2).map(|_| push_requests(web)));
        let families = join_all(self.told.families.iter_mut().map(|last| refresh(web, last)));
        let new = self.told.codes.len() - CODES;
        let (codes, last) = self.told.codes[new..].split_at_mut(CODES - LAST_CODES);
        let pace = life / u32::try_from(codes.len() / 2).unwrap();
        let codes = redeem(web, codes, pace);
        let death = async {
            tokio::time::sleep(life).await;
            // Just before the end, so that some are under way.
            let last = join_all(last.iter_mut().map(|code| redeem_one(web, code)));
            let kill = async {
                tokio::time::sleep(Duration::from_millis(12)).await;
                server.kill().await.unwrap();
            };
            tokio::join!(last, kill).0
        };
        let (tokens, pushes, refreshed, redeemed, last) =
            tokio::join!(tokens, pushes, families, codes, death);
        let redeemed = redeemed.into_iter().chain(last.into_iter().flatten()).collect();
        let all = tokens.into_iter().chain(refreshed).chain([redeemed]).flatten();
        self.told.jtis.extend(all);
        self.told.request_uris.extend(pushes.into_iter().flatten());
    }

    async fn everything_told_is_in_the_log(&self) {
        let log = self.log().await;
        let issued: BTreeSet<String> = log.iter().filter_map(issued_jti).collect();
        let lost: Vec<_> = self.told.jtis.difference(&issued).collect();
        assert!(lost.is_empty(), "{} of {} tokens: {lost:?}", lost.len(), self.told.jtis.len());

        let pushed: BTreeSet<&str> = log
            .iter()
            .filter(|event| event["event_type"] == "RequestPushed")
            .map(|event| event["aggregate_id"].as_str().unwrap())
            .collect();
        for request_uri in &self.told.request_uris {
            let grant = grant_of(request_uri.rsplit(':').next().unwrap());
            assert!(pushed.contains(&*grant), "{grant} was pushed");
        }

        let mut redemptions = BTreeMap::<&str, u32>::new();
        for event in log.iter().filter(|event| event["event_type"] == "CodeRedeemed") {
            *redemptions.entry(event["aggregate_id"].as_str().unwrap()).or_default() += 1;
        }
        assert!(redemptions.values().all(|count| *count == 1), "a code was redeemed twice");
        for code in self.told.codes.iter().filter(|code| code.fate == Fate::Redeemed) {
            assert!(redemptions.contains_key(&*grant_of(&code.text)));
        }
    }

    async fn no_code_is_good_twice(&self) {
        let mut fates = BTreeMap::<String, u32>::new();
        for code in &self.told.codes {
            *fates.entry(format!("{:?}", code.fate)).or_default() += 1;
            let first = self.web.redeem(&code.text).await;
            match code.fate {
                Fate::Kept => drop(first.ok()),
                Fate::InFlight if first.status == 200 => {}
                Fate::InFlight | Fate::Redeemed => first.invalid_grant(),
            }
            self.web.redeem(&code.text).await.invalid_grant();
        }
        for fate in [Fate::Redeemed, Fate::InFlight, Fate::Kept] {
            assert!(fates.contains_key(&format!("{fate:?}")), "{fates:?}");
        }
    }

    /// Whether or not the last rotation came through: its answer is given again.
    async fn families_go_on(&self) {
        for last in &self.told.families {
            let next = Tokens::of(&self.web.refresh(last).await.ok());
            assert!(self.web.is_alive(&next.access).await);
            self.web.refresh(next.refresh()).await.ok();
        }
    }

    async fn the_rest_follows(&self) {
        until("the projections", || async {
            let rows = cli(&self.config, &[&["projections", "list", "--json"]], "").await;
            let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
            assert!(rows.len() > 3);
            rows.iter().all(|row| row["behind"] == 0)
        })
        .await;
        // Exit code 0: chains, folds, snapshots and projections agree.
        cli(&self.config, &[&["replay"]], "").await;
    }

    async fn log(&self) -> Vec<Value> {
        let lines = cli(&self.config, &[&["events"]], "").await;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn get_tokens(service: &RelyingParty) -> Vec<String> {
    let mut told = Vec::new();
    let form = [("grant_type", "client_credentials")];
    while let Ok(answer) = service.try_post("/token", &form).await {
        told.push(jti(&Tokens::of(&answer.ok()).access));
    }
    told
}

async fn push_requests(web: &RelyingParty) -> Vec<String> {
    let mut told = Vec::new();
    let request = good_request_but(&[("state", "kept for the answer")]);
    while let Ok(answer) = web.try_post("/par", &request).await {
        told.push(answer.succeeded(201)["request_uri"].as_str().unwrap().to_owned());
    }
    told
}

async fn refresh(web: &RelyingParty, last: &mut String) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let form = [("grant_type", "refresh_token"), ("refresh_token", last.as_str())];
        let answer: reqwest::Result<Answer> = web.try_post("/token", &form).await;
        let Ok(answer) = answer else { return told };
        let tokens = Tokens::of(&answer.ok());
        told.push(jti(&tokens.access));
        tokens.refresh().clone_into(last);
    }
}

/// Redeems every other code: some are left for later.
async fn redeem(web: &RelyingParty, codes: &mut [Code], pace: Duration) -> Vec<String> {
    let mut told = Vec::new();
    for code in codes.iter_mut().step_by(2) {
        let Some(jti) = redeem_one(web, code).await else { return told };
        told.push(jti);
        tokio::time::sleep(pace).await;
    }
    told
}

/// Nothing: the server died over it.
async fn redeem_one(web: &RelyingParty, code: &mut Code) -> Option<String> {
    code.fate = Fate::InFlight;
    let answer = web.try_redeem(&code.text, &[]).await.ok()?;
    code.fate = Fate::Redeemed;
    Some(jti(&Tokens::of(&answer.ok()).access))
}
