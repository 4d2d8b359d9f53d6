//! Graphs of figures: columns over time, bars, and spans of percentiles. SVG, made by a
//! template, so that every word is escaped; what a graph shows is told in words
//! besides, and stands in a table beside it.

use askama::Template;

use super::chart::Shape;
use super::dashboard::numbers::{count, time};
use crate::interaction::pages::html;

/// As wide as a phone, so that words are not too small there.
const WIDTH: i32 = 360;
/// Of what stands below each other.
const ROW: i32 = 36;

/// A graph.
#[derive(Debug, Template)]
#[template(path = "console/graph.svg", config = ".askama.toml", escape = "html")]
pub struct Graph {
    id: &'static str,
    title: &'static str,
    description: String,
    width: i32,
    height: i32,
    shapes: Vec<Shape>,
    tips: Vec<Tip>,
}

/// A place that tells more when it is pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    x: i32,
    y: i32,
    width: i32,
    height: i32,
    text: String,
}

/// What it is called, and what it shows in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// Of the picture in the page.
    pub id: &'static str,
    pub title: &'static str,
    pub description: String,
}

/// A moment: two numbers of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Of the axis.
    pub label: String,
    /// In words.
    pub told: String,
    pub first: i64,
    pub second: i64,
}

/// How the two numbers of a column stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// The second on top of the first: what went wrong.
    Stacked,
    /// The first is a part of the second, and stands before it.
    Part,
    /// There is but one, and better there were none.
    Mishap,
}

/// A number of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    pub label: String,
    /// What is told of it at its end.
    pub told: String,
    pub length: i64,
    pub class: &'static str,
}

/// Percentiles of times, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub label: String,
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
}

impl Graph {
    fn new(caption: Caption, height: i32) -> Self {
        let Caption { id, title, description } = caption;
        let (shapes, tips) = Default::default();
        Self { id, title, description, width: WIDTH, height, shapes, tips }
    }

    /// As it stands in a page.
    #[must_use]
    pub fn svg(&self) -> String {
        html(self)
    }

