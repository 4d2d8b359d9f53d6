//! `response_mode=form_post`: in the body of a form that the browser posts
//! (OAuth 2.0 Form Post Response Mode §2).

use chancery_domain::protocol::redirect_uri::RedirectUri;

use super::{Parameters, Shown};
use crate::interaction::pages::FormPostPage;

pub(super) fn page(
    redirect_uri: &RedirectUri,
    parameters: &Parameters<'_>,
    shown: &Shown<'_>,
) -> String {
    let Shown { frame, client_name } = *shown;
    FormPostPage { frame, client_name, redirect_uri: redirect_uri.as_str(), parameters }.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction::pages::Frame;

    #[test]
    fn the_parameters_are_fields_of_a_form_to_the_redirect_uri() {
        let own = RedirectUri::parse("https://rp.example/cb?x=1&y=2").unwrap();
        let shown = Shown { frame: Frame::PLAIN, client_name: "Demo" };
        let html = page(&own, &[("code", "\"x\"")], &shown);
        assert!(html.contains("action=\"https://rp.example/cb?x=1&#38;y=2\""));
        assert!(html.contains("<input type=\"hidden\" name=\"code\" value=\"&#34;x&#34;\">"));
    }
}
