//! The demo's routes; what they answer stands in [`super::page`].

use std::sync::Arc;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, web};

use super::events::Following;
use super::page::{CSRF_HEADER, DemoError, DemoPage, SCRIPT};
use super::relying_party::PartyError;
use super::session::{Attempt, Failure, Session, Talk};
use super::{CALLBACK, Demo};
use crate::http::render;
use crate::interaction::assets;
use crate::interaction::headers::{Headers, script_page_headers, security_headers};
use crate::interaction::pages::{Frame, IndexPage};
use crate::services::Services;

/// The browser's part of its session. It stays in the demo's own paths.
const COOKIE: &str = "chancery-demo";

pub fn configure(demo: &web::Data<Demo>, service: &mut web::ServiceConfig) {
    service
        .app_data(demo.clone())
        .service(web::resource("/").route(web::get().to(index)))
        .service(web::resource("/demo").route(web::get().to(page)))
        .service(web::resource("/demo/start").route(web::get().to(start)))
        .service(web::resource(CALLBACK).route(web::get().to(callback)))
        .service(web::resource("/demo/state").route(web::get().to(state)))
        .service(web::resource("/demo/events").route(web::get().to(events)))
        .service(web::resource("/demo/{call}").route(web::post().to(call)))
        .service(web::resource(&SCRIPT.url).route(web::get().to(script)));
}

/// Why the demo does not go on.
enum Stuck {
    /// The browser came by another name of this host: its cookie would not be
    /// there when it returns from the login, and a name that is not ours may be
    /// anybody's.
    OtherHost,
    /// It has no session, or the page that it shows is not of this session.
    NotOurs,
    /// There is no such call.
    NoCall,
    /// There is no token to do that with.
    NoToken,
    Party(PartyError),
}

impl From<PartyError> for Stuck {
    fn from(error: PartyError) -> Self {
        Self::Party(error)
    }
}

impl Stuck {
    fn answer(self, services: &Services, request: &HttpRequest) -> HttpResponse {
        let status = match self {
            Self::OtherHost if request.method().is_safe() => {
                let path = request.uri().path_and_query().map_or("/demo", |path| path.as_str());
                return redirect(&services.config.server.issuer.endpoint(path));
            }
            Self::OtherHost | Self::NotOurs => StatusCode::FORBIDDEN,
            Self::NoCall => StatusCode::NOT_FOUND,
            Self::NoToken => StatusCode::CONFLICT,
            Self::Party(error) => {
                tracing::warn!(%error, "the demo can't go on: {error}");
                StatusCode::BAD_GATEWAY
            }
        };
        render::uncached(status).finish()
    }
}

/// The session of a browser, known by its cookie.
fn session(services: &Services, demo: &Demo, request: &HttpRequest) -> Result<Arc<Session>, Stuck> {
    let issuer = services.config.server.issuer.url();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if host != Some(issuer.authority()) {
        return Err(Stuck::OtherHost);
    }
    let cookie = request.cookie(COOKIE).ok_or(Stuck::NotOurs)?;
    demo.sessions.find(cookie.value(), services.now()).ok_or(Stuck::NotOurs)
}

/// The same, or a new one, with the cookie to be set.
fn session_or_new(
    services: &Services,
    demo: &Demo,
    request: &HttpRequest,
) -> Result<(Arc<Session>, Option<Cookie<'static>>), Stuck> {
    match session(services, demo, request) {
        Ok(session) => Ok((session, None)),
        Err(Stuck::NotOurs) => {
            let (value, session) = demo.sessions.begin(&*services.entropy, services.now());
            let cookie = Cookie::build(COOKIE, value).path("/demo").http_only(true);
            Ok((session, Some(cookie.same_site(SameSite::Lax).finish())))
        }
        Err(stuck) => Err(stuck),
    }
}

/// What stands at the root of a quickstart.
async fn index(services: web::Data<Services>) -> HttpResponse {
    let page = IndexPage {
        frame: Frame::PLAIN,
        issuer: services.issuer(),
        token_endpoint: &services.config.server.issuer.endpoint("/token"),
        version: env!("CARGO_PKG_VERSION"),
    };
    html(security_headers(None), page.render())
}

