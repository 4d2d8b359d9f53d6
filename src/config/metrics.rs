//! `[metrics]`: figures for the operator's monitoring.

use super::declaration::{Check, Report, settings};
use super::secret::{SecretFile, SecretText};
use super::server::Listen;

settings! {
    /// Figures for the operator's monitoring, at `/metrics` as Prometheus reads them. They name
    /// no client and no person, but tell how much goes on here: they are served apart from all
    /// else, by plain HTTP. See src/telemetry/README.md.
    Metrics in "metrics" {
        /// Where they are served: HOST:PORT, HOST being an IP address, or localhost for both
        /// loopback addresses. None: they are not. Choose an address that your monitoring
        /// reaches, and nobody else.
        listen: Vec<Listen> = default [];
        /// What whoever reads them has to bring as a bearer token. Better in `token_file`. Left
        /// out: nothing.
        token: Option<SecretText> = optional "mF_9.B5f-4.1JqM";
        /// A file that holds the token.
        token_file: Option<SecretFile> = optional "/etc/chancery/metrics-token";
    }
}

impl Metrics {
    /// The token, wherever it stands.
    #[must_use]
    pub fn token(&self) -> Option<&SecretText> {
        self.token.as_ref().or(self.token_file.as_ref().map(|file| &file.text))
    }
}

impl Check for Metrics {
    fn check(&self, report: &mut Report<'_>) {
        if self.token.is_some() && self.token_file.is_some() {
            report.contradiction("token", "is given twice", "leave out token_file");
        }
        let name = if self.token_file.is_some() { "token_file" } else { "token" };
        if self.token().is_some() && self.listen.is_empty() {
            report.contradiction(
                name,
                "has no effect: nobody is served",
                "set metrics.listen as well, or leave it out",
            );
        }
        #[expect(clippy::disallowed_methods, reason = "only its form is looked at")]
        let sendable = self.token().is_none_or(|token| {
            // RFC 6750 §2.1: b64token
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
            token.expose().bytes().all(good)
        });
        if !sendable {
            report.contradiction(
                name,
                "has characters that a bearer token can't have (RFC 6750 §2.1)",
                "use letters, digits and - . _ ~ + / =, like: head -c 32 /dev/urandom | base64",
            );
        }
    }
}
