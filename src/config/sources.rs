//! Where settings are written: the file and the environment. Nothing else in
//! Chancery reads either.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::SECTIONS;
use super::declaration::{SectionInfo, Setting, Written};
use super::problem::{Place, Problem, Problems, nearest};
use super::value::{Item, Lines, Shape, Value, from_toml};

/// What the names of all environment variables for settings begin with.
pub const PREFIX: &str = "chancery_";

/// The texts that settings are read from. No `Debug`: they hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    file: Option<(PathBuf, String)>,
    environment: BTreeMap<String, OsString>,
    /// Section, name and value, from the command line.
    given: Vec<(&'static str, &'static str, Value)>,
}

impl Sources {
    /// The environment of this process, and this file if there is one.
    pub fn of_process(file: Option<&Path>) -> Result<Self, Problems> {
        let file = match file {
            Some(path) => Some((path.to_owned(), read(path)?)),
            None => None,
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(&PREFIX.to_uppercase()))
            .collect();
        Ok(Self { file, environment, given: Vec::new() })
    }

    /// This text, as if it stood in that file, and no environment.
    #[must_use]
    pub fn of_text(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { file: Some((file.into(), text.into())), ..Self::default() }
    }

    /// With this environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// With this setting, as if it stood on the command line.
    pub(super) fn with_given(
        mut self,
        section: &'static str,
        name: &'static str,
        value: Value,
    ) -> Self {
        self.given.push((section, name, value));
        self
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Finds every setting that is written; complains of what is none.
    pub(super) fn collect(&self) -> Collected {
        let mut collected = Collected::default();
        if let Some((_, text)) = &self.file {
            collected.take_file(text);
        }
        if !collected.unreadable {
            collected.take_environment(&self.environment);
            for (section, name, value) in &self.given {
                let item = Item { value: value.clone(), place: Place::CommandLine };
                collected.sections.entry(section).or_default().insert(name, item);
            }
        }
        collected
    }
}

fn read(path: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|error| Problems {
        file: Some(path.to_owned()),
        list: vec![Problem {
            place: Place::Default,
            setting: String::new(),
            message: format!("can't be read: {error}"),
            remedy: "give the path of the configuration file with --config; `chancery config show \
                     --defaults` prints one to start from"
                .to_owned(),
        }],
    })
}

/// Every setting that is written, by section. No `Debug`: it holds secrets.
#[derive(Default)]
pub(super) struct Collected {
    pub sections: BTreeMap<&'static str, Written>,
    /// Where the heading of a section stands.
    pub headings: BTreeMap<&'static str, Place>,
    /// The tables of a keyed section, by its name and theirs.
    pub tables: BTreeMap<(&'static str, String), (Place, Written)>,
    pub problems: Vec<Problem>,
    /// The file is not TOML, so nothing can be said about what it leaves out.
    pub unreadable: bool,
}

impl Collected {
    fn complain(&mut self, place: Place, setting: &str, message: &str, remedy: String) {
        let (setting, message) = (setting.to_owned(), message.to_owned());
        self.problems.push(Problem { place, setting, message, remedy });
    }

    fn take_file(&mut self, text: &str) {
        let lines = Lines::of(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let place = lines.place(error.span().map_or(0, |span| span.start));
            // Its message may have lines of its own: what was expected.
            let message = error.message().replace('\n', "; ");
            self.complain(place, "", &message, "correct the TOML there".to_owned());
        }
        self.unreadable = !errors.is_empty();
        if self.unreadable {
            return;
        }
        for (name, value) in document.get_ref() {
            let heading = lines.place(name.span().start);
            let Some(section) = SECTIONS.iter().find(|section| section.name == name.get_ref())
            else {
                self.unknown_section(heading, name.get_ref());
                continue;
            };
            self.take_section(section, heading, from_toml(value, &|at| lines.place(at)));
        }
    }

    fn take_section(&mut self, section: &'static SectionInfo, heading: Place, item: Item) {
        let Value::Table(entries) = item.value else {
            let message = format!("is {} where a table belongs", item.value.kind());
            let remedy = format!("write [{}] on a line, and its settings below", section.name);
            self.complain(item.place, section.name, &message, remedy);
            return;
        };
        self.headings.insert(section.name, heading);
        if !section.keyed {
            let written = self.take_table(section, section.name, entries);
            self.sections.insert(section.name, written);
            return;
        }
        for (name, place, item) in entries {
            let table = format!("{}.{name}", section.name);
            let Value::Table(entries) = item.value else {
                let example = section.settings.first().map_or("…", |setting| setting.name);
                let remedy = format!("for example: [{table}] and below it: {example} = \"…\"");
                self.complain(place, &table, "is not a table", remedy);
                continue;
            };
            let written = self.take_table(section, &table, entries);
            self.tables.insert((section.name, name), (place, written));
        }
    }

    fn take_table(
        &mut self,
        section: &SectionInfo,
        table: &str,
        entries: Vec<(String, Place, Item)>,
    ) -> Written {
        let mut written = Written::new();
        for (name, place, item) in entries {
            match section.settings.iter().find(|setting| setting.name == name) {
                Some(setting) => {
                    written.insert(setting.name, item);
                }
                None => self.unknown_setting(section, table, place, &name),
            }
        }
        written
    }

    fn unknown_section(&mut self, place: Place, name: &str) {
        let home = SECTIONS.iter().find(|s| !s.keyed && s.settings.iter().any(|s| s.name == name));
        let remedy = match (home, nearest(name, SECTIONS.iter().map(|section| section.name))) {
            (Some(home), _) => format!("it belongs below [{}]", home.name),
            (None, Some(meant)) => format!("did you mean [{meant}]?"),
            (None, None) => {
                let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
                format!("the sections are: {}", names.join(", "))
            }
        };
        self.complain(place, name, "is no section", remedy);
    }

