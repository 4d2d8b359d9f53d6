//! Group commit: one connection writes batches of appends, one transaction
//! each.
//!
//! A plain batch is three round trips: BEGIN, one INSERT, COMMIT. What an
//! append brings besides events costs one more for each table, in the same
//! transaction.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Error, Executor as _, PgConnection};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::beside;
use super::insert::{self, Inserted};
use super::packs::{self, Place};
use super::plan::{Ledger, Outcome, Plan};
use super::transient::{is_contention, is_disconnect};
use crate::stores::{Append, AppendError, Appended, NewEvent, StoreError};

/// How often one batch is tried again after failures that pass.
const RETRIES: u32 = 6;

/// The longest that the statements of a batch, or its COMMIT, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the outcome of a COMMIT is asked after.
const SETTLING: Duration = Duration::from_secs(60);

/// The one who writes.
pub(super) struct Writer {
    options: PgConnectOptions,
    seat: Mutex<Seat>,
}

enum Seat {
    /// With the connection, if there is one.
    Open(Option<PgConnection>),
    Closed,
}

/// Why a plan has no outcome.
enum Failure {
    /// Nothing of it is in the store.
    NotWritten(Error),
    /// Nobody knows.
    InDoubt(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::NotWritten(error)
    }
}

/// A transaction that only needs its COMMIT.
struct Ready {
    /// Its id, to ask after it by.
    transaction: String,
    outcome: Outcome,
}

/// What the statements of a transaction came to.
enum Step {
    Commit(Ready),
    /// Some appends were refused when others' rows, or some of their own, were
    /// written already: without them, from the start.
    Again(Outcome),
    /// Histories that go on may stand in packs: from the start, once they are
    /// in rows.
    PutBack,
}

impl Writer {
    pub(super) fn new(options: &PgConnectOptions) -> Self {
        let options = options.clone().options([
            // An answer is sent only when it is on the disk.
            ("synchronous_commit", "on"),
            // One plan for all batches, and never one made for an empty table.
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            // A node that hangs in a transaction must not hold others up.
            ("idle_in_transaction_session_timeout", "15s"),
            ("statement_timeout", "25s"),
        ]);
        Self { options, seat: Mutex::new(Seat::Open(None)) }
    }

    pub(super) async fn commit(&self, batch: &[Append]) -> Vec<Result<Appended, AppendError>> {
        let mut ledger = Ledger::new(batch);
        let mut seat = self.seat.lock().await;
        let Seat::Open(connection) = &mut *seat else {
            ledger.fail_rest(StoreError::Closed("the store is closed".into()));
            return ledger.answers();
        };
        let mut failures = 0;
        while let Some(plan) = ledger.plan() {
            match self.write(connection, &plan, &mut ledger).await {
                Ok(outcome) => {
                    failures = 0;
                    ledger.settle(&plan, outcome);
                }
                Err(Failure::InDoubt(error)) => {
                    tracing::error!(%error, "a COMMIT was lost and can't be asked after: {error}");
                    ledger.fail_rest(StoreError::Postgres(error));
                }
                Err(Failure::NotWritten(error)) => {
                    let passes = is_disconnect(&error) || is_contention(&error);
                    if passes && failures < RETRIES {
                        failures += 1;
                        tracing::warn!(%error, failures, "a batch is written again: {error}");
                        sleep(Duration::from_millis(20 << failures)).await;
                    } else if is_disconnect(&error) {
                        ledger.fail_rest(StoreError::Postgres(error));
                    } else if plan.appends.len() > 1 {
                        failures = 0;
                        tracing::warn!(%error, "a batch failed, now one by one: {error}");
                        ledger.one_at_a_time();
                    } else {
                        failures = 0;
                        tracing::error!(%error, "an append failed: {error}");
                        ledger.fail(&plan, StoreError::Postgres(error));
                    }
                }
            }
        }
        ledger.answers()
    }

    pub(super) async fn close(&self) {
        if let Seat::Open(Some(connection)) =
            std::mem::replace(&mut *self.seat.lock().await, Seat::Closed)
        {
            // Politeness: the server notices without it as well.
            let _ = connection.close().await;
        }
    }

