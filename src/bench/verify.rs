//! Whether an answer is what it has to be. What is not, is an error of some kind, and no flow.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::LOCATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::http::{Answer, CallError};

/// The longest text of a server that is repeated.
const LONGEST: usize = 200;

/// A run of letters of base64url that is longer than this may be a secret.
const LONGEST_WORD: usize = 24;

/// A request of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Token,
    Par,
    Authorize,
    IdToken,
    Introspection,
    Userinfo,
    Login,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Par => "par",
            Self::Authorize => "authorize",
            Self::IdToken => "id_token",
            Self::Introspection => "introspection",
            Self::Userinfo => "userinfo",
            Self::Login => "login",
        })
    }
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub step: Step,
    /// Of these there are few: what is counted.
    pub what: Cow<'static, str>,
    /// The status of an answer that refuses.
    pub status: Option<u16>,
    /// What this one was like; no secrets.
    pub example: String,
}

impl Wrong {
    #[must_use]
    pub fn new(step: Step, what: &'static str, example: impl fmt::Display) -> Self {
        Self { step, what: what.into(), status: None, example: clean(&example.to_string()) }
    }

    /// No answer came.
    #[must_use]
    pub fn no_answer(step: Step, error: &CallError) -> Self {
        Self::new(step, error.kind(), error)
    }

    /// The kind of error that is counted.
    #[must_use]
    pub fn kind(&self) -> String {
        format!("{}: {}", self.step, self.what)
    }

    /// Does the server not know the client, or not by this secret (RFC 6749 §5.2)?
    #[must_use]
    pub fn is_about_the_client(&self) -> bool {
        self.status == Some(401)
            && matches!(self.step, Step::Token | Step::Par | Step::Introspection)
            || self.what.ends_with(" invalid_client")
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.what)?;
        if self.example.is_empty() { Ok(()) } else { write!(f, " ({})", self.example) }
    }
}

/// A text of the server's as it may be shown: short, and without what may be a secret.
fn clean(text: &str) -> String {
    let is_secret = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut cleaned = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !is_secret(c)).unwrap_or(rest.len()));
        cleaned.push_str(if word.len() > LONGEST_WORD { "…" } else { word });
        let between = after.find(is_secret).unwrap_or(after.len());
        let (others, after) = after.split_at(between);
        cleaned.extend(others.chars().map(|c| if c.is_control() { ' ' } else { c }));
        rest = after;
    }
    if cleaned.chars().count() > LONGEST {
        cleaned = cleaned.chars().take(LONGEST).chain(['…']).collect();
    }
    cleaned
}

/// RFC 6749 §5.2
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// An answer with another status than it should have.
fn status(step: Step, answer: &Answer, expected: u16) -> Result<(), Wrong> {
    if answer.status == expected {
        return Ok(());
    }
    let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok();
    let what = match &refusal {
        Some(refusal) => format!("{} {}", answer.status, clean(&refusal.error)),
        None => answer.status.to_string(),
    };
    let example = refusal.map(|refusal| clean(&refusal.error_description)).unwrap_or_default();
    Err(Wrong { step, what: what.into(), status: Some(answer.status), example })
}

fn json<T: DeserializeOwned>(step: Step, answer: &Answer) -> Result<T, Wrong> {
    serde_json::from_slice(&answer.body)
        // The message may repeat a value, but not what it stands in.
        .map_err(|error| Wrong::new(step, "not what the standard has", error))
}

/// RFC 6749 §5.1. No `Debug`: these are secrets.
#[derive(Deserialize)]
pub struct Tokens {
    pub access_token: String,
    token_type: String,
    /// Seconds.
    #[serde(default)]
    pub expires_in: Option<u64>,
    #[serde(default)]
    pub refresh_token: Option<String>,
    #[serde(default)]
    pub id_token: Option<String>,
}

