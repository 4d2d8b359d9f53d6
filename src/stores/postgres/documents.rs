//! Documents beside the log.

use sqlx::PgPool;

use super::rows;
use super::transient::retried;
use crate::stores::{Document, StoreError};

pub(super) async fn document(
    pool: &PgPool,
    kind: &'static str,
    key: &str,
) -> Result<Option<Document>, StoreError> {
    let found: Option<(i64, String)> = retried(|| async {
        sqlx::query_as("SELECT version, body FROM documents WHERE kind = $1 AND key = $2")
            .bind(kind)
            .bind(key)
            .fetch_optional(pool)
            .await
    })
    .await?;
    let Some((version, body)) = found else { return Ok(None) };
    Ok(Some(Document { kind, key: key.to_owned(), version: rows::unsigned(version)?, body }))
}

pub(super) async fn documents(
    pool: &PgPool,
    kind: &'static str,
    after: &str,
    limit: u32,
) -> Result<Vec<Document>, StoreError> {
    let found: Vec<(String, i64, String)> = retried(|| async {
        sqlx::query_as(
            "SELECT key, version, body FROM documents WHERE kind = $1 AND key > $2
             ORDER BY key LIMIT $3",
        )
        .bind(kind)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
    })
    .await?;
    let document =
        |(key, version, body)| Ok(Document { kind, key, version: rows::unsigned(version)?, body });
    found.into_iter().map(document).collect()
}

pub(super) async fn put(pool: &PgPool, document: Document) -> Result<bool, StoreError> {
    let Document { kind, key, version, body } = document;
    let statement = if version == 0 {
        "INSERT INTO documents (kind, key, version, body) VALUES ($1, $2, $3 + 1, $4)
         ON CONFLICT DO NOTHING"
    } else {
        "UPDATE documents SET version = version + 1, body = $4
         WHERE kind = $1 AND key = $2 AND version = $3"
    };
    let mut transaction = retried(|| pool.begin()).await?;
    // The pool does not wait for the disk otherwise.
    sqlx::query("SET LOCAL synchronous_commit = on").execute(&mut *transaction).await?;
    let written = sqlx::query(statement)
        .bind(kind)
        .bind(key)
        .bind(rows::signed(version))
        .bind(body)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(written.rows_affected() == 1)
}

pub(super) async fn delete(
    pool: &PgPool,
    kind: &'static str,
    key: &str,
    version: u64,
) -> Result<bool, StoreError> {
    let deleted = retried(|| async {
        sqlx::query("DELETE FROM documents WHERE kind = $1 AND key = $2 AND version = $3")
            .bind(kind)
            .bind(key)
            .bind(rows::signed(version))
            .execute(pool)
            .await
    })
    .await?;
    Ok(deleted.rows_affected() == 1)
}
