//! Migrations, and what is said when a database does not fit.

use chancery::stores::StoreError;
use chancery::stores::postgres::PostgresStore;
use sqlx::Executor as _;

use crate::database::Database;

async fn refusal(url: &str) -> String {
    match PostgresStore::connect(url, 1).await {
        Ok(_) => panic!("it connected"),
        Err(StoreError::Closed(why)) => why,
        Err(other) => panic!("another error: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_migrate_at_once_do_not_collide() {
    let database = Database::empty().await;
    let url = database.url();
    let nodes: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::migrate(&url).await.unwrap() })
        })
        .collect();
    let mut applied = Vec::new();
    for node in nodes {
        applied.extend(node.await.unwrap());
    }
    assert!(applied.contains(&"0001_log".to_owned()), "{applied:?}");
    let mut once = applied.clone();
    once.sort();
    once.dedup();
    assert_eq!(applied, once, "each migration is applied once, in order, by one node");
    PostgresStore::connect(&url, 1).await.unwrap();
    assert_eq!(PostgresStore::migrate(&url).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_the_schema_is_refused_with_the_remedy() {
    let database = Database::empty().await;
    let why = refusal(&database.url()).await;
    assert!(why.contains("chancery migrate"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_later_version_is_refused_and_left_as_it_is() {
    let database = Database::migrated().await;
    let mut connection = database.connection().await;
    connection
        .execute("INSERT INTO schema_migrations (version, name) VALUES (9999, 'later')")
        .await
        .unwrap();
    let why = refusal(&database.url()).await;
    assert!(why.contains("9999") && why.contains("newer"), "{why}");
    let Err(StoreError::Closed(why)) = PostgresStore::migrate(&database.url()).await else {
        panic!("it migrated")
    };
    assert!(why.contains("9999") && why.contains("newer"), "{why}");
}

/// So a node can be started again while others have the next version already, and the version
/// before can be gone back to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_later_version_is_used_if_each_later_step_allows_it() {
    let database = Database::migrated().await;
    let mut connection = database.connection().await;
    let mut step = async |version: i32, programs_from: &str| {
        let step = format!(
            "INSERT INTO schema_migrations (version, name, programs_from)
             SELECT {version}, 'later', {programs_from} FROM schema_migrations
             WHERE version < 9000"
        );
        connection.execute(&*step).await.unwrap();
    };
    step(9000, "max(version)").await;
    step(9001, "max(version) - 1").await;
    PostgresStore::connect(&database.url(), 1).await.unwrap();
    assert_eq!(PostgresStore::migrate(&database.url()).await.unwrap(), Vec::<String>::new());
    step(9002, "max(9001)").await;
    let why = refusal(&database.url()).await;
    assert!(why.contains("9002") && why.contains("newer"), "{why}");
}

/// Who waits long for a table that a query holds has everybody wait who comes after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_waits_briefly_for_a_table_and_tries_again() {
    let database = Database::migrated().await;
    let mut connection = database.connection().await;
    let back = "DROP VIEW whole_events; DROP TABLE packs, packed_streams; DELETE FROM schema_migrations WHERE version >= 14";
    connection.execute(back).await.unwrap();
    connection.execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let url = database.url();
    let migrating = tokio::spawn(async move { PostgresStore::migrate(&url).await.unwrap() });
    let mut other = database.connection().await;
    let mut waits = async || {
        let waits: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass",
        )
        .fetch_one(&mut other)
        .await
        .unwrap();
        waits > 0
    };
    for waiting in [true, false, true] {
        let end = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while waits().await != waiting {
            assert!(tokio::time::Instant::now() < end, "it does not change: {waiting}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    connection.execute("ROLLBACK").await.unwrap();
    assert!(migrating.await.unwrap().contains(&"0014_shared_metadata".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_migration_leaves_nothing_behind() {
    let database = Database::empty().await;
    let mut connection = database.connection().await;
    // In the way of the second migration.
    connection.execute("CREATE TABLE used_once (other integer)").await.unwrap();
    PostgresStore::migrate(&database.url()).await.unwrap_err();
    let events: Option<String> = sqlx::query_scalar("SELECT to_regclass('events')::text")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(events, None);
    connection.execute("DROP TABLE used_once").await.unwrap();
    PostgresStore::migrate(&database.url()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_error_shows_the_password() {
    let database = Database::empty().await;
    let mut good = url::Url::parse(&database.url()).unwrap();
    good.set_password(Some("s3cret")).unwrap();
    let mut no_such = good.clone();
    no_such.set_path("no_such_database");
    let mut nobody_listens = good.clone();
    nobody_listens.set_port(Some(1)).unwrap();
    let urls = [
        no_such.to_string(),
        nobody_listens.to_string(),
        format!("{good}?sslmode=never"),
        "postgres://user:s3cret@host:port/database".to_owned(),
        "not a URL with s3cret".to_owned(),
    ];
    for url in &urls {
        let Err(one) = PostgresStore::connect(url, 1).await else { panic!("connected: {url}") };
        let Err(two) = PostgresStore::migrate(url).await else { panic!("migrated: {url}") };
        let shown = format!("{one} {one:?} {two} {two:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    // Nor where it connects, and finds no schema.
    assert!(!refusal(good.as_str()).await.contains("s3cret"));
}