async fn page(
    services: web::Data<Services>,
    demo: web::Data<Demo>,
    request: HttpRequest,
) -> HttpResponse {
    match session_or_new(&services, &demo, &request) {
        Ok((session, cookie)) => {
            let page = render_page(&services, &demo, &session).await;
            with_cookie(html(script_page_headers(None), page), cookie)
        }
        Err(stuck) => stuck.answer(&services, &request),
    }
}

async fn render_page(services: &Services, demo: &Demo, session: &Session) -> String {
    let talk = session.talk.lock().await;
    let error = talk.failure.as_ref().map(|failure| DemoError {
        code: &failure.code,
        description: failure.description.as_deref(),
    });
    DemoPage {
        frame: Frame::PLAIN,
        issuer: services.issuer(),
        csrf: &session.csrf,
        has_grant: talk.granted.is_some(),
        data: &demo.data,
        error,
    }
    .render()
}

/// Begins a login.
async fn start(
    services: web::Data<Services>,
    demo: web::Data<Demo>,
    request: HttpRequest,
) -> HttpResponse {
    let begun = async {
        let (session, cookie) = session_or_new(&services, &demo, &request)?;
        let mut talk = session.talk.lock().await;
        let to = begin(&services, &demo, &mut talk).await?;
        session.publish(&talk);
        Ok((to, cookie))
    };
    match begun.await {
        Ok((to, cookie)) => with_cookie(redirect(&to), cookie),
        Err(stuck) => Stuck::answer(stuck, &services, &request),
    }
}

/// Pushes a request; where the browser goes next.
async fn begin(services: &Services, demo: &Demo, talk: &mut Talk) -> Result<String, PartyError> {
    let mut attempt = Attempt::new(&*services.entropy);
    let (exchange, request_uri) = demo.party.push(&mut attempt).await?;
    talk.record(exchange);
    if let Some(request_uri) = request_uri {
        talk.begin(attempt);
        return demo.party.authorization_url(&request_uri).await;
    }
    talk.failure = Some(Failure {
        code: "push_refused".to_owned(),
        description: Some("The server did not take the pushed request; see its answer.".to_owned()),
    });
    Ok(page_url(services))
}

/// Takes an authorization response (RFC 6749 §4.1.2).
async fn callback(
    services: web::Data<Services>,
    demo: web::Data<Demo>,
    request: HttpRequest,
) -> HttpResponse {
    let taken = async {
        let session = session(&services, &demo, &request)?;
        let mut talk = session.talk.lock().await;
        let response: Vec<(String, String)> =
            url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
        talk.failure = finish(&services, &demo, &mut talk, &response).await?.err();
        session.publish(&talk);
        Ok(())
    };
    match taken.await {
        // A page that was left open since the server's last start, or another
        // browser: there is nothing to go on with but a new start.
        Ok(()) | Err(Stuck::NotOurs) => redirect(&page_url(&services)),
        Err(stuck) => stuck.answer(&services, &request),
    }
}

/// Goes from an authorization response to tokens, or to what is shown instead.
async fn finish(
    services: &Services,
    demo: &Demo,
    talk: &mut Talk,
    response: &Vec<(String, String)>,
) -> Result<Result<(), Failure>, PartyError> {
    let ours = |code: &str, description: &str| Failure {
        code: code.to_owned(),
        description: Some(description.to_owned()),
    };
    // Before anything else: is this the answer to what this browser asked for?
    let Some(attempt) = once(response, "state").and_then(|state| talk.finish(state)) else {
        return Ok(Err(ours("wrong_state", "The answer is not to a request of this browser.")));
    };
    if !demo.party.is_issuer(once(response, "iss")) {
        return Ok(Err(ours("wrong_issuer", "The answer does not come from this server.")));
    }
    talk.record(demo.party.authorization(response).await?);
    let Some(code) = once(response, "code") else {
        let code = once(response, "error").unwrap_or("no_code");
        let description = once(response, "error_description").map(str::to_owned);
        return Ok(Err(Failure { code: code.to_owned(), description }));
    };
    let (exchange, granted) = demo.party.redeem(&attempt, code, services.now()).await?;
    talk.record(exchange);
    match granted {
        Some(Ok(granted)) => {
            talk.granted = Some(granted);
            Ok(Ok(()))
        }
        Some(Err(PartyError::IdToken(error))) => {
            Ok(Err(ours("wrong_id_token", &format!("{error}."))))
        }
        Some(Err(error)) => Err(error),
        None => Ok(Err(ours("code_refused", "The server did not redeem the code."))),
    }
}

