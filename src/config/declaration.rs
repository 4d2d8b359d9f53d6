//! How settings are declared: once, in `settings!`, from which come the typed
//! struct, its parsing, the names of its environment variables, its defaults
//! and its documentation.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use toml::de::DeValue;

use super::problem::{Place, Problem};
use super::value::{Context, Item, Kind, SettingValue, from_toml};

/// One setting, as declared.
#[derive(Debug)]
pub struct Setting {
    pub section: &'static str,
    pub name: &'static str,
    /// Its lines end in newlines and begin with a space.
    pub doc: &'static str,
    pub presence: Presence,
    /// The default, or an example where there is none, as TOML.
    pub text: &'static str,
    /// The good values of a number, both ends included.
    pub range: Option<RangeInclusive<i64>>,
    pub kind: Kind,
}

/// What it means when a setting is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// That is an error.
    Required,
    /// That means something of its own; the documentation says what.
    Optional,
    /// Its default applies.
    Default,
}

impl Setting {
    /// The environment variable that says it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}_{}", super::sources::PREFIX, self.section, self.name).to_uppercase()
    }

    /// What applies where nothing is written.
    #[must_use]
    pub fn default_item(&self) -> Option<Item> {
        if self.presence != Presence::Default {
            return None;
        }
        let parsed = DeValue::parse(self.text).ok()?;
        Some(from_toml(&parsed, &|_| Place::Default))
    }
}

/// A section, as declared.
#[derive(Debug)]
pub struct SectionInfo {
    pub name: &'static str,
    pub doc: &'static str,
    pub settings: &'static [Setting],
    /// Its tables have names of the operator's choice: `[scopes.NAME]`.
    pub keyed: bool,
}

impl SectionInfo {
    #[must_use]
    pub const fn of<T: Section>(keyed: bool) -> Self {
        Self { name: T::NAME, doc: T::DOC, settings: T::SETTINGS, keyed }
    }

    /// The environment variables that say something of it.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        if self.keyed {
            return vec![format!("{}{}", super::sources::PREFIX, self.name).to_uppercase()];
        }
        self.settings.iter().map(Setting::variable).collect()
    }
}

/// The struct of one section.
pub trait Section: Sized {
    const NAME: &'static str;
    const DOC: &'static str;
    const SETTINGS: &'static [Setting];

    /// Reads every setting; what is wrong goes to the reader.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// Looks for settings that are good alone but not together.
pub trait Check {
    fn check(&self, report: &mut Report<'_>);
}

/// The settings of one table as written.
pub type Written = BTreeMap<&'static str, Item>;

/// Hands out the settings of one table.
pub struct Reader<'a> {
    pub written: &'a Written,
    /// How messages name the table: `tokens`, `scopes.accounts`.
    pub table: String,
    /// Where the table itself stands.
    pub place: Place,
    /// The folder of the configuration file.
    pub folder: &'a Path,
    pub problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// Reads one setting, or its default.
    pub fn value<T: SettingValue>(&mut self, setting: &'static Setting) -> Option<T> {
        let default = setting.default_item();
        let Some(item) = self.written.get(setting.name).or(default.as_ref()) else {
            if setting.presence == Presence::Required {
                self.problems.push(Problem {
                    place: self.place.clone(),
                    setting: format!("{}.{}", self.table, setting.name),
                    message: "is missing".to_owned(),
                    remedy: format!("for example: {} = {}", setting.name, setting.text),
                });
            }
            return T::absent();
        };
        let base = match item.place {
            Place::File { .. } => self.folder,
            Place::Default | Place::Environment { .. } | Place::CommandLine => Path::new(""),
        };
        let mut refused = Vec::new();
        let value = T::read(item, &mut Context { setting, base, refused: &mut refused });
        self.problems.extend(refused.into_iter().map(|(place, refusal)| Problem {
            place,
            setting: format!("{}.{}", self.table, setting.name),
            message: refusal.message,
            remedy: refusal.remedy,
        }));
        value
    }
}

/// Takes contradictions within a section.
pub struct Report<'a> {
    /// How messages name the table: `tokens`, `hooks.claims`.
    pub section: &'a str,
    pub written: &'a Written,
    /// Where the section itself stands.
    pub place: Place,
    /// Is there a certificate in `[tls]`?
    pub has_tls: bool,
    pub problems: &'a mut Vec<Problem>,
}

impl Report<'_> {
    /// Is the setting written anywhere?
    #[must_use]
    pub fn is_written(&self, name: &str) -> bool {
        self.written.contains_key(name)
    }

    /// Says that a setting goes ill with another.
    pub fn contradiction(&mut self, name: &str, message: &str, remedy: &str) {
        let place = self.written.get(name).map_or_else(|| self.place.clone(), |i| i.place.clone());
        self.problems.push(Problem {
            place,
            setting: format!("{}.{name}", self.section),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

/// Declares a section: `name: Type = default VALUE`, `= required EXAMPLE` or
/// `= optional EXAMPLE`, and for numbers `within LEAST..=MOST`.
macro_rules! settings {
    ($(#[doc = $section_doc:literal])* $struct:ident in $section:literal {
        $(
            $(#[doc = $doc:literal])*
            $field:ident: $type:ty = $presence:ident $text:tt $(within $range:expr)?;
        )*
    }) => {
        $(#[doc = $section_doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $struct {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        impl $crate::config::declaration::Section for $struct {
            const NAME: &'static str = $section;
            const DOC: &'static str = concat!($($section_doc, "\n"),*);
            const SETTINGS: &'static [$crate::config::declaration::Setting] = &[$(
                $crate::config::declaration::Setting {
                    section: $section,
                    name: stringify!($field),
                    doc: concat!($($doc, "\n"),*),
                    presence: $crate::config::declaration::settings!(@presence $presence),
                    text: stringify!($text),
                    range: $crate::config::declaration::settings!(@range $($range)?),
                    kind: <$type as $crate::config::value::SettingValue>::KIND,
                },
            )*];

            fn read(reader: &mut $crate::config::declaration::Reader<'_>) -> Option<Self> {
                let mut settings = Self::SETTINGS.iter();
                $(let $field = settings.next().and_then(|setting| reader.value::<$type>(setting));)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
    (@presence default) => { $crate::config::declaration::Presence::Default };
    (@presence required) => { $crate::config::declaration::Presence::Required };
    (@presence optional) => { $crate::config::declaration::Presence::Optional };
    (@range) => { None };
    (@range $range:expr) => { Some($range) };
}

pub(crate) use settings;
