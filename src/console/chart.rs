//! A drawing on paper: where its lines, tokens and words stand. SVG, made by a
//! template, so that every word is escaped.

use std::fmt::Write as _;

use askama::Template;

use super::drawing::{Arrow, Branch, Drawing, Ending, Lane, Life, Step, Tone, What};
use crate::interaction::pages::html;

/// Left of the lanes: which event, and how long after the one before.
const GUTTER: i32 = 50;
const LANE: i32 = 70;
const HEAD: i32 = 46;
const ROW: i32 = 40;
const FOOT: i32 = 18;
/// Between tokens beside each other.
const SLOT: i32 = 17;

/// Something drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Path { d: String, class: &'static str },
    Rect { x: i32, y: i32, width: i32, height: i32, round: i32, class: &'static str },
    Text { x: i32, y: i32, class: &'static str, text: String },
}

/// A row that leads to the state at its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    pub y: i32,
    pub href: String,
    pub title: String,
    /// It is what is looked at.
    pub selected: bool,
}

/// The picture.
#[derive(Debug, Template)]
#[template(path = "console/chart.svg", config = ".askama.toml", escape = "html")]
pub struct Chart {
    pub width: i32,
    pub height: i32,
    title: String,
    description: String,
    /// Below all that stands in front.
    back: Vec<Shape>,
    front: Vec<Shape>,
    hits: Vec<Hit>,
}

/// What stands around the picture.
#[derive(Debug, Clone, Copy)]
pub struct Caption<'a> {
    pub title: &'a str,
    /// The event that is looked at.
    pub selected: Option<u64>,
}

impl Chart {
    /// Puts a drawing on paper.
    #[must_use]
    pub fn of(drawing: &Drawing, caption: Caption<'_>) -> Self {
        let rows = int(drawing.steps.len());
        let mut chart = Self {
            width: GUTTER + LANE * int(drawing.lanes.len()),
            height: HEAD + rows * ROW + FOOT,
            title: caption.title.to_owned(),
            description: describe(drawing),
            back: Vec::new(),
            front: Vec::new(),
            hits: Vec::new(),
        };
        chart.draw_lanes(drawing);
        for branch in &drawing.branches {
            chart.draw_branch(drawing, branch);
        }
        for life in &drawing.lives {
            chart.draw_life(drawing, life);
        }
        for (row, step) in drawing.steps.iter().enumerate() {
            chart.draw_step(drawing, row, step, caption);
        }
        chart
    }

    /// The picture as it stands in a page.
    #[must_use]
    pub fn svg(&self) -> String {
        html(self)
    }

    fn text(&mut self, x: i32, y: i32, class: &'static str, text: impl Into<String>) {
        self.front.push(Shape::Text { x, y, class, text: text.into() });
    }

    fn draw_lanes(&mut self, drawing: &Drawing) {
        for lane in &drawing.lanes {
            let x = drawing.x(*lane);
            self.text(x, 18, "lane", lane.name());
            self.text(x, 31, "lane-of", lane.more());
            if lane.is_a_party() {
                let d = format!("M{x} {HEAD}V{}", self.height - FOOT / 2);
                self.back.push(Shape::Path { d, class: "line" });
            }
        }
    }

    fn draw_life(&mut self, drawing: &Drawing, life: &Life) {
        let x = drawing.x(life.lane) + life.offset();
        let from = y(life.from);
        let (to, class) = match life.ending {
            Ending::Open => (self.height - FOOT / 2, "life"),
            Ending::Expired => (y(life.to) - ROW / 2, "life past"),
            Ending::Replaced => (y(life.to) - 9, "life past"),
            Ending::Revoked => (y(life.to), "life past"),
        };
        self.back.push(Shape::Path { d: format!("M{x} {from}V{}", to.max(from)), class });
        match life.ending {
            Ending::Open => {
                let d = format!("M{} {}l4 6l4 -6", x - 4, to - 5);
                self.front.push(Shape::Path { d, class: "life-goes-on" });
            }
            Ending::Expired => {
                let d = format!("M{} {to}h8", x - 4);
                self.front.push(Shape::Path { d, class: "life-end" });
            }
            Ending::Revoked => {
                let d = format!("M{} {}l8 8m0 -8l-8 8", x - 4, to - 4);
                self.front.push(Shape::Path { d, class: "cross" });
            }
            Ending::Replaced => {}
        }
        if !life.name.is_empty() {
            let class = if life.ending == Ending::Open { "token" } else { "token past" };
            self.token(x, from, &life.name, class);
        }
    }

    fn token(&mut self, x: i32, y: i32, name: &str, class: &'static str) {
        let width = 9 + 6 * int(name.chars().count());
        let (x_left, height) = (x - width / 2, 16);
        let box_of = (x_left, y - 8);
        let round = 8;
        self.front.push(Shape::Rect { x: box_of.0, y: box_of.1, width, height, round, class });
        self.text(x, y + 4, "token-name", name);
    }

    /// The refresh token that came again hangs on the place where it was issued.
    fn draw_branch(&mut self, drawing: &Drawing, branch: &Branch) {
        let x = drawing.x(Lane::Refresh);
        let (from, to) = (y(branch.from), y(branch.to));
        let (near, far) = (x - 4, x + 22);
        let d = format!("M{near} {from}H{} Q{far} {from} {far} {}V{to}", far - 8, from + 8);
        self.back.push(Shape::Path { d, class: "branch" });
        self.token(far, to, &branch.name, "token bad");
    }