    /// Columns side by side, the first at the left.
    #[must_use]
    pub fn columns(caption: Caption, columns: &[Column], pair: Pair) -> Self {
        const LEFT: i32 = 40;
        const TOP: i32 = 14;
        const BASE: i32 = 144;
        let mut graph = Self::new(caption, BASE + 24);
        let highest = columns.iter().map(|column| match pair {
            Pair::Stacked => column.first + column.second,
            Pair::Part | Pair::Mishap => column.first.max(column.second),
        });
        let most = ceiling(highest.max().unwrap_or_default());
        let height = |number: i64| part(number, most, BASE - TOP);
        for mark in [most, most / 2, 0] {
            let y = BASE - height(mark);
            graph.path(format!("M{LEFT} {y}H{WIDTH}"), "grid");
            if mark > 0 || most < 2 {
                graph.text(LEFT - 6, y + 4, "mark end", count(mark));
            }
        }
        let number = int(columns.len()).max(1);
        let room = WIDTH - LEFT;
        for (index, column) in columns.iter().enumerate() {
            let left = LEFT + room * int(index) / number;
            let right = LEFT + room * (int(index) + 1) / number;
            let gap = ((right - left) / 6).min(4);
            let (x, width) = (left + gap, (right - left - 2 * gap).max(1));
            let (first, second) = (height(column.first), height(column.second));
            let mut draw = |from: i32, height: i32, class: &'static str| {
                graph.rect((x, from - height), (width, height), class);
            };
            match pair {
                Pair::Stacked => {
                    let (first, second) = (seen(column.first, first), seen(column.second, second));
                    draw(BASE, first, "amount");
                    draw(BASE - first, second, "amount bad");
                }
                Pair::Part => {
                    draw(BASE, seen(column.second, second), "amount behind");
                    draw(BASE, seen(column.first, first), "amount");
                }
                Pair::Mishap => draw(BASE, seen(column.first, first), "amount bad"),
            }
            let (y, height, text) = (TOP, BASE - TOP, column.told.clone());
            graph.tips.push(Tip { x: left, y, width: right - left, height, text });
        }
        if let [first, .., last] = columns {
            graph.text(LEFT, BASE + 17, "mark start", first.label.clone());
            graph.text(WIDTH - 1, BASE + 17, "mark end", last.label.clone());
        } else if let [only] = columns {
            graph.text(LEFT + room / 2, BASE + 17, "mark", only.label.clone());
        }
        graph
    }

    /// Bars below each other, each with its name above it; `most` is as long as it gets.
    #[must_use]
    pub fn bars(caption: Caption, bars: &[Bar], most: i64) -> Self {
        let mut graph = Self::new(caption, ROW * int(bars.len()));
        for (index, bar) in bars.iter().enumerate() {
            let y = ROW * int(index);
            graph.text(0, y + 13, "name start", bar.label.clone());
            graph.text(WIDTH, y + 13, "told end", bar.told.clone());
            graph.rect((0, y + 19), (WIDTH, 9), "track");
            let width = seen(bar.length, part(bar.length, most, WIDTH));
            graph.rect((0, y + 19), (width, 9), bar.class);
        }
        graph
    }

    /// Spans below each other on one axis, on which ten times as long is always as far.
    #[must_use]
    pub fn spans(caption: Caption, spans: &[Span]) -> Self {
        const LEFT: i32 = 8;
        const RIGHT: i32 = WIDTH - 8;
        let base = ROW * int(spans.len()) + 4;
        let mut graph = Self::new(caption, base + 20);
        let axis = Axis::of(spans);
        let x = |ms: u64| LEFT + axis.at(ms, RIGHT - LEFT);
        for (mark, name) in axis.marks() {
            let at = x(*mark);
            graph.path(format!("M{at} 18V{base}"), "grid");
            let class = if at < 30 {
                "mark start"
            } else if at > WIDTH - 30 {
                "mark end"
            } else {
                "mark"
            };
            let at = if at < 30 { 0 } else { at.min(WIDTH) };
            graph.text(at, base + 15, class, *name);
        }
        for (index, span) in spans.iter().enumerate() {
            let y = ROW * int(index);
            let (p50, p95, p99) = (x(span.p50), x(span.p95), x(span.p99));
            graph.text(0, y + 13, "name start", span.label.clone());
            graph.text(WIDTH, y + 13, "told end", format!("p50 {}", time(span.p50)));
            let middle = y + 25;
            graph.path(format!("M{p50} {middle}H{p99}"), "span far");
            graph.path(format!("M{p50} {middle}H{p95}"), "span");
            graph.path(format!("M{p99} {}v10", middle - 5), "span-end");
            graph.path(circle(p95, middle, 4), "span-most");
            graph.path(circle(p50, middle, 5), "span-half");
            let (y, height) = (y + 16, 18);
            let (half, most) = (time(span.p50), time(span.p95));
            let text = format!("{}: {half}, {most}, {}", span.label, time(span.p99));
            graph.tips.push(Tip { x: 0, y, width: WIDTH, height, text });
        }
        graph
    }

    fn path(&mut self, d: String, class: &'static str) {
        self.shapes.push(Shape::Path { d, class });
    }

    fn rect(&mut self, (x, y): (i32, i32), (width, height): (i32, i32), class: &'static str) {
        if width > 0 && height > 0 {
            self.shapes.push(Shape::Rect { x, y, width, height, round: 1, class });
        }
    }

    fn text(&mut self, x: i32, y: i32, class: &'static str, text: impl Into<String>) {
        self.shapes.push(Shape::Text { x, y, class, text: text.into() });
    }
}

/// From one of these times to another.
struct Axis {
    marks: &'static [(u64, &'static str)],
    from: u64,
    to: u64,
}

