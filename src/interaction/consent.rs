//! The consent page.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};
use chancery_domain::authorization::Parameters;
use chancery_domain::digest::Sha256Digest;
use chancery_domain::grant::{DeclineReason, Presented, PresentedClaim, PresentedScope};
use chancery_domain::ids::ConsentId;
use chancery_domain::protocol::redirect_uri::RedirectUri;
use chancery_domain::protocol::scope::Scope;
use url::Url;

use super::context::Visit;
use super::csrf::Csrf;
use super::error_page::Problem;
use super::headers::popup_headers;
use super::login;
use super::pages::{ConsentPage, Frame, ScopeLine};
use super::pending::{Pending, Who};
use super::response::{client_name, form_action, page};
use super::session::LiveSession;
use super::texts::{Pick, Texts};
use crate::claims;
use crate::http::request::form;
use crate::oauth_error::OAuthError;
use crate::services::Services;

/// What the standard scopes allow (OpenID Connect Core §5.4, §11).
const STANDARD: &[(&str, Pick)] = &[
    (Scope::OPENID, |t| t.scope_openid),
    ("profile", |t| t.scope_profile),
    ("email", |t| t.scope_email),
    ("address", |t| t.scope_address),
    ("phone", |t| t.scope_phone),
    (Scope::OFFLINE_ACCESS, |t| t.scope_offline_access),
];

/// What the standard claims are (OpenID Connect Core §5.1).
const CLAIMS: &[(&str, Pick)] = &[
    ("name", |t| t.claim_name),
    ("given_name", |t| t.claim_given_name),
    ("family_name", |t| t.claim_family_name),
    ("middle_name", |t| t.claim_middle_name),
    ("nickname", |t| t.claim_nickname),
    ("preferred_username", |t| t.claim_preferred_username),
    ("profile", |t| t.claim_profile),
    ("picture", |t| t.claim_picture),
    ("website", |t| t.claim_website),
    ("gender", |t| t.claim_gender),
    ("birthdate", |t| t.claim_birthdate),
    ("zoneinfo", |t| t.claim_zoneinfo),
    ("locale", |t| t.claim_locale),
    ("updated_at", |t| t.claim_updated_at),
    ("email", |t| t.claim_email),
    ("email_verified", |t| t.claim_email_verified),
    ("phone_number", |t| t.claim_phone_number),
    ("phone_number_verified", |t| t.claim_phone_number_verified),
    ("address", |t| t.claim_address),
];

#[tracing::instrument(name = "interaction.consent_page", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    show(&visit).await.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn show(visit: &Visit) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(visit.request.query_string().as_bytes());
    let interaction = parameters.get("i").ok_or_else(Problem::lost_interaction)?;
    match Asked::of(visit, interaction).await? {
        Ok(asked) => Ok(asked.page(visit, StatusCode::OK)),
        Err(pending) => login::go(visit, &pending),
    }
}

#[tracing::instrument(name = "interaction.consent", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    let answer = match form(&visit.request, &body) {
        Ok(fields) => answer(&visit, &fields).await,
        Err(error) => Err(Problem::bad_form(error)),
    };
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn answer(visit: &Visit, fields: &Parameters<'_>) -> Result<HttpResponse, Problem> {
    let interaction = fields.get("interaction").ok_or_else(Problem::lost_interaction)?;
    let asked = match Asked::of(visit, interaction).await? {
        Ok(asked) => asked,
        Err(pending) => return login::go(visit, &pending),
    };
    let text = asked.text(visit).to_string();
    if !Csrf::of(visit).is_good(visit, &["consent", interaction, &text], fields.get("csrf")) {
        return Ok(asked.page(visit, StatusCode::BAD_REQUEST));
    }
    match fields.get("action") {
        Some("allow") => {
            let presented = asked.presented(visit);
            asked.pending.approve(visit, &asked.who, Some(presented)).await
        }
        Some("deny") => {
            asked.pending.decline(visit, DeclineReason::ConsentDenied, Some(&asked.who)).await
        }
        Some("switch") => login::go(visit, &asked.pending),
        _ => Ok(asked.page(visit, StatusCode::BAD_REQUEST)),
    }
}

/// What a person is asked.
struct Asked<'a> {
    pending: Pending,
    who: Who,
    name: String,
    interaction: &'a str,
    scopes: Vec<PresentedScope>,
    /// Those asked for by name that no scope brings.
    claims: Vec<PresentedClaim>,
    /// What was allowed before.
    allowed: Scope,
    allowed_claims: BTreeSet<String>,
}

