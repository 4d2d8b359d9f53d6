//! The end session endpoint: a relying party asks to log the person out
//! (OpenID Connect RP-Initiated Logout 1.0 §2).
//!
//! An ID token of the session that is to end shows that the relying party is one
//! of it: the session ends at once. Without one, or with that of another
//! session, the person is asked first (§6: anybody can make a browser come
//! here). The browser goes on only to a URI that the client registered (§3).

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use chancery_domain::authorization::Parameters;
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::authorize::LONGEST_URL;
use super::context::Visit;
use super::error_page::Problem;
use super::handle::LIFETIME;
use super::headers::form_action_source;
use super::logout::{ask, end, logged_out};
use super::response::{client_name, redirect};
use super::session::LiveSession;
use crate::client_auth::{AuthenticatedClient, known_client};
use crate::http::request::form;
use crate::oauth_error::OAuthError;
use crate::subjects::session_for;
use crate::tokens::Audience;
use crate::tokens::hint::IdTokenHint;

const CONTEXT: &str = "logout";

/// Who asks for a logout, and where the browser goes afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    client_id: Option<String>,
    /// With the `state`.
    onward: Option<String>,
}

impl Wish {
    /// The text that the form of the confirmation carries.
    pub fn seal(&self, visit: &Visit) -> Result<String, OAuthError> {
        let until = visit.now() + LIFETIME;
        Ok(visit.keys.get().interactions.seal(CONTEXT, until, self, &*visit.entropy)?)
    }

    /// Reads what the form brought back.
    #[must_use]
    pub fn open(visit: &Visit, text: &str) -> Option<Self> {
        visit.keys.get().interactions.open(CONTEXT, text, visit.now()).ok()
    }

    /// The client that asks, if it is still there.
    pub async fn client(&self, visit: &Visit) -> Result<Option<AuthenticatedClient>, OAuthError> {
        match &self.client_id {
            Some(client_id) => known_client(visit, client_id).await,
            None => Ok(None),
        }
    }

    /// What the form of the confirmation may lead to.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        Url::parse(self.onward.as_deref()?).ok().as_ref().map(form_action_source)
    }

    /// Where the browser goes afterwards, with the client that this is a URI of.
    #[must_use]
    pub fn onward<'a>(
        &'a self,
        client: Option<&'a AuthenticatedClient>,
        locale: &str,
    ) -> Option<(&'a str, &'a str)> {
        Some((self.onward.as_deref()?, client_name(client?, locale)))
    }
}

/// What an ID token of ours says that matters here. It may have expired (§2).
#[derive(Deserialize)]
struct HintClaims {
    iss: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    sid: Option<String>,
}

impl HintClaims {
    fn client(&self) -> Option<&str> {
        self.aud.client(self.azp.as_deref())
    }
}

#[tracing::instrument(name = "oidc.end_session", skip_all)]
pub async fn get(visit: Visit) -> HttpResponse {
    let answer = end_session(&visit, visit.request.query_string().as_bytes()).await;
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

/// A form that another site posts comes without the session's cookie; the GET that it is
/// answered with brings it.
#[tracing::instrument(name = "oidc.end_session", skip_all)]
pub async fn post(visit: Visit, body: web::Bytes) -> HttpResponse {
    if let Err(error) = form(&visit.request, &body) {
        return Problem::bad_form(error).answer(&visit);
    }
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form_urlencoded::parse(&body))
        .finish();
    let url = visit.config.server.issuer.endpoint(&format!("/end_session?{query}"));
    if url.len() <= LONGEST_URL {
        return redirect(url);
    }
    let answer = end_session(&visit, &body).await;
    answer.unwrap_or_else(|problem| problem.answer(&visit))
}

async fn end_session(visit: &Visit, encoded: &[u8]) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::parse(encoded);
    let once = |name| {
        let repeated = |_| Problem::bad_logout("a parameter is given more than once", None);
        parameters.once(name).map_err(repeated)
    };
    let hint = match once("id_token_hint")? {
        Some(text) => Some(read_hint(visit, text).await?),
        None => None,
    };
    let client_id = once("client_id")?;
    if let (Some(hint), Some(client_id)) = (&hint, client_id)
        && hint.client() != Some(client_id)
    {
        return Err(Problem::bad_logout("its ID token is another application's", None));
    }
    let asked_by = client_id.or(hint.as_ref().and_then(HintClaims::client));
    let client = match asked_by {
        Some(client_id) => Some(
            known_client(visit, client_id)
                .await?
                .ok_or_else(|| Problem::unknown_client(Some(client_id)))?,
        ),
        None => None,
    };
    let onward = match once("post_logout_redirect_uri")? {
        Some(uri) => Some(onward(client.as_ref(), uri, once("state")?)?),
        None => None,
    };
    // There is one language, and who is logged in is known: `ui_locales` and `logout_hint`
    // change nothing, but are looked at as §2 has them: once.
    once("ui_locales")?;
    once("logout_hint")?;
    let wish = Wish { client_id: client.as_ref().map(|c| c.client_id.to_string()), onward };
    let Some(session) = LiveSession::of(visit).await? else {
        return logged_out(visit, &wish, None).await;
    };
    let id = session.id();
    let sid = client.as_deref().map(|client| session_for(&visit.keys.get(), client, id));
    if hint.is_some_and(|hint| hint.sid.is_some() && hint.sid == sid) {
        end(visit, &session, client.as_deref()).await?;
        return logged_out(visit, &wish, Some(id)).await;
    }
    ask(visit, &session, Some(&wish), StatusCode::OK).await
}

/// §2: it has to be an ID token of ours. One that is not, or whose key is long gone, tells
/// nothing, and nobody is believed because of it.
async fn read_hint(visit: &Visit, text: &str) -> Result<HintClaims, Problem> {
    let bad = || Problem::bad_logout("the ID token that it sent is not good", None);
    let hint = IdTokenHint::open(visit, text).ok_or_else(bad)?;
    let client_id = hint.client().ok_or_else(bad)?;
    let client = known_client(visit, &client_id).await?.ok_or_else(bad)?;
    let claims: Option<HintClaims> = hint.claims(visit, &client).await?;
    let is_theirs = |claims: &HintClaims| claims.client() == Some(&client_id);
    let claims = claims.filter(|claims| claims.iss == visit.issuer() && is_theirs(claims));
    claims.ok_or_else(bad)
}

/// §3: exactly as registered, with the `state`.
fn onward(
    client: Option<&AuthenticatedClient>,
    uri: &str,
    state: Option<&str>,
) -> Result<String, Problem> {
    let Some(client) = client else {
        return Err(Problem::bad_logout("it does not say which application it is", None));
    };
    let is_registered =
        client.metadata.post_logout_redirect_uris.iter().any(|known| known.as_str() == uri);
    let url = Url::parse(uri).ok().filter(|_| is_registered);
    let Some(mut url) = url else {
        let what = "the address to return to is not one that it has registered";
        return Err(Problem::bad_logout(what, Some(&client.client_id)));
    };
    let Some(state) = state else { return Ok(uri.to_owned()) };
    url.query_pairs_mut().append_pair("state", state);
    Ok(url.into())
}
