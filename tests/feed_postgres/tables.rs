//! The migrations make the tables that the projections write.

use chancery_projections::{ALL, ColumnType};

use crate::database::Database;

#[tokio::test]
async fn postgres_has_the_columns_and_keys_of_every_read_model() {
    let database = Database::migrated().await;
    let mut connection = database.connection().await;
    for table in ALL.iter().flat_map(|projection| projection.tables()) {
        let found: Vec<(String, String, bool)> = sqlx::query_as(
            "SELECT attname::text, format_type(atttypid, NULL),
                 coalesce(attnum = ANY (conkey), false)
             FROM pg_attribute
             LEFT JOIN pg_constraint ON conrelid = attrelid AND contype = 'p'
             WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum",
        )
        .bind(table.name)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let expected: Vec<_> = table
            .columns
            .iter()
            .map(|(name, of)| {
                let of = match of {
                    ColumnType::Int | ColumnType::Highest | ColumnType::Derived => "bigint",
                    ColumnType::Text | ColumnType::Id => "text",
                };
                ((*name).to_owned(), of.to_owned(), *name == table.key)
            })
            .collect();
        assert_eq!(found, expected, "{}", table.name);
    }
}
