//! A browser without script: keeps cookies, follows redirects, fills in forms.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use url::Url;

use super::relying_party::{Form, form};
use super::{PASSWORD, TestServer};

/// How many redirects in a row are no loop.
const MOST_REDIRECTS: usize = 10;

/// A person's browser.
#[derive(Clone)]
pub struct Browser {
    http: Client,
    issuer: String,
    address: String,
    pub cookies: BTreeMap<String, String>,
}

/// Where a browser has come to.
#[derive(Debug)]
pub enum Place {
    /// A page of the server.
    Page(Page),
    /// Back at a relying party.
    Returned(Returned),
}

impl Place {
    #[track_caller]
    pub fn page(self) -> Page {
        match self {
            Self::Page(page) => page,
            Self::Returned(returned) => panic!("back at the relying party: {returned:?}"),
        }
    }

    #[track_caller]
    pub fn returned(self) -> Returned {
        match self {
            Self::Returned(returned) => returned,
            Self::Page(page) => panic!("not back at the relying party: {page:?}"),
        }
    }

    /// The page has this form.
    #[track_caller]
    pub fn shows(self, form_id: &str) -> Page {
        let page = self.page();
        assert!(page.has(form_id), "no {form_id}: {page:?}");
        page
    }

    /// The page tells a person of an error, and the browser was sent nowhere.
    #[track_caller]
    pub fn error_page(self, code: &str) -> Page {
        let page = self.page();
        assert!((400..500).contains(&page.status), "{page:?}");
        assert!(page.has("error-page"), "{page:?}");
        assert_eq!(page.text_of("error-code").as_deref(), Some(code), "{page:?}");
        page
    }
}

/// A page.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub html: String,
}

impl Page {
    /// Has something on it this id?
    pub fn has(&self, id: &str) -> bool {
        self.html.contains(&format!("id=\"{id}\""))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The text of an element that holds nothing else.
    pub fn text_of(&self, id: &str) -> Option<String> {
        let (_, after) = self.html.split_once(&format!("id=\"{id}\""))?;
        let (_, after) = after.split_once('>')?;
        Some(unescaped(after.split_once('<')?.0.trim()))
    }

    /// Where a form goes, and what it carries along unseen.
    #[track_caller]
    pub fn form(&self, id: &str) -> (String, Vec<(String, String)>) {
        let (before, after) = self
            .html
            .split_once(&format!("id=\"{id}\""))
            .unwrap_or_else(|| panic!("no form {id}: {self:?}"));
        let start = before.rfind('<').unwrap();
        let end = after.find("</form>").unwrap();
        let text = format!("{}id=\"{id}\"{}", &before[start..], &after[..end]);
        let tag = &text[..text.find('>').unwrap()];
        let action = attribute(tag, "action").unwrap();
        let fields = text.split("<input ").skip(1).filter_map(|input| {
            let tag = &input[..input.find('>').unwrap()];
            let hidden = attribute(tag, "type").as_deref() == Some("hidden");
            hidden.then(|| (attribute(tag, "name").unwrap(), attribute(tag, "value").unwrap()))
        });
        (action, fields.collect())
    }

    /// A field that the form carries along.
    #[track_caller]
    pub fn hidden(&self, form_id: &str, name: &str) -> String {
        let (_, fields) = self.form(form_id);
        fields.into_iter().find(|(own, _)| own == name).expect("a hidden field").1
    }
}

/// An authorization response as the relying party gets it.
#[derive(Debug)]
pub struct Returned {
    /// Without query and fragment.
    pub to: String,
    /// `query`, `fragment` or `form_post`.
    pub by: &'static str,
    pub parameters: Vec<(String, String)>,
}

impl Returned {
    /// A parameter; it may stand there once.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(own, _)| own == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice: {self:?}");
        value
    }

    #[track_caller]
    pub fn code(&self) -> &str {
        assert_eq!(self.get("error"), None, "{self:?}");
        self.get("code").unwrap_or_else(|| panic!("no code: {self:?}"))
    }

    #[track_caller]
    pub fn error(&self) -> &str {
        assert_eq!(self.get("code"), None, "{self:?}");
        self.get("error").unwrap_or_else(|| panic!("no error: {self:?}"))
    }
}

impl Browser {
    pub fn new(server: &TestServer) -> Self {
        Self::of(&server.issuer).at(server)
    }

    /// A browser that takes pages of this issuer for the server's.
    pub fn of(issuer: &str) -> Self {
        chancery::outbound::crypto_provider();
        Self {
            http: Client::builder().redirect(Policy::none()).no_proxy().build().unwrap(),
            issuer: issuer.to_owned(),
            address: issuer.to_owned(),
            cookies: BTreeMap::new(),
        }
    }

    /// The same browser, sent to this node from now on.
    pub fn at(&self, node: &TestServer) -> Self {
        self.at_address(&node.address)
    }

