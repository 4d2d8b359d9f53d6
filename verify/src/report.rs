//! What was found, told to people and to programs.

use std::fmt::Write as _;

use serde::Serialize;

/// No more findings of one kind are told one by one.
const TOLD: usize = 20;

/// How a verification ends; the exit codes of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything is proved, with a key that was given.
    Proved,
    /// Something cannot be checked: it is missing, or not sealed yet.
    Incomplete,
    /// What there is holds, but no key that was given has signed it.
    UnknownKey,
    /// Something does not verify.
    Altered,
}

impl Verdict {
    /// The exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Proved => 0,
            Self::Altered => 1,
            Self::Incomplete => 3,
            Self::UnknownKey => 4,
        }
    }
}

/// What kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is proved.
    Proved,
    /// No bundle can prove it.
    Open,
    /// It cannot be checked with what is here.
    Missing,
    /// It hangs on a key that was not given.
    UnknownKey,
    /// It does not verify.
    Altered,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: Kind,
    pub text: String,
}

/// The parts of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    Files,
    Checkpoint,
    Events,
    Aggregates,
    Keys,
    Earlier,
    Limits,
}

impl Section {
    const ALL: [Self; 7] = [
        Self::Files,
        Self::Checkpoint,
        Self::Events,
        Self::Aggregates,
        Self::Keys,
        Self::Earlier,
        Self::Limits,
    ];

    const fn heading(self) -> &'static str {
        match self {
            Self::Files => "The files",
            Self::Checkpoint => "The checkpoint, and who signed it",
            Self::Events => "The events",
            Self::Aggregates => "Is the history whole?",
            Self::Keys => "The keys",
            Self::Earlier => "Earlier checkpoints",
            Self::Limits => "What this does not prove",
        }
    }
}

/// The tree that was checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointFacts {
    pub origin: String,
    pub size: u64,
    pub root: String,
    /// The given keys that have signed it.
    pub trusted: Vec<String>,
    /// The keys that have signed it and that only the bundle names.
    pub unknown: Vec<String>,
}

/// How far the history of one aggregate is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AggregateFacts {
    #[serde(rename = "type")]
    pub kind: String,
    pub id: String,
    /// The sequence of its last event in the bundle.
    pub events: u64,
    /// Up to this position of the log nothing of it is left out.
    pub complete_through: Option<u64>,
}

/// What was found in a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// SHA-256 of `manifest.json`, in hexadecimal digits.
    pub manifest_sha256: Option<String>,
    /// The question that the bundle answers.
    pub question: Option<String>,
    pub checkpoint: Option<CheckpointFacts>,
    /// How many events there are.
    pub events: u64,
    pub aggregates: Vec<AggregateFacts>,
    findings: Vec<(Section, Finding)>,
    untold: Vec<(Section, Kind, u64)>,
    worst: Option<Kind>,
}

impl Report {
    /// Notes a finding.
    pub fn add(&mut self, section: Section, kind: Kind, text: impl Into<String>) {
        let weight = |kind| match kind {
            Kind::Proved | Kind::Open => 0,
            Kind::Missing => 1,
            Kind::UnknownKey => 2,
            Kind::Altered => 3,
        };
        if self.worst.is_none_or(|worst| weight(worst) < weight(kind)) {
            self.worst = Some(kind);
        }
        let same = |(at, finding): &&(Section, Finding)| *at == section && finding.kind == kind;
        if self.findings.iter().filter(same).count() < TOLD {
            self.findings.push((section, Finding { kind, text: text.into() }));
            return;
        }
        let mut untold = self.untold.iter_mut();
        match untold.find(|(at, of, _)| *at == section && *of == kind) {
            Some((_, _, count)) => *count += 1,
            None => self.untold.push((section, kind, 1)),
        }
    }

    pub fn proved(&mut self, section: Section, text: impl Into<String>) {
        self.add(section, Kind::Proved, text);
    }

    pub fn open(&mut self, section: Section, text: impl Into<String>) {
        self.add(section, Kind::Open, text);
    }

    pub fn missing(&mut self, section: Section, text: impl Into<String>) {
        self.add(section, Kind::Missing, text);
    }

