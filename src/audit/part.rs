//! Which part of a list, and how a part is filled.

use futures_util::stream::{self, StreamExt as _};

use super::error::AuditError;
use super::lineage::Lineage;
use crate::lookups::{Order, Page, Part as Rows};

/// How many rows are looked at for one part of a list: what bounds its cost.
const MOST_LOOKED_AT: usize = 5000;

/// How many events of histories are read for each item that is asked for, before a part is
/// ended early: some grants have been refreshed for years.
const EVENTS_PER_ITEM: usize = 12;

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

/// What came of a row.
pub(super) struct Found<T> {
    pub(super) item: Option<T>,
    /// How many events had to be read for it.
    pub(super) read: usize,
}

impl<T> Found<T> {
    /// What a row itself tells.
    pub(super) fn in_row(item: T) -> Self {
        Self { item: Some(item), read: 0 }
    }

    /// What comes of the lineage of a grant.
    pub(super) fn in_lineage(
        lineage: Option<Lineage>,
        item: impl FnOnce(Lineage) -> Option<T>,
    ) -> Self {
        let read = lineage.as_ref().map_or(0, |lineage| lineage.events);
        Self { item: lineage.and_then(item), read }
    }
}

/// Fills one part of a list with what comes of rows, page by page.
pub(super) struct Filling<T> {
    limit: usize,
    looked_at: usize,
    /// Events.
    read: usize,
    items: Vec<(T, String)>,
    /// The last row looked at.
    last: Option<String>,
}

impl<T> Filling<T> {
    pub(super) fn new(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, looked_at: 0, read: 0, items: Vec::new(), last: None }
    }

    /// Takes from pages of rows, in this order and after this one, what comes of each. True:
    /// there are no more rows.
    pub(super) async fn take<R>(
        &mut self,
        (order, mut after): (Order, Option<String>),
        page: impl AsyncFn(Rows) -> Result<Page<R>, AuditError>,
        name: impl Fn(&R) -> String,
        item: impl AsyncFn(&R) -> Result<Found<T>, AuditError>,
    ) -> Result<bool, AuditError> {
        while !self.is_full() {
            // One more tells whether there is a next part.
            let missing = (self.limit + 1 - self.items.len()).clamp(1, 200);
            let limit = u32::try_from(missing).unwrap_or(u32::MAX);
            let found = page(Rows { order, after, limit }).await?;
            let rows = stream::iter(&found.rows);
            let mut items = rows.map(async |row| (name(row), item(row).await)).buffered(AT_ONCE);
            while let Some((own, item)) = items.next().await {
                self.looked_at += 1;
                let found = item?;
                self.read += found.read;
                if let Some(item) = found.item {
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
        self.items.len() > self.limit
            || self.looked_at >= MOST_LOOKED_AT
            || self.read >= self.limit.saturating_mul(EVENTS_PER_ITEM)
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

    fn found(item: Option<u32>) -> Found<u32> {
        Found { item, read: 0 }
    }

    async fn even(limit: u32, after: Option<u32>, rows: u32) -> (Vec<u32>, Option<String>) {
        let mut filling = Filling::new(limit);
        let page = async |part: Rows| {
            let first = part.after.map_or(0, |after| after.parse::<u32>().unwrap() + 1);
            let end = rows.min(first + part.limit);
            let next = (end < rows).then(|| (end - 1).to_string());
            Ok(Page { rows: (first..end).collect(), next })
        };
        let after = after.map(|after| after.to_string());
        let item = async |row: &u32| Ok(found(row.is_multiple_of(2).then_some(*row)));
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
    async fn a_part_that_needs_too_many_rows_ends_early_and_says_where() {
        let mut filling = Filling::<u32>::new(10);
        let page = async |part: Rows| {
            let first = part.after.map_or(0, |after| after.parse::<u32>().unwrap() + 1);
            let last = first + part.limit;
            Ok(Page { rows: (first..last).collect(), next: Some((last - 1).to_string()) })
        };
        let ended = filling
            .take((Order::FirstToLast, None), page, u32::to_string, async |_| Ok(found(None)))
            .await
            .unwrap();
        assert!(!ended);
        assert_eq!(filling.done(ended), (vec![], Some("4999".to_owned())));
    }

    #[tokio::test]
    async fn a_part_of_long_histories_ends_early_and_is_never_empty_for_it() {
        for (read, items) in [(7, 10), (100, 2), (100_000, 1)] {
            let mut filling = Filling::new(10);
            let page = async |_: Rows| Ok(Page { rows: (0..30).collect(), next: None });
            let item = async |row: &u32| Ok(Found { item: Some(*row), read });
            let taking = filling.take((Order::FirstToLast, None), page, u32::to_string, item);
            let ended = taking.await.unwrap();
            let (found, next) = filling.done(ended);
            assert_eq!(found, (0..items).collect::<Vec<_>>());
            assert_eq!(next, Some((items - 1).to_string()));
        }
    }
}
