//! `[mail]`: how mail is sent to people.

use chancery_domain::time::Lifetime;

use super::declaration::{Check, Report, settings};
use super::secret::{SecretFile, SecretText};
use super::value::choice;

settings! {
    /// How mail is sent: links to choose a new password by, and to confirm an address.
    /// Without `host` none is sent, and `chancery account reset-password` prints a link.
    Mail in "mail" {
        /// The SMTP server that takes the mail.
        host: Option<String> = optional "smtp.example.com";
        /// Its port. Left out: 465 with tls, 587 with starttls, 25 with none.
        port: Option<u16> = optional 465 within 1..=65_535;
        /// TLS from the first byte on (tls), after STARTTLS (starttls), or not at all
        /// (none), which is for a server on this machine only.
        security: Security = default "tls";
        /// The name to log in with there. Left out: no login.
        username: Option<String> = optional "chancery";
        /// Its password. Better in `password_file`, or in the environment.
        password: Option<SecretText> = optional "correct horse battery staple";
        /// A file that holds the password.
        password_file: Option<SecretFile> = optional "/etc/chancery/smtp-password";
        /// Who the mail is from. Needed with `host`.
        from: Option<String> = optional "Example Login <login@example.com>";
        /// How long the server may take for one mail, in seconds.
        timeout: Lifetime = default 20 within 1..=300;
    }
}

choice! {
    /// How the way to the mail server is protected.
    Security, "a way to protect it" {
        Tls = "tls",
        Starttls = "starttls",
        None = "none",
    }
}

impl Mail {
    /// The password, wherever it stands.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretText> {
        self.password.as_ref().or(self.password_file.as_ref().map(|file| &file.text))
    }
}

impl Check for Mail {
    fn check(&self, report: &mut Report<'_>) {
        let Some(host) = &self.host else { return };
        match &self.from {
            None => report.contradiction("host", "is given without mail.from", "give both"),
            Some(from) if !crate::mail::is_sender(from) => report.contradiction(
                "from",
                "is no address",
                "for example: from = \"Example Login <login@example.com>\"",
            ),
            Some(_) => {}
        }
        let here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if self.security == Security::None && !here {
            report.contradiction(
                "security",
                "is none, while the server is on another machine",
                "use tls or starttls: what is mailed lets whoever reads it take an account over",
            );
        }
        if self.username.is_some() != self.secret().is_some() {
            let remedy = "give username and one of password and password_file, or none of them";
            report.contradiction("username", "and a password go together", remedy);
        }
        if self.password.is_some() && self.password_file.is_some() {
            report.contradiction("password", "is given twice", "leave out password_file");
        }
    }
}
