//! What is counted, and for whom.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chancery_domain::ids::ClientId;

/// One word of a name, as events have it.
pub type Word = Cow<'static, str>;

/// What a number is of. `occurred_at` is that of the envelope; a grant counts when and for
/// whom it was opened, whatever comes of it later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Grants by code that reached a step; how long it took, in milliseconds.
    Step(Request, Step),
    /// Those of them that reached no more, since the request was declined.
    Declined(Request, Step),
    /// Plain requests recorded, whatever their response type.
    Received,
    /// Token requests answered, when and for whom they were.
    Answered(Answer),
    /// Refusals that are events, when they happened, by who was refused.
    Remembered,
    /// Requests declined, when they were.
    RequestDeclined,
    /// Grants that brought a token, by grant type.
    Grants(Word),
    /// Those of them that were revoked; how long they lived, in milliseconds.
    Ended { cause: Word, grant_type: Word },
    /// How often these had been refreshed.
    EndedRefreshes { cause: Word, grant_type: Word },
    /// Replaced refresh tokens presented again, when and by whom they were.
    Reused,
    /// Access tokens that were good then.
    ReusedAlive,
    /// Grants revoked for it.
    ReusedRevoked,
    /// Access tokens that had not ended when their grant was revoked, counted then; how long they
    /// had still to live, in seconds.
    Alive { cause: Word, form: Word },
    /// Grants that had such tokens.
    AliveGrants { cause: Word, form: Word },
    /// What is counted in windows, when these began.
    Counted { what: Word, reason: Word },
}

/// How an authorization request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// RFC 9126
    Pushed,
    /// By the browser.
    Plain,
}

/// How far a grant by code has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Request,
    Login,
    Consent,
    Code,
    Token,
}

/// How a token request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// A code was redeemed.
    Code,
    /// A refresh token was used.
    Refresh,
    /// Without either.
    Direct,
}

/// Whose numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Everybody's together.
    All,
    /// Where no registered client was named.
    Nobody,
    Client(ClientId),
}

/// This is none that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of a figure")]
pub struct UnknownName;

impl Request {
    pub const ALL: [Self; 2] = [Self::Pushed, Self::Plain];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Plain => "plain",
        }
    }
}

impl Step {
    /// In order.
    pub const ALL: [Self; 5] = [Self::Request, Self::Login, Self::Consent, Self::Code, Self::Token];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::Code => "code",
            Self::Token => "token",
        }
    }

    /// The one before.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self {
            Self::Request => None,
            Self::Login => Some(Self::Request),
            Self::Consent => Some(Self::Login),
            Self::Code => Some(Self::Consent),
            Self::Token => Some(Self::Code),
        }
    }
}

impl Answer {
    pub const ALL: [Self; 3] = [Self::Code, Self::Refresh, Self::Direct];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Refresh => "refresh",
            Self::Direct => "direct",
        }
    }
}

impl From<Option<&ClientId>> for Whose {
    fn from(client: Option<&ClientId>) -> Self {
        client.map_or(Self::Nobody, |client| Self::Client(client.clone()))
    }
}

/// Client ids have no spaces, and nothing else has a colon.
impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Nobody => f.write_str("none"),
            Self::Client(client) => write!(f, "client:{client}"),
        }
    }
}

impl FromStr for Whose {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Nobody),
            _ => {
                let client = text.strip_prefix("client:").ok_or(UnknownName)?;
                client.parse().map(Self::Client).map_err(|_| UnknownName)
            }
        }
    }
}

/// Words with dots between; only the last may have dots in it.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(request, step) => write!(f, "step.{}.{}", request.as_str(), step.as_str()),
            Self::Declined(request, step) => {
                write!(f, "declined.{}.{}", request.as_str(), step.as_str())
            }
            Self::Received => f.write_str("received"),
            Self::Answered(answer) => write!(f, "answered.{}", answer.as_str()),
            Self::Remembered => f.write_str("remembered"),
            Self::RequestDeclined => f.write_str("request_declined"),
            Self::Grants(grant_type) => write!(f, "grants.{grant_type}"),
            Self::Ended { cause, grant_type } => write!(f, "ended.{cause}.{grant_type}"),
            Self::EndedRefreshes { cause, grant_type } => {
                write!(f, "ended_refreshes.{cause}.{grant_type}")
            }
            Self::Reused => f.write_str("reused"),
            Self::ReusedAlive => f.write_str("reused_alive"),
            Self::ReusedRevoked => f.write_str("reused_revoked"),
            Self::Alive { cause, form } => write!(f, "alive.{cause}.{form}"),
            Self::AliveGrants { cause, form } => write!(f, "alive_grants.{cause}.{form}"),
            Self::Counted { what, reason } => write!(f, "counted.{what}.{reason}"),
        }
    }
}

