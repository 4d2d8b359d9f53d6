//! A pattern of redirect URIs, for clients whose URIs can't all be named.
//!
//! RFC 9700 §2.1 wants URIs compared as they stand, and a loose pattern gives
//! codes away. So a pattern is the operator's to set, matches the whole URI, is
//! for https only, and must say its host: parts of a host name may vary, what
//! ends it may not.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use regex_lite::{Regex, RegexBuilder};

use super::redirect_uri::RedirectUri;

/// The longest pattern, in bytes.
const LONGEST: usize = 500;

/// The largest program that a pattern may become, in bytes.
const LARGEST: usize = 256 * 1024;

/// Why a pattern can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// It is no regular expression, or too large a one.
    #[error("is no regular expression, or too large")]
    Syntax,
    /// It is for something else than https.
    #[error("must begin with https://")]
    NotHttps,
    /// It would match hosts that nobody thought of.
    #[error(
        "must say its host: letters, digits, hyphens, \\., classes and groups of these, up to a /"
    )]
    OpenHost,
    /// An alternative that reaches around the host.
    #[error("may have alternatives inside of groups only")]
    Alternatives,
}

/// A regular expression that matches whole redirect URIs, in linear time.
#[derive(Clone)]
pub struct RedirectUriPattern(Regex);

impl RedirectUriPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() > LONGEST {
            return Err(InvalidPattern::Syntax);
        }
        let regex = |text: &str| {
            let built = RegexBuilder::new(text).size_limit(LARGEST).build();
            built.map_err(|_| InvalidPattern::Syntax)
        };
        // Alone, so that no parenthesis reaches out of it.
        regex(text)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix(r"https:\/\/"));
        let mut rest = rest.ok_or(InvalidPattern::NotHttps)?.chars().peekable();
        check_host(&mut rest)?;
        check_rest(&mut rest)?;
        regex(&format!(r"\A(?:{text})\z")).map(Self)
    }

    /// Does it allow this URI?
    #[must_use]
    pub fn allows(&self, uri: &RedirectUri) -> bool {
        self.0.is_match(uri.as_str())
    }
}

impl fmt::Debug for RedirectUriPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedirectUriPattern({})", self.0.as_str())
    }
}

/// Reads up to the slash that ends the host, or the pattern's end.
fn check_host(rest: &mut Peekable<Chars<'_>>) -> Result<(), InvalidPattern> {
    let mut depth = 0_usize;
    while let Some(c) = rest.next() {
        let is_end = match c {
            '/' => true,
            '\\' => match rest.next() {
                Some('/') => true,
                Some('.' | '-' | 'd') => false,
                _ => return Err(InvalidPattern::OpenHost),
            },
            '[' => {
                check_class(rest)?;
                false
            }
            '(' => {
                depth += 1;
                if rest.next_if_eq(&'?').is_some() {
                    rest.next_if_eq(&':').ok_or(InvalidPattern::OpenHost)?;
                }
                false
            }
            ')' => {
                depth = depth.saturating_sub(1);
                false
            }
            '|' if depth == 0 => return Err(InvalidPattern::Alternatives),
            '|' | '+' | '*' | '?' | '{' | '}' | ',' | ':' | '-' => false,
            c if c.is_ascii_alphanumeric() => false,
            _ => return Err(InvalidPattern::OpenHost),
        };
        if is_end {
            let may_be_missing = matches!(rest.peek(), Some('?' | '*' | '{'));
            let outside = depth == 0 && !may_be_missing;
            return if outside { Ok(()) } else { Err(InvalidPattern::OpenHost) };
        }
    }
    Ok(())
}

/// A class of a host's characters: `[a-z0-9-]`.
fn check_class(rest: &mut Peekable<Chars<'_>>) -> Result<(), InvalidPattern> {
    let class: String = rest.by_ref().take_while(|c| *c != ']').collect();
    let of_a_host = class.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    // A range from the hyphen on has the dot and the slash in it.
    if !of_a_host || class.is_empty() || class.starts_with('-') || class.contains("--") {
        return Err(InvalidPattern::OpenHost);
    }
    Ok(())
}

