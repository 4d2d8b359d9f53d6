//! What a reader asks for, and who it is.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use serde::Deserialize;

use super::EVENTS;
use crate::events::cursor::CursorError;
use crate::events::envelope::CloudEvents;
use crate::events::filter::Filter;
use crate::events::limits::Limits;
use crate::events::page::Asked;
use crate::http::api::endpoint::Call;
use crate::http::api::operator::Operator;
use crate::http::api::problem::Problem;
use crate::services::Services;

/// The parameters of a query.
#[derive(Debug, Deserialize)]
pub struct Query {
    after: Option<String>,
    limit: Option<usize>,
    wait: Option<u64>,
    types: Option<String>,
    client: Option<String>,
}

/// A reader that may read.
pub struct Reader {
    pub services: web::Data<Services>,
    /// Who it is, for the list of readers.
    pub name: String,
    pub events: CloudEvents,
    pub limits: Arc<Limits>,
}

impl Reader {
    /// Asks whether the sender of a request may read, and takes one of its requests a minute.
    pub async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let Some(services) = request.app_data::<web::Data<Services>>().cloned() else {
            return Err(Problem::internal(&"no services"));
        };
        let operator = Operator::of(&EVENTS, &services, request).await?;
        Self::named(services, &operator)
    }

    /// The sender of a call, who may read. Takes one of its requests a minute.
    pub fn calling<P, B>(call: &Call<P, B>) -> Result<Self, Problem> {
        Self::named(call.services.clone(), &call.operator)
    }

    fn named(services: web::Data<Services>, operator: &Operator) -> Result<Self, Problem> {
        let name = operator.name.clone();
        let limit = services.config.events.requests_per_minute;
        services.event_budget.take(&name, limit, services.now()).map_err(|wait| {
            let detail = format!("more than {limit} requests a minute; wait and go on");
            Problem::too_many(detail, wait.seconds())
        })?;
        // What is granted was looked at; another version may have granted more.
        let limits = Limits::of(&operator.details, services.schemas());
        let limits = Arc::new(limits.map_err(|error| Problem::internal(&error))?);
        let events = CloudEvents::of(&services).within(&limits);
        Ok(Self { services, name, events, limits })
    }

    /// Refuses who may see some events only: which others read, and the sums of all, are not among
    /// them.
    pub fn sees_others(&self) -> Result<(), Problem> {
        if self.limits.are_set() {
            let detail = "the access token allows some events only (authorization_details)";
            return Err(Problem::forbidden(EVENTS.scope.0, detail));
        }
        Ok(())
    }

    /// Waits for an answer, but not while the server stops.
    pub async fn unless_closing<T, E>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        tokio::select! {
            answer = answer => Ok(answer?),
            () = self.services.closing.told() => Err(Problem::closing()),
        }
    }

    /// What it asks for. A cursor in `before`, which browsers send by themselves, goes before
    /// that of the query.
    pub async fn asked(&self, query: Query, before: Option<&str>) -> Result<Asked, Problem> {
        let Query { after, limit, wait, types, client } = query;
        let config = &self.services.config.events;
        let limit = limit.unwrap_or(1000);
        if !(1..=10_000).contains(&limit) {
            return Err(Problem::bad_request("limit must be from 1 to 10000"));
        }
        let wait = wait.unwrap_or(0);
        let longest = u64::from(config.longest_wait.seconds());
        if wait > longest {
            let detail = format!("wait must be from 0 to {longest} seconds");
            return Err(Problem::bad_request(detail));
        }
        let (types, clients) = (listed(types.as_deref()), listed(client.as_deref()));
        let filter = Filter::new(self.services.schemas(), types, clients);
        let filter = filter.map_err(|error| Problem::bad_request(error.to_string()))?;
        let filter = filter.within(&self.limits);
        Ok(Asked {
            after: self.position(before.or(after.as_deref())).await?,
            limit,
            wait: Duration::from_secs(wait),
            filter,
        })
    }

    /// The position that a cursor stands for: none is the beginning, `now` the end.
    pub async fn position(&self, cursor: Option<&str>) -> Result<u64, Problem> {
        let end = || self.services.store.last_position();
        match cursor {
            None | Some("") => Ok(0),
            Some("now") => Ok(end().await?),
            Some(cursor) => {
                let position = self.events.cursors().read(cursor)?;
                let known = self.services.feed.position().is_some_and(|known| position <= known);
                if !known && position > end().await? {
                    return Err(CursorError::Ahead.into());
                }
                Ok(position)
            }
        }
    }
}

/// The entries of a list with commas.
fn listed(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').filter(|entry| !entry.is_empty())
}
