//! `GET /events/figures`: the figures of a period, of all clients or of one.

use actix_web::http::Method;
use chancery_domain::ids::ClientId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::query::Reader;
use crate::audit::{Records, Stated};
use crate::events::figures::{Asked, Figures, Latest, figures};
use crate::http::api::endpoint::{Call, Endpoint, NoBody};
use crate::http::api::problem::Problem;

pub fn endpoints() -> Vec<Endpoint> {
    let summary = "How far grants get and how long each step takes, what is refused, how long \
                   grants live, and what is left of them when they are revoked";
    vec![Endpoint::new(Method::GET, "/figures", ("get_figures", summary), answer)]
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    /// A period that ends now; not looked at where `from` or `to` is given.
    #[serde(default)]
    period: Latest,
    /// From this day on (UTC).
    #[serde(default)]
    #[schemars(extend("format" = "date"))]
    from: Option<String>,
    /// Up to this day, all of it (UTC).
    #[serde(default)]
    #[schemars(extend("format" = "date"))]
    to: Option<String>,
    /// Of this client only.
    client_id: Option<ClientId>,
}

async fn answer(call: Call<Question, NoBody>) -> Result<Stated<Figures>, Problem> {
    // Sums are of all events.
    Reader::calling(&call)?.sees_others()?;
    let (now, question) = (call.services.now(), call.parameters);
    let asked = match (&question.from, &question.to) {
        (None, None) => Asked::latest(question.period, now, question.client_id),
        (from, to) => {
            let text = |day: &Option<String>| day.clone().unwrap_or_default();
            Asked::days((&text(from), &text(to)), now, question.client_id)
                .map_err(Problem::bad_request)?
        }
    };
    Ok(figures(&Records::of(&call.services.store), &asked).await?)
}