    /// The same for a node that is a process of its own.
    pub fn at_address(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    /// A request with the browser's cookies, to the node that serves it.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let path = url.strip_prefix(&*self.issuer).or_else(|| url.strip_prefix(&*self.address));
        let url = path.map_or_else(|| url.to_owned(), |path| format!("{}{path}", self.address));
        let cookies: Vec<_> = self.cookies.iter().map(|(name, v)| format!("{name}={v}")).collect();
        let request = self.http.request(method, url);
        if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) }
    }

    /// Goes to an address.
    pub async fn open(&mut self, url: &str) -> Place {
        self.try_open(url).await.unwrap()
    }

    /// The same at a server that may end before it has answered.
    pub async fn try_open(&mut self, url: &str) -> reqwest::Result<Place> {
        let answer = self.request(Method::GET, url).send().await?;
        self.follow(answer).await
    }

    /// Posts a form, as one of the server's own pages would.
    pub async fn post(&mut self, url: &str, fields: &Form<'_>) -> Place {
        let origin = self.issuer.clone();
        self.post_from(&origin, url, fields).await
    }

    /// Posts a form from a page of some origin. (Browsers leave cookies away from
    /// what other sites post; that is for the caller to mind.)
    pub async fn post_from(&mut self, origin: &str, url: &str, fields: &Form<'_>) -> Place {
        self.try_post_from(origin, url, fields).await.unwrap()
    }

    async fn try_post_from(
        &mut self,
        origin: &str,
        url: &str,
        fields: &Form<'_>,
    ) -> reqwest::Result<Place> {
        let request = self
            .request(Method::POST, url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin)
            .body(form(fields));
        let answer = request.send().await?;
        self.follow(answer).await
    }

    /// Sends a page's form with these fields filled in.
    pub async fn submit(&mut self, page: &Page, form_id: &str, filled: &Form<'_>) -> Place {
        self.try_submit(page, form_id, filled).await.unwrap()
    }

    /// The same at a server that may end before it has answered.
    pub async fn try_submit(
        &mut self,
        page: &Page,
        form_id: &str,
        filled: &Form<'_>,
    ) -> reqwest::Result<Place> {
        let (action, hidden) = page.form(form_id);
        let mut fields: Vec<_> = hidden.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        fields.extend(filled);
        let url = page.url.join(&action).unwrap();
        let origin = self.issuer.clone();
        self.try_post_from(&origin, url.as_str(), &fields).await
    }

    pub async fn log_in(&mut self, page: &Page, username: &str) -> Place {
        self.try_password(page, username, PASSWORD).await
    }

    pub async fn try_password(&mut self, page: &Page, username: &str, password: &str) -> Place {
        let fields = [("username", username), ("password", password), ("action", "login")];
        self.submit(page, "login-form", &fields).await
    }

    /// Answers the consent page: `allow`, `deny` or `switch`.
    pub async fn answer(&mut self, page: &Page, action: &str) -> Place {
        self.submit(page, "consent-form", &[("action", action)]).await
    }

    /// Goes through with it: logs in and allows, as far as it is asked to.
    pub async fn go_through(&mut self, url: &str, username: &str) -> Returned {
        let mut place = self.open(url).await;
        if matches!(&place, Place::Page(page) if page.has("login-form")) {
            place = self.log_in(&place.page(), username).await;
        }
        if matches!(&place, Place::Page(page) if page.has("consent-form")) {
            place = self.answer(&place.page(), "allow").await;
        }
        place.returned()
    }

    async fn follow(&mut self, mut answer: Response) -> reqwest::Result<Place> {
        for _ in 0..MOST_REDIRECTS {
            self.keep_cookies(answer.headers());
            let url = answer.url().clone();
            let location = answer.headers().get(LOCATION).map(|l| l.to_str().unwrap().to_owned());
            let Some(location) = location else { return self.arrive(url, answer).await };
            assert_eq!(answer.status(), 303, "a redirect to {location}");
            let target = url.join(&location).unwrap();
            if !self.is_ours(target.as_str()) {
                return Ok(Place::Returned(by_url(&target)));
            }
            answer = self.request(Method::GET, target.as_str()).send().await?;
        }
        panic!("too many redirects");
    }

    async fn arrive(&self, url: Url, answer: Response) -> reqwest::Result<Place> {
        let page = Page {
            url,
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            html: answer.text().await?,
        };
        if !page.has("form-post") {
            return Ok(Place::Page(page));
        }
        let (to, parameters) = page.form("form-post");
        Ok(Place::Returned(Returned { to, by: "form_post", parameters }))
    }

    fn is_ours(&self, url: &str) -> bool {
        url.starts_with(&format!("{}/", self.issuer))
            || url.starts_with(&format!("{}/", self.address))
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn by_url(url: &Url) -> Returned {
    let (by, text) = match url.fragment() {
        Some(fragment) => ("fragment", fragment),
        None => ("query", url.query().unwrap_or_default()),
    };
    let parameters = url::form_urlencoded::parse(text.as_bytes());
    let parameters = parameters.map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    let end = url.as_str().find(['?', '#']).unwrap_or(url.as_str().len());
    Returned { to: url.as_str()[..end].to_owned(), by, parameters }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, after) = tag
        .split_once(&format!(" {name}=\""))
        .or_else(|| tag.strip_prefix(&format!("{name}=\"")).map(|after| ("", after)))?;
    Some(unescaped(after.split_once('"')?.0))
}

fn unescaped(text: &str) -> String {
    let entities = [
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&lt;", "<"),
        ("&#62;", ">"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    entities.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}