impl Axis {
    const MARKS: [(u64, &'static str); 14] = [
        (1, "1 ms"),
        (10, "10 ms"),
        (100, "100 ms"),
        (1000, "1 s"),
        (10_000, "10 s"),
        (60_000, "1 min"),
        (600_000, "10 min"),
        (3_600_000, "1 h"),
        (21_600_000, "6 h"),
        (86_400_000, "1 d"),
        (864_000_000, "10 d"),
        (8_640_000_000, "100 d"),
        (86_400_000_000, "1000 d"),
        (864_000_000_000, "10000 d"),
    ];

    fn of(spans: &[Span]) -> Self {
        let least = spans.iter().map(|span| span.p50).min().unwrap_or_default();
        let most = spans.iter().map(|span| span.p99).max().unwrap_or_default();
        let below = Self::MARKS.iter().rposition(|(mark, _)| *mark <= least).unwrap_or_default();
        let above = Self::MARKS.iter().position(|(mark, _)| *mark >= most);
        let above = above.unwrap_or(Self::MARKS.len() - 1).max(below + 1);
        let marks = Self::MARKS.get(below..=above).unwrap_or(&[]);
        let end = |mark: Option<&(u64, &str)>| mark.map_or(1, |(mark, _)| *mark);
        Self { marks, from: end(marks.first()), to: end(marks.last()) }
    }

    /// No more than five, so that their names have room.
    fn marks(&self) -> impl Iterator<Item = &'static (u64, &'static str)> {
        self.marks.iter().step_by(self.marks.len().div_ceil(5).max(1))
    }

    /// How far from its beginning, of so much room.
    #[expect(clippy::cast_precision_loss, reason = "it is drawn")]
    fn at(&self, ms: u64, room: i32) -> i32 {
        let log = |ms: u64| (ms.clamp(self.from, self.to.max(self.from)) as f64).ln();
        let whole = log(self.to) - log(self.from);
        let along = if whole > 0.0 { (log(ms) - log(self.from)) / whole } else { 0.0 };
        pixels(along * f64::from(room))
    }
}

