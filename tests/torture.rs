//! Torture: many users at once at real nodes, while nodes and the database are killed, stopped and
//! cut off, disks fill, break and slow down, and clocks jump. A model beside them knows what each
//! answer promised; at the end the log, the read models and whoever read the stream of events are
//! compared with it.
//!
//! - `CHANCERY_TORTURE_SECONDS`: how long things go wrong, about (10 unless told otherwise).
//! - `CHANCERY_TORTURE_SEED`: what goes wrong when, and what each user does (1 unless told
//!   otherwise). It decides the schedule of the faults and the choices of each user; not how both
//!   run into each other, which differs each time.
//! - `CHANCERY_TORTURE_USERS`: how many users (8 unless told otherwise).
//! - `CHANCERY_TORTURE_FROM`: an earlier version of the program. All nodes begin with it, and go over
//!   to this version one after the other, while the users go on.
//!
//! What it found, and how to run it for long: `tests/torture/README.md`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "torture/chance.rs"]
mod chance;
#[path = "torture/faults.rs"]
mod faults;
#[path = "torture/link.rs"]
mod link;
#[path = "torture/machine.rs"]
mod machine;
#[path = "torture/postgres.rs"]
mod postgres;
#[path = "stores/postgres_database.rs"]
#[expect(dead_code, reason = "the support's server names it")]
mod postgres_database;
#[path = "kill/program.rs"]
#[expect(dead_code, reason = "some of it is for other tests")]
mod program;
#[path = "torture/promises.rs"]
mod promises;
#[path = "torture/reader.rs"]
mod reader;
#[path = "conformance/support/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "most of it is for conformance")]
mod support;
#[path = "torture/users.rs"]
mod users;
#[path = "torture/world.rs"]
mod world;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::chance::Chance;
use crate::promises::Promises;
use crate::reader::Reader;
use crate::support::Tokens;
use crate::users::User;
use crate::world::World;

/// How long all else may take: to begin, to come to an end, to be looked at.
const BESIDES: Duration = Duration::from_secs(180);

/// How long what follows the log may take to have caught up with it, in the end.
const CATCHING_UP: Duration = Duration::from_secs(30);

#[test]
fn one_node_on_sqlite_keeps_its_promises() {
    torture("one node on SQLite", 1, false);
}

#[test]
fn two_nodes_on_postgres_keep_their_promises() {
    torture("two nodes on PostgreSQL", 2, true);
}

#[test]
fn three_nodes_on_postgres_keep_their_promises() {
    torture("three nodes on PostgreSQL", 3, true);
}

fn torture(who: &str, nodes: usize, on_postgres: bool) {
    let lasts = Duration::from_secs(number("CHANCERY_TORTURE_SECONDS").unwrap_or(10));
    let seed = number("CHANCERY_TORTURE_SEED").unwrap_or(1);
    let users = usize::try_from(number("CHANCERY_TORTURE_USERS").unwrap_or(8)).unwrap();
    let earlier = variable("CHANCERY_TORTURE_FROM").map(PathBuf::from);
    let mut steps = faults::schedule(&mut Chance::of(seed, 0), nodes, on_postgres, lasts);
    if earlier.is_some() {
        faults::upgrade(&mut steps, nodes);
    }
    eprintln!("{who}, seed {seed}, {users} users, {} steps:", steps.len());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let promises = Promises::none();
        let world = World::begin(nodes, on_postgres, users, earlier).await;
        let reader = Reader::default();
        let token = world.nodes[0].analyst.client_credentials(&[]).await;
        let token = Tokens::of(&token.ok()).access;
        let over = Cell::new(false);
        let all = async {
            let living =
                (0..users).map(|index| User::new(&world, &promises, &over, (seed, index)).live());
            let happening = async {
                world.suffer(&steps).await;
                sleep(Duration::from_millis(500)).await;
                over.set(true);
            };
            let story = async {
                tokio::join!(join_all(living), happening);
                let log = settled(&world).await;
                reader.ends_with(log.len());
                log
            };
            tokio::join!(story, timeout_of(reader.read(&world, &token), lasts * 3 + BESIDES)).0
        };
        let log = timeout(lasts * 3 + BESIDES, all).await.expect("it comes to an end");
        promises.compare(&log);
        follows_from_the_log(&world, &promises, &reader, &log).await;
        let (slowest, struck) = (world.slowest_recovery(), world.struck());
        eprintln!(
            "{who}, seed {seed}: {} events, {} steps of faults, machines struck {struck} times, \
             slowest recovery {slowest:?}; {}",
            log.len(),
            steps.len(),
            promises.report(),
        );
        let broken = promises.all_broken();
        let schedule: Vec<_> =
            steps.iter().enumerate().map(|(n, step)| format!("  {n}: {step}")).collect();
        assert!(
            broken.is_empty(),
            "{who}, seed {seed}: {} promises broken:\n  {}\nafter\n{}",
            broken.len(),
            broken.join("\n  "),
            schedule.join("\n"),
        );
        for done in ["client_credentials", "push", "code", "redeem", "refresh", "introspect"] {
            assert!(promises.answers(done) > 0, "nobody got an answer to {done}");
        }
        assert!(struck > 0, "no machine struck");
    });
}

fn number(name: &str) -> Option<u64> {
    variable(name).map(|text| text.parse().expect("a number"))
}

#[expect(clippy::disallowed_methods, reason = "how long and how is up to whoever runs it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn timeout_of(work: impl Future<Output = ()>, limit: Duration) {
    let _ = timeout(limit, work).await;
}

/// Waits until what follows the log has caught up, and nothing happens any more; gives the log.
async fn settled(world: &World) -> Vec<Value> {
    let end = Instant::now() + CATCHING_UP;
    let mut last = 0;
    loop {
        let rows = world.command(&["projections", "list", "--json"]).await;
        let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
        let behind: Vec<_> = rows.iter().filter(|row| row["behind"] != 0).collect();
        let log = world.log().await;
        if behind.is_empty() && log.len() == last {
            return log;
        }
        last = log.len();
        assert!(Instant::now() < end, "they do not catch up: {behind:?}");
        sleep(Duration::from_millis(300)).await;
    }
}

/// What follows from the log is there: the read models, the seals, what a reader was given.
async fn follows_from_the_log(world: &World, promises: &Promises, reader: &Reader, log: &[Value]) {
    let seen = reader.seen();
    let ids: Vec<&str> = log.iter().map(|event| event["digest"].as_str().unwrap()).collect();
    let same = seen.iter().zip(&ids).take_while(|(own, id)| own == *id).count();
    if same != log.len() || seen.len() != log.len() {
        let (read, all) = (seen.len(), log.len());
        promises.broken(&format!("a reader read {read} of {all} events, the first {same} right"));
    }
    // Exit code 0: chains, folds, snapshots and projections agree; everything sealed is there.
    world.command(&["replay"]).await;
    world.command(&["audit", "verify"]).await;
    // The same when all of it is packed that can be.
    world.command(&["events", "pack", "--older-than", "0"]).await;
    if world.log().await != log {
        promises.broken("the log is another one once it is packed");
    }
    world.command(&["replay"]).await;
    world.command(&["audit", "verify"]).await;
}
