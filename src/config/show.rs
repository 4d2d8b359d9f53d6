//! The settings as text: the documented defaults, and what is in force.

use std::fmt::Write as _;

use serde::Serialize;

use super::SECTIONS;
use super::declaration::{Presence, SectionInfo, Setting};
use super::problem::Place;
use super::sources::Collected;
use super::store::without_password;
use super::value::{Item, Redaction, Shape, Value};

const HEAD: &str = "\
# Settings of Chancery.
#
# Each setting can be given here or in the environment variable named with it; the
# environment wins. Lists stand there with commas between, or as TOML. A line that
# begins with # and a name, without a space, shows a default or an example: take
# the # away to change it. What is not so marked must be given.
#
#     chancery config check    says what is wrong with this file
#     chancery config show     says what is in force, and why
";

/// Every setting with its documentation and its default: a configuration file
/// to start from.
#[must_use]
pub fn defaults() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let mark = if section.keyed { "#" } else { "" };
        let name = if section.keyed { ".NAME" } else { "" };
        text.push('\n');
        comment(&mut text, section.doc);
        let _ = writeln!(text, "{mark}[{}{name}]", section.name);
        for setting in section.settings {
            text.push('\n');
            comment(&mut text, setting.doc);
            comment(&mut text, &format!(" {}\n", particulars(section, setting)));
            let required = setting.presence == Presence::Required && !section.keyed;
            // The choice of one master key is required, and this is the first.
            let first_key = section.name == "master_key" && setting.name == "file";
            let default = setting.default_item().map(|item| item.value.to_toml());
            let value = default.unwrap_or_else(|| setting.text.to_owned());
            let mark = if required || first_key { "" } else { "#" };
            let _ = writeln!(text, "{mark}{} = {value}", setting.name);
        }
    }
    text
}

fn comment(text: &mut String, doc: &str) {
    for line in doc.lines() {
        let _ = writeln!(text, "#{}", line.trim_end());
    }
}

/// What a value may be, whether it must be given, and its variable.
fn particulars(section: &SectionInfo, setting: &Setting) -> String {
    let kind = setting.kind;
    let mut parts = Vec::new();
    match (&setting.range, kind.choices) {
        (Some(range), _) => {
            parts.push(format!("{} from {} to {}.", kind.what, range.start(), range.end()));
        }
        (None, []) if kind.shape == Shape::List => parts.push(format!("A list of {}.", kind.what)),
        (None, []) => {}
        (None, choices) if kind.shape == Shape::List => {
            parts.push(format!("A list out of: {}.", choices.join(", ")));
        }
        (None, choices) => parts.push(format!("One of: {}.", choices.join(", "))),
    }
    match setting.presence {
        Presence::Required => parts.push("Required.".to_owned()),
        Presence::Optional => parts.push("Not set unless given.".to_owned()),
        Presence::Default => {}
    }
    if !section.keyed {
        parts.push(format!("Variable: {}", setting.variable()));
    }
    parts.join(" ")
}

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The table that it stands in, as TOML writes it.
    pub table: String,
    pub name: &'static str,
    /// As TOML, secrets left out; `None` where nothing is set.
    pub value: Option<String>,
    #[serde(flatten)]
    pub place: Place,
}

/// All settings in force.
pub(super) fn effective(collected: &Collected) -> Vec<Effective> {
    let mut all = Vec::new();
    for section in SECTIONS.iter().filter(|section| !section.keyed) {
        let written = collected.sections.get(section.name);
        for setting in section.settings {
            let item = written.and_then(|written| written.get(setting.name));
            all.push(effective_one(section.name.to_owned(), setting, item));
        }
    }
    for ((section, name), (_, written)) in &collected.tables {
        let table = format!("{section}.{}", toml_key(name));
        let settings = SECTIONS.iter().filter(|s| s.name == *section).flat_map(|s| s.settings);
        for setting in settings {
            all.push(effective_one(table.clone(), setting, written.get(setting.name)));
        }
    }
    all
}

fn effective_one(table: String, setting: &Setting, item: Option<&Item>) -> Effective {
    let default = setting.default_item();
    let item = item.or(default.as_ref());
    Effective {
        table,
        name: setting.name,
        value: item.map(|item| redacted(setting.kind.redaction, &item.value)),
        place: item.map_or(Place::Default, |item| item.place.clone()),
    }
}

fn redacted(redaction: Redaction, value: &Value) -> String {
    match (redaction, value) {
        (Redaction::UrlPassword, Value::Text(url)) if url.starts_with("postgres") => {
            Value::Text(without_password(url)).to_toml()
        }
        (Redaction::None | Redaction::UrlPassword, value) => value.to_toml(),
        (Redaction::Whole, Value::List(items)) => {
            let items: Vec<_> = items.iter().map(|item| redacted(redaction, &item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        (Redaction::Whole, _) => Value::Text("...".to_owned()).to_toml(),
    }
}

fn toml_key(name: &str) -> String {
    let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if bare { name.to_owned() } else { Value::Text(name.to_owned()).to_toml() }
}

/// What is in force as TOML, with where each value came from beside it.
#[must_use]
pub fn effective_toml(all: &[Effective], file: Option<&str>) -> String {
    let mut text = String::new();
    let mut table = "";
    for setting in all {
        if setting.table != table {
            let gap = if table.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{}]", setting.table);
            table = &setting.table;
        }
        let from = match &setting.place {
            Place::Default => "default".to_owned(),
            Place::File { line, .. } => format!("{}:{line}", file.unwrap_or("file")),
            Place::Environment { variable } => variable.clone(),
            Place::CommandLine => "command line".to_owned(),
        };
        let _ = match &setting.value {
            Some(value) => writeln!(text, "{:<56}# {from}", format!("{} = {value}", setting.name)),
            None => writeln!(text, "# {} is not set", setting.name),
        };
    }
    text
}
