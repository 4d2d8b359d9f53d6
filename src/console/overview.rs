//! The first page: how far the log reaches, whether what is shown is up to
//! date, and the newest grants. Nothing here counts by reading the log.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use chancery_projections::ALL;

use super::grants::Found;
use super::incidents::{self, Row as Incident};
use super::operator::{Operator, guarded};
use super::page::{Chrome, Tab, answer};
use super::problem::Problem;
use crate::interaction::context::Visit;
use crate::interaction::pages::{Frame, html};
use crate::lookups::{GrantFilter, Lookups, Part};

/// How many grants are shown.
const NEWEST: u32 = 8;

/// And how many incidents.
const LATEST: u32 = 5;

#[derive(Template)]
#[template(path = "console/overview.html", config = ".askama.toml")]
struct OverviewPage<'a> {
    frame: Frame<'a>,
    chrome: &'a Chrome,
    issuer: &'a str,
    version: &'static str,
    position: u64,
    models: &'a [Model],
    /// How far the slowest read model is behind.
    lag: u64,
    newest: &'a [Found],
    incidents: &'a [Incident],
}

/// A read model, and how far it has come.
struct Model {
    name: &'static str,
    position: u64,
    lag: u64,
}

#[tracing::instrument(name = "console.overview_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    guarded(&visit, async |operator| show(&visit, operator).await).await
}

async fn show(visit: &Visit, operator: &Operator) -> Result<HttpResponse, Problem> {
    let position = visit.store.last_position().await?;
    let checkpoints = visit.store.checkpoints().await?;
    let come = |name: &str| {
        let found = checkpoints.iter().find(|(own, _)| own == name);
        found.map_or(0, |(_, checkpoint)| checkpoint.position)
    };
    let models: Vec<_> = ALL
        .iter()
        .map(|projection| {
            let (name, own) = (projection.name(), come(projection.name()));
            Model { name, position: own, lag: position.saturating_sub(own) }
        })
        .collect();
    let lookups = Lookups::new(visit.store.clone());
    let newest = lookups.grants(&GrantFilter::default(), Part::last(NEWEST)).await?;
    let newest: Vec<_> = newest.rows.into_iter().map(Found::from).collect();
    let chrome = Chrome::of(visit, Some(operator), Tab::Overview);
    let html = html(&OverviewPage {
        frame: Chrome::frame(visit),
        chrome: &chrome,
        issuer: visit.issuer(),
        version: env!("CARGO_PKG_VERSION"),
        position,
        lag: models.iter().map(|model| model.lag).max().unwrap_or_default(),
        models: &models,
        newest: &newest,
        incidents: &incidents::latest(visit, LATEST).await?,
    });
    Ok(answer(visit, &chrome, StatusCode::OK, html))
}
