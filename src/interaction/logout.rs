//! The logout page: ends the session of this browser, because the person wants
//! to or because a client asks for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use chancery_domain::authorization::Parameters;
use chancery_domain::client::RegisteredClient;
use chancery_domain::ids::SessionId;
use chancery_domain::session::{SessionCommand, SessionEndCause};

use super::context::Visit;
use super::cookies::Kind;
use super::csrf::Csrf;
use super::end_session::Wish;
use super::error_page::Problem;
use super::headers::{frame_page_headers, security_headers};
use super::pages::{LoggedOutPage, LogoutPage, Onward};
use super::response::{client_name, page, redirect};
use super::session::LiveSession;
use super::session_state::note_logout;
use crate::http::request::form;
use crate::logout::frontchannel::{self, Frame};
use crate::lookups::{GrantFilter, Lookups, Part};
use crate::oauth_error::OAuthError;
use crate::subjects::session_for;

/// The most frames that one page loads: a person has few applications in one session.
const MOST_FRAMES: usize = 50;
/// How many rows are read at once.
const PAGE: u32 = 200;

#[tracing::instrument(name = "interaction.logout_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let answer = match LiveSession::of(&visit).await {
        Ok(Some(session)) => ask(&visit, &session, None, StatusCode::OK).await,
        Ok(None) => logged_out(&visit, &Wish::default(), None).await,
        Err(error) => Err(error.into()),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

#[tracing::instrument(name = "interaction.logout", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match form(&visit.request, &body) {
        Ok(fields) => log_out(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn log_out(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let wish = match fields.get("interaction") {
        Some(text) => Wish::open(visit, text).ok_or_else(Problem::lost_interaction)?,
        None => Wish::default(),
    };
    let Some(session) = LiveSession::of(visit).await? else {
        return logged_out(visit, &wish, None).await;
    };
    let id = session.id();
    if !Csrf::of(visit).is_good(visit, &["logout", &id.to_string()], fields.get("csrf")) {
        return ask(visit, &session, Some(&wish), StatusCode::BAD_REQUEST).await;
    }
    match fields.get("action") {
        Some("logout") => {}
        // There is nowhere to go back to: the page says who is signed in.
        Some("cancel") => return Ok(redirect(visit.config.server.issuer.endpoint("/logout"))),
        _ => return ask(visit, &session, Some(&wish), StatusCode::BAD_REQUEST).await,
    }
    let client = wish.client(visit).await?;
    end(visit, &session, client.as_deref()).await?;
    logged_out(visit, &wish, Some(id)).await
}

/// Ends the session; on behalf of this client, if one asks for it.
pub(super) async fn end(
    visit: &Visit,
    session: &LiveSession,
    client: Option<&RegisteredClient>,
) -> Result<(), OAuthError> {
    let subject = session.authentication.subject;
    let mut origin = visit.origin(None, client.map(|client| &client.client_id));
    origin.actor.reference = Some(subject.to_string());
    origin.subject = Some(subject);
    origin.session_id = Some(session.id());
    let end = SessionCommand::End { cause: SessionEndCause::LoggedOut, now: visit.now() };
    visit.sessions.execute(&session.id().to_string(), vec![end], visit.work(origin)?).await?;
    Ok(())
}

/// Asks whether to end the session.
pub(super) async fn ask(
    visit: &Visit,
    session: &LiveSession,
    wish: Option<&Wish>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let csrf = Csrf::of(visit);
    let name = session.name(visit).await?;
    let wish = wish.filter(|wish| **wish != Wish::default());
    let (mut client, mut interaction) = (None, None);
    if let Some(wish) = wish {
        client = wish.client(visit).await?;
        interaction = Some(wish.seal(visit)?);
    }
    let html = LogoutPage {
        frame: visit.frame(&[]),
        client_name: client.as_deref().map(|client| client_name(client, visit.frame(&[]).t.lang)),
        subject_name: Some(&name),
        interaction: interaction.as_deref(),
        csrf: &csrf.token(visit, &["logout", &session.id().to_string()]),
    }
    .render();
    // The answer to the form may lead to the client.
    let onward = wish.and_then(super::end_session::Wish::source);
    let mut answer = page(status, html, &security_headers(onward.as_deref()));
    csrf.give(visit, &mut answer);
    Ok(answer)
}

/// Says that nobody is logged in here any more, or goes on to where the client wants. `ended`
/// is the session that has just ended: its clients are told.
pub(super) async fn logged_out(
    visit: &Visit,
    wish: &Wish,
    ended: Option<SessionId>,
) -> Result<HttpResponse, Problem> {
    let client = wish.client(visit).await?;
    let onward = wish.onward(client.as_ref(), visit.frame(&[]).t.lang);
    let frames = match ended {
        Some(session) => frames(visit, session).await,
        None => vec![],
    };
    let mut answer = match onward {
        Some((url, _)) if frames.is_empty() => redirect(url.to_owned()),
        _ => {
            let headers = frame_page_headers(frames.iter().map(|frame| frame.source.as_str()));
            let urls: Vec<String> = frames.iter().map(|frame| frame.url.clone()).collect();
            let onward = onward.map(|(url, client_name)| Onward { url, client_name });
            page(
                StatusCode::OK,
                LoggedOutPage { frame: visit.frame(&[]), frames: &urls, onward }.render(),
                &headers,
            )
        }
    };
    if visit.cookie(Kind::Session).is_some() {
        // Fails only for a cookie that is no header value; this one is empty.
        let _ = answer.add_cookie(&Kind::Session.clear(visit.is_secure()));
    }
    note_logout(visit, &mut answer);
    Ok(answer)
}

/// The pages of the session's clients that end their own sessions. The person is logged out
/// here whatever becomes of this: what can't be looked up is left out.
async fn frames(visit: &Visit, session: SessionId) -> Vec<Frame> {
    let clients = match clients_of(visit, session).await {
        Ok(clients) => clients,
        Err(error) => {
            tracing::warn!(%error, "clients could not be told of a logout: {error}");
            return vec![];
        }
    };
    let mut frames = Vec::new();
    for client in clients {
        let Ok(client) = visit.clients.get(&client).await else { continue };
        let Some(client) = client.state.registered() else { continue };
        let sid = session_for(&visit.keys.get(), client, session);
        frames.extend(frontchannel::frame(client, visit.issuer(), &sid));
    }
    frames.truncate(MOST_FRAMES);
    frames
}

async fn clients_of(visit: &Visit, session: SessionId) -> Result<BTreeSet<String>, OAuthError> {
    let lookups = Lookups::new(Arc::clone(&visit.store));
    let filter = GrantFilter { session_id: Some(session), ..GrantFilter::default() };
    let mut part = Part::first(PAGE);
    let mut clients = BTreeSet::new();
    loop {
        let page = lookups.grants(&filter, part.clone()).await?;
        let given = page.rows.into_iter().filter(|grant| grant.consented_position.is_some());
        clients.extend(given.map(|grant| grant.client_id.to_string()));
        part.after = page.next;
        if part.after.is_none() {
            return Ok(clients);
        }
    }
}