/// Behind the host, anything but an alternative to it.
fn check_rest(rest: &mut Peekable<Chars<'_>>) -> Result<(), InvalidPattern> {
    let mut depth = 0_usize;
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '[' => skip_class(rest),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return Err(InvalidPattern::Alternatives),
            _ => {}
        }
    }
    Ok(())
}

fn skip_class(rest: &mut Peekable<Chars<'_>>) {
    let _ = rest.next_if_eq(&'^');
    // First in a class, it is a character of it.
    let _ = rest.next_if_eq(&']');
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            ']' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, uri: &str) -> bool {
        let pattern =
            RedirectUriPattern::parse(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        pattern.allows(&RedirectUri::parse(uri).unwrap())
    }

    #[test]
    fn the_whole_uri_must_match() {
        let pattern = r"https://[a-z0-9-]+\.rp\.example/cb/[0-9]+";
        assert!(allows(pattern, "https://one.rp.example/cb/1"));
        for other in [
            "https://one.rp.example/cb/1x",
            "https://one.rp.example/cb/1?x=1",
            "https://one.rp.example/cb/",
            "https://one.two.rp.example/cb/1",
            "https://evil.example/https://one.rp.example/cb/1",
            "https://onexrp.example/cb/1",
            "http://one.rp.example/cb/1",
        ] {
            assert!(!allows(pattern, other), "{other}");
        }
        // The longer alternative is tried, too.
        assert!(allows(r"https://rp\.example/(?:a|ab)", "https://rp.example/ab"));
        assert!(allows(r"https:\/\/(a|b)\.rp\.example(:\d+)?\/cb", "https://b.rp.example:81/cb"));
    }

    #[test]
    fn a_pattern_says_its_host() {
        use InvalidPattern as E;
        for (pattern, error) in [
            (r".*", E::NotHttps),
            (r"http://rp\.example/.*", E::NotHttps),
            (r"(?i)https://rp\.example/.*", E::NotHttps),
            (r"https://.*", E::OpenHost),
            (r"https://.*\.rp\.example/cb", E::OpenHost),
            (r"https://rp.example/cb", E::OpenHost),
            (r"https://[^/]+\.rp\.example/cb", E::OpenHost),
            (r"https://[--9]+\.rp\.example/cb", E::OpenHost),
            (r"https://\S+/cb", E::OpenHost),
            (r"https://rp\.example/?.*", E::OpenHost),
            (r"https://rp\.example/{0}.*", E::OpenHost),
            (r"https://rp\.example(/cb)?.*", E::OpenHost),
            (r"https://rp\.example\/*.*", E::OpenHost),
            (r"https://(?i:rp)\.example/", E::OpenHost),
            (r"https://me@rp\.example/", E::OpenHost),
            (r"https://a|https://evil\.example/", E::Alternatives),
            (r"https://rp\.example/cb|.*", E::Alternatives),
            (r"https://rp\.example/[|]x|.*", E::Alternatives),
            (r"https://rp\.example/a)|(?:.*", E::Syntax),
            (r"https://rp\.example/(", E::Syntax),
            (r"https://rp\.example/(?:a{1000}){1000}", E::Syntax),
            (r"https://rp\.example/(?x)a #", E::Syntax),
        ] {
            let refused = RedirectUriPattern::parse(pattern).map(drop);
            assert_eq!(refused, Err(error), "{pattern}");
        }
        let long = format!(r"https://rp\.example/{}", "a".repeat(LONGEST));
        assert_eq!(RedirectUriPattern::parse(&long).map(drop), Err(E::Syntax));
        for good in [
            r"https://rp\.example/.*",
            r"https://rp\.example/a(?:b|c)[^|]",
            r"https://rp\.example/[]|]x",
            r"https://[a-z]{1,20}-\d+\.rp\.example",
        ] {
            assert!(RedirectUriPattern::parse(good).is_ok(), "{good}");
        }
    }
}
