//! The pages, one struct each, rendered without reading anything else.
//!
//! Every value is escaped where it is put into a page. Ids are stable: tests
//! and password managers rely on them.

use std::borrow::Cow;

use askama::Template;
use url::Url;

use super::assets::{FORM_POST, ICON, STYLE};
use super::texts::{EN, Texts};

/// What all pages have in common: their language, and where the server is.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub t: &'static Texts,
    /// The path of the issuer: everything is below it.
    pub base: &'a str,
}

impl Frame<'static> {
    /// English, and an issuer without a path.
    pub const PLAIN: Self = Self { t: &EN, base: "" };
}

/// Renders a template; also the demo's.
#[must_use]
pub fn html(page: &impl Template) -> String {
    page.render().unwrap_or_else(|error| {
        // Only a value whose formatting fails could bring us here.
        tracing::error!(error = %error, "a page could not be rendered");
        "The page could not be shown. Please try again.".to_owned()
    })
}

/// What `base.html` needs of the assets.
pub(crate) fn style_url() -> &'static str {
    &STYLE.url
}

pub(crate) fn icon_url() -> &'static str {
    &ICON.url
}

pub(crate) fn form_post_script_url() -> &'static str {
    &FORM_POST.url
}

/// Asks for name and password; posts to `/login`.
///
/// Fields of the form: `interaction`, `csrf`, `username`, `password`, and
/// `action` (`login` or `cancel`).
#[derive(Template)]
#[template(path = "login.html", config = ".askama.toml")]
pub struct LoginPage<'a> {
    pub frame: Frame<'a>,
    /// None: the person signs in here for their own account.
    pub client_name: Option<&'a str>,
    /// Linked only if it is http or https.
    pub client_uri: Option<&'a str>,
    /// The handle of the interaction, as a hidden field.
    pub interaction: &'a str,
    pub csrf: &'a str,
    /// Filled in already: `login_hint`, or what was typed before.
    pub username: &'a str,
    /// The page of the account that it leads to, if no client waits.
    pub to: Option<&'a str>,
    /// Passwords can be set anew by mail: the query of that page.
    pub forgot: Option<&'a str>,
    /// People make their accounts themselves: the query of that page.
    pub create: Option<&'a str>,
    pub error: Option<LoginError>,
}

/// Why the person is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginError {
    /// The same for an unknown name, a wrong password and a locked account.
    WrongCredentials,
    /// Too many attempts.
    SlowDown { seconds: u32 },
    /// The server can't check passwords at the moment.
    Unavailable,
    /// The form was open for too long (the interaction itself lives on).
    Expired,
}

impl LoginError {
    fn message(self, t: &Texts) -> Cow<'static, str> {
        match self {
            Self::WrongCredentials => t.wrong_credentials.into(),
            Self::SlowDown { seconds } => t.wait(seconds).into(),
            Self::Unavailable => t.login_unavailable.into(),
            Self::Expired => t.login_expired.into(),
        }
    }

    fn is_about_the_fields(self) -> bool {
        self == Self::WrongCredentials
    }
}

impl LoginPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    fn website(&self) -> Option<Website> {
        self.client_uri.and_then(Website::parse)
    }

    fn fields_are_wrong(&self) -> bool {
        self.error.is_some_and(LoginError::is_about_the_fields)
    }
}

/// A client's home page, safe to link to.
struct Website {
    href: String,
    host: String,
}

impl Website {
    fn parse(uri: &str) -> Option<Self> {
        let url = Url::parse(uri).ok()?;
        if !matches!(url.scheme(), "https" | "http") {
            return None;
        }
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        Some(Self { href: url.into(), host })
    }
}

/// Asks the person to allow a client's access; posts to `/consent`.
///
/// Fields of the form: `interaction`, `csrf`, and `action` (`allow`, `deny` or
/// `switch`).
#[derive(Template)]
#[template(path = "consent.html", config = ".askama.toml")]
pub struct ConsentPage<'a> {
    pub frame: Frame<'a>,
    pub client_name: &'a str,
    /// The host (or the scheme of an app) that the browser returns to: unlike
    /// the client's name, not the client's own word.
    pub returns_to: Option<&'a str>,
    pub subject_name: &'a str,
    pub scopes: &'a [ScopeLine<'a>],
    /// Asked for by name, and brought by no scope (OpenID Connect Core §5.5).
    pub claims: &'a [ScopeLine<'a>],
    pub interaction: &'a str,
    pub csrf: &'a str,
}

