//! The cookies of a virtual user's browser, by host.

use hyper::header::{HeaderMap, HeaderValue, SET_COOKIE};

/// A jar. No `Debug`: a session's cookie is a secret.
#[derive(Default)]
pub struct Cookies(Vec<Cookie>);

struct Cookie {
    host: String,
    name: String,
    value: String,
}

impl Cookies {
    /// Takes what an answer of this host sets. (Paths and times don't matter to who visits one
    /// server for a minute; a cookie that is taken back does.)
    pub fn take(&mut self, host: &str, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let Some((pair, attributes)) = line.to_str().ok().map(pair_and_attributes) else {
                continue;
            };
            let Some((name, value)) = pair.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            self.0.retain(|cookie| cookie.host != host || cookie.name != name);
            if !is_taken_back(attributes) {
                let (host, name) = (host.to_owned(), name.to_owned());
                self.0.push(Cookie { host, name, value: value.to_owned() });
            }
        }
    }

    /// The header for a request to this host, if there is anything to send.
    #[must_use]
    pub fn header(&self, host: &str) -> Option<HeaderValue> {
        let mut text = String::new();
        for Cookie { name, value, .. } in self.0.iter().filter(|cookie| cookie.host == host) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        if text.is_empty() {
            return None;
        }
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn pair_and_attributes(line: &str) -> (&str, &str) {
    line.split_once(';').unwrap_or((line, ""))
}

fn is_taken_back(attributes: &str) -> bool {
    attributes.split(';').any(|attribute| {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let (name, value) = (name.trim(), value.trim());
        (name.eq_ignore_ascii_case("max-age") && (value == "0" || value.starts_with('-')))
            || (name.eq_ignore_ascii_case("expires") && value.contains("1970"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(lines: &[&str]) -> Cookies {
        let mut jar = Cookies::default();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, HeaderValue::from_str(line).unwrap());
        }
        jar.take("as.example", &headers);
        jar
    }

    #[test]
    fn cookies_go_back_to_their_host_until_they_are_taken_back() {
        let jar = jar(&["a=1; Path=/; HttpOnly", "b=2", "b=3; Max-Age=60", "c=4", "c=; Max-Age=0"]);
        assert_eq!(jar.header("as.example").unwrap(), "a=1; b=3");
        assert_eq!(jar.header("other.example"), None);
    }

    #[test]
    fn a_cookie_that_expired_long_ago_is_taken_back() {
        let jar = jar(&["a=1", "a=; expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
        assert_eq!(jar.header("as.example"), None);
    }
}