impl<'a> Asked<'a> {
    /// For the person of the session that the interaction goes with; if that is not
    /// the browser's session any more, somebody has to log in.
    async fn of(visit: &Visit, interaction: &'a str) -> Result<Result<Self, Pending>, Problem> {
        let (pending, session_id) = Pending::carried(visit, interaction).await?;
        let session = LiveSession::of(visit).await?;
        let Some(session) = session.filter(|session| Some(session.id()) == session_id) else {
            return Ok(Err(pending));
        };
        let name = session.name(visit).await?;
        let consent = ConsentId::of(session.authentication.subject, &pending.client.client_id);
        let given = visit.consents.get(&consent.to_string()).await?;
        // The page's token goes with its text: should hooks narrow the scope further
        // before the answer comes, the person is asked again.
        let person = &session.authentication;
        let limits = pending.ask_limits(visit, person, given.state.scope()).await;
        let pending = pending.within(&limits.map_err(OAuthError::from)?);
        let frame = pending.frame(visit);
        let scopes = pending
            .scope()
            .iter()
            .map(|name| PresentedScope {
                name: name.to_owned(),
                description: description(visit, frame.t, name),
            })
            .collect();
        let claims = claims::beyond(visit, pending.scope(), &pending.claims(visit));
        let claims = claims
            .into_iter()
            .map(|name| PresentedClaim { description: claim_description(frame.t, &name), name })
            .collect();
        let allowed = given.state.scope().cloned().unwrap_or_default();
        let allowed_claims = given.state.claims().cloned().unwrap_or_default();
        let who = Who::Session(Box::new(session));
        Ok(Ok(Self { pending, who, name, interaction, scopes, claims, allowed, allowed_claims }))
    }

    fn page(&self, visit: &Visit, status: StatusCode) -> HttpResponse {
        let csrf = Csrf::of(visit);
        // The token goes with the text: should the text change before the answer
        // comes, the answer would not be to what was asked.
        let text = self.text(visit).to_string();
        let token = csrf.token(visit, &["consent", self.interaction, &text]);
        let html = self.html(self.pending.frame(visit), &self.name, self.interaction, &token);
        let leads_to = form_action(&self.pending.request.redirect_uri);
        let mut answer = page(status, html, &popup_headers(leads_to.as_deref()));
        csrf.give(visit, &mut answer);
        answer
    }

    fn html(&self, frame: Frame<'_>, subject_name: &str, interaction: &str, csrf: &str) -> String {
        let lines: Vec<_> = self
            .scopes
            .iter()
            .map(|scope| ScopeLine {
                name: &scope.name,
                description: &scope.description,
                new: !self.allowed.contains(&scope.name),
            })
            .collect();
        let claims: Vec<_> = self
            .claims
            .iter()
            .map(|claim| ScopeLine {
                name: &claim.name,
                description: &claim.description,
                new: !self.allowed_claims.contains(&claim.name),
            })
            .collect();
        ConsentPage {
            frame,
            client_name: client_name(&self.pending.client, frame.t.lang),
            returns_to: returns_to(&self.pending.request.redirect_uri).as_deref(),
            subject_name,
            scopes: &lines,
            claims: &claims,
            interaction,
            csrf,
        }
        .render()
    }

    /// The digest of the page without what is the person's or the browser's own:
    /// the log holds nothing personal, not even a digest of it.
    fn text(&self, visit: &Visit) -> Sha256Digest {
        let html = self.html(self.pending.frame(visit), "", "", "");
        digest(&SHA256, html.as_bytes()).as_ref().try_into().unwrap_or_default()
    }

    fn presented(&self, visit: &Visit) -> Presented {
        let (scopes, claims) = (self.scopes.clone(), self.claims.clone());
        let locale = self.pending.frame(visit).t.lang.to_owned();
        Presented { locale, text: self.text(visit), scopes, claims }
    }
}

/// What a scope allows, in the operator's words if they have any.
pub(super) fn description(services: &Services, t: &'static Texts, name: &str) -> String {
    if let Some(own) = claims::scopes(services).description(name, t.lang) {
        return capitalised(own);
    }
    let standard = STANDARD.iter().find(|(own, _)| *own == name);
    standard.map_or(name, |(_, text)| text(t)).to_owned()
}

/// What a claim tells that is asked for by name.
pub(super) fn claim_description(t: &'static Texts, name: &str) -> String {
    let standard = CLAIMS.iter().find(|(own, _)| *own == name);
    format!("{} {}", t.read_about_you, standard.map_or(name, |(_, text)| text(t)))
}

/// In the middle of a sentence for the operator, at the start of a line here.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        None => String::new(),
        Some(first) => first.to_uppercase().chain(letters).collect(),
    }
}

/// The host that a browser returns to, or the scheme of an app.
fn returns_to(redirect_uri: &RedirectUri) -> Option<String> {
    let url = Url::parse(redirect_uri.as_str()).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return Some(format!("{}:", url.scheme()));
    }
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_where_they_return_to() {
        for (uri, place) in [
            ("https://rp.example/cb", "rp.example"),
            ("http://127.0.0.1:4000/cb", "127.0.0.1:4000"),
            ("com.example.app:/cb", "com.example.app:"),
        ] {
            assert_eq!(returns_to(&RedirectUri::parse(uri).unwrap()).as_deref(), Some(place));
        }
    }

    #[test]
    fn an_operator_s_phrase_starts_a_line() {
        assert_eq!(capitalised("see your accounts"), "See your accounts");
        assert_eq!(capitalised("über uns"), "Über uns");
        assert_eq!(capitalised(""), "");
    }
}
