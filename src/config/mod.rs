//! The settings: one TOML file, and the environment over it.
//!
//! Each setting is declared once, in the file of its section (see
//! [`declaration`]); names, parsing, defaults, variables and documentation all
//! come from there. Nothing outside of this module reads the environment or a
//! configuration file.

use std::collections::BTreeMap;
use std::path::Path;

pub mod accounts;
pub mod audit;
pub mod authorization;
pub mod declaration;
mod embedded;
pub mod events;
pub mod features;
pub mod hooks;
pub mod http;
pub mod keys;
pub mod limits;
pub mod log;
pub mod login;
pub mod mail;
pub mod master_key;
pub mod metadata;
pub mod metrics;
pub mod outbound;
pub mod problem;
pub mod rate_limits;
pub mod registration;
pub mod scopes;
pub mod secret;
pub mod server;
pub mod sessions;
pub mod show;
pub mod sinks;
mod sources;
pub mod store;
pub mod tls;
pub mod tokens;
pub mod tracing;
pub mod value;

use declaration::{Reader, Report, Section, SectionInfo};
pub use embedded::{DEFAULT_DATA_FOLDER, DEFAULT_QUICKSTART_LISTEN, MASTER_KEY_FILE};
use problem::{Place, Problem, Problems};
use show::Effective;
pub use sources::Sources;

macro_rules! sections {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        /// Everything that is settled before the server starts.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $($(#[$doc])* pub $field: $type,)*
            /// The operator's own scopes, by name.
            pub scopes: BTreeMap<String, scopes::ScopeText>,
            /// Scripts and webhooks, by name.
            pub hooks: BTreeMap<String, hooks::Hook>,
            /// How often clients may call, by name.
            pub rate_limits: BTreeMap<String, rate_limits::RateLimit>,
            /// Where events are delivered to, by name.
            pub sinks: BTreeMap<String, sinks::Sink>,
            /// All of this as text, secrets left out.
            pub in_force: Vec<Effective>,
        }

        /// Every section, in the order of the documentation.
        pub static SECTIONS: &[SectionInfo] = &[
            $(SectionInfo::of::<$type>(false),)*
            SectionInfo::of::<scopes::ScopeText>(true),
            SectionInfo::of::<hooks::Hook>(true),
            SectionInfo::of::<rate_limits::RateLimit>(true),
            SectionInfo::of::<sinks::Sink>(true),
        ];

        fn read(load: &mut Load<'_>) -> Option<Config> {
            // Every section is read before the first bad one ends it, so that
            // all problems are found at once.
            $(let $field = load.section::<$type>();)*
            let scopes = load.keyed::<scopes::ScopeText>(&Naming {
                is_good: scopes::is_scope_token,
                message: "is not a name that a scope can have (RFC 6749 §3.3)",
                remedy: "use visible ASCII characters other than \" and \\",
            });
            let hooks = load.keyed::<hooks::Hook>(&Naming {
                is_good: hooks::is_name,
                message: "is not a name that a hook can have",
                remedy: "use at most 64 letters, digits, - and _",
            });
            let rate_limits = load.keyed::<rate_limits::RateLimit>(&Naming {
                is_good: hooks::is_name,
                message: "is not a name that a rate limit can have",
                remedy: "use at most 64 letters, digits, - and _",
            });
            let sinks = load.keyed::<sinks::Sink>(&Naming {
                is_good: hooks::is_name,
                message: "is not a name that a sink can have",
                remedy: "use at most 64 letters, digits, - and _",
            });
            let in_force = show::effective(load.collected);
            let (scopes, hooks, rate_limits, sinks) = (scopes?, hooks?, rate_limits?, sinks?);
            Some(Config { $($field: $field?,)* scopes, hooks, rate_limits, sinks, in_force })
        }
    };
}

sections! {
    server: server::Server,
    tls: tls::Tls,
    store: store::Store,
    master_key: master_key::MasterKey,
    tokens: tokens::Tokens,
    features: features::Features,
    authorization: authorization::Authorization,
    metadata: metadata::Metadata,
    registration: registration::Registration,
    sessions: sessions::Sessions,
    keys: keys::Keys,
    login: login::Login,
    accounts: accounts::Accounts,
    audit: audit::Audit,
    events: events::Events,
    mail: mail::Mail,
    http: http::Http,
    limits: limits::Limits,
    outbound: outbound::Outbound,
    log: log::Log,
    metrics: metrics::Metrics,
    tracing: tracing::Tracing,
}

/// The settings.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
}

impl Config {
    /// Reads the settings; says everything that is wrong with them.
    pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
        let mut collected = sources.collect();
        let mut problems = std::mem::take(&mut collected.problems);
        let folder = sources.file().and_then(Path::parent).unwrap_or(Path::new(""));
        let config = if collected.unreadable {
            None
        } else {
            read(&mut Load { collected: &collected, folder, problems: &mut problems })
        };
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        match config {
            Some(config) if problems.is_empty() => Ok(Loaded { config }),
            _ => Err(Problems { file: sources.file().map(Path::to_owned), list: problems }),
        }
    }
}

/// Has the person asked for no colours? See <https://no-color.org>.
#[must_use]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Who runs this command, as far as the machine knows: stands in events as
/// their actor.
#[must_use]
pub fn operator() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .filter_map(|name| std::env::var_os(name)?.into_string().ok())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Reads what was collected.
struct Load<'a> {
    collected: &'a sources::Collected,
    folder: &'a Path,
    problems: &'a mut Vec<Problem>,
}

impl Load<'_> {
    fn section<T: Section + declaration::Check>(&mut self) -> Option<T> {
        let nothing = declaration::Written::new();
        let written = self.collected.sections.get(T::NAME).unwrap_or(&nothing);
        let place = self.collected.headings.get(T::NAME).cloned().unwrap_or(Place::Default);
        let section = T::read(&mut Reader {
            written,
            table: T::NAME.to_owned(),
            place: place.clone(),
            folder: self.folder,
            problems: self.problems,
        })?;
        let tls = self.collected.sections.get(<tls::Tls as Section>::NAME);
        let has_tls = tls.is_some_and(|tls| tls.contains_key("certificate_file"));
        let problems = &mut *self.problems;
        section.check(&mut Report { section: T::NAME, written, place, has_tls, problems });
        Some(section)
    }

    /// The tables of a keyed section, by their names.
    fn keyed<T: Section + declaration::Check>(
        &mut self,
        naming: &Naming,
    ) -> Option<BTreeMap<String, T>> {
        let tables = self.collected.tables.iter().filter(|((section, _), _)| *section == T::NAME);
        let mut read = Vec::new();
        for ((section, name), (place, written)) in tables {
            let table = format!("{section}.{name}");
            if !(naming.is_good)(name) {
                self.problems.push(Problem {
                    place: place.clone(),
                    setting: table.clone(),
                    message: naming.message.to_owned(),
                    remedy: naming.remedy.to_owned(),
                });
            }
            let one = T::read(&mut Reader {
                written,
                table: table.clone(),
                place: place.clone(),
                folder: self.folder,
                problems: self.problems,
            });
            if let Some(one) = &one {
                let (place, problems) = (place.clone(), &mut *self.problems);
                let mut report =
                    Report { section: &table, written, place, has_tls: false, problems };
                one.check(&mut report);
            }
            read.push(one.map(|one| (name.clone(), one)));
        }
        read.into_iter().collect()
    }
}

/// What the tables of a keyed section may be called.
struct Naming {
    is_good: fn(&str) -> bool,
    message: &'static str,
    remedy: &'static str,
}

#[cfg(test)]
mod tests;
