//! `/account/applications`: what the person allowed, to whom, and taking it
//! back.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chancery_domain::authorization::Parameters;
use chancery_domain::consent::ConsentCommand;
use chancery_domain::grant::{GrantCommand, RevocationCause, Revoke};
use chancery_domain::ids::{ClientId, ConsentId};
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::UnixTime;

use super::{
    Csrf, Frame, Owner, Problem, Tab, Visit, done, login, moment, posted, request, show, tabs,
    was_done,
};
use crate::actors::grant::GrantFailure;
use crate::interaction::consent::{claim_description, description};
use crate::interaction::pages::html;
use crate::interaction::response::client_name;
use crate::lookups::{GrantFilter, Lookups, Part};

/// How many rows are read at once, and how often.
const PAGE: u32 = 500;
const MOST_PAGES: usize = 20;

/// Each form has `csrf` and `client` (an id).
#[derive(Template)]
#[template(path = "account/applications.html", config = ".askama.toml")]
struct ApplicationsPage<'a> {
    frame: Frame<'a>,
    tabs: &'a [Tab],
    csrf: &'a str,
    done: bool,
    error: Option<&'a str>,
    applications: &'a [Line],
}

struct Line {
    client_id: String,
    name: String,
    scopes: Vec<String>,
    since: String,
    last_used: Option<String>,
}

#[tracing::instrument(name = "account.applications_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let answer = match Owner::of(&visit).await {
        Ok(Some(owner)) => page(&visit, &owner, StatusCode::OK, None).await,
        Ok(None) => Ok(login::go_for(&visit, "applications")),
        Err(problem) => Err(problem),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

#[tracing::instrument(name = "account.revoke", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    posted!(visit, body, "applications", revoke)
}

async fn revoke(
    visit: &Visit,
    owner: &Owner,
    fields: &Parameters<'_>,
) -> Result<HttpResponse, Problem> {
    if !owner.is_good(visit, "applications", fields) {
        let error = visit.frame(&[]).t.expired;
        return page(visit, owner, StatusCode::BAD_REQUEST, Some(error)).await;
    }
    let Some(client_id) = fields.get("client").and_then(|id| ClientId::parse(id).ok()) else {
        return Ok(done(visit, "applications"));
    };
    let subject = owner.session.authentication.subject;
    let consent = ConsentId::of(subject, &client_id).to_string();
    let withdraw = ConsentCommand::Withdraw { now: visit.now() };
    visit.consents.execute(&consent, vec![withdraw], visit.work(owner.origin(visit))?).await?;
    // The cascade would end the grants too, but not before this is answered; and
    // a client that needs no consent has grants without one.
    let filter = GrantFilter {
        subject: Some(subject),
        client_id: Some(client_id.clone()),
        ..GrantFilter::default()
    };
    let lookups = Lookups::new(Arc::clone(&visit.store));
    let mut part = Part::first(PAGE);
    loop {
        let found = lookups.grants(&filter, part.clone()).await?;
        for grant in found.rows.iter().filter(|grant| grant.is_live()) {
            let mut origin = owner.origin(visit);
            origin.correlation_id = Some(grant.grant_id.to_string());
            origin.client_id = Some(client_id.clone());
            let cause = RevocationCause::ConsentWithdrawn;
            let command = GrantCommand::Revoke(Revoke { cause, now: visit.now() });
            let work = visit.work(origin)?;
            match visit.grants.execute(grant.grant_id, vec![command], work).await {
                Ok(_) | Err(GrantFailure::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        part.after = found.next;
        if part.after.is_none() {
            return Ok(done(visit, "applications"));
        }
    }
}

async fn page(
    visit: &Visit,
    owner: &Owner,
    status: StatusCode,
    error: Option<&str>,
) -> Result<HttpResponse, Problem> {
    let (frame, csrf) = (visit.frame(&[]), Csrf::of(visit));
    let applications = lines(visit, owner).await?;
    let html = html(&ApplicationsPage {
        frame,
        tabs: &tabs(frame, "applications"),
        csrf: &owner.token(visit, &csrf, "applications"),
        done: error.is_none() && was_done(visit),
        error,
        applications: &applications,
    });
    Ok(show(visit, &csrf, status, html))
}

/// What one client has.
struct Access {
    scope: Scope,
    since: UnixTime,
    last_used: Option<UnixTime>,
}

impl Access {
    fn and(&self, other: &Self) -> Self {
        Self {
            scope: self.scope.union(&other.scope),
            since: self.since.min(other.since),
            last_used: self.last_used.max(other.last_used),
        }
    }
}

async fn lines(visit: &Visit, owner: &Owner) -> Result<Vec<Line>, Problem> {
    let subject = owner.session.authentication.subject;
    let lookups = Lookups::new(Arc::clone(&visit.store));
    let mut found = BTreeMap::<ClientId, Access>::new();
    let mut add = |client_id: &ClientId, access: Access| {
        let before = found.remove(client_id);
        let all = match before {
            Some(before) => before.and(&access),
            None => access,
        };
        found.insert(client_id.clone(), all);
    };
    let mut part = Part::last(PAGE);
    for _ in 0..MOST_PAGES {
        let consents = lookups.consents(subject, part.clone()).await?;
        for consent in consents.rows.into_iter().filter(|consent| consent.state == "given") {
            let since = consent.updated_at;
            add(&consent.client_id, Access { scope: consent.scope, since, last_used: None });
        }
        part.after = consents.next;
        if part.after.is_none() {
            break;
        }
    }
    let filter = GrantFilter { subject: Some(subject), ..GrantFilter::default() };
    let mut part = Part::last(PAGE);
    for _ in 0..MOST_PAGES {
        let grants = lookups.grants(&filter, part.clone()).await?;
        for grant in grants.rows {
            let over = grant.expires_at.is_none_or(|end| end <= visit.now());
            if grant.is_live() && grant.consented_position.is_some() && !over {
                let (since, last_used) = (grant.created_at, Some(grant.updated_at));
                add(&grant.client_id, Access { scope: grant.scope, since, last_used });
            }
        }
        part.after = grants.next;
        if part.after.is_none() {
            break;
        }
    }
    let t = visit.frame(&[]).t;
    let mut lines = Vec::with_capacity(found.len());
    for (client_id, access) in found {
        let client = visit.clients.get(client_id.as_str()).await?;
        let name = client.state.registered().map(|client| client_name(client, t.lang).to_owned());
        let consent = ConsentId::of(subject, &client_id).to_string();
        let consent = visit.consents.get(&consent).await?;
        let claims = consent.state.claims().into_iter().flatten();
        let scopes = access.scope.iter().map(|scope| description(visit, t, scope));
        let scopes = scopes.chain(claims.map(|name| claim_description(t, name)));
        lines.push(Line {
            name: name.unwrap_or_else(|| client_id.to_string()),
            client_id: client_id.to_string(),
            scopes: scopes.collect(),
            since: moment(access.since),
            last_used: access.last_used.map(moment),
        });
    }
    Ok(lines)
}
