//! Documents beside the log.

use rusqlite::{OptionalExtension as _, params};

use super::reader::Reader;
use super::rows::{integer, number};
use super::writer::Writer;
use crate::stores::{Document, StoreError};

impl Reader {
    pub(super) fn document(
        &self,
        kind: &'static str,
        key: String,
    ) -> Result<Option<Document>, StoreError> {
        let found = self
            .log
            .prepare_cached("SELECT version, body FROM documents WHERE kind = ?1 AND key = ?2")?
            .query_row(params![kind, key], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.map(|(version, body)| {
            let version = u64::try_from(version).unwrap_or_default();
            Document { kind, key, version, body }
        }))
    }

    pub(super) fn documents(
        &self,
        kind: &'static str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Document>, StoreError> {
        let mut statement = self.log.prepare_cached(
            "SELECT key, version, body FROM documents WHERE kind = ?1 AND key > ?2
             ORDER BY key LIMIT ?3",
        )?;
        let mut rows = statement.query(params![kind, after, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, version, body) = (row.get(0)?, number(row, 1)?, row.get(2)?);
            found.push(Document { kind, key, version, body });
        }
        Ok(found)
    }
}

impl Writer {
    pub(super) fn put_document(&self, document: &Document) -> Result<bool, StoreError> {
        let Document { kind, key, version, body } = document;
        let written = if *version == 0 {
            self.connection
                .prepare_cached(
                    "INSERT INTO documents (kind, key, version, body) VALUES (?1, ?2, 1, ?3)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![kind, key, body])?
        } else {
            self.connection
                .prepare_cached(
                    "UPDATE documents SET version = version + 1, body = ?4
                     WHERE kind = ?1 AND key = ?2 AND version = ?3",
                )?
                .execute(params![kind, key, integer(*version), body])?
        };
        Ok(written == 1)
    }

    pub(super) fn delete_document(
        &self,
        kind: &'static str,
        key: &str,
        version: u64,
    ) -> Result<bool, StoreError> {
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM documents WHERE kind = ?1 AND key = ?2 AND version = ?3")?
            .execute(params![kind, key, integer(version)])?;
        Ok(deleted == 1)
    }
}
