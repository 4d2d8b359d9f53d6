//! A database that an earlier version made opens, is brought up to date, and verifies; and everything
//! that was given out from it is as good as it was. The databases, and how to add one with each
//! release: `tests/upgrade/README.md`. Nodes of two versions at once: `tests/torture/README.md`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "upgrade/made.rs"]
mod made;
#[path = "stores/postgres_database.rs"]
#[expect(dead_code, reason = "some of it is for the tests of the stores")]
mod postgres_database;
#[path = "kill/program.rs"]
#[expect(dead_code, reason = "some of it is for other tests")]
mod program;
#[path = "conformance/support/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "most of it is for conformance")]
mod support;

use std::path::Path;

use serde_json::Value;
use sqlx::Executor as _;
use tempfile::TempDir;

use crate::made::{Held, Place, earlier_versions};
use crate::postgres_database::Database;
use crate::program::{cli, started};
use crate::support::{Browser, Tokens, good_request_but};

#[test]
fn a_database_of_an_earlier_version_goes_on_on_sqlite() {
    support::run(async {
        for made in earlier_versions() {
            let folder = TempDir::new().unwrap();
            let store = folder.path().join("store");
            std::fs::create_dir(&store).unwrap();
            for file in ["chancery", "views"] {
                let statements = text(&made.join(file).with_extension("sql"));
                let database = rusqlite::Connection::open(store.join(file).with_extension("db"));
                database.unwrap().execute_batch(&statements).unwrap();
            }
            let url = format!("sqlite://{}", store.display());
            goes_on(&Held::read(&made, "sqlite"), Place::new(folder.path(), &url)).await;
        }
    });
}

#[test]
fn a_database_of_an_earlier_version_goes_on_on_postgres() {
    support::run(async {
        for made in earlier_versions() {
            let folder = TempDir::new().unwrap();
            let database = Database::empty().await;
            let statements = text(&made.join("postgres.sql"));
            database.connection().await.execute(&*statements).await.unwrap();
            goes_on(&Held::read(&made, "postgres"), Place::new(folder.path(), &database.url()))
                .await;
        }
    });
}

/// Makes the databases of the version that `CHANCERY_UPGRADE_FROM` is a program of.
#[test]
#[ignore = "for each release, once"]
fn make() {
    support::run(made::make());
}

async fn goes_on(held: &Held, place: Place) {
    let config = &place.config;
    cli(config, &[&["migrate"]], "").await;
    assert_eq!(cli(config, &[&["migrate"]], "").await, "the store is up to date\n");
    whole(config).await;
    let events = log(config).await;
    assert_eq!(events.len(), held.events, "no event is lost, none is made");
    assert_eq!(events.last().unwrap()["digest"], held.last_digest);

    let (service, web) = (place.party("svc", held), place.party("web", held));
    let mut server = started(config, &service).await;
    Tokens::of(&service.client_credentials(&[]).await.ok());

    // What was given out.
    let before = Tokens::of(&web.refresh(&held.refresh).await.ok());
    let claims = web.userinfo(&before.access).await.ok();
    assert_eq!(claims["email"], "ada@example.org");
    assert_eq!(claims["sub"], held.subject);
    assert!(!web.is_alive(&held.revoked).await, "what was revoked");
    web.refresh(&held.revoked).await.refused(400, "invalid_grant");

    // A person, a password, and a consent that was given.
    let mut browser = Browser::of(made::ISSUER).at_address(&place.address);
    let request = good_request_but(&[("scope", made::SCOPE)]);
    let page = browser.open(&web.pushed_url(&request).await).await.shows("login-form");
    let code = browser.log_in(&page, "ada").await.returned();
    let tokens = Tokens::of(&web.redeem(code.code()).await.ok());
    assert_eq!(support::claims(tokens.id())["sub"], held.subject);

    // RFC 9700 §4.14.2: what was spent before is known to be spent.
    web.refresh(&held.spent).await.refused(400, "invalid_grant");
    assert!(!web.is_alive(&before.access).await, "its family is over");

    let grants = ["grant", "list", "--json", "--client", "web"];
    let grants: Vec<Value> = serde_json::from_str(&cli(config, &[&grants], "").await).unwrap();
    assert_eq!(grants.len(), held.grants + 1);
    server.kill().await.unwrap();
    whole(config).await;
    let after = log(config).await;
    assert_eq!(after[..events.len()], events, "what stood in the log stands there as it did");
    assert!(after.len() > events.len());
}

/// Chains, folds, snapshots and projections agree; everything sealed is there.
async fn whole(config: &Path) {
    cli(config, &[&["replay"]], "").await;
    cli(config, &[&["audit", "verify"]], "").await;
}

async fn log(config: &Path) -> Vec<Value> {
    let lines = cli(config, &[&["events"]], "").await;
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