/// One thing that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ScopeLine<'a> {
    pub name: &'a str,
    /// What it allows, as a phrase: “Read your name and picture”.
    pub description: &'a str,
    /// Not allowed before.
    pub new: bool,
}

impl ConsentPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    /// Where everything is new, nothing stands out.
    fn asks_for_more(&self) -> bool {
        let mut lines = self.scopes.iter().chain(self.claims);
        lines.clone().any(|line| line.new) && lines.any(|line| !line.new)
    }
}

/// Asks whether to sign out; posts to `/logout`.
///
/// Fields of the form: `interaction` (if given), `csrf`, and `action` (`logout`
/// or `cancel`).
#[derive(Template)]
#[template(path = "logout.html", config = ".askama.toml")]
pub struct LogoutPage<'a> {
    pub frame: Frame<'a>,
    /// The client that sent the person here, if known for certain.
    pub client_name: Option<&'a str>,
    pub subject_name: Option<&'a str>,
    pub interaction: Option<&'a str>,
    pub csrf: &'a str,
}

impl LogoutPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

/// Says that the session here has ended; loads the pages of clients that end theirs.
#[derive(Template)]
#[template(path = "logged_out.html", config = ".askama.toml")]
pub struct LoggedOutPage<'a> {
    pub frame: Frame<'a>,
    /// Loaded in frames that nobody sees (OpenID Connect Front-Channel Logout §2).
    pub frames: &'a [String],
    /// Where the browser goes from here.
    pub onward: Option<Onward<'a>>,
}

/// Where a browser goes after a logout.
#[derive(Debug, Clone, Copy)]
pub struct Onward<'a> {
    /// A registered URI of the client.
    pub url: &'a str,
    pub client_name: &'a str,
}

impl LoggedOutPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

/// What a person sees where no relying party can be told.
#[derive(Template)]
#[template(path = "error.html", config = ".askama.toml")]
pub struct ErrorPage<'a> {
    pub frame: Frame<'a>,
    pub title: &'a str,
    /// What happened, in plain words.
    pub what: &'a str,
    /// What to do about it.
    pub remedy: &'a str,
    /// The code that the standard gives it: `invalid_request`.
    pub code: &'a str,
    /// As received: the only thing of a request that the page repeats.
    pub client_id: Option<&'a str>,
    pub request_id: &'a str,
}

impl ErrorPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

/// Carries an authorization response to the relying party (OAuth 2.0 Form Post
/// Response Mode); sent with
/// [`script_page_headers`](super::headers::script_page_headers).
#[derive(Template)]
#[template(path = "form_post.html", config = ".askama.toml")]
pub struct FormPostPage<'a> {
    pub frame: Frame<'a>,
    pub client_name: &'a str,
    pub redirect_uri: &'a str,
    /// The parameters of the response.
    pub parameters: &'a [(&'a str, &'a str)],
}

impl FormPostPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

/// What runs here: `/` of a quickstart.
#[derive(Template)]
#[template(path = "index.html", config = ".askama.toml")]
pub struct IndexPage<'a> {
    pub frame: Frame<'a>,
    pub issuer: &'a str,
    pub token_endpoint: &'a str,
    pub version: &'a str,
}

