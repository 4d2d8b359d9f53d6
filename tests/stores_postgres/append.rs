//! Group commit: racing nodes, conflicts, lost connections.

use std::sync::Arc;
use std::time::Duration;

use chancery::stores::postgres::PostgresStore;
use chancery::stores::{Append, AppendError, Checkpoint, Store, UsedOnce};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::{sleep, timeout};

use crate::chain::{Chain, append};
use crate::database::Database;
use crate::proxy::{Fault, Proxy};

/// What is in the log, in order.
async fn log(store: &PostgresStore) -> Vec<(u64, String, String)> {
    let mut reader = store.read_log(0);
    let last = store.last_position().await.unwrap();
    let mut log = Vec::new();
    while reader.position() < last {
        for stored in reader.next(1000).await.unwrap() {
            let event = stored.event;
            log.push((stored.position, event.stream.id.to_string(), event.payload.into_string()));
        }
    }
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_racing_for_one_aggregate_one_wins() {
    const ROUNDS: u64 = 60;
    let database = Database::migrated().await;
    let (one, two) = (database.store().await, database.store().await);
    let mut chain = Chain::new("hot");
    for _ in 0..ROUNDS {
        let mut other = chain.clone();
        let (first, second) = (chain.next_by("one"), other.next_by("two"));
        let (first, second) =
            tokio::join!(one.commit(vec![append([first])]), two.commit(vec![append([second])]));
        match (&first[0], &second[0]) {
            (Ok(_), Err(AppendError::Conflict)) => {}
            (Err(AppendError::Conflict), Ok(_)) => chain = other,
            both => panic!("one wins and the other conflicts, but {both:?}"),
        }
    }
    let loaded = one.load(&chain.stream, 0).await.unwrap();
    assert_eq!(loaded.head, chain.head);
    assert_eq!(loaded.events.len() as u64, ROUNDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_in_a_batch_are_those_appends_alone() {
    let database = Database::migrated().await;
    let (store, other) = (database.store().await, database.store().await);
    for taken in 0..20 {
        let result = other.commit(vec![append([Chain::new(&format!("{taken}")).next()])]).await;
        assert!(result[0].is_ok());
    }
    // Every third append of the batch has a sequence that is taken; half of those have written
    // another event before they find out.
    let mut batch = Vec::new();
    for number in 0..60 {
        let mut fresh = Chain::new(&format!("fresh-{number}"));
        let mut stale = Chain::new(&format!("{}", number / 3));
        batch.push(match (number % 3, number % 2) {
            (0, 0) => append([fresh.next(), stale.next()]),
            (0, _) => append([stale.next(), stale.next()]),
            _ => append([fresh.next(), fresh.next()]),
        });
    }
    let results = store.commit(batch).await;
    for (number, result) in results.iter().enumerate() {
        match result {
            Ok(_) => assert_ne!(number % 3, 0, "{number}"),
            Err(AppendError::Conflict) => assert_eq!(number % 3, 0, "{number}"),
            Err(error) => panic!("{number}: {error}"),
        }
    }
    let log = log(&store).await;
    assert_eq!(log.len(), 20 + 40 * 2);
    assert!(log.is_sorted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_one_batch_may_follow_each_other() {
    let database = Database::migrated().await;
    let store = database.store().await;
    let mut chain = Chain::new("g");
    let mut other = Chain::new("other");
    assert!(store.commit(vec![append([other.next()])]).await[0].is_ok());

    // The first of these conflicts, and so do all that build on it.
    let mut lost = chain.clone();
    let torn = append([lost.next(), Chain::new("other").next()]);
    let after_it = append([lost.next()]);
    let one = append([chain.next()]);
    let two = append([chain.next(), chain.next()]);
    let late = append([Chain::new("g").next_by("late")]);
    let results = store.commit(vec![torn, after_it, one, two, late]).await;
    assert!(
        matches!(
            results.as_slice(),
            [
                Err(AppendError::Conflict),
                Err(AppendError::Conflict),
                Ok(_),
                Ok(_),
                Err(AppendError::Conflict)
            ]
        ),
        "{results:?}"
    );
    assert_eq!(store.load(&chain.stream, 0).await.unwrap().head, chain.head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_one_key_is_taken_once_and_costs_few_transactions() {
    let database = Database::migrated().await;
    let store = database.store().await;
    let used = |number: usize| Append {
        events: vec![Chain::new(&format!("{number}")).next()],
        used_once: vec![UsedOnce { space: "jti", key: [7; 32], expires_at: 1 }],
        ..Append::default()
    };
    let before = commits(&database).await;
    let results = store.commit((0..200).map(used).collect()).await;
    assert!(results[0].is_ok());
    assert!(results[1..].iter().all(|result| matches!(result, Err(AppendError::AlreadyUsed))));
    assert_eq!(log(&store).await.len(), 1);
    let after = commits(&database).await;
    assert!(after - before < 50, "{} transactions", after - before);
}

/// Transactions of this database, as the server counts them (it may be late).
async fn commits(database: &Database) -> i64 {
    let mut connection = database.connection().await;
    connection.execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    sqlx::query_scalar(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database
         WHERE datname = current_database()",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_write_the_same_aggregates_in_opposite_order_never_deadlock() {
    let database = Database::migrated().await;
    let nodes = [Arc::new(database.store().await), Arc::new(database.store().await)];
    for round in 0..150 {
        let mut tasks = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let node = Arc::clone(node);
            tasks.push(tokio::spawn(async move {
                let mut chains: Vec<_> =
                    (0..20).map(|chain| Chain::new(&format!("{round}-{chain}"))).collect();
                if number == 1 {
                    chains.reverse();
                }
                let batch = chains.iter_mut().map(|chain| append([chain.next()])).collect();
                node.commit(batch).await
            }));
        }
        let mut written = 0;
        for task in tasks {
            for result in task.await.unwrap() {
                match result {
                    Ok(_) => written += 1,
                    Err(AppendError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert_eq!(written, 20, "each aggregate is written once, round {round}");
    }
    let mut connection = database.connection().await;
    connection.execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    let deadlocks: i64 = sqlx::query_scalar(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(deadlocks, 0);
}

/// Commits through a connection that breaks, and expects the event in the log, once.
async fn survives(fault: Fault) {
    let database = Database::migrated().await;
    let proxy = Proxy::before(&database.url()).await;
    let store = PostgresStore::connect(&proxy.url, 2).await.unwrap();
    let mut chain = Chain::new("g");
    assert!(store.commit(vec![append([chain.next()])]).await[0].is_ok());

    proxy.arm(fault);
    let beside = append([Chain::new("beside").next()]);
    let stale = append([Chain::new("g").next()]);
    let only_used = Append {
        used_once: vec![UsedOnce { space: "jti", key: [1; 32], expires_at: 1 }],
        ..Append::default()
    };
    let batch = vec![append([chain.next(), chain.next()]), beside, stale, only_used.clone()];
    let results = timeout(Duration::from_secs(30), store.commit(batch)).await.unwrap();
    assert!(proxy.has_struck());
    assert!(
        matches!(results.as_slice(), [Ok(_), Ok(_), Err(AppendError::Conflict), Ok(_)]),
        "{results:?}"
    );

    let loaded = store.load(&chain.stream, 0).await.unwrap();
    assert_eq!((loaded.head, loaded.events.len()), (chain.head, 3));
    let log = log(&store).await;
    assert_eq!(log.len(), 4);
    // The positions that were answered are those in the log.
    let last = log.iter().filter(|(_, id, _)| id == "g").map(|(position, ..)| *position).max();
    assert_eq!(results[0].as_ref().ok().map(|appended| appended.last_position), last);
    let again = store.commit(vec![only_used]).await;
    assert!(matches!(again.as_slice(), [Err(AppendError::AlreadyUsed)]), "{again:?}");
    assert!(store.commit(vec![append([chain.next()])]).await[0].is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_lost_is_made_again() {
    survives(Fault::CommitLost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_found_and_not_made_twice() {
    survives(Fault::AnswerLost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_comes_late_is_waited_for() {
    survives(Fault::CommitLate).await;
}

/// The server processes of the database's other connections that wait for a lock.
async fn waiting(connection: &mut PgConnection) -> Vec<i32> {
    sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_connection_is_replaced_and_the_batch_written() {
    let database = Database::migrated().await;
    let store = Arc::new(database.store().await);
    // Somebody else holds the place, so that the store's transaction is caught inside.
    let mut holder = database.connection().await;
    let mut chain = Chain::new("g");
    holder.execute("BEGIN").await.unwrap();
    holder
        .execute(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
                 event_version, payload, metadata, digest, prev_digest)
             VALUES ('grant', 'g', 1, 'Held', '1', '{}', '{}',
                     sha256(''), decode(repeat('00', 32), 'hex'))",
        )
        .await
        .unwrap();
    let committing = {
        let (store, event) = (Arc::clone(&store), chain.next());
        tokio::spawn(async move { store.commit(vec![append([event])]).await })
    };
    let mut administrator = database.connection().await;
    let pid = timeout(Duration::from_secs(20), async {
        loop {
            if let [pid] = waiting(&mut administrator).await.as_slice() {
                return *pid;
            }
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(&mut administrator)
        .await
        .unwrap();
    sleep(Duration::from_millis(50)).await;
    holder.execute("ROLLBACK").await.unwrap();
    let results = timeout(Duration::from_secs(20), committing).await.unwrap().unwrap();
    assert!(results[0].is_ok(), "{results:?}");
    assert_eq!(store.load(&chain.stream, 0).await.unwrap().head, chain.head);
    holder.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_may_be_terminated_between_uses() {
    let database = Database::migrated().await;
    let store = database.store().await;
    let mut chain = Chain::new("g");
    let mut from = None;
    for position in 1..4 {
        assert!(store.commit(vec![append([chain.next()])]).await[0].is_ok());
        // Fills the pool.
        let loads = (0..8).map(|_| store.load(&chain.stream, 0));
        for loaded in futures_util::future::join_all(loads).await {
            assert_eq!(loaded.unwrap().head, chain.head);
        }
        let mut administrator = database.connection().await;
        administrator
            .execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await
            .unwrap();
        let to = Checkpoint { version: 1, position };
        assert!(store.project("p", from, to.clone(), Vec::new()).await.unwrap());
        from = Some(to);
        assert_eq!(store.load(&chain.stream, 0).await.unwrap().head, chain.head);
        store.ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_json_is_refused_alone() {
    let database = Database::migrated().await;
    let store = database.store().await;
    let mut broken = Chain::new("broken").next();
    broken.payload = "{".into();
    let mut fine = Chain::new("fine");
    let mut after = Chain::new("after");
    let batch = vec![append([fine.next()]), append([broken]), append([after.next()])];
    let results = store.commit(batch).await;
    assert!(
        matches!(results.as_slice(), [Ok(_), Err(AppendError::Unavailable(_)), Ok(_)]),
        "{results:?}"
    );
    assert_eq!(log(&store).await.len(), 2);
}
