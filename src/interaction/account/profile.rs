//! `/account/profile`: what the person lets be known of them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::authorization::Parameters;
use serde_json::{Map, Value};

use super::claims::{CLAIMS, Claim};
use super::{
    Csrf, Frame, Owner, Problem, Tab, Visit, done, login, posted, request, show, status_of, tabs,
    was_done,
};
use crate::accounts;
use crate::interaction::pages::html;

/// Fields of the form: `csrf`, each claim by its name (a part of the address
/// as `address.locality`), and `password` where it is asked for.
#[derive(Template)]
#[template(path = "account/profile.html", config = ".askama.toml")]
#[expect(clippy::struct_excessive_bools, reason = "each shows a part of the page")]
struct ProfilePage<'a> {
    frame: Frame<'a>,
    tabs: &'a [Tab],
    csrf: &'a str,
    confirm_csrf: &'a str,
    done: bool,
    error: Option<&'a str>,
    password_error: Option<&'a str>,
    asks_password: bool,
    fields: &'a [Field<'a>],
    /// Is there an address, not confirmed, that a link can be sent to?
    can_confirm: bool,
    confirmed: bool,
}

struct Field<'a> {
    claim: &'a Claim,
    id: String,
    value: &'a str,
    complaint: Option<&'static str>,
}

/// What is wrong with what was sent.
#[derive(Default)]
struct Complaints<'a> {
    status: Option<StatusCode>,
    error: Option<&'a str>,
    password: Option<&'a str>,
}

#[tracing::instrument(name = "account.profile_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let answer = match Owner::of(&visit).await {
        Ok(Some(owner)) => Ok(page(&visit, &owner, None, &Complaints::default())),
        Ok(None) => Ok(login::go_for(&visit, "profile")),
        Err(problem) => Err(problem),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

#[tracing::instrument(name = "account.profile", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    posted!(visit, body, "profile", save)
}

async fn save(
    visit: &Visit,
    owner: &Owner,
    fields: &Parameters<'_>,
) -> Result<HttpResponse, Problem> {
    let t = visit.frame(&[]).t;
    let complaints = Complaints { error: Some(t.expired), ..Complaints::default() };
    if !owner.is_good(visit, "profile", fields) {
        return Ok(page(visit, owner, Some(fields), &complaints));
    }
    let mut changes = Map::new();
    for claim in editable(visit) {
        let value = fields.get(claim.field).unwrap_or_default().trim();
        if claim.complaint(value, &owner.profile.claims, t).is_some() {
            let complaints = Complaints { error: Some(t.check_fields), ..Complaints::default() };
            return Ok(page(visit, owner, Some(fields), &complaints));
        }
        claim.change(value, &owner.profile.claims, &mut changes);
    }
    if changes.is_empty() {
        return Ok(done(visit, "profile"));
    }
    if !owner.is_recent(visit) {
        let password = fields.get("password").unwrap_or_default();
        if let Err(failure) = owner.confirm(visit, password).await {
            let complaints = Complaints {
                status: Some(status_of(failure)),
                password: Some(&failure.message(t)),
                ..Complaints::default()
            };
            return Ok(page(visit, owner, Some(fields), &complaints));
        }
    }
    // OpenID Connect Core §5.1: when the information was last updated.
    changes.insert("updated_at".to_owned(), visit.now().seconds().into());
    let subject = owner.session.authentication.subject;
    let work = visit.work(owner.origin(visit))?;
    accounts::change_claims(visit, subject, &changes, &work).await?;
    Ok(done(visit, "profile"))
}

fn editable(visit: &Visit) -> impl Iterator<Item = &'static Claim> {
    CLAIMS.iter().filter(|claim| claim.is_among(&visit.config.accounts.editable_claims))
}

/// With what was sent, if something was.
fn page(
    visit: &Visit,
    owner: &Owner,
    sent: Option<&Parameters<'_>>,
    complaints: &Complaints<'_>,
) -> HttpResponse {
    let (frame, csrf) = (visit.frame(&[]), Csrf::of(visit));
    let claims = &owner.profile.claims;
    let fields: Vec<_> = editable(visit)
        .map(|claim| {
            let value = sent.map_or_else(
                || claim.value(claims),
                |sent| sent.get(claim.field).unwrap_or_default(),
            );
            let complaint = sent.and_then(|_| claim.complaint(value.trim(), claims, frame.t));
            Field { claim, id: claim.id(), value, complaint }
        })
        .collect();
    let confirmed = claims.get("email_verified") == Some(&Value::Bool(true));
    let has_email = claims.get("email").and_then(Value::as_str).is_some();
    let wrong = complaints.error.or(complaints.password).is_some();
    let html = html(&ProfilePage {
        frame,
        tabs: &tabs(frame, "profile"),
        csrf: &owner.token(visit, &csrf, "profile"),
        confirm_csrf: &owner.token(visit, &csrf, "confirm-email"),
        done: !wrong && was_done(visit),
        error: complaints.error,
        password_error: complaints.password,
        asks_password: !owner.is_recent(visit),
        fields: &fields,
        can_confirm: has_email && !confirmed && visit.mail.is_there(),
        confirmed: has_email && confirmed,
    });
    let status = match (complaints.status, wrong) {
        (Some(status), _) => status,
        (None, true) => StatusCode::BAD_REQUEST,
        (None, false) => StatusCode::OK,
    };
    show(visit, &csrf, status, html)
}
