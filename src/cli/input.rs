//! What commands read: secrets from standard input, values from the command
//! line.

use std::fmt;
use std::io::{self, Read as _};
use std::str::FromStr;

use chancery_domain::time::UnixTime;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::exit::CliError;
use crate::admin::Confidential;
use crate::claims;

/// The longest password that is taken, in bytes.
const MAX_PASSWORD: u64 = 1024;

/// A password as it was typed. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The password itself, for the one place that hashes it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The password, to be sent to where it is hashed.
    #[must_use]
    pub fn into_confidential(self) -> Confidential {
        Confidential::new(self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Reads a password from standard input, up to its end; one line end after it
/// does not count.
pub fn password_from_stdin() -> Result<Password, CliError> {
    password_from(io::stdin().lock())
}

fn password_from(input: impl io::Read) -> Result<Password, CliError> {
    let mut text = String::new();
    input
        .take(MAX_PASSWORD + 3)
        .read_to_string(&mut text)
        .map_err(|error| CliError::failed(format_args!("can't read the password: {error}")))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(CliError::usage("no password came on standard input").hint(
            "for example: printf %s \"$PASSWORD\" | chancery account add … --password-stdin",
        ));
    }
    if password.len() as u64 > MAX_PASSWORD {
        let message = format_args!("the password is longer than {MAX_PASSWORD} bytes");
        return Err(CliError::usage(message));
    }
    Ok(Password(password.to_owned()))
}

/// A moment: RFC 3339, or seconds since 1970.
pub fn moment(text: &str) -> Result<UnixTime, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(UnixTime::from_seconds(seconds));
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .map(|time| UnixTime::from_seconds(time.unix_timestamp()))
        .map_err(|_| "give a time like 2026-05-01T09:30:00Z, or seconds since 1970".to_owned())
}

/// `name=value`; the value is JSON where it is that, else a string. What is
/// always a text is one without quotes too.
pub fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.trim().is_empty())
        .ok_or("give NAME=VALUE, like email=alice@example.com")?;
    let name = name.trim();
    let fits = |json: &Value| !claims::is_text(name) || json.is_string() || json.is_null();
    let json = serde_json::from_str(value).ok().filter(fits);
    Ok((name.to_owned(), json.unwrap_or_else(|| value.into())))
}

/// A value of a protocol parameter, by its registered name.
#[must_use]
pub fn named<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

/// A redirect URI as clients will send it: compared as text, so kept as text.
pub fn redirect_uri(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| format!("not an absolute URI: {error}"))?;
    if url.fragment().is_some() {
        return Err("leave out the fragment (RFC 6749 §3.1.2)".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "to see what was read")]
    fn one_line_end_after_a_password_does_not_count() {
        assert_eq!(password_from("pass word \r\n".as_bytes()).unwrap().expose(), "pass word ");
        assert_eq!(password_from("a\n\n".as_bytes()).unwrap().expose(), "a\n");
        assert!(password_from("\n".as_bytes()).is_err());
        assert!(password_from("x".repeat(1025).as_bytes()).is_err());
        assert!(password_from("x".repeat(1024).as_bytes()).is_ok());
    }

    #[test]
    fn moments_are_rfc_3339_or_seconds() {
        assert_eq!(moment("2026-05-01T11:30:00+02:00"), moment("2026-05-01T09:30:00Z"));
        assert_eq!(moment("1777627800").unwrap(), moment("2026-05-01T09:30:00Z").unwrap());
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn claims_are_json_where_they_can_be() {
        assert_eq!(claim("email=a@b=c").unwrap(), ("email".to_owned(), "a@b=c".into()));
        assert_eq!(claim("email_verified=true").unwrap().1, serde_json::Value::Bool(true));
        assert_eq!(claim("birthdate=1815").unwrap().1, "1815");
        assert_eq!(claim("name=\"1\"").unwrap().1, "1");
        assert_eq!(claim("name=null").unwrap().1, serde_json::Value::Null);
        assert_eq!(claim("shoe_size=41").unwrap().1, 41);
        assert!(claim("=x").is_err() && claim("email").is_err());
    }

    #[test]
    fn a_redirect_uri_has_no_fragment() {
        assert_eq!(redirect_uri("https://APP.example/cb").unwrap(), "https://APP.example/cb");
        assert!(redirect_uri("https://app.example/cb#x").is_err());
        assert!(redirect_uri("/cb").is_err());
    }
}
