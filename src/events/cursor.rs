//! Cursors: how far a reader has come, in a text that it keeps and gives back.

use crate::stores::Store;

/// So much of the log's id goes into a cursor.
const LIFE: usize = 12;

/// Writes and reads the cursors of one log.
#[derive(Debug, Clone)]
pub struct Cursors {
    /// Which life of the database it is.
    life: Box<str>,
}

/// Why a cursor leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    #[error("this is no cursor: give back what stood in `cursor` (or the id of an event's block)")]
    Malformed,
    #[error(
        "the cursor is of another life of the log (the database was restored, or it is another \
         server's): read from the beginning, or from `after=now`"
    )]
    OtherLife,
    #[error(
        "the cursor is ahead of the log: it was given out by a database that this one is older \
         than. Read from the beginning, or from `after=now`"
    )]
    Ahead,
}

impl Cursors {
    /// Those of this store's log.
    #[must_use]
    pub fn of(store: &dyn Store) -> Self {
        Self::of_log(store.log_id())
    }

    fn of_log(log_id: &str) -> Self {
        Self { life: log_id.chars().filter(char::is_ascii_alphanumeric).take(LIFE).collect() }
    }

    /// The cursor of whoever has read everything up to this position.
    #[must_use]
    pub fn at(&self, position: u64) -> String {
        format!("{}-{position}", self.life)
    }

    /// The position that it stands for.
    pub fn read(&self, cursor: &str) -> Result<u64, CursorError> {
        let (life, position) = cursor.split_once('-').ok_or(CursorError::Malformed)?;
        let digits = !position.is_empty() && position.bytes().all(|byte| byte.is_ascii_digit());
        let position = position.parse().map_err(|_| CursorError::Malformed)?;
        if !digits || !life.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(CursorError::Malformed);
        }
        if life != &*self.life {
            return Err(CursorError::OtherLife);
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursors() -> Cursors {
        Cursors::of_log("0b0e6c1e-7b0d-4f4e-8c57-7f2f3a1f9d11")
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back(position: u64) {
            let cursors = cursors();
            prop_assert_eq!(cursors.read(&cursors.at(position)), Ok(position));
        }

        #[test]
        fn nothing_makes_it_panic(text in ".*") {
            let _ = cursors().read(&text);
        }
    }

    #[test]
    fn a_cursor_of_another_life_is_told_apart_from_nonsense() {
        let other = Cursors::of_log("ffffffffffffffff").at(7);
        assert_eq!(cursors().read(&other), Err(CursorError::OtherLife));
        for wrong in ["", "7", "0b0e6c1e7b0d-", "0b0e6c1e7b0d-+7", "0b0e6c1e7b0d-7x", "-7 "] {
            assert_eq!(cursors().read(wrong), Err(CursorError::Malformed), "{wrong:?}");
        }
        let far = "0b0e6c1e7b0d-99999999999999999999999";
        assert_eq!(cursors().read(far), Err(CursorError::Malformed));
    }
}
