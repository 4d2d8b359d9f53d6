//! The authorization endpoint (RFC 6749 §3.1, RFC 9101 §5, RFC 9126 §4, OpenID
//! Connect Core §3.1.2).

use actix_web::{HttpResponse, web};
use chancery_domain::authorization::{Parameters, Rejection, RequestError, Via, check_request};
use chancery_domain::grant::{DeclineReason, GrantError};
use chancery_domain::secret::RequestUri;
use url::form_urlencoded;

use super::context::Visit;
use super::create_account;
use super::demands::{Next, next};
use super::error_page::Problem;
use super::login;
use super::pending::{Pending, Who};
use super::response::{Target, redirect};
use super::select_account;
use super::session::LiveSession;
use crate::client_auth::{AuthenticatedClient, known_client};
use crate::config::rate_limits::Limited;
use crate::handles::{Handle, is_request_uri};
use crate::http::request::form;
use crate::oauth_error::OAuthError;
use crate::policy::request_policy;
use crate::request_objects;
use crate::tally::What;

/// The longest URL that a browser is sent to: proxies commonly refuse beyond 8
/// KB of request head.
pub(super) const LONGEST_URL: usize = 6144;

#[tracing::instrument(name = "oauth.authorize", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let answer = authorize(&visit, visit.request.query_string().as_bytes()).await;
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

/// A form that another site posts comes without the session's cookie; the GET
/// that it is answered with brings it.
#[tracing::instrument(name = "oauth.authorize", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    if let Err(error) = form(&visit.request, &body) {
        return Problem::bad_form(error).answer(&visit);
    }
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form_urlencoded::parse(&body))
        .finish();
    let url = visit.config.server.issuer.endpoint(&format!("/authorize?{query}"));
    if url.len() <= LONGEST_URL {
        return redirect(url);
    }
    let answer = authorize(&visit, &body).await;
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn authorize(visit: &Visit, encoded: &[u8]) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(encoded);
    let client = client(visit, &parameters).await?;
    visit.admit(Limited::Authorization, &client.client_id, Some(visit.address.into()))?;
    if let Some(handle) = request_uri(&parameters, &client)? {
        return begin(visit, &Pending::pushed(visit, client, &handle).await?).await;
    }
    let via = Via::Authorize;
    let parameters = request_objects::assemble(visit, &client, parameters, via).await?;
    let pending = match check_request(&parameters, &client, request_policy(visit), via) {
        Ok(checked) => Pending::received(client, checked.request, checked.sealed),
        Err(rejection) => return reject(visit, &client, rejection).await,
    };
    begin(visit, &pending).await
}

async fn client(
    visit: &Visit,
    parameters: &Parameters<'_>,
) -> Result<AuthenticatedClient, Problem> {
    let client_id = parameters
        .once("client_id")
        .map_err(|_| Problem::bad_request(RequestError::TargetRepeated, None))?
        .ok_or_else(|| Problem::unknown_client(None))?;
    let client = known_client(visit, client_id).await?;
    client.ok_or_else(|| Problem::unknown_client(Some(client_id)))
}

/// The `request_uri`, if it is one of those that we give out. Beside it, nothing
/// but `client_id` counts.
fn request_uri(
    parameters: &Parameters<'_>,
    client: &AuthenticatedClient,
) -> Result<Option<Handle<RequestUri>>, Problem> {
    let repeated =
        |_| Problem::bad_request(RequestError::ParameterRepeated, Some(&client.client_id));
    let text = parameters.once("request_uri").map_err(repeated)?;
    let Some(text) = text.filter(|text| is_request_uri(text)) else { return Ok(None) };
    match Handle::from_request_uri(text) {
        Some(handle) => Ok(Some(handle)),
        None => Err(Problem::request_uri(GrantError::Unknown, &client.client_id)),
    }
}

/// RFC 6749 §4.1.2.1
async fn reject(
    visit: &Visit,
    client: &AuthenticatedClient,
    rejection: Rejection,
) -> Result<HttpResponse, Problem> {
    let (target, error) = match rejection {
        Rejection::ShowPage(error) => {
            return Err(Problem::bad_request(error, Some(&client.client_id)));
        }
        Rejection::Redirect(target, error) => (target, OAuthError::from(error)),
    };
    let word = error.code.as_str();
    visit.tallies.count(What::AuthorizationRequestRefused, word, Some(&client.client_id));
    let target_of_error = Target {
        services: visit,
        frame: visit.frame(&[]),
        client,
        redirect_uri: &target.redirect_uri,
        mode: target.response_mode,
        state: target.state.as_deref(),
        session_state: None,
    };
    Ok(target_of_error.error(&error).await?)
}

async fn begin(visit: &Visit, pending: &Pending) -> Result<HttpResponse, Problem> {
    if pending.acr(visit).is_err() {
        return pending.decline(visit, DeclineReason::AuthenticationUnmet, None).await;
    }
    let session = LiveSession::of(visit).await?;
    let current = session.as_ref().map(|session| &session.authentication);
    let said = match pending.ask_authorization(visit, current).await {
        Ok(said) => said,
        Err(refusal) => return pending.refuse(visit, refusal, None).await,
    };
    // Whom a hook wants to log in is nobody yet.
    let current = current.filter(|_| !said.require_login);
    let hint = pending.hint(visit, current.map(|current| current.subject));
    match next(&pending.request, &pending.client.metadata, hint, current, visit.now()) {
        Next::Decline(reason) => pending.decline(visit, reason, None).await,
        Next::Create if visit.config.accounts.self_registration => {
            count_begun(visit, pending, "create_account_page");
            create_account::go(visit, pending)
        }
        // It was pushed before that was switched off.
        Next::Create | Next::Login => {
            count_begun(visit, pending, "login_page");
            login::go(visit, pending)
        }
        Next::Select => {
            count_begun(visit, pending, "select_account_page");
            select_account::go(visit, pending).await
        }
        Next::Proceed => match session {
            Some(session) => pending.go_on(visit, &Who::Session(Box::new(session))).await,
            None => login::go(visit, pending),
        },
    }
}

/// Of a request that may never be heard of again, the log has a count.
fn count_begun(visit: &Visit, pending: &Pending, page: &'static str) {
    if pending.is_unrecorded() {
        let client_id = Some(&pending.client.client_id);
        visit.tallies.count(What::AuthorizationRequestAbandoned, page, client_id);
    }
}
