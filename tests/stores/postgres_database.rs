//! A PostgreSQL database of its own for each test, dropped after it.

use chancery::stores::postgres::PostgresStore;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};

/// Dropped with the database's last user.
pub struct Database {
    admin: url::Url,
    name: String,
}

impl Database {
    /// A database with nothing in it.
    pub async fn empty() -> Self {
        #[expect(clippy::disallowed_methods, reason = "where the server is, comes from outside")]
        let admin = std::env::var("CHANCERY_TEST_POSTGRES").expect(
            "CHANCERY_TEST_POSTGRES has to hold the URL of a PostgreSQL in which databases may be \
             made: run the tests by tests/run, which starts one",
        );
        let admin = url::Url::parse(&admin).expect("CHANCERY_TEST_POSTGRES is a URL");
        #[expect(clippy::disallowed_methods, reason = "a name that no other test run has")]
        let name = format!("chancery_{}", uuid::Uuid::new_v4().as_simple());
        let database = Self { admin, name };
        database
            .administer(&format!(
                "CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0",
                database.name
            ))
            .await;
        database
    }

    /// A database with the schema of the log.
    pub async fn migrated() -> Self {
        let database = Self::empty().await;
        PostgresStore::migrate(&database.url()).await.unwrap();
        database
    }

    /// The URL of the database.
    pub fn url(&self) -> String {
        let mut url = self.admin.clone();
        url.set_path(&self.name);
        url.into()
    }

    pub async fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.url(), 4).await.unwrap()
    }

    pub async fn connection(&self) -> PgConnection {
        let options: sqlx::postgres::PgConnectOptions = self.url().parse().unwrap();
        options.connect().await.unwrap()
    }

    async fn administer(&self, statement: &str) {
        let options: sqlx::postgres::PgConnectOptions = self.admin.as_str().parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // A runtime of its own: the test's may be at its end.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let options: sqlx::postgres::PgConnectOptions = admin.as_str().parse().unwrap();
                let mut connection = options.connect().await.unwrap();
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                connection.execute(drop.as_str()).await.unwrap();
            });
        });
        let dropped = dropping.join();
        assert!(std::thread::panicking() || dropped.is_ok(), "the test's database stays");
    }
}