/// The next number that begins with 1, 2 or 5, and has no other digit but 0; 1 at least.
fn ceiling(number: i64) -> i64 {
    let mut power: i64 = 1;
    loop {
        for digit in [1, 2, 5] {
            let round = power.saturating_mul(digit);
            if round >= number || round == i64::MAX {
                return round;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A part of so many pixels.
#[expect(clippy::cast_precision_loss, reason = "it is drawn")]
fn part(number: i64, whole: i64, pixels_of_whole: i32) -> i32 {
    if whole <= 0 {
        return 0;
    }
    pixels((number as f64 / whole as f64).clamp(0.0, 1.0) * f64::from(pixels_of_whole))
}

/// What is there at all is seen.
fn seen(number: i64, pixels: i32) -> i32 {
    if number > 0 { pixels.max(2) } else { 0 }
}

#[expect(clippy::cast_possible_truncation, reason = "it is within the picture")]
fn pixels(length: f64) -> i32 {
    length.round() as i32
}

fn circle(x: i32, y: i32, radius: i32) -> String {
    format!(
        "M{} {y}a{radius} {radius} 0 1 0 {} 0a{radius} {radius} 0 1 0 -{} 0",
        x - radius,
        2 * radius,
        2 * radius
    )
}

fn int(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption() -> Caption {
        Caption { id: "g", title: "Graph", description: "a < b".to_owned() }
    }

    fn rects(graph: &Graph, wanted: &str) -> Vec<(i32, i32, i32, i32)> {
        let rect = |shape: &Shape| match shape {
            Shape::Rect { x, y, width, height, class, .. } if *class == wanted => {
                Some((*x, *y, *width, *height))
            }
            _ => None,
        };
        graph.shapes.iter().filter_map(rect).collect()
    }

    fn column(first: i64, second: i64) -> Column {
        Column { label: "1 May".to_owned(), told: "1 May".to_owned(), first, second }
    }

    #[test]
    fn columns_are_as_high_as_their_numbers() {
        let columns = [column(50, 50), column(25, 0), column(0, 0), column(1, 0)];
        let graph = Graph::columns(caption(), &columns, Pair::Stacked);
        let heights = |class| -> Vec<_> {
            rects(&graph, class).into_iter().map(|(_, _, _, height)| height).collect()
        };
        // Of 130 pixels; one of a hundred would be one, and is seen all the same.
        assert_eq!((heights("amount"), heights("amount bad")), (vec![65, 33, 2], vec![65]));
        assert!(rects(&graph, "amount bad")[0].1 < rects(&graph, "amount")[0].1, "on top");
        assert_eq!(graph.tips.len(), 4);
    }

    #[test]
    fn a_part_stands_before_the_whole() {
        let graph = Graph::columns(caption(), &[column(50, 100)], Pair::Part);
        let (behind, before) = (rects(&graph, "amount behind")[0], rects(&graph, "amount")[0]);
        assert_eq!((behind.0, behind.2, behind.3), (before.0, before.2, before.3 * 2));
    }

    #[test]
    fn everything_stands_within_the_picture() {
        let many: Vec<_> = (0..370).map(|number| column(number, 370 - number)).collect();
        let spans: Vec<_> = [(0, 0, 0), (1, 5, 1_000_000_000_000_000), (400, 500, 60_000)]
            .map(|(p50, p95, p99)| Span { label: "x".to_owned(), p50, p95, p99 })
            .into();
        let bar = |length| Bar { label: "x".into(), told: "1".into(), length, class: "amount" };
        for graph in [
            Graph::columns(caption(), &many, Pair::Stacked),
            Graph::columns(caption(), &many[..1], Pair::Part),
            Graph::columns(caption(), &[], Pair::Part),
            Graph::spans(caption(), &spans),
            Graph::spans(caption(), &spans[..1]),
            Graph::spans(caption(), &[]),
            Graph::bars(caption(), &[bar(0), bar(5), bar(10), bar(20)], 10),
            Graph::bars(caption(), &[bar(0)], 0),
        ] {
            for shape in &graph.shapes {
                match shape {
                    Shape::Rect { x, y, width, height, .. } => {
                        assert!(*x >= 0 && x + width <= graph.width, "{shape:?}");
                        assert!(*y >= 0 && y + height <= graph.height, "{shape:?}");
                    }
                    Shape::Text { x, y, .. } => {
                        assert!((0..=graph.width).contains(x), "{shape:?}");
                        assert!((0..=graph.height).contains(y), "{shape:?}");
                    }
                    Shape::Path { d, .. } => {
                        let start = d[1..].split(['H', 'V', 'a', 'v']).next().unwrap();
                        let (x, y) = start.split_once(' ').unwrap();
                        let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
                        assert!((0..=graph.width).contains(&x), "{shape:?}");
                        assert!((0..=graph.height).contains(&y), "{shape:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn ten_times_as_long_is_always_as_far() {
        let axis = Axis { marks: &Axis::MARKS, from: 1, to: 1000 };
        assert_eq!(
            [0, 1, 10, 100, 1000, 5000].map(|ms| axis.at(ms, 300)),
            [0, 0, 100, 200, 300, 300]
        );
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (number, round) in [(0, 1), (1, 1), (3, 5), (11, 20), (99, 100), (501, 1000)] {
            assert_eq!(ceiling(number), round, "{number}");
        }
        assert_eq!(ceiling(i64::MAX), i64::MAX);
    }

    #[test]
    fn words_are_never_taken_for_markup() {
        let bar = Bar { label: "<b>".into(), told: "\"&".into(), length: 1, class: "amount" };
        let svg = Graph::bars(caption(), &[bar], 1).svg();
        assert!(svg.contains("a &#60; b") && svg.contains("&#60;b&#62;"), "{svg}");
        assert!(!svg.contains("<b>"), "{svg}");
        assert!(svg.contains(r#"role="img" aria-labelledby="g-title g-desc""#), "{svg}");
    }
}
