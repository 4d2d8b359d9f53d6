//! Answers on standard output: tables for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write};

use chancery_domain::time::UnixTime;
use clap::Args;
use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

/// `--json`
#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Prints one JSON document, indented.
pub fn json<T: Serialize>(value: &T) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    raw(&text)
}

/// Prints one JSON document on a line of its own.
pub fn json_line<T: Serialize>(value: &T) -> io::Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    raw(&text)
}

/// Prints a line for people.
pub fn line(text: &str) -> io::Result<()> {
    raw(&format!("{text}\n"))
}

/// Prints a text as it is. That nobody reads it any more (`… | head`) is no
/// failure of the command.
pub fn raw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result,
    }
}

/// Prints rows below headings.
pub fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    raw(&format_table(headings, rows, colours(&io::stdout())))
}

/// Says something to people beside the answer, on standard error.
pub fn note(text: &str) {
    // If standard error is gone, there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "note: {}", printable(text)));
}

/// Prints one JSON object as fields below each other.
pub fn object<T: Serialize>(value: &T) -> io::Result<()> {
    let value = serde_json::to_value(value)?;
    let Some(object) = value.as_object() else { return json(&value) };
    fields(object.iter().map(|(name, value)| (name.as_str(), plain(name, value))))
}

/// A value of a field, for people: times as times, lists below each other.
fn plain(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_i64().filter(|_| is_time(name)) {
            Some(0) => "never".to_owned(),
            Some(seconds) => time(UnixTime::from_seconds(seconds)),
            None => number.to_string(),
        },
        Value::Array(items) => {
            items.iter().map(|item| plain("", item)).collect::<Vec<_>>().join("\n")
        }
        Value::Bool(_) | Value::Object(_) => value.to_string(),
    }
}

fn is_time(name: &str) -> bool {
    ["_at", "_since", "_until", "_time"].iter().any(|end| name.ends_with(end))
}

pub use crate::clock::rfc3339 as time;

/// The same of a time that may not be there.
#[must_use]
pub fn maybe_time(moment: Option<UnixTime>) -> String {
    moment.map_or_else(String::new, time)
}

/// Prints one thing: its fields below each other.
pub fn fields<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> io::Result<()> {
    let mut table = plain_table();
    let bold = colours(&io::stdout());
    for (name, value) in fields {
        table.add_row([heading(name, bold), Cell::new(printable(&value))]);
    }
    raw(&format!("{}\n", table.trim_fmt()))
}

fn format_table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    bold: bool,
) -> String {
    let mut table = plain_table();
    table.set_header(headings.map(|name| heading(name, bold)));
    for row in rows {
        table.add_row(row.map(|text| Cell::new(printable(&text))));
    }
    format!("{}\n", table.trim_fmt())
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    // Only a terminal has a width to fit; programs get whole lines.
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn heading(name: &str, bold: bool) -> Cell {
    let cell = Cell::new(name);
    if bold { cell.add_attribute(Attribute::Bold) } else { cell }
}

/// Names and texts come from outside: no control character of theirs may reach
/// a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// May this stream have colours? See <https://no-color.org>.
pub fn colours(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && !crate::config::no_color()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_terminal_has_no_escapes() {
        let rows = [["web".to_owned(), "active".to_owned()]];
        let text = format_table(["client_id", "state"], rows, false);
        assert_eq!(text, " client_id  state\n web        active\n");
    }

    #[test]
    fn fields_are_told_by_what_they_are() {
        use serde_json::json;
        assert_eq!(plain("client_id_issued_at", &json!(1_777_627_800)), "2026-05-01T09:30:00Z");
        assert_eq!(plain("client_secret_expires_at", &json!(0)), "never");
        assert_eq!(plain("number", &json!(7)), "7");
        assert_eq!(plain("redirect_uris", &json!(["a", "b"])), "a\nb");
        assert_eq!(plain("skip_consent", &json!(true)), "true");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let rows = [["\u{1b}[2Jweb".to_owned()]];
        assert!(!format_table(["name"], rows, false).contains('\u{1b}'));
    }
}
