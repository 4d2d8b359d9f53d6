//! `[hooks.NAME]`: scripts and webhooks that are asked before the server does
//! something.

use std::path::{Path, PathBuf};

use url::Url;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::secret::{SecretFile, SecretText};
use super::value::{Kind, TextSetting, choice};
use crate::hooks::script::Script;
use crate::outbound::standard_webhooks::Signer;

settings! {
    /// Scripts and webhooks of yours that are asked before the server does something, and
    /// may refuse or shape it: a table each, [hooks.NAME]. Several at one point are asked
    /// in the order of their names. What each point tells and takes: src/hooks/README.md.
    ///
    /// All tables together can be given in the environment, as one inline table:
    /// `CHANCERY_HOOKS='{ claims = { on = ["token"], script = "/etc/chancery/claims.rhai" } }'`
    Hook in "hooks" {
        /// Where it is asked.
        on: Vec<Point> = required ["token"];
        /// The file of a script (Rhai) with a function for each point. It is read again when
        /// it changes. Either this or `url` is given.
        script: Option<ScriptFile> = optional "claims.rhai";
        /// A webhook: the input is posted there, signed as Standard Webhooks has it. What may
        /// be called, [outbound] says.
        url: Option<HookUrl> = optional "https://hooks.example.com/chancery";
        /// What the webhook's requests are signed by: `whsec_` and the Base64 of 24 to 64
        /// random bytes. Several with blanks between them: the requests are signed by each.
        /// Better in `secret_file`, or in the environment.
        secret: Option<SecretText> = optional "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        /// A file that holds the secret.
        secret_file: Option<SecretFile> = optional "/etc/chancery/hook-secret";
        /// How long it may take, in milliseconds. A script has other limits besides.
        timeout_ms: u32 = default 1000 within 1..=10_000;
        /// What happens when it fails, takes too long, or gives what can't be: the request is
        /// refused (closed), or goes on as if the hook were not there (open).
        on_failure: OnFailure = default "closed";
        /// For which clients: all, or those alone (named) whose metadata name it in `hooks`.
        clients: Clients = default "all";
        /// At the point token: tell it the claims about the person that the scope releases.
        sees_claims: bool = default false;
    }
}

choice! {
    /// Where a hook is asked.
    Point, "points" {
        /// An authorization request has come.
        Authorization = "authorization",
        /// The person is known.
        PostAuthentication = "post_authentication",
        /// The person is about to be asked for consent, or not.
        Consent = "consent",
        /// A client pushes an authorization request.
        Par = "par",
        /// Tokens are about to be issued.
        Token = "token",
        /// Claims are about to be given.
        Userinfo = "userinfo",
        /// A resource server asks what a token is worth.
        Introspection = "introspection",
        /// The server's metadata are put together.
        Discovery = "discovery",
        /// A client registers itself, or changes its registration.
        Registration = "registration",
    }
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Authorization,
        Self::PostAuthentication,
        Self::Consent,
        Self::Par,
        Self::Token,
        Self::Userinfo,
        Self::Introspection,
        Self::Discovery,
        Self::Registration,
    ];

    /// Is a client there that could name the hook?
    const fn has_client(self) -> bool {
        !matches!(self, Self::Discovery | Self::Registration)
    }
}

choice! {
    /// What happens when a hook fails.
    OnFailure, "an outcome" {
        /// The request is refused.
        Closed = "closed",
        /// The request goes on as if the hook were not there.
        Open = "open",
    }
}

choice! {
    /// For which clients a hook is asked.
    Clients, "some clients" {
        /// For all.
        All = "all",
        /// For those whose metadata name it.
        Named = "named",
    }
}

/// The file of a script that compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFile {
    pub path: PathBuf,
    /// The points that it has functions for.
    functions: Vec<Point>,
}

impl TextSetting for ScriptFile {
    const KIND: Kind = Kind::text("a path");

    fn parse(text: &str, base: &Path) -> Result<Self, Refusal> {
        let path = PathBuf::parse(text, base)?;
        let script = Script::read(&path).map_err(|error| {
            Refusal::new(error.to_string(), "correct the script; src/hooks/README.md has examples")
        })?;
        let functions = Point::ALL.into_iter().filter(|point| script.has(*point)).collect();
        Ok(Self { path, functions })
    }
}

/// Where a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookUrl(pub Url);

impl TextSetting for HookUrl {
    const KIND: Kind = Kind::text("a URL");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        let bad = || Refusal::new("is not such a URL", "give an https URL without a fragment");
        let url = Url::parse(text).map_err(|_| bad())?;
        let good = matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        if good { Ok(Self(url)) } else { Err(bad()) }
    }
}

impl Hook {
    /// The secret, wherever it stands.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretText> {
        self.secret.as_ref().or(self.secret_file.as_ref().map(|file| &file.text))
    }

    fn check_script(&self, script: &ScriptFile, report: &mut Report<'_>) {
        for point in &self.on {
            if !script.functions.contains(point) {
                let name = point.as_str();
                report.contradiction(
                    "script",
                    &format!("has no function for the point {name}"),
                    &format!("write `fn {name}(input) {{ … }}` there, or leave it out of on"),
                );
            }
        }
        if self.secret().is_some() {
            report.contradiction("secret", "is for webhooks", "leave it out");
        }
    }

    fn check_webhook(&self, report: &mut Report<'_>) {
        if self.on.contains(&Point::Discovery) {
            report.contradiction(
                "on",
                "discovery is for scripts: the metadata are put together before the server serves",
                "leave it out, or write a script",
            );
        }
        let signer = self.secret().map(Signer::new);
        if signer.is_none_or(|signer| signer.is_err()) {
            let name = if self.secret_file.is_some() { "secret_file" } else { "secret" };
            report.contradiction(
                name,
                "holds no secret to sign by",
                "make one with: echo \"whsec_$(head -c 32 /dev/urandom | base64)\"",
            );
        }
    }
}

impl Check for Hook {
    fn check(&self, report: &mut Report<'_>) {
        if self.on.is_empty() {
            report.contradiction("on", "names no point", "name one, or leave the table out");
        }
        match (&self.script, &self.url) {
            (Some(script), None) => self.check_script(script, report),
            (None, Some(_)) => self.check_webhook(report),
            (Some(_), Some(_)) => {
                report.contradiction("url", "and a script are given", "leave one of them out");
            }
            (None, None) => {
                report.contradiction("script", "is missing", "give a script or a url");
            }
        }
        if self.secret.is_some() && self.secret_file.is_some() {
            report.contradiction("secret", "is given twice", "leave out secret_file");
        }
        let nobody = self.on.iter().find(|point| !point.has_client());
        if let Some(point) = nobody.filter(|_| self.clients == Clients::Named) {
            report.contradiction(
                "clients",
                &format!("is named, but no client is there at {}", point.as_str()),
                "write a table of its own for that point",
            );
        }
        if self.sees_claims && !self.on.contains(&Point::Token) {
            report.contradiction("sees_claims", "is for the point token", "leave it out");
        }
    }
}

/// May a hook be called this? Clients name it, and it stands in counters.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(good)
}
