//! Answers on standard output: tables for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write};

use clap::Args;
use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use serde::Serialize;

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
fn printable(text: &str) -> String {
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
    fn control_characters_never_reach_the_terminal() {
        let rows = [["\u{1b}[2Jweb".to_owned()]];
        assert!(!format_table(["name"], rows, false).contains('\u{1b}'));
    }
}
