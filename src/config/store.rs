//! `[store]`: where the log is kept.

use std::path::{Path, PathBuf};

use chancery_domain::time::Lifetime;
use url::Url;

use super::declaration::{Check, Report, settings};
use super::problem::Refusal;
use super::secret::{SecretFile, SecretText};
use super::value::{Kind, Redaction, TextSetting};

settings! {
    /// Where the log is kept, and everything beside it.
    Store in "store" {
        /// The store: `sqlite://FOLDER` for one server with a store of its own, in a folder
        /// that is made if need be (`sqlite:///var/lib/chancery` is absolute; a relative
        /// one starts at this file's folder), or `postgres://USER@HOST/DATABASE` for any
        /// number of nodes.
        url: StoreUrl = required "sqlite:///var/lib/chancery";
        /// The password for PostgreSQL. Better in `password_file`, or in the environment.
        password: Option<SecretText> = optional "correct horse battery staple";
        /// A file that holds the password for PostgreSQL.
        password_file: Option<SecretFile> = optional "/etc/chancery/postgres-password";
        /// Bring the store's tables up to date when the server starts. Nodes that start
        /// together wait for each other. If false: run `chancery migrate` before.
        migrate_at_start: bool = default true;
        /// Connections to PostgreSQL, or readers of SQLite, that a node keeps open.
        pool_size: u16 = default 8 within 2..=1000;
        /// Pack events that are older than this, in seconds: about a thousand go into one
        /// compressed block, in a seventh of the space, and stay readable and provable. 0: never.
        /// Longer than grants are idle before they are used again (2592000 is thirty days),
        /// since what is packed is slower to go on with. With PostgreSQL: only once all nodes run
        /// this version.
        pack_after: Lifetime = default 0 within 0..=3_153_600_000;
    }
}

/// Where to find the store, ready to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// This folder.
    Sqlite(PathBuf),
    /// This URL, with the password in it.
    Postgres(SecretText),
}

impl Store {
    /// Where to find the store.
    #[must_use]
    pub fn location(&self) -> Location {
        let mut url = match &self.url {
            StoreUrl::Sqlite(folder) => return Location::Sqlite(folder.clone()),
            StoreUrl::Postgres(url) => url.0.clone(),
        };
        let file = self.password_file.as_ref().map(|file| &file.text);
        if let Some(password) = self.password.as_ref().or(file) {
            #[expect(clippy::disallowed_methods, reason = "it goes to PostgreSQL, in this URL")]
            let password = password.expose();
            // A URL without a host (a Unix socket) can't hold it before the host.
            if url.set_password(Some(password)).is_err() {
                url.query_pairs_mut().append_pair("password", password);
            }
        }
        Location::Postgres(SecretText::new(url.into()))
    }
}

impl Check for Store {
    fn check(&self, report: &mut Report<'_>) {
        let given = [
            ("password", self.password.is_some()),
            ("password_file", self.password_file.is_some()),
        ];
        for (name, _) in given.into_iter().filter(|(_, given)| *given) {
            match &self.url {
                StoreUrl::Sqlite(_) => report.contradiction(
                    name,
                    "is given, but SQLite has no password",
                    "leave it out, or give a postgres:// URL in store.url",
                ),
                StoreUrl::Postgres(url) if url.0.password().is_some() => report.contradiction(
                    name,
                    "is given, but the URL in store.url holds a password as well",
                    "take the password out of the URL",
                ),
                StoreUrl::Postgres(_) => {}
            }
        }
        if given.iter().all(|(_, given)| *given) {
            report.contradiction(
                "password_file",
                "is given besides store.password",
                "keep one of the two",
            );
        }
    }
}

/// The kind of store and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// The folder of an embedded store.
    Sqlite(PathBuf),
    Postgres(PostgresUrl),
}

/// A `postgres://` URL, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Url);

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresUrl({})", without_password(self.0.as_str()))
    }
}

impl TextSetting for StoreUrl {
    const KIND: Kind = Kind { redaction: Redaction::UrlPassword, ..Kind::text("a URL") };

    fn parse(text: &str, base: &Path) -> Result<Self, Refusal> {
        let examples = "give sqlite:///var/lib/chancery or postgres://chancery@db.example/chancery";
        if let Some(folder) = text.strip_prefix("sqlite://") {
            if folder.is_empty() {
                return Err(Refusal::new("names no folder", examples));
            }
            if folder.contains(['?', '#', '%']) {
                return Err(Refusal::new(
                    "has ?, # or % in its folder",
                    "give the plain path of a folder, without options and escapes",
                ));
            }
            return Ok(Self::Sqlite(base.join(folder)));
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(Refusal::new("is neither an sqlite:// nor a postgres:// URL", examples));
        }
        let url = Url::parse(text)
            .map_err(|error| Refusal::new(format!("is not a URL: {error}"), examples))?;
        Ok(Self::Postgres(PostgresUrl(url)))
    }
}

/// A URL as it may be shown: any password in it replaced by an ellipsis.
#[must_use]
pub fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return "…".to_owned();
    };
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if parameters.iter().any(|(name, _)| name == "password") {
        let kept = parameters.iter().map(|(name, value)| {
            (name.as_str(), if name == "password" { "..." } else { value.as_str() })
        });
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
    if url.password().is_none() || url.set_password(Some("...")).is_err() {
        return url.into();
    }
    url.into()
}