/// The tokens of an answer of the token endpoint.
pub fn tokens(answer: &Answer) -> Result<Tokens, Wrong> {
    let step = Step::Token;
    status(step, answer, 200)?;
    let tokens: Tokens = json(step, answer)?;
    if tokens.access_token.is_empty() {
        return Err(Wrong::new(step, "no access token", ""));
    }
    if !tokens.token_type.eq_ignore_ascii_case("Bearer") {
        return Err(Wrong::new(step, "another token_type", &tokens.token_type));
    }
    Ok(tokens)
}

/// The refresh token that came for another one.
pub fn rotated(tokens: &mut Tokens, sent: &str) -> Result<String, Wrong> {
    let next = tokens.refresh_token.take();
    let next = next.filter(|next| !next.is_empty() && next != sent);
    next.ok_or_else(|| Wrong::new(Step::Token, "no new refresh token", ""))
}

/// The `request_uri` of a pushed request (RFC 9126 §2.2).
pub fn pushed(answer: &Answer) -> Result<String, Wrong> {
    #[derive(Deserialize)]
    struct Pushed {
        request_uri: String,
        expires_in: u64,
    }
    status(Step::Par, answer, 201)?;
    let pushed: Pushed = json(Step::Par, answer)?;
    if pushed.request_uri.is_empty() || pushed.expires_in == 0 {
        return Err(Wrong::new(Step::Par, "no request_uri that is good for a while", ""));
    }
    Ok(pushed.request_uri)
}

/// What an authorization response has to be like.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub redirect_uri: &'a str,
    pub state: &'a str,
    pub issuer: &'a str,
    /// RFC 9207: the server says that it names itself.
    pub names_issuer: bool,
}

/// The code of an authorization response (RFC 6749 §4.1.2).
pub fn code(answer: &Answer, asked: &Asked<'_>) -> Result<String, Wrong> {
    let step = Step::Authorize;
    if !(300..400).contains(&answer.status) {
        status(step, answer, 303)?;
    }
    let location = location(answer);
    let parameters = location
        .and_then(|location| location.strip_prefix(asked.redirect_uri))
        .and_then(|rest| rest.strip_prefix(['?', '&']));
    let Some(parameters) = parameters else {
        let place = location.map(|location| location.split('?').next().unwrap_or_default());
        let example = format!("it leads to {}", place.unwrap_or("nowhere"));
        return Err(Wrong::new(step, "leads to another place: is the session gone?", example));
    };
    let get = |name: &str| {
        let mut pairs = form_urlencoded::parse(parameters.as_bytes());
        pairs.find(|(own, _)| own == name).map(|(_, value)| value)
    };
    if let Some(error) = get("error") {
        let what = format!("error {}", clean(&error));
        let example = clean(&get("error_description").unwrap_or_default());
        return Err(Wrong { step, what: what.into(), status: None, example });
    }
    if get("state").as_deref() != Some(asked.state) {
        return Err(Wrong::new(step, "another state", ""));
    }
    match get("iss") {
        Some(iss) if iss != asked.issuer => return Err(Wrong::new(step, "another iss", iss)),
        None if asked.names_issuer => return Err(Wrong::new(step, "no iss", "")),
        _ => {}
    }
    let code = get("code").filter(|code| !code.is_empty());
    code.map(Cow::into_owned).ok_or_else(|| Wrong::new(step, "no code", ""))
}

/// Where an answer leads.
#[must_use]
pub fn location(answer: &Answer) -> Option<&str> {
    answer.headers.get(LOCATION).and_then(|value| value.to_str().ok())
}

/// What an ID token has to say.
#[derive(Debug, Clone, Copy)]
pub struct ForClient<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

