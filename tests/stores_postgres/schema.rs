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
