//! The contract on PostgreSQL. What only PostgreSQL promises is in
//! `tests/stores_postgres/`.

use std::sync::Arc;

use chancery::stores::Store;
use chancery::stores::postgres::PostgresStore;
use sqlx::{Connection as _, Executor as _};

use crate::contract::Fixture;
use crate::merkle_log::merkle_log;
use crate::packs::packs;
use crate::postgres_database::Database;

struct PostgresFixture {
    store: Arc<PostgresStore>,
    database: Database,
}

impl PostgresFixture {
    async fn execute(&self, statement: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.database.connection().await;
        connection.execute(statement).await?;
        connection.close().await
    }
}

impl Fixture for PostgresFixture {
    async fn new() -> Self {
        let database = Database::migrated().await;
        let store = Arc::new(database.store().await);
        let fixture = Self { store, database };
        for statement in [
            "CREATE TABLE widgets (id text PRIMARY KEY, colour text, weight bigint, reach bigint)",
            "CREATE INDEX widgets_by_weight ON widgets (weight, id) WHERE weight IS NOT NULL",
        ] {
            fixture.execute(statement).await.unwrap();
        }
        fixture
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::<PostgresStore>::clone(&self.store)
    }

    async fn another(&self) -> Arc<dyn Store> {
        Arc::new(self.database.store().await)
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Arc::new(self.database.store().await);
    }

    async fn sql(&self, statement: &str) -> Result<(), String> {
        self.execute(statement).await.map_err(|error| error.to_string())
    }

    fn statement<'a>(_: &'a str, postgres: &'a str) -> &'a str {
        postgres
    }

    async fn break_on(&self, event_type: &str) {
        self.execute(&format!(
            "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'broken'; END $$;
             CREATE TRIGGER broken BEFORE INSERT ON events FOR EACH ROW
             WHEN (NEW.event_type = '{event_type}') EXECUTE FUNCTION break()"
        ))
        .await
        .unwrap();
    }
}

contract!(PostgresFixture);
merkle_log!(PostgresFixture);
packs!(PostgresFixture);