impl FromStr for Name {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let (of, rest) = text.split_once('.').unwrap_or((text, ""));
        let two = || {
            let (first, second) = rest.split_once('.').ok_or(UnknownName)?;
            Ok((Word::Owned(first.to_owned()), Word::Owned(second.to_owned())))
        };
        let step = || {
            let (request, step) = rest.split_once('.')?;
            let request = Request::ALL.into_iter().find(|own| own.as_str() == request)?;
            Some((request, Step::ALL.into_iter().find(|own| own.as_str() == step)?))
        };
        Ok(match of {
            "step" => step().map(|(request, step)| Self::Step(request, step)).ok_or(UnknownName)?,
            "declined" => {
                step().map(|(request, step)| Self::Declined(request, step)).ok_or(UnknownName)?
            }
            "answered" => {
                let found = Answer::ALL.into_iter().find(|answer| answer.as_str() == rest);
                Self::Answered(found.ok_or(UnknownName)?)
            }
            "grants" if !rest.is_empty() => Self::Grants(Word::Owned(rest.to_owned())),
            "ended" => two().map(|(cause, grant_type)| Self::Ended { cause, grant_type })?,
            "ended_refreshes" => {
                two().map(|(cause, grant_type)| Self::EndedRefreshes { cause, grant_type })?
            }
            "alive" => two().map(|(cause, form)| Self::Alive { cause, form })?,
            "alive_grants" => two().map(|(cause, form)| Self::AliveGrants { cause, form })?,
            "counted" => two().map(|(what, reason)| Self::Counted { what, reason })?,
            _ => match text {
                "received" => Self::Received,
                "remembered" => Self::Remembered,
                "request_declined" => Self::RequestDeclined,
                "reused" => Self::Reused,
                "reused_alive" => Self::ReusedAlive,
                "reused_revoked" => Self::ReusedRevoked,
                _ => return Err(UnknownName),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_was_written() {
        let word = |text: &'static str| Word::Borrowed(text);
        let mut names = vec![
            Name::Received,
            Name::Remembered,
            Name::RequestDeclined,
            Name::Grants(word("client_credentials")),
            Name::Ended { cause: word("client_disabled"), grant_type: word("urn:a.b") },
            Name::EndedRefreshes { cause: word("client_disabled"), grant_type: word("implicit") },
            Name::Reused,
            Name::ReusedAlive,
            Name::ReusedRevoked,
            Name::Alive { cause: word("client_disabled"), form: word("jwt") },
            Name::AliveGrants { cause: word("client_disabled"), form: word("opaque") },
            Name::Counted { what: word("hook_failed"), reason: word("a.b") },
        ];
        names.extend(Answer::ALL.map(Name::Answered));
        for request in Request::ALL {
            names.extend(Step::ALL.map(|step| Name::Step(request, step)));
            names.extend(Step::ALL.map(|step| Name::Declined(request, step)));
        }
        for name in names {
            assert_eq!(name.to_string().parse(), Ok(name.clone()), "{name}");
        }
        for wrong in ["", "step", "step.pushed", "step.pushed.tea", "answered.tea", "grants", "x.y"]
        {
            assert_eq!(wrong.parse::<Name>(), Err(UnknownName), "{wrong}");
        }
    }

    #[test]
    fn no_client_is_taken_for_all_or_for_nobody() {
        for whose in [
            Whose::All,
            Whose::Nobody,
            Whose::Client(ClientId::parse("all").unwrap()),
            Whose::Client(ClientId::parse("client:none").unwrap()),
        ] {
            assert_eq!(whose.to_string().parse(), Ok(whose));
        }
        assert_eq!("everybody".parse::<Whose>(), Err(UnknownName));
    }
}