    fn draw_step(&mut self, drawing: &Drawing, row: usize, step: &Step, caption: Caption<'_>) {
        let y = y(row);
        let (number, to, title) = match &step.what {
            What::Event { sequence, summary } => (sequence.to_string(), *sequence, summary.clone()),
            What::Run { first, last, label } => {
                (format!("{first} –"), *first, format!("{label}, up to {last}"))
            }
        };
        match &step.what {
            What::Event { .. } => self.text(GUTTER - 14, y + 14, "after", step.after.clone()),
            What::Run { last, .. } => self.text(GUTTER - 14, y + 16, "number", last.to_string()),
        }
        self.text(GUTTER - 14, y + 4, "number", number);
        if let What::Run { label, .. } = &step.what {
            let (x, width) = (GUTTER, self.width - GUTTER - 6);
            let (top, height, round, class) = (y - 12, 24, 12, "run");
            self.front.push(Shape::Rect { x, y: top, width, height, round, class });
            self.text(x + width / 2, y + 4, "run-label", label.clone());
        }
        if step.ends_all {
            let x = drawing.x(Lane::Server);
            let d = format!("M{x} {y}H{}", self.width - 8);
            self.back.push(Shape::Path { d, class: "cascade" });
        }
        if let Some(arrow) = &step.arrow {
            self.draw_arrow(drawing, y, arrow);
        }
        if let Some(cause) = &step.cause {
            self.draw_cause(drawing, y, cause);
        }
        let selected = caption.selected == Some(to) && matches!(step.what, What::Event { .. });
        let (href, title) = (format!("?at={to}#state"), format!("{to}: {title}"));
        self.hits.push(Hit { y: y - ROW / 2, href, title, selected });
    }

    fn draw_arrow(&mut self, drawing: &Drawing, y: i32, arrow: &Arrow) {
        let (from, to) = (drawing.x(arrow.from), drawing.x(arrow.to));
        let (line, head, dot) = arrow.classes();
        self.front.push(Shape::Path { d: circle(from, y, 3), class: dot });
        if from == to {
            self.front.push(Shape::Path { d: circle(from, y, 5), class: dot });
            self.text(from, y - 9, arrow.label_class(), arrow.label.clone());
            return;
        }
        let direction = (to - from).signum();
        let tip = to - 4 * direction;
        let d = format!("M{from} {y}H{}", tip - 6 * direction);
        self.front.push(Shape::Path { d, class: line });
        let d = format!("M{tip} {y}l{} -4v8z", -7 * direction);
        self.front.push(Shape::Path { d, class: head });
        // Beside the lane that it starts from, so that a long arrow crosses no word.
        let middle = from + direction * LANE / 2;
        self.text(middle, y - 6, arrow.label_class(), arrow.label.clone());
    }

    /// What happened elsewhere, and led to the end of this.
    fn draw_cause(&mut self, drawing: &Drawing, y: i32, cause: &str) {
        let x = drawing.x(Lane::Server);
        let d = format!("M{GUTTER} {y}H{}", x - 12);
        self.front.push(Shape::Path { d, class: "arrow bad dashed" });
        let d = format!("M{} {y}l-7 -4v8z", x - 6);
        self.front.push(Shape::Path { d, class: "head bad" });
        let kind = cause.split('/').next().unwrap_or(cause);
        let text = format!("by the {}", kind.replace('_', " "));
        // Below the line: above it stands what ended.
        self.text(i32::midpoint(GUTTER, x), y + 14, "label bad", text);
    }
}

impl Lane {
    const fn name(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Client => "Client",
            Self::Server => "Server",
            Self::Access => "Access",
            Self::Refresh => "Refresh",
        }
    }

    /// The second line of its head.
    const fn more(self) -> &'static str {
        match self {
            Self::Access | Self::Refresh => "tokens",
            Self::Person | Self::Client | Self::Server => "",
        }
    }

    /// Does it act, rather than being issued?
    const fn is_a_party(self) -> bool {
        matches!(self, Self::Person | Self::Client | Self::Server)
    }
}

impl Drawing {
    /// The middle of a lane.
    fn x(&self, lane: Lane) -> i32 {
        let index = self.lanes.iter().position(|own| *own == lane).unwrap_or_default();
        GUTTER + LANE / 2 + LANE * int(index)
    }
}

impl Life {
    /// How far it is from the middle of its lane.
    fn offset(&self) -> i32 {
        match self.lane {
            Lane::Refresh => -4,
            _ => SLOT * int(self.slot) - SLOT - 8,
        }
    }
}

impl Arrow {
    /// Of the line, its head, and the dot that it starts from.
    const fn classes(&self) -> (&'static str, &'static str, &'static str) {
        match self.tone {
            Tone::Plain => ("arrow", "head", "dot"),
            Tone::Warn => ("arrow warn", "head warn", "dot warn"),
            Tone::Bad => ("arrow bad", "head bad", "dot bad"),
        }
    }

    const fn label_class(&self) -> &'static str {
        match self.tone {
            Tone::Plain => "label",
            Tone::Warn => "label warn",
            Tone::Bad => "label bad",
        }
    }
}

/// The middle of a row.
fn y(row: usize) -> i32 {
    HEAD + ROW / 2 + int(row) * ROW
}

fn int(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX / 1000)
}

fn circle(x: i32, y: i32, radius: i32) -> String {
    let across = radius * 2;
    format!(
        "M{} {y}a{radius} {radius} 0 1 0 {across} 0a{radius} {radius} 0 1 0 -{across} 0z",
        x - radius
    )
}

/// The picture in a sentence or two, for those who do not see it.
fn describe(drawing: &Drawing) -> String {
    let mut text = format!("{} steps between ", drawing.steps.len());
    for (index, lane) in drawing.lanes.iter().enumerate() {
        let before = if index > 0 { ", " } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{before}{}", lane.name().to_lowercase());
    }
    if drawing.folded > 0 {
        let _ = write!(text, "; {} events are drawn as runs", drawing.folded);
    }
    text.push_str(". The list of events says the same in words.");
    text
}
