//! The keys of the server: which signs, which did, and when.

use std::cmp::Reverse;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use chancery_domain::ids::AggregateKind;

use super::operator::guarded;
use super::page::{Chrome, Link, Moment, Tab, answer};
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};
use crate::lookups::{Lookups, Part};

/// There are few keys, even after years.
const MOST: u32 = 200;

#[derive(Template)]
#[template(path = "console/keys.html", config = ".askama.toml")]
struct KeysPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    rows: &'a [Row],
}

struct Row {
    link: Link,
    algorithm: String,
    state: String,
    published: Moment,
    activated: Option<Moment>,
    retired: Option<Moment>,
    until: Option<Moment>,
}

impl Row {
    fn class(&self) -> &'static str {
        super::grants::class_of(&self.state)
    }
}

#[tracing::instrument(name = "console.keys_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    guarded(&visit, async |operator| {
        let page = Lookups::new(visit.store.clone()).signing_keys(Part::first(MOST)).await?;
        let mut rows = page.rows;
        rows.sort_by_key(|row| Reverse(row.published_at));
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| Row {
                link: Link::to(AggregateKind::SigningKey, row.key_id.as_str()),
                algorithm: row.algorithm,
                state: row.state,
                published: row.published_at.into(),
                activated: row.activated_at.map(Moment::from),
                retired: row.retired_at.map(Moment::from),
                until: row.published_until.map(Moment::from),
            })
            .collect();
        let chrome = Chrome::of(&visit, Some(operator), Tab::Keys);
        let frame = Chrome::frame(&visit);
        let html = html(&KeysPage { frame, chrome: &chrome, rows: &rows });
        Ok(answer(&visit, &chrome, StatusCode::OK, html))
    })
    .await
}
