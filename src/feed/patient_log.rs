//! The log, read up to where it ended at some time: for commands that read it
//! all and then are done.

use std::time::Duration;

use crate::stores::{LogReader, StoreError, StoredEvent};

/// How many events are read at once.
const PAGE: usize = 1000;
/// How often the log is looked at again where another writer has yet to finish, …
const LOOK: Duration = Duration::from_millis(50);
/// … and how many times in a row.
const LOOKS: u32 = 1200;

/// Reads the log, and waits where another writer has yet to finish. Not to be asked for more
/// than there is.
pub struct PatientLog {
    reader: Box<dyn LogReader>,
    looks: u32,
}

impl PatientLog {
    #[must_use]
    pub fn new(reader: Box<dyn LogReader>) -> Self {
        Self { reader, looks: 0 }
    }

    /// The position up to which everything has been read, holes included.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.reader.position()
    }

    /// The next events; none now, and more later, where another writer has yet to finish.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>, StoreError> {
        let events = self.reader.next(PAGE).await?;
        self.looks = if events.is_empty() { self.looks + 1 } else { 0 };
        if self.looks > LOOKS {
            return Err(StoreError::Closed(format!(
                "the log can't be read past position {}: a transaction there does not end",
                self.position()
            )));
        }
        if events.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(events)
    }
}
