//! Which part of a list, and how a part is filled.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use super::error::AuditError;
use crate::lookups::{Order, Page, Part as Rows};

/// How long a part is filled, if there are rows enough: what bounds the wait, whatever the rows
/// cost. Some grants have been refreshed for years, and a log that is not in memory is slow.
const LEAST: Duration = Duration::from_millis(50);

/// The same for each item that is asked for, where more are asked for.
const FOR_EACH: Duration = Duration::from_millis(1);

/// How many rows are looked at at once: while one waits for the store, others work.
const AT_ONCE: usize = 16;

/// Which part of a list.
#[derive(Debug, Clone)]
pub struct Part {
    /// What comes after this: `next` of the part before.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// Fills one part of a list with what comes of rows, page by page.
pub(super) struct Filling<T> {
    limit: usize,
    began: Instant,
    lasts: Duration,
    items: Vec<(T, String)>,
    /// The last row looked at.
    last: Option<String>,
}

impl<T> Filling<T> {
    pub(super) fn new(limit: u32) -> Self {
        Self::lasting(limit, LEAST.max(FOR_EACH.saturating_mul(limit)))
    }

    fn lasting(limit: u32, lasts: Duration) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, began: Instant::now(), lasts, items: Vec::new(), last: None }
    }

    /// Takes from pages of rows, in this order and after this one, what comes of each. True:
    /// there are no more rows.
    pub(super) async fn take<R>(
        &mut self,
        (order, mut after): (Order, Option<String>),
        page: impl AsyncFn(Rows) -> Result<Page<R>, AuditError>,
        name: impl Fn(&R) -> String,
        item: impl AsyncFn(&R) -> Result<Option<T>, AuditError>,
    ) -> Result<bool, AuditError> {
        while !self.is_full() {
            // One more tells whether there is a next part.
            let missing = (self.limit + 1 - self.items.len()).clamp(1, 200);
            let limit = u32::try_from(missing).unwrap_or(u32::MAX);
            let found = page(Rows { order, after, limit }).await?;
            let rows = stream::iter(&found.rows);
            let mut items = rows.map(async |row| (name(row), item(row).await)).buffered(AT_ONCE);
            while let Some((own, item)) = items.next().await {
                if let Some(item) = item? {
                    self.items.push((item, own.clone()));
                }
                self.last = Some(own);
                if self.is_full() {
                    return Ok(false);
                }
            }
            after = found.next;
            if after.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn is_full(&self) -> bool {
        // Each part comes further than the one before, however long a row takes.
        let looked_at_some = self.last.is_some();
        self.items.len() > self.limit || (looked_at_some && self.began.elapsed() >= self.lasts)
    }

    /// The part, and where the next begins; `ended`: there is none.
    pub(super) fn done(mut self, ended: bool) -> (Vec<T>, Option<String>) {
        let next = if self.items.len() > self.limit {
            self.items.truncate(self.limit);
            self.items.last().map(|(_, name)| name.clone())
        } else {
            self.last.filter(|_| !ended)
        };
        (self.items.into_iter().map(|(item, _)| item).collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a test takes.
    const LONG: Duration = Duration::from_secs(3600);

    async fn even(limit: u32, after: Option<u32>, rows: u32) -> (Vec<u32>, Option<String>) {
        let mut filling = Filling::lasting(limit, LONG);
        let page = async |part: Rows| {
            let first = part.after.map_or(0, |after| after.parse::<u32>().unwrap() + 1);
            let end = rows.min(first + part.limit);
            let next = (end < rows).then(|| (end - 1).to_string());
            Ok(Page { rows: (first..end).collect(), next })
        };
        let after = after.map(|after| after.to_string());
        let item = async |row: &u32| Ok(row.is_multiple_of(2).then_some(*row));
        let ended = filling.take((Order::FirstToLast, after), page, u32::to_string, item).await;
        filling.done(ended.unwrap())
    }

    #[tokio::test]
    async fn parts_follow_each_other_without_gap_and_end_exactly() {
        assert_eq!(even(3, None, 10).await, (vec![0, 2, 4], Some("4".to_owned())));
        assert_eq!(even(3, Some(4), 10).await, (vec![6, 8], None));
        assert_eq!(even(5, None, 10).await, (vec![0, 2, 4, 6, 8], None));
        assert_eq!(even(3, None, 0).await, (vec![], None));
    }

    #[tokio::test]
    async fn a_part_that_takes_too_long_ends_early_says_where_and_comes_further() {
        for (item, items) in [(Some(7), vec![7]), (None, vec![])] {
            let mut filling = Filling::<u32>::lasting(10, Duration::ZERO);
            let page = async |part: Rows| {
                let first = part.after.map_or(0, |after| after.parse::<u32>().unwrap() + 1);
                let last = first + part.limit;
                Ok(Page { rows: (first..last).collect(), next: Some((last - 1).to_string()) })
            };
            let from = (Order::FirstToLast, Some("4".to_owned()));
            let taking = filling.take(from, page, u32::to_string, async |_| Ok(item));
            let ended = taking.await.unwrap();
            assert!(!ended);
            assert_eq!(filling.done(ended), (items, Some("5".to_owned())));
        }
    }

    /// Rows of which nothing comes are passed over to the end of the time, or of the rows.
    #[tokio::test]
    async fn a_part_is_filled_from_as_many_rows_as_it_needs() {
        let mut filling = Filling::<u32>::lasting(1, LONG);
        let page = async |part: Rows| {
            let first = part.after.map_or(0, |after| after.parse::<u32>().unwrap() + 1);
            let end = 20_000.min(first + part.limit);
            let next = (end < 20_000).then(|| (end - 1).to_string());
            Ok(Page { rows: (first..end).collect(), next })
        };
        let item = async |row: &u32| Ok((*row == 19_999).then_some(*row));
        let taking = filling.take((Order::FirstToLast, None), page, u32::to_string, item);
        let ended = taking.await.unwrap();
        assert_eq!(filling.done(ended), (vec![19_999], None));
    }
}
