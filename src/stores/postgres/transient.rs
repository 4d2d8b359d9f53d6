//! Which failures pass: connections lost, servers restarted, deadlocks.

use std::time::Duration;

use sqlx::Error;

use crate::stores::StoreError;

/// How often a read is tried before its failure is believed. More than one,
/// because after a restart of the server each pooled connection fails once.
const ATTEMPTS: u32 = 12;

/// Is the connection gone, or of no more use?
pub(super) fn is_disconnect(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Protocol(_) | Error::WorkerCrashed => true,
        // 08: connection exceptions. 57P: shutdown, crash, terminated by an
        // administrator. 25006: read-only, so no longer the primary. 25P03 and
        // 57P05: idle for too long.
        Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || code == "25006" || code == "25P03"
        }),
        _ => false,
    }
}

/// May the same transaction succeed if it is run again?
pub(super) fn is_contention(error: &Error) -> bool {
    // Serialisation failure, deadlock, lock not available, statement timed out.
    let codes = ["40001", "40P01", "55P03", "57014"];
    matches!(error, Error::Database(error)
        if error.code().is_some_and(|code| codes.contains(&code.as_ref())))
}

/// An error that may say that the connection was lost.
pub(super) trait MayBeDisconnect {
    fn is_disconnect(&self) -> bool;
}

impl MayBeDisconnect for Error {
    fn is_disconnect(&self) -> bool {
        is_disconnect(self)
    }
}

impl MayBeDisconnect for StoreError {
    fn is_disconnect(&self) -> bool {
        matches!(self, Self::Postgres(error) if is_disconnect(error))
    }
}

/// Reads, or begins, and again if the connection was lost.
pub(super) async fn retried<T, E, Reading>(read: impl Fn() -> Reading) -> Result<T, E>
where
    E: MayBeDisconnect,
    Reading: Future<Output = Result<T, E>>,
{
    let mut attempt = 1;
    loop {
        match read().await {
            Err(error) if error.is_disconnect() && attempt < ATTEMPTS => {
                // The first few at once: those connections were lost already.
                if attempt > 4 {
                    tokio::time::sleep(Duration::from_millis(25 * u64::from(attempt))).await;
                }
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}