impl IndexPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::page::{DemoError, DemoPage};

    const HOSTILE: &str = "\"><script>alert(1)</script>' onload='x";
    const ESCAPED: &str = "&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#39; onload=&#39;x";

    fn login(error: Option<LoginError>) -> LoginPage<'static> {
        LoginPage {
            frame: Frame::PLAIN,
            client_name: Some("Demo"),
            client_uri: Some("https://demo.example/app"),
            interaction: "handle",
            csrf: "token",
            username: "",
            to: None,
            forgot: None,
            create: None,
            error,
        }
    }

    /// Every page, with `text` wherever it takes text.
    #[expect(clippy::too_many_lines, reason = "each page adds a few")]
    fn every_page(text: &str) -> Vec<(&'static str, String)> {
        vec![
            (
                "login",
                LoginPage {
                    frame: Frame::PLAIN,
                    client_name: Some(text),
                    client_uri: Some(text),
                    interaction: text,
                    csrf: text,
                    username: text,
                    to: Some(text),
                    forgot: Some(text),
                    create: Some(text),
                    error: Some(LoginError::WrongCredentials),
                }
                .render(),
            ),
            (
                "consent",
                ConsentPage {
                    frame: Frame::PLAIN,
                    client_name: text,
                    returns_to: Some(text),
                    subject_name: text,
                    scopes: &[ScopeLine { name: text, description: text, new: true }],
                    claims: &[ScopeLine { name: text, description: text, new: false }],
                    interaction: text,
                    csrf: text,
                }
                .render(),
            ),
            (
                "logout",
                LogoutPage {
                    frame: Frame::PLAIN,
                    client_name: Some(text),
                    subject_name: Some(text),
                    interaction: Some(text),
                    csrf: text,
                }
                .render(),
            ),
            (
                "logged out",
                LoggedOutPage { frame: Frame::PLAIN, frames: &[], onward: None }.render(),
            ),
            (
                "error",
                ErrorPage {
                    frame: Frame::PLAIN,
                    title: text,
                    what: text,
                    remedy: text,
                    code: text,
                    client_id: Some(text),
                    request_id: text,
                }
                .render(),
            ),
            (
                "form_post",
                FormPostPage {
                    frame: Frame::PLAIN,
                    client_name: text,
                    redirect_uri: text,
                    parameters: &[(text, text)],
                }
                .render(),
            ),
            (
                "index",
                IndexPage {
                    frame: Frame::PLAIN,
                    issuer: text,
                    token_endpoint: text,
                    version: text,
                }
                .render(),
            ),
            (
                "demo start",
                DemoPage {
                    frame: Frame::PLAIN,
                    issuer: text,
                    csrf: text,
                    has_grant: false,
                    data: text,
                    error: Some(DemoError { code: text, description: Some(text) }),
                }
                .render(),
            ),
            (
                "demo",
                DemoPage {
                    frame: Frame::PLAIN,
                    issuer: text,
                    csrf: text,
                    has_grant: true,
                    data: text,
                    error: None,
                }
                .render(),
            ),
        ]
    }

    /// The start tags of a page, as `name` and the rest.
    fn tags(html: &str) -> Vec<(&str, &str)> {
        html.split('<')
            .skip(1)
            .filter(|tag| !tag.starts_with('/') && !tag.starts_with('!'))
            .map(|tag| {
                let tag = tag.split_once('>').expect("a tag ends").0;
                tag.split_once(char::is_whitespace).unwrap_or((tag, ""))
            })
            .collect()
    }

    fn has_id(html: &str, id: &str) -> bool {
        html.matches(&format!("id=\"{id}\"")).count() == 1
    }

    #[test]
    fn what_others_name_themselves_stays_text() {
        for (name, html) in every_page(HOSTILE) {
            assert!(!html.contains(HOSTILE), "{name}");
            assert!(!html.contains("<script>"), "{name}");
            assert_eq!(
                tags(&html).iter().map(|(tag, _)| *tag).collect::<Vec<_>>(),
                // The host of a client_uri is linked; text is not a URI.
                every_page("x")
                    .iter()
                    .find(|(other, _)| *other == name)
                    .map(|(_, html)| tags(html).iter().map(|(tag, _)| *tag).collect::<Vec<_>>())
                    .unwrap(),
                "{name}"
            );
            if name != "logged out" {
                assert!(html.contains(ESCAPED), "{name}");
            }
        }
    }

    #[test]
    fn no_page_needs_an_inline_script_or_style() {
        for (name, html) in every_page("x") {
            for (tag, attributes) in tags(&html) {
                assert_ne!(tag, "style", "{name}");
                assert!(
                    !format!(" {attributes}").contains(" style="),
                    "{name}: {tag} {attributes}"
                );
                assert!(!format!(" {attributes}").contains(" on"), "{name}: {tag} {attributes}");
                if tag == "script" {
                    assert!(attributes.starts_with("src=\"/assets/"), "{name}");
                    assert!(html.contains(&format!("<script {attributes}></script>")), "{name}");
                }
            }
        }
    }

    #[test]
    fn only_the_pages_that_post_for_the_person_have_a_script() {
        for (name, html) in every_page("x") {
            let expected = matches!(name, "form_post" | "demo start" | "demo");
            assert_eq!(html.contains("<script"), expected, "{name}");
        }
    }

    #[test]
    fn nothing_is_loaded_from_another_site() {
        for (name, html) in every_page("x") {
            for (tag, attributes) in tags(&html) {
                if matches!(tag, "link" | "script" | "img") {
                    let local = ["href=\"/assets/", "src=\"/assets/"];
                    assert!(local.iter().any(|at| attributes.contains(at)), "{name}: {attributes}");
                }
            }
            assert!(html.contains(style_url()), "{name}");
        }
    }

    #[test]
    fn the_ids_that_others_rely_on_are_there_once() {
        let pages = every_page("x");
        for (name, ids) in [
            (
                "login",
                &[
                    "login-form",
                    "username",
                    "password",
                    "login-submit",
                    "login-cancel",
                    "login-error",
                ][..],
            ),
            ("consent", &["consent-form", "consent-allow", "consent-deny", "consent-switch"]),
            ("logout", &["logout-form", "logout-submit", "logout-cancel"]),
            ("logged out", &["logged-out-page"]),
            ("error", &["error-page", "error-code", "error-client", "error-request"]),
            ("form_post", &["form-post", "form-post-submit"]),
            ("index", &["index-page", "index-demo"]),
            ("demo start", &["demo-page", "demo-start", "demo-login-error", "demo-events"]),
            (
                "demo",
                &[
                    "demo-start",
                    "demo-access-token",
                    "demo-id-token",
                    "demo-refresh-token",
                    "demo-refresh",
                    "demo-userinfo",
                    "demo-introspect",
                    "demo-revoke",
                    "demo-client-credentials",
                    "demo-exchanges",
                    "demo-events",
                    "demo-error",
                ],
            ),
        ] {
            let (_, html) = pages.iter().find(|(page, _)| *page == name).unwrap();
            for id in ids {
                assert!(has_id(html, id), "{name}: {id}");
            }
        }
    }

    #[test]
    fn every_id_of_a_page_is_its_own() {
        for (name, html) in every_page("x") {
            let mut ids: Vec<_> =
                html.split(" id=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect();
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all, "{name}");
        }
    }

    #[test]
    fn every_form_of_ours_is_posted_with_a_csrf_token() {
        for (name, html) in every_page("x") {
            for form in html.split("<form").skip(1).filter(|_| name != "form_post") {
                assert!(form.contains("method=\"post\""), "{name}");
                assert!(
                    form.contains("<input type=\"hidden\" name=\"csrf\" value=\"x\">"),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn a_login_error_is_announced_and_tied_to_the_fields() {
        let html = login(Some(LoginError::WrongCredentials)).render();
        assert!(html.contains("role=\"alert\""));
        assert!(html.contains("<title>Error: Sign in"));
        assert_eq!(html.matches("aria-describedby=\"login-error\"").count(), 2);
        let html = login(None).render();
        assert!(!html.contains("login-error") && !html.contains("alert"));
        let html = login(Some(LoginError::Unavailable)).render();
        assert!(html.contains("id=\"login-error\"") && !html.contains("aria-invalid"));
    }

    #[test]
    fn the_wait_is_told_in_words() {
        for (seconds, words) in [
            (0, "a second"),
            (1, "a second"),
            (30, "30 seconds"),
            (91, "2 minutes"),
            (900, "15 minutes"),
        ] {
            let html = login(Some(LoginError::SlowDown { seconds })).render();
            assert!(html.contains(&format!("Please wait {words} and")), "{seconds}");
        }
    }

    #[test]
    fn typing_starts_at_the_first_empty_field() {
        let focused = |html: &str| {
            let (before, _) = html.split_once(" autofocus").unwrap();
            before.rsplit_once("<input id=\"").unwrap().1.split_once('"').unwrap().0.to_owned()
        };
        assert_eq!(focused(&login(None).render()), "username");
        assert_eq!(focused(&LoginPage { username: "ada", ..login(None) }.render()), "password");
    }

    #[test]
    fn a_script_is_no_home_page() {
        for uri in ["javascript:alert(1)", "data:text/html,x", "nonsense", "mailto:a@b.example"] {
            let html = LoginPage { client_uri: Some(uri), ..login(None) }.render();
            assert!(!html.contains("class=\"site\""), "{uri}");
        }
        assert!(login(None).render().contains("href=\"https://demo.example/app\""));
    }

    #[test]
    fn only_additions_are_marked_new() {
        let page = |scopes: &[ScopeLine<'_>]| {
            ConsentPage {
                frame: Frame::PLAIN,
                client_name: "Demo",
                returns_to: None,
                subject_name: "Ada",
                scopes,
                claims: &[],
                interaction: "handle",
                csrf: "token",
            }
            .render()
        };
        let line = |new| ScopeLine { name: "email", description: "Read your e-mail address", new };
        assert_eq!(page(&[line(true), line(true)]).matches("badge").count(), 0);
        assert_eq!(page(&[line(false), line(true)]).matches("badge").count(), 1);
        assert_eq!(page(&[line(false), line(false)]).matches("badge").count(), 0);
    }

    #[test]
    fn a_parameter_named_submit_does_not_stop_the_form() {
        assert!(FORM_POST.body.contains("HTMLFormElement.prototype.submit.call"));
    }
}