/// The subject of an ID token (OpenID Connect Core §3.1.3.7). Its signature is not checked: that
/// would cost the generator more than all else.
pub fn id_token(token: &str, expected: &ForClient<'_>) -> Result<String, Wrong> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
        sub: String,
        aud: Audience,
        exp: i64,
        nonce: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    let wrong = |what, example: &str| Wrong::new(Step::IdToken, what, example);
    let parts: Vec<&str> = token.split('.').collect();
    let [_, claims, _] = *parts else {
        return Err(wrong("no signed JWT", &format!("{} parts", parts.len())));
    };
    let claims = URL_SAFE_NO_PAD.decode(claims).ok();
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    let claims = claims.ok_or_else(|| wrong("not what the standard has", ""))?;
    if claims.iss != expected.issuer {
        return Err(wrong("another iss", &claims.iss));
    }
    let is_for_client = match &claims.aud {
        Audience::One(own) => own == expected.client_id,
        Audience::Many(all) => all.iter().any(|own| own == expected.client_id),
    };
    if !is_for_client {
        return Err(wrong("another aud", ""));
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(wrong("another nonce", ""));
    }
    if claims.exp <= expected.now {
        return Err(wrong("expired", &claims.exp.to_string()));
    }
    Ok(claims.sub)
}

/// That a token is good (RFC 7662 §2.2).
pub fn active(answer: &Answer) -> Result<(), Wrong> {
    #[derive(Deserialize)]
    struct Introspected {
        active: bool,
    }
    let step = Step::Introspection;
    status(step, answer, 200)?;
    let Introspected { active } = json(step, answer)?;
    if active { Ok(()) } else { Err(Wrong::new(step, "not active", "")) }
}