    /// Writes a plan in one transaction.
    ///
    /// The connection leaves its place while it is in use, so that it is
    /// dropped with this future, and goes back only in a known state.
    async fn write<'a>(
        &self,
        place: &mut Option<PgConnection>,
        plan: &Plan<'a>,
        ledger: &mut Ledger<'a>,
    ) -> Result<Outcome, Failure> {
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => in_time(self.options.connect()).await?,
        };
        match in_time(prepare(&mut connection, plan, ledger)).await {
            Ok(Step::Again(outcome)) => {
                in_time(connection.execute("ROLLBACK")).await?;
                *place = Some(connection);
                Ok(outcome)
            }
            Ok(Step::PutBack) => {
                in_time(connection.execute("ROLLBACK")).await?;
                let streams: Vec<_> = plan.streams().collect();
                let putting = packs::put_back(&mut connection, &streams);
                in_time(async { putting.await.map_err(cause) }).await?;
                *place = Some(connection);
                Ok(Outcome::default())
            }
            Ok(Step::Commit(ready)) => match in_time(connection.execute("COMMIT")).await {
                Ok(_) => {
                    *place = Some(connection);
                    Ok(ready.outcome)
                }
                Err(error) => {
                    drop(connection);
                    tracing::warn!(%error, "the answer to a COMMIT was lost: {error}");
                    self.settle(place, plan, ready, error).await
                }
            },
            Err(error) => {
                let usable =
                    !is_disconnect(&error) && in_time(connection.execute("ROLLBACK")).await.is_ok();
                if usable {
                    *place = Some(connection);
                }
                Err(error.into())
            }
        }
    }

    /// Finds out what became of a transaction whose COMMIT was not answered.
    async fn settle(
        &self,
        place: &mut Option<PgConnection>,
        plan: &Plan<'_>,
        ready: Ready,
        lost: Error,
    ) -> Result<Outcome, Failure> {
        let asking = async {
            loop {
                match self.ask(place, plan, &ready).await {
                    Ok(Some(written)) => return written,
                    Ok(None) => sleep(Duration::from_millis(20)).await,
                    Err(error) => {
                        *place = None;
                        tracing::warn!(%error, "still asking after a lost COMMIT: {error}");
                        sleep(Duration::from_millis(200)).await;
                    }
                }
            }
        };
        let Ok(written) = timeout(SETTLING, asking).await else {
            return Err(Failure::InDoubt(lost));
        };
        if written.is_empty() {
            return Err(Failure::NotWritten(lost));
        }
        Ok(Outcome { written, refused: ready.outcome.refused })
    }

    /// The appends that are in the store; None while the transaction runs.
    async fn ask(
        &self,
        place: &mut Option<PgConnection>,
        plan: &Plan<'_>,
        ready: &Ready,
    ) -> Result<Option<Vec<(usize, u64)>>, Error> {
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => in_time(self.options.connect()).await?,
        };
        let status = in_time(status(&mut connection, &ready.transaction)).await?;
        if status.as_deref() == Some("in progress") {
            *place = Some(connection);
            return Ok(None);
        }
        // The status alone does not do: another server, promoted since, may
        // know another transaction by this id. Digests tell.
        let committed = status.as_deref() == Some("committed");
        let mut written = Vec::new();
        for &(index, position) in &ready.outcome.written {
            let append = plan.appends.iter().find(|planned| planned.index == index);
            let last = append.and_then(|planned| planned.append.events.last());
            let there = match last {
                Some(event) => in_time(is_there(&mut connection, event)).await?,
                None => committed.then_some(position),
            };
            written.extend(there.map(|position| (index, position)));
        }
        *place = Some(connection);
        Ok(Some(written))
    }
}

/// Begins a transaction and brings it to where only COMMIT is missing.
async fn prepare<'a>(
    connection: &mut PgConnection,
    plan: &Plan<'a>,
    ledger: &mut Ledger<'a>,
) -> Result<Step, Error> {
    connection.execute("BEGIN").await?;
    let Inserted { positions, transaction } = insert::events(connection, plan).await?;
    let conflicts = plan.conflicts(&positions);
    if !conflicts.is_empty() {
        let streams: Vec<_> = plan.streams().collect();
        if packs::any_packed(connection, &streams).await? {
            return Ok(Step::PutBack);
        }
    }
    for event in plan.unfit(&positions) {
        ledger.unfit(event);
    }
    let mut refused: Vec<_> =
        conflicts.iter().map(|&index| (index, AppendError::Conflict)).collect();
    let torn = plan
        .rows
        .iter()
        .zip(&positions)
        .any(|(row, position)| position.is_some() && conflicts.contains(&row.append));
    if torn || conflicts.len() == plan.appends.len() {
        return Ok(Step::Again(Outcome { written: Vec::new(), refused }));
    }
    let accepted: Vec<_> =
        plan.appends.iter().filter(|planned| !conflicts.contains(&planned.index)).collect();
    let refusals = beside::write(connection, &accepted).await?;
    if !refusals.is_empty() {
        refused.extend(refusals);
        return Ok(Step::Again(Outcome { written: Vec::new(), refused }));
    }
    let transaction = match transaction {
        Some(transaction) => transaction,
        None => {
            sqlx::query_scalar("SELECT pg_current_xact_id()::text")
                .fetch_one(&mut *connection)
                .await?
        }
    };
    let mut last_positions = std::collections::HashMap::new();
    for (row, position) in plan.rows.iter().zip(&positions) {
        last_positions.insert(row.append, position.unwrap_or(0));
    }
    let written = accepted
        .iter()
        .map(|planned| (planned.index, last_positions.get(&planned.index).copied().unwrap_or(0)))
        .collect();
    Ok(Step::Commit(Ready { transaction, outcome: Outcome { written, refused } }))
}

/// `committed`, `aborted`, `in progress`; None for one too old, or one that
/// this server never had.
async fn status(connection: &mut PgConnection, transaction: &str) -> Result<Option<String>, Error> {
    let status = sqlx::query_scalar("SELECT pg_xact_status($1::text::xid8)")
        .bind(transaction)
        .fetch_one(connection)
        .await;
    match status {
        // "transaction ID … is in the future"
        Err(Error::Database(error)) if error.code().as_deref() == Some("22023") => Ok(None),
        status => status,
    }
}

/// The position of this very event, if it is in the log.
async fn is_there(connection: &mut PgConnection, event: &NewEvent) -> Result<Option<u64>, Error> {
    if let Some(position) = insert::is_there(connection, event).await? {
        return Ok(Some(position));
    }
    match packs::place_on(connection, &event.stream).await.map_err(cause)? {
        // It may have come back into them just now.
        Place::Rows => insert::is_there(connection, event).await,
        Place::Nowhere => Ok(None),
        Place::Packs(history) => {
            let own = history.iter().find(|stored| stored.event.digest == event.digest);
            Ok(own.map(|own| own.position))
        }
    }
}

/// What sqlx said; anything else is no fault of the connection.
fn cause(error: StoreError) -> Error {
    match error {
        StoreError::Postgres(error) => error,
        other => Error::Decode(Box::new(other)),
    }
}

/// Gives up on a server that does not answer.
async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer")))
    })
}
