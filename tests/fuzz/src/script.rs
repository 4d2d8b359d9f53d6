//! Requests as text, one after the other, so that people can read and write them:
//!
//! ```text
//! POST /par
//! Authorization: Basic {basic}
//!
//! client_id=app&response_type=code&...
//! ===
//! GET /authorize?client_id=app&request_uri={request_uri}
//! ```
//!
//! `{name}` stands for what an earlier answer brought (or the world has from the beginning);
//! `{jwt TYP}CLAIMS{/jwt}` for a JWT of these claims, signed by the key of the client `app`. What
//! stands for nothing stays as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Between two requests.
const BETWEEN: &str = "\n===\n";

/// As many requests of one input are sent.
const MOST: usize = 8;

/// One request, before anything in it was replaced.
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: &'a str,
}

impl<'a> Request<'a> {
    /// The requests of an input.
    pub fn all(input: &'a str) -> impl Iterator<Item = Self> {
        input.split(BETWEEN).take(MOST).filter_map(Self::parse)
    }

    fn parse(text: &'a str) -> Option<Self> {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let (method, target) = lines.next()?.split_once(' ')?;
        let headers = lines.filter_map(|line| line.split_once(": ")).collect();
        Some(Self { method, target, headers, body })
    }

    /// Has it a header of this name?
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }
}

/// The text with what its placeholders stand for.
pub fn filled<'a>(
    text: &'a str,
    known: &BTreeMap<String, String>,
    sign: impl Fn(&str, &str) -> Option<String>,
) -> Cow<'a, str> {
    if !text.contains('{') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(signed(&named(text, known), sign))
}

fn named(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| Some((known.get(name)?, after)));
        if let Some((value, after)) = value {
            filled.push_str(value);
            rest = after;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled + rest
}

fn signed(text: &str, sign: impl Fn(&str, &str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, token)) = rest.split_once("{jwt ") {
        filled.push_str(before);
        let parts = token.split_once('}').and_then(|(typ, rest)| {
            let (claims, rest) = rest.split_once("{/jwt}")?;
            Some((sign(typ, claims)?, rest))
        });
        if let Some((token, after)) = parts {
            filled.push_str(&token);
            rest = after;
        } else {
            filled.push_str("{jwt ");
            rest = token;
        }
    }
    filled + rest
}