/// A parameter's value; nothing if it stands there twice (RFC 6749 §3.1).
fn once<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = parameters.iter().filter(|(own, _)| own == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

async fn state(
    services: web::Data<Services>,
    demo: web::Data<Demo>,
    request: HttpRequest,
) -> HttpResponse {
    match session(&services, &demo, &request) {
        Ok(session) => json(&*session.talk.lock().await),
        Err(stuck) => stuck.answer(&services, &request),
    }
}

/// Does what a button says.
async fn call(
    services: web::Data<Services>,
    demo: web::Data<Demo>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    let called = async {
        let session = session(&services, &demo, &request)?;
        let csrf = request.headers().get(CSRF_HEADER).ok_or(Stuck::NotOurs)?;
        if !session.is_csrf(csrf.as_bytes()) {
            return Err(Stuck::NotOurs);
        }
        let mut talk = session.talk.lock().await;
        perform(&services, &demo, &mut talk, &name).await?;
        session.publish(&talk);
        Ok(json(&talk))
    };
    called.await.unwrap_or_else(|stuck| stuck.answer(&services, &request))
}

async fn perform(
    services: &Services,
    demo: &Demo,
    talk: &mut Talk,
    call: &str,
) -> Result<(), Stuck> {
    let party = &demo.party;
    if call == "client-credentials" {
        let (exchange, grant) = party.client_credentials().await?;
        talk.record(exchange);
        if let Some(grant) = grant {
            talk.add_own_grant(grant);
        }
        return Ok(());
    }
    if !matches!(call, "refresh" | "userinfo" | "introspect" | "revoke") {
        return Err(Stuck::NoCall);
    }
    let granted = talk.granted.as_mut().ok_or(Stuck::NoToken)?;
    let access_token = granted.tokens.access_token.clone();
    let refresh_token = granted.tokens.refresh_token.clone();
    let exchange = match call {
        "refresh" => {
            let token = refresh_token.ok_or(Stuck::NoToken)?;
            party.refresh(granted, &token, services.now()).await?
        }
        "userinfo" => party.userinfo(&access_token).await?,
        "introspect" => party.introspect(&access_token).await?,
        _ => {
            let (token, hint) = refresh_token
                .map_or((access_token, "access_token"), |token| (token, "refresh_token"));
            let exchange = party.revoke(&token, hint).await?;
            granted.revoked |= exchange.status == Some(200);
            exchange
        }
    };
    talk.record(exchange);
    Ok(())
}

/// Follows the events of the session's grants.
async fn events(
    services: web::Data<Services>,
    demo: web::Data<Demo>,
    request: HttpRequest,
) -> HttpResponse {
    let session = match session(&services, &demo, &request) {
        Ok(session) => session,
        Err(stuck) => return stuck.answer(&services, &request),
    };
    let stopping = demo.stopping.clone();
    match Following::begin(services, session.follow(), stopping).await {
        Ok(following) => render::uncached(StatusCode::OK)
            .insert_header((CONTENT_TYPE, "text/event-stream"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .streaming(following.into_stream()),
        Err(error) => {
            tracing::warn!(%error, "the demo can't follow the feed: {error}");
            render::uncached(StatusCode::SERVICE_UNAVAILABLE).finish()
        }
    }
}

async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, SCRIPT.content_type))
        .insert_header((CACHE_CONTROL, assets::CACHE_CONTROL))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(SCRIPT.body)
}

fn page_url(services: &Services) -> String {
    services.config.server.issuer.endpoint("/demo")
}

fn html(headers: Headers, body: String) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    for header in headers {
        answer.insert_header(header);
    }
    answer.insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(body)
}

fn json(talk: &Talk) -> HttpResponse {
    let mut answer = render::json(StatusCode::OK, &talk.state());
    let nosniff = actix_web::http::header::HeaderValue::from_static("nosniff");
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    answer
}

fn redirect(to: &str) -> HttpResponse {
    render::uncached(StatusCode::SEE_OTHER).insert_header((LOCATION, to)).finish()
}

fn with_cookie(mut answer: HttpResponse, cookie: Option<Cookie<'static>>) -> HttpResponse {
    if let Some(cookie) = cookie {
        // Fails only for a cookie that is no header value; ours is base64url.
        let _ = answer.add_cookie(&cookie);
    }
    answer
}