    fn unknown_setting(&mut self, section: &SectionInfo, table: &str, place: Place, name: &str) {
        let others = SECTIONS.iter().filter(|other| !other.keyed && other.name != section.name);
        let home = others.into_iter().find(|other| other.settings.iter().any(|s| s.name == name));
        let names = || section.settings.iter().map(|setting| setting.name);
        let remedy = match (home, nearest(name, names())) {
            (Some(home), _) => format!("it belongs below [{}]", home.name),
            (None, Some(meant)) => format!("did you mean {meant}?"),
            (None, None) => {
                format!("the settings of [{table}] are: {}", names().collect::<Vec<_>>().join(", "))
            }
        };
        self.complain(place, &format!("{table}.{name}"), "is no setting", remedy);
    }

    fn take_environment(&mut self, environment: &BTreeMap<String, OsString>) {
        let prefix = PREFIX.to_uppercase();
        let ours = environment.iter().filter(|(name, _)| name.starts_with(&prefix));
        let mut unknown = Vec::new();
        for (variable, value) in ours {
            let place = Place::Environment { variable: variable.clone() };
            let Some(text) = value.to_str() else {
                self.complain(place, "", "is not UTF-8", "give it as UTF-8 text".to_owned());
                continue;
            };
            match target_of(variable) {
                Target::Setting(section, setting) => {
                    let item = read_variable(text, setting.kind.shape, place);
                    self.sections.entry(section.name).or_default().insert(setting.name, item);
                }
                Target::Section(section) => self.take_section_variable(section, place, text),
                Target::None => unknown.push(variable),
            }
        }
        let master_key = self.sections.get("master_key").and_then(|written| written.get("env"));
        let key_variable = match master_key.map(|item| &item.value) {
            Some(Value::Text(name)) => name.clone(),
            _ => String::new(),
        };
        for variable in unknown {
            if *variable != key_variable && !is_service_link(variable) {
                self.unknown_variable(variable);
            }
        }
    }

    fn take_section_variable(&mut self, section: &'static SectionInfo, place: Place, text: &str) {
        match DeValue::parse(text) {
            Ok(value) => {
                let item = from_toml(&value, &|_| place.clone());
                self.tables.retain(|(name, _), _| *name != section.name);
                self.take_section(section, place, item);
            }
            Err(error) => {
                let message = format!("is not TOML: {}", error.message().replace('\n', "; "));
                let remedy = "give one inline table, like { name = { … } }".to_owned();
                self.complain(place, section.name, &message, remedy);
            }
        }
    }

    fn unknown_variable(&mut self, variable: &str) {
        let known: Vec<String> = SECTIONS.iter().flat_map(SectionInfo::variables).collect();
        // What all begin with makes none of them likelier.
        let bare = known.iter().filter_map(|name| name.get(PREFIX.len()..));
        let meant = nearest(variable.get(PREFIX.len()..).unwrap_or_default(), bare);
        let remedy = meant.map_or_else(
            || "unset it; `chancery config show --defaults` names all variables".to_owned(),
            |meant| format!("did you mean {}{meant}?", PREFIX.to_uppercase()),
        );
        let place = Place::Environment { variable: variable.to_owned() };
        self.complain(place, "", "is no setting", remedy);
    }
}

/// What a variable sets.
enum Target {
    Setting(&'static SectionInfo, &'static Setting),
    /// A whole keyed section.
    Section(&'static SectionInfo),
    None,
}

fn target_of(variable: &str) -> Target {
    for section in SECTIONS {
        if section.keyed {
            if section.variables().iter().any(|name| name == variable) {
                return Target::Section(section);
            }
            continue;
        }
        if let Some(setting) = section.settings.iter().find(|s| s.variable() == variable) {
            return Target::Setting(section, setting);
        }
    }
    Target::None
}

/// Kubernetes sets such variables in every container beside a service that is
/// called "chancery"; they are not the operator's mistake.
fn is_service_link(variable: &str) -> bool {
    let rest = variable.get(PREFIX.len()..).unwrap_or_default();
    rest == "PORT"
        || rest == "SERVICE_HOST"
        || rest == "SERVICE_PORT"
        || rest.starts_with("SERVICE_PORT_")
        || (rest.starts_with("PORT_") && (rest.contains("_TCP") || rest.contains("_UDP")))
}

/// Reads the text of a variable as the setting's shape has it. What does not
/// fit stays text, to be refused as the file's would be.
fn read_variable(text: &str, shape: Shape, place: Place) -> Item {
    let as_text = || Value::Text(text.to_owned());
    let value = match shape {
        Shape::Text => as_text(),
        Shape::Number => text.trim().parse().map_or_else(|_| as_text(), Value::Number),
        Shape::Fraction => text.trim().parse().map_or_else(|_| as_text(), Value::Fraction),
        Shape::Switch => text.trim().parse().map_or_else(|_| as_text(), Value::Switch),
        Shape::List if text.trim_start().starts_with('[') => {
            return DeValue::parse(text).map_or_else(
                |_| Item { value: as_text(), place: place.clone() },
                |list| from_toml(&list, &|_| place.clone()),
            );
        }
        Shape::List => Value::List(
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Item { value: Value::Text(part.to_owned()), place: place.clone() })
                .collect(),
        ),
    };
    Item { value, place }
}