/// That the claims are about this person (OpenID Connect Core §5.3.2).
pub fn userinfo(answer: &Answer, sub: &str) -> Result<(), Wrong> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let step = Step::Userinfo;
    status(step, answer, 200)?;
    let claims: Claims = json(step, answer)?;
    if claims.sub == sub { Ok(()) } else { Err(Wrong::new(step, "another sub", "")) }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: body.to_string().into() }
    }

    fn redirect(location: &str) -> Answer {
        let mut answer = answer(303, &Value::Null);
        answer.headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        answer
    }

    fn kind<T>(result: Result<T, Wrong>) -> String {
        result.map(drop).unwrap_err().kind()
    }

    const ASKED: Asked<'_> = Asked {
        redirect_uri: "https://app.example/cb",
        state: "s1",
        issuer: "https://as.example",
        names_issuer: true,
    };

    /// RFC 6749 §10.12, RFC 9207 §2.4
    #[test]
    fn a_response_with_another_state_or_issuer_is_no_flow() {
        let iss = "iss=https%3A%2F%2Fas.example";
        let good = redirect(&format!("https://app.example/cb?code=c&state=s1&{iss}"));
        assert_eq!(code(&good, &ASKED).unwrap(), "c");
        for (location, expected) in [
            (format!("https://app.example/cb?code=c&state=s2&{iss}"), "authorize: another state"),
            (format!("https://app.example/cb?code=c&{iss}"), "authorize: another state"),
            (
                "https://app.example/cb?code=c&state=s1&iss=https%3A%2F%2Fevil".to_owned(),
                "authorize: another iss",
            ),
            ("https://app.example/cb?code=c&state=s1".to_owned(), "authorize: no iss"),
            (format!("https://app.example/cb?state=s1&{iss}"), "authorize: no code"),
            (
                format!("https://app.example/cb?error=login_required&state=s1&{iss}"),
                "authorize: error login_required",
            ),
            (
                format!("https://app.example/cb2?code=c&state=s1&{iss}"),
                "authorize: leads to another place: is the session gone?",
            ),
        ] {
            assert_eq!(kind(code(&redirect(&location), &ASKED)), expected, "{location}");
        }
        let page = answer(200, &json!("<html>"));
        assert_eq!(kind(code(&page, &ASKED)), "authorize: 200");
        let silent = Asked { names_issuer: false, ..ASKED };
        assert!(code(&redirect("https://app.example/cb?code=c&state=s1"), &silent).is_ok());
    }

    fn token_of(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    /// OpenID Connect Core §3.1.3.7
    #[test]
    fn an_id_token_with_another_nonce_issuer_or_audience_is_no_flow() {
        let expected =
            ForClient { issuer: "https://as.example", client_id: "web", nonce: "n1", now: 1000 };
        let good = json!({
            "iss": "https://as.example", "sub": "ada", "aud": ["api", "web"], "exp": 1001,
            "nonce": "n1",
        });
        assert_eq!(id_token(&token_of(&good), &expected).unwrap(), "ada");
        for (name, value, kind_of) in [
            ("nonce", json!("n2"), "id_token: another nonce"),
            ("nonce", Value::Null, "id_token: another nonce"),
            ("iss", json!("https://evil.example"), "id_token: another iss"),
            ("aud", json!("other"), "id_token: another aud"),
            ("exp", json!(1000), "id_token: expired"),
            ("sub", Value::Null, "id_token: not what the standard has"),
        ] {
            let mut claims = good.clone();
            claims[name] = value;
            assert_eq!(kind(id_token(&token_of(&claims), &expected)), kind_of);
        }
        assert_eq!(kind(id_token("a.b.c.d.e", &expected)), "id_token: no signed JWT");
    }

    #[test]
    fn tokens_have_their_members_or_are_none() {
        let good = json!({ "access_token": "a", "token_type": "bearer", "refresh_token": "r2" });
        let mut new = tokens(&answer(200, &good)).unwrap();
        assert_eq!(rotated(&mut new, "r1").unwrap(), "r2");
        assert_eq!(kind(rotated(&mut new, "r1")), "token: no new refresh token");
        let mut same = tokens(&answer(200, &good)).unwrap();
        assert_eq!(kind(rotated(&mut same, "r2")), "token: no new refresh token");
        for (body, expected) in [
            (json!({ "token_type": "Bearer" }), "token: not what the standard has"),
            (json!({ "access_token": "", "token_type": "Bearer" }), "token: no access token"),
            (json!({ "access_token": "a", "token_type": "mac" }), "token: another token_type"),
        ] {
            assert_eq!(kind(tokens(&answer(200, &body))), expected);
        }
        let refused = answer(400, &json!({ "error": "invalid_grant" }));
        assert_eq!(kind(tokens(&refused)), "token: 400 invalid_grant");
        assert_eq!(kind(tokens(&answer(502, &json!([])))), "token: 502");
        let unknown = answer(401, &json!({ "error": "invalid_client" }));
        assert!(tokens(&unknown).map(drop).unwrap_err().is_about_the_client());
    }

    #[test]
    fn the_other_answers_are_looked_at_too() {
        let request_uri = json!({ "request_uri": "urn:x", "expires_in": 60 });
        assert_eq!(pushed(&answer(201, &request_uri)).unwrap(), "urn:x");
        assert_eq!(kind(pushed(&answer(200, &request_uri))), "par: 200");
        assert!(pushed(&answer(201, &json!({ "request_uri": "urn:x", "expires_in": 0 }))).is_err());
        active(&answer(200, &json!({ "active": true }))).unwrap();
        let inactive = answer(200, &json!({ "active": false }));
        assert_eq!(kind(active(&inactive)), "introspection: not active");
        userinfo(&answer(200, &json!({ "sub": "ada" })), "ada").unwrap();
        let other = answer(200, &json!({ "sub": "eve" }));
        assert_eq!(kind(userinfo(&other, "ada")), "userinfo: another sub");
    }

    #[test]
    fn an_example_shows_no_secret() {
        let secret = "dGhpcyBpcyBhIHNlY3JldCB0aGF0IG5vYm9keSBzZWVz";
        let description = format!("the code {secret} is used;\u{1b}[2J client web");
        let body = json!({ "error": "invalid_grant", "error_description": description });
        let wrong = tokens(&answer(400, &body)).map(drop).unwrap_err();
        assert_eq!(wrong.example, "the code … is used; [2J client web");
        let long = json!({ "error": "e", "error_description": "word ".repeat(1000) });
        let wrong = tokens(&answer(400, &long)).map(drop).unwrap_err();
        assert!(wrong.example.chars().count() <= LONGEST + 1);
        assert!(!wrong.to_string().contains(secret));
    }
}