    pub fn altered(&mut self, section: Section, text: impl Into<String>) {
        self.add(section, Kind::Altered, text);
    }

    /// How it ends.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.worst {
            Some(Kind::Altered) => Verdict::Altered,
            Some(Kind::UnknownKey) => Verdict::UnknownKey,
            // What nobody looked at is not proved.
            Some(Kind::Missing) | None => Verdict::Incomplete,
            Some(Kind::Proved | Kind::Open) => Verdict::Proved,
        }
    }

    /// Whether something was found that does not verify, in this part.
    #[must_use]
    pub fn is_altered(&self, section: Section) -> bool {
        self.findings.iter().any(|(at, finding)| *at == section && finding.kind == Kind::Altered)
    }

    /// What was found of this kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let same = self.findings.iter().filter(move |(_, finding)| finding.kind == kind);
        same.map(|(_, finding)| finding.text.as_str())
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let sections: Vec<_> = Section::ALL
            .iter()
            .filter_map(|section| {
                let own = self.findings.iter().filter(|(at, _)| at == section);
                let findings: Vec<_> = own.map(|(_, finding)| finding).collect();
                let untold = self.untold.iter().filter(|(at, ..)| at == section);
                let untold: u64 = untold.map(|(.., count)| count).sum();
                (!findings.is_empty()).then(|| {
                    serde_json::json!({
                        "section": section, "findings": findings, "further_findings": untold,
                    })
                })
            })
            .collect();
        serde_json::json!({
            "verdict": self.verdict(),
            "exit_code": self.verdict().exit_code(),
            "manifest_sha256": self.manifest_sha256,
            "question": self.question,
            "checkpoint": self.checkpoint,
            "events": self.events,
            "aggregates": self.aggregates,
            "sections": sections,
        })
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if let Some(question) = &self.question {
            paragraph(&mut text, "Question  ", question);
        }
        if let Some(digest) = &self.manifest_sha256 {
            paragraph(&mut text, "Manifest  ", &format!("sha256:{digest}"));
        }
        for section in Section::ALL {
            let findings = self.findings.iter().filter(|(at, _)| *at == section);
            let findings: Vec<_> = findings.map(|(_, finding)| finding).collect();
            if findings.is_empty() {
                continue;
            }
            // Writing to a string does not fail.
            let _ = write!(text, "\n{}\n", section.heading());
            for finding in findings {
                paragraph(&mut text, mark(finding.kind), &finding.text);
            }
            for (_, kind, count) in self.untold.iter().filter(|(at, ..)| *at == section) {
                paragraph(&mut text, mark(*kind), &format!("and {count} more of this kind"));
            }
        }
        let _ = write!(text, "\n{}\n", self.conclusion());
        printable(&text)
    }

    fn conclusion(&self) -> &'static str {
        match self.verdict() {
            Verdict::Proved => "PROVED, as far as said above, with a key that you gave.",
            Verdict::Altered => "ALTERED: it does not verify. What, and where, is said above.",
            Verdict::Incomplete => {
                "INCOMPLETE: nothing is contradicted, but something cannot be checked."
            }
            Verdict::UnknownKey => {
                "UNKNOWN KEY: what there is holds together, but nothing says yet who signed it."
            }
        }
    }
}

const fn mark(kind: Kind) -> &'static str {
    match kind {
        Kind::Proved => "  ok       ",
        Kind::Open => "  -        ",
        Kind::Missing => "  MISSING  ",
        Kind::UnknownKey => "  UNKNOWN  ",
        Kind::Altered => "  ALTERED  ",
    }
}

/// Words in lines of eighty letters, below each other beside a mark.
fn paragraph(text: &mut String, mark: &str, words: &str) {
    let margin = " ".repeat(mark.len());
    let mut line = mark.to_owned();
    let mut empty = true;
    for word in words.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > 80 {
            text.push_str(&line);
            text.push('\n');
            line.clone_from(&margin);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    text.push_str(&line);
    text.push('\n');
}

/// "1 event", "2 events".
#[must_use]
pub fn counted(count: impl TryInto<u64>, one: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    }
}

/// Names come from the bundle: no control character of it may reach a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
