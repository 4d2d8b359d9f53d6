//! Logging in, by the forms of the server's pages.

use std::sync::Arc;

use hyper::header::{HeaderValue, ORIGIN};
use url::Url;

use super::{Attempt, VirtualUser, endpoint};
use crate::bench::form::forms;
use crate::bench::http::{Answer, Outgoing, Target};
use crate::bench::scenario::Need;
use crate::bench::verify::{self, Step, Wrong};

/// How many pages a login may have.
const PAGES: u32 = 10;

/// What was filled in already.
#[derive(Default)]
struct Typed {
    username: bool,
    password: bool,
}

impl VirtualUser {
    /// Logs in as a person does: by the forms of the server's pages, from an authorization request
    /// to its end.
    pub(super) async fn log_in(&mut self) -> Result<(), Wrong> {
        let step = Step::Login;
        self.cookies.clear();
        let client = self.web()?;
        let attempt = Attempt::new();
        let request = self.request(&client, &attempt, client.scope());
        let redirect_uri = client.redirect_uri.as_deref().unwrap_or_default();
        let stage = Arc::clone(&self.stage);
        let target = endpoint(&stage, step, Need::Authorization)?.with_query(&request.finish());
        let no_url = |_| Wrong::new(step, "a page without a URL", "");
        let mut url: Url = target.url().parse().map_err(no_url)?;
        let mut answer = self.browse(step, Outgoing::get(&target), &target).await?;
        let mut typed = Typed::default();
        for _ in 0..PAGES {
            if let Some(location) = verify::location(&answer).filter(|_| answer.status / 100 == 3) {
                if location.starts_with(redirect_uri) {
                    verify::code(&answer, &self.asked(redirect_uri, &attempt))?;
                    self.is_logged_in = true;
                    return Ok(());
                }
                url = url.join(location).map_err(no_url)?;
                let target = page(&url)?;
                answer = self.browse(step, Outgoing::get(&target), &target).await?;
                continue;
            }
            let (to, form) = self.fill_in(&url, &answer, &mut typed)?;
            let origin = url.origin().ascii_serialization();
            let origin = HeaderValue::try_from(origin).map_err(|_| Wrong::new(step, "bad", ""))?;
            url = to;
            let target = page(&url)?;
            let request = Outgoing::form(&target, form).header(ORIGIN, origin);
            answer = self.browse(step, request, &target).await?;
        }
        Err(Wrong::new(step, "does not end", format_args!("after {PAGES} pages")))
    }

    /// Fills in the form of a page: where it goes, and its text.
    #[expect(clippy::disallowed_methods, reason = "the server's page asks for the password")]
    fn fill_in(
        &self,
        url: &Url,
        answer: &Answer,
        typed: &mut Typed,
    ) -> Result<(Url, String), Wrong> {
        let step = Step::Login;
        let html = String::from_utf8_lossy(&answer.body);
        let forms = forms(&html);
        let names = &self.stage.fields;
        let account = self.stage.account(self.number);
        let account = account.ok_or_else(|| Wrong::new(step, "no account", ""))?;
        let posted = || forms.iter().filter(|form| form.is_post);
        let (form, text) = if let Some((form, password)) =
            posted().find_map(|form| Some((form, form.password(names)?)))
        {
            if typed.password {
                let why = format_args!("the login page comes again: {}", answer.status);
                return Err(Wrong::new(step, "refused", why));
            }
            typed.password = true;
            let username = form.username(names).unwrap_or_default();
            let fields = [(username, &*account.username), (password, account.password.expose())];
            (form, form.filled(&fields))
        } else if let Some((form, username)) =
            posted().find_map(|form| Some((form, form.username(names)?)))
        {
            if typed.username {
                let why = format_args!("the page for the name comes again: {}", answer.status);
                return Err(Wrong::new(step, "refused", why));
            }
            typed.username = true;
            (form, form.filled(&[(username, &account.username)]))
        } else if let Some(form) = posted().find(|form| !form.asks()) {
            // A page that only wants a click: consent.
            (form, form.filled(&[]))
        } else {
            let why = format_args!("{} at {}", answer.status, url.path());
            return Err(Wrong::new(step, "a page without a form to fill in", why));
        };
        let to = form.action.as_deref().map_or_else(|| Ok(url.clone()), |action| url.join(action));
        Ok((to.map_err(|_| Wrong::new(step, "a form that leads nowhere", ""))?, text))
    }
}

fn page(url: &Url) -> Result<Target, Wrong> {
    Target::of(url).ok_or_else(|| Wrong::new(Step::Login, "leads out of the web", url.scheme()))
}
