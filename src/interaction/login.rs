//! The login page.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};
use chancery_domain::account::RegisteredAccount;
use chancery_domain::authorization::Parameters;
use chancery_domain::grant::DeclineReason;
use chancery_domain::ids::{ClientId, SubjectId};

use super::authorize::LONGEST_URL;
use super::context::Visit;
use super::cookies::Kind;
use super::csrf::Csrf;
use super::device::Device;
use super::error_page::Problem;
use super::headers::security_headers;
use super::pages::{LoginError, LoginPage};
use super::pending::{Pending, Who};
use super::response::{client_name, form_action, page, redirect};
use super::session::{LiveSession, Login};
use super::throttle::{Attempt, Network, Wait};
use crate::accounts;
use crate::http::request::form;
use crate::oauth_error::OAuthError;
use crate::passwords::{Password, PasswordError};
use crate::services::Services;
use crate::tally::What;

/// Sends a browser to the login page; shows it at once where the URL would be
/// too long.
pub fn go(visit: &Visit, pending: &Pending) -> Result<HttpResponse, Problem> {
    let interaction = pending.for_login(visit)?;
    let url = visit.config.server.issuer.endpoint(&format!("/login?i={interaction}"));
    if url.len() <= LONGEST_URL {
        return Ok(redirect(url));
    }
    let username = pending.sealed.login_hint.as_deref().unwrap_or_default();
    Ok(Shown { pending, interaction: &interaction, username }.page(visit, None))
}

#[tracing::instrument(name = "interaction.login_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    show(&visit).await.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn show(visit: &Visit) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let interaction = parameters.get("i").ok_or_else(Problem::lost_interaction)?;
    let (pending, _) = Pending::carried(visit, interaction).await?;
    let username = pending.sealed.login_hint.as_deref().unwrap_or_default();
    Ok(Shown { pending: &pending, interaction, username }.page(visit, None))
}

#[tracing::instrument(name = "interaction.login", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match form(&visit.request, &body) {
        Ok(fields) => log_in(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn log_in(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let interaction = fields.get("interaction").ok_or_else(Problem::lost_interaction)?;
    let (pending, _) = Pending::carried(visit, interaction).await?;
    let username = fields.get("username").unwrap_or_default();
    let shown = Shown { pending: &pending, interaction, username };
    if !Csrf::of(visit).is_good(visit, &["login", interaction], fields.get("csrf")) {
        return Ok(shown.page(visit, Some(LoginError::Expired)));
    }
    if fields.get("action") == Some("cancel") {
        return pending.decline(visit, DeclineReason::LoginCancelled, None).await;
    }
    let attempt = Attempt {
        account: accounts::name_digest(&visit.keys.get().names, username),
        network: Network::from(visit.address),
        device: None,
    };
    let device = Device::of(visit);
    let attempt = Attempt { device: device.known_for(&attempt.account), ..attempt };
    let password = Password::new(fields.get("password").unwrap_or_default());
    let subject = match judge(visit, &attempt, username, &password).await {
        Ok(subject) => subject,
        Err(failure) => {
            failure.count(visit, &pending.client.client_id);
            return Ok(shown.page(visit, Some(failure.error())));
        }
    };
    let current = LiveSession::of(visit).await?;
    let login = Login::new(visit, subject, current.as_ref());
    let mut answer = pending.go_on(visit, &Who::Login(Box::new(login))).await?;
    let cookie = device.with(&attempt.account).seal(visit)?;
    // Fails only for a cookie that is no header value; ours are base64url.
    let _ = answer.add_cookie(&Kind::Device.set(visit.is_secure(), cookie));
    Ok(answer)
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    UnknownAccount,
    Locked,
    WrongPassword,
    SlowedDown(Wait),
    /// Passwords can't be checked at the moment.
    Unavailable,
}

impl Failure {
    const fn error(self) -> LoginError {
        match self {
            Self::UnknownAccount | Self::Locked | Self::WrongPassword => {
                LoginError::WrongCredentials
            }
            Self::SlowedDown(Wait(wait)) => LoginError::SlowDown { seconds: wait.seconds() },
            Self::Unavailable => LoginError::Unavailable,
        }
    }

    fn count(self, services: &Services, client_id: &ClientId) {
        let word = match self {
            Self::UnknownAccount => "unknown_account",
            Self::Locked => "account_locked",
            Self::WrongPassword => "wrong_password",
            Self::SlowedDown(_) => "slowed_down",
            Self::Unavailable => "unavailable",
        };
        services.tallies.count(What::LoginFailed, word, Some(client_id));
    }
}

/// Is this the account's password? An attempt too many is not even looked at.
async fn judge(
    services: &Services,
    attempt: &Attempt,
    username: &str,
    password: &Password,
) -> Result<SubjectId, Failure> {
    services.throttle.admit(attempt, services.now()).map_err(Failure::SlowedDown)?;
    let judged = verify(services, username, password).await;
    match &judged {
        Ok(_) => services.throttle.succeeded(attempt),
        Err(Failure::Unavailable) => services.throttle.not_judged(attempt),
        Err(_) => {}
    }
    judged
}

/// Takes as long for a name that nobody has as for one that somebody has.
async fn verify(
    services: &Services,
    username: &str,
    password: &Password,
) -> Result<SubjectId, Failure> {
    let folded = accounts::find_by_name(services, username).await.map_err(unavailable)?;
    let account: Option<&RegisteredAccount> =
        folded.as_ref().and_then(|folded| folded.state.registered());
    let hash = match account {
        None => None,
        Some(account) => {
            accounts::password_hash(&services.vault, account).await.map_err(unavailable)?
        }
    };
    let right = match &hash {
        Some(hash) => services.passwords.verify(password, hash).await,
        None => services.passwords.verify_nobodys(password).await,
    };
    let right = match right {
        Ok(right) => right,
        Err(PasswordError::TooLong) => false,
        Err(error) => return Err(unavailable(error)),
    };
    match account {
        None => Err(Failure::UnknownAccount),
        Some(_) if !right => Err(Failure::WrongPassword),
        Some(account) if account.locked.is_some() => Err(Failure::Locked),
        Some(account) => Ok(account.subject),
    }
}

/// The log says why.
fn unavailable(error: impl Into<OAuthError>) -> Failure {
    let _ = error.into();
    Failure::Unavailable
}

/// The login page for a request.
struct Shown<'a> {
    pending: &'a Pending,
    interaction: &'a str,
    username: &'a str,
}

impl Shown<'_> {
    fn page(&self, visit: &Visit, error: Option<LoginError>) -> HttpResponse {
        let csrf = Csrf::of(visit);
        let html = LoginPage {
            client_name: client_name(&self.pending.client),
            client_uri: self.pending.client.metadata.client_uri.as_deref(),
            interaction: self.interaction,
            csrf: &csrf.token(visit, &["login", self.interaction]),
            username: self.username,
            error,
        }
        .render();
        let status = match error {
            None => StatusCode::OK,
            Some(LoginError::WrongCredentials | LoginError::Expired) => StatusCode::BAD_REQUEST,
            Some(LoginError::SlowDown { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Some(LoginError::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let leads_to = form_action(&self.pending.request.redirect_uri);
        let mut answer = page(status, html, &security_headers(leads_to.as_deref()));
        if let Some(LoginError::SlowDown { seconds }) = error {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        csrf.give(visit, &mut answer);
        answer
    }
}
