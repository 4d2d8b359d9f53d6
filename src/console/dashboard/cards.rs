//! What of the figures goes into which graph and which table.

use std::collections::BTreeMap;

use chancery_domain::ids::AggregateKind;
use chancery_domain::time::UnixTime;
use chancery_projections::figures::Grain;

use super::numbers::{count, milliseconds, percent, time, time_of_seconds};
use crate::audit::Timestamp;
use crate::console::graph::{Bar, Caption, Column, Graph, Pair, Span};
use crate::console::page::Link;
use crate::events::figures::{
    Asked, ClientRequests, Figures, FunnelStep, Lifetime, Moment, ResidualLife,
};

/// How many columns there are room for.
const COLUMNS: usize = 60;
/// How many bars or spans below each other are still a picture.
const ROWS: usize = 8;

/// A number worth a look before all others.
pub struct Tile {
    pub id: &'static str,
    pub figure: String,
    pub of: &'static str,
}

/// A graph, and the same in a table.
pub struct Card {
    pub id: &'static str,
    pub title: &'static str,
    /// What is shown.
    pub note: &'static str,
    pub link: Option<Link>,
    /// None: there is nothing to show.
    pub graph: Option<String>,
    pub empty: &'static str,
    pub legend: Legend,
    pub table: Table,
}

/// What the marks of a graph mean.
type Legend = &'static [(Mark, &'static str)];

/// How something is drawn.
#[derive(Debug, Clone, Copy)]
pub enum Mark {
    Amount,
    Bad,
    Behind,
    Half,
    Most,
    End,
}

impl Mark {
    pub const fn class(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Bad => "amount bad",
            Self::Behind => "amount behind",
            Self::Half => "span-half",
            Self::Most => "span-most",
            Self::End => "span-end",
        }
    }

    /// Twelve pixels wide and high.
    pub const fn drawn(self) -> &'static str {
        match self {
            Self::Amount | Self::Bad | Self::Behind => "M0 0h12v12H0z",
            Self::Half => "M1 6a5 5 0 1 0 10 0a5 5 0 1 0 -10 0",
            Self::Most => "M2 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
            Self::End => "M6 1v10",
        }
    }
}

/// The first of each row names it.
pub struct Table {
    pub head: &'static [&'static str],
    pub rows: Vec<Vec<Link>>,
}

/// A moment, or several that share a column.
struct Part {
    label: String,
    sum: Moment,
}

/// The numbers before all others.
#[must_use]
pub fn tiles(figures: &Figures) -> Vec<Tile> {
    let requests = &figures.requests;
    let of_step = |step: usize| {
        let mut both = figures.funnel.iter().filter(|own| own.request.is_none());
        both.find(|own| own.step == step).map_or(0, |own| own.grants)
    };
    vec![
        Tile {
            id: "tile-answered",
            figure: count(requests.answered),
            of: "token requests answered",
        },
        Tile {
            id: "tile-error-rate",
            figure: percent(requests.refused, requests.answered + requests.refused),
            of: "of token requests refused",
        },
        Tile {
            id: "tile-funnel",
            figure: percent(of_step(5), of_step(1)),
            of: "of authorization requests recorded came to a token",
        },
        Tile {
            id: "tile-reuse",
            figure: count(figures.refresh_reuse.incidents),
            of: "replaced refresh tokens presented again",
        },
    ]
}

/// The graphs, in the order of the page.
#[must_use]
pub fn cards(asked: &Asked, figures: &Figures) -> Vec<Card> {
    let parts = parts(asked, &figures.over_time);
    let mut cards = vec![
        funnel(&figures.funnel),
        step_times(&figures.funnel),
        token_requests(&parts),
        grants_by_code(&parts),
    ];
    if figures.client_id.is_none() {
        cards.push(clients(figures));
    }
    cards.extend([
        before_login(figures),
        lifetimes(&figures.grant_lifetime),
        residual_life(&figures.residual_life),
        reuse(figures, &parts),
        counters(figures),
    ]);
    cards
}

fn text(text: impl Into<String>) -> Link {
    Link::none(text)
}

/// The whole period, in as many parts as there is room for; from the first in which something was
/// counted, if it has no other beginning.
fn parts(asked: &Asked, over_time: &[Moment]) -> Vec<Part> {
    let known: BTreeMap<&Timestamp, &Moment> =
        over_time.iter().map(|moment| (&moment.from, moment)).collect();
    let Some((first, _)) = known.first_key_value() else { return Vec::new() };
    let has_no_beginning = asked.period.from.seconds() <= 0;
    let starts: Vec<Timestamp> = asked
        .parts()
        .map(|start| Timestamp::from(UnixTime::from_seconds(start)))
        .skip_while(|start| has_no_beginning && start < *first)
        .collect();
    let together = starts.len().div_ceil(COLUMNS).max(1);
    let part = |starts: &[Timestamp]| {
        let (first, last) = (starts.first()?, starts.last()?);
        let mut sum = Moment { from: first.clone(), ..Moment::default() };
        for moment in starts.iter().filter_map(|start| known.get(start)) {
            sum.requests += moment.requests;
            sum.completed += moment.completed;
            sum.answered += moment.answered;
            sum.refused += moment.refused;
            sum.reused += moment.reused;
        }
        let of = |start: &Timestamp| match asked.by {
            Grain::Hour => start.as_str().get(11..16).unwrap_or_default().to_owned(),
            Grain::Day => start.as_str().get(..10).unwrap_or_default().to_owned(),
        };
        let label =
            if first == last { of(first) } else { format!("{} – {}", of(first), of(last)) };
        Some(Part { label, sum })
    };
    starts.chunks(together).filter_map(part).collect()
}

/// One row for each step: of both kinds of requests, then of each.
fn funnel(steps: &[FunnelStep]) -> Card {
    let both: Vec<_> = steps.iter().filter(|step| step.request.is_none()).collect();
    let first = both.first().map_or(0, |step| step.grants);
    let bar = |step: &&FunnelStep| Bar {
        label: format!("{}. {}", step.step, step.name),
        told: format!("{} · {}", count(step.grants), percent(step.grants, first)),
        length: step.grants,
        class: "amount",
    };
    let bars: Vec<_> = both.iter().map(bar).collect();
    let told = |step: &&FunnelStep| format!("{} {}", count(step.grants), step.name);
    let description = both.iter().map(told).collect::<Vec<_>>().join(", ");
    let row = |step: &FunnelStep| {
        let own = |other: &&FunnelStep| other.request == step.request;
        let first = steps.iter().find(own).map_or(0, |first| first.grants);
        let number = |number: Option<i64>| text(number.map(count).unwrap_or_default());
        vec![
            text(format!("{}, {}", step.name, step.request.unwrap_or("all"))),
            text(count(step.grants)),
            text(percent(step.grants, first)),
            number(step.lost),
            number(step.declined),
        ]
    };
    let caption =
        Caption { id: "funnel-graph", title: "From the request to the token", description };
    Card {
        id: "funnel",
        title: "From the request to the token",
        note: "Grants by code that were opened in the period, and how far they have come by now.",
        link: None,
        graph: (first > 0).then(|| Graph::bars(caption, &bars, first).svg()),
        empty: "No grant by code was opened.",
        legend: &[],
        table: Table {
            head: &["Step", "Grants", "Of requests", "Lost here", "Of these declined"],
            rows: steps.iter().map(row).collect(),
        },
    }
}

fn step_times(steps: &[FunnelStep]) -> Card {
    let timed: Vec<_> =
        steps.iter().filter_map(|step| step.times.map(|times| (step, times))).collect();
    let spans: Vec<_> = timed
        .iter()
        .filter(|(step, _)| step.request.is_none())
        .map(|(step, times)| Span {
            label: format!("to the {}", step.name),
            p50: times.p50_ms,
            p95: times.p95_ms,
            p99: times.p99_ms,
        })
        .collect();
    let rows = timed.iter().map(|(step, times)| {
        let name = format!("{}, {}", step.name, step.request.unwrap_or("all"));
        vec![
            text(name),
            text(time(times.p50_ms)),
            text(time(times.p95_ms)),
            text(time(times.p99_ms)),
        ]
    });
    Card {
        id: "step-times",
        title: "How long each step takes",
        note: "From the step before: half of the grants, 95 and 99 of a hundred. Rounded up, by 1/32 \
               at most.",
        link: None,
        empty: "No grant has come further than its request.",
        legend: SPANS,
        table: Table { head: &["Step", "p50", "p95", "p99"], rows: rows.collect() },
        graph: spans_graph("step-times-graph", "How long each step takes", &spans),
    }
}

const SPANS: Legend = &[(Mark::Half, "p50: half of them"), (Mark::Most, "p95"), (Mark::End, "p99")];

/// None, if there are none.
fn spans_graph(id: &'static str, title: &'static str, spans: &[Span]) -> Option<String> {
    let spans = spans.get(..spans.len().min(ROWS)).unwrap_or(spans);
    let told = |span: &Span| format!("{}: half within {}", span.label, time(span.p50));
    let description = spans.iter().map(told).collect::<Vec<_>>().join("; ");
    let caption = Caption { id, title, description };
    (!spans.is_empty()).then(|| Graph::spans(caption, spans).svg())
}

/// A card of columns over time.
struct OverTime {
    id: &'static str,
    graph_id: &'static str,
    title: &'static str,
    note: &'static str,
    empty: &'static str,
    /// What both numbers are.
    of: Legend,
    head: &'static [&'static str],
    pair: Pair,
}

impl OverTime {
    fn card(&self, parts: &[Part], numbers: impl Fn(&Moment) -> (i64, i64)) -> Card {
        let names: Vec<_> = self.of.iter().map(|(_, name)| *name).collect();
        let told = |(first, second): (i64, i64)| {
            let numbers = [first, second].into_iter().zip(&names);
            let told = numbers.map(|(number, name)| format!("{} {name}", count(number)));
            told.collect::<Vec<_>>().join(", ")
        };
        let column = |part: &Part| {
            let (first, second) = numbers(&part.sum);
            let (label, told) = (part.label.clone(), told((first, second)));
            Column { told: format!("{label}: {told}"), label, first, second }
        };
        let columns: Vec<_> = parts.iter().map(column).collect();
        let sum = columns
            .iter()
            .fold((0, 0), |sum, column| (sum.0 + column.first, sum.1 + column.second));
        let row = |column: &Column| {
            let mut row = vec![text(column.label.clone()), text(count(column.first))];
            row.extend((self.of.len() > 1).then(|| text(count(column.second))));
            row
        };
        let description = format!("In all {}.", told(sum));
        let caption = Caption { id: self.graph_id, title: self.title, description };
        let is_something = sum != (0, 0);
        Card {
            id: self.id,
            title: self.title,
            note: self.note,
            link: None,
            graph: is_something.then(|| Graph::columns(caption, &columns, self.pair).svg()),
            empty: self.empty,
            legend: self.of,
            table: Table { head: self.head, rows: columns.iter().map(row).collect() },
        }
    }
}

fn token_requests(parts: &[Part]) -> Card {
    let own = OverTime {
        id: "token-requests",
        graph_id: "token-requests-graph",
        title: "Token requests",
        note: "Requests of the token endpoint.",
        empty: "There was none.",
        of: &[(Mark::Amount, "answered"), (Mark::Bad, "refused")],
        head: &["When", "Answered", "Refused"],
        pair: Pair::Stacked,
    };
    own.card(parts, |moment| (moment.answered, moment.refused))
}

fn grants_by_code(parts: &[Part]) -> Card {
    let own = OverTime {
        id: "grants-by-code",
        graph_id: "grants-by-code-graph",
        title: "Grants by code",
        note: "When they were opened, and how many of these have come to a token by now.",
        empty: "No grant by code was opened.",
        of: &[(Mark::Amount, "came to a token"), (Mark::Behind, "opened")],
        head: &["When", "Came to a token", "Opened"],
        pair: Pair::Part,
    };
    own.card(parts, |moment| (moment.completed, moment.requests))
}

fn reuse(figures: &Figures, parts: &[Part]) -> Card {
    let own = OverTime {
        id: "refresh-reuse",
        graph_id: "refresh-reuse-graph",
        title: "Refresh tokens presented again",
        note: "After they had been replaced: somebody may have stolen them.",
        empty: "None was presented again.",
        of: &[(Mark::Bad, "presented again")],
        head: &["When", "Presented again"],
        pair: Pair::Mishap,
    };
    let mut path = "/incidents?kind=refresh_token_reused".to_owned();
    if let Some(client) = &figures.client_id {
        path.push_str("&client=");
        path.push_str(&crate::console::page::escaped(client.as_str()));
    }
    let mut card = own.card(parts, |moment| (moment.reused, 0));
    card.link = Some(Link { text: "The incidents".to_owned(), path: Some(path) });
    card
}

fn clients(figures: &Figures) -> Card {
    let name = |client: &ClientRequests| match &client.client_id {
        Some(id) => Link::to(AggregateKind::Client, id.as_str()),
        None => text("no registered client"),
    };
    let asked = |client: &&ClientRequests| client.requests.answered + client.requests.refused > 0;
    let bar = |client: &ClientRequests| {
        let (refused, answered) = (client.requests.refused, client.requests.answered);
        let all = refused + answered;
        Bar {
            label: client
                .client_id
                .as_ref()
                .map_or("no registered client", |id| id.as_str())
                .into(),
            told: format!("{} of {}", percent(refused, all), count(all)),
            // In a hundred thousand.
            length: refused.saturating_mul(100_000) / all.max(1),
            class: "amount bad",
        }
    };
    let bars: Vec<_> = figures.clients.iter().filter(asked).take(ROWS).map(bar).collect();
    let told = |bar: &Bar| format!("{}: {} refused", bar.label, bar.told);
    let description = bars.iter().map(told).collect::<Vec<_>>().join("; ");
    let row = |client: &ClientRequests| {
        let own = &client.requests;
        let numbers = [own.answered, own.refused].map(|number| text(count(number)));
        let rate = text(percent(own.refused, own.answered + own.refused));
        let others = [
            own.unauthenticated,
            own.remembered,
            own.push_refused,
            own.request_refused,
            own.declined,
        ];
        let others = others.map(|number| text(count(number)));
        std::iter::once(name(client)).chain(numbers).chain([rate]).chain(others).collect()
    };
    let title = "What is refused to whom";
    let caption = Caption { id: "clients-graph", title, description };
    Card {
        id: "clients",
        title,
        note: if figures.more_clients {
            "Token requests refused, of the clients with the most. There are more clients than the \
             table tells of: ask for one by its id."
        } else {
            "Token requests refused, of the clients with the most."
        },
        link: None,
        graph: (!figures.clients.is_empty()).then(|| Graph::bars(caption, &bars, 100_000).svg()),
        empty: "Nobody asked for anything.",
        legend: &[],
        table: Table {
            head: &[
                "Client",
                "Answered",
                "Refused",
                "Error rate",
                "Not authenticated",
                "Remembered",
                "Pushes refused",
                "Requests refused",
                "Declined",
            ],
            rows: figures.clients.iter().map(row).collect(),
        },
    }
}

fn before_login(figures: &Figures) -> Card {
    let own = &figures.requests;
    let numbers = [
        ("begun: a first page was shown", own.begun, "amount"),
        ("recorded: the person has logged in", own.recorded, "amount"),
        ("never heard of again, at least", own.abandoned_at_least, "amount behind"),
        ("refused", own.request_refused, "amount bad"),
        ("logins that failed", own.login_failed, "amount bad"),
    ];
    let most = numbers.iter().map(|(_, number, _)| *number).max().unwrap_or_default();
    let bars = numbers.map(|(name, number, class)| Bar {
        label: name.to_owned(),
        told: count(number),
        length: number,
        class,
    });
    let told = |(name, number, _): &(&str, i64, &str)| format!("{} {name}", count(*number));
    let description = numbers.iter().map(told).collect::<Vec<_>>().join(", ");
    let title = "Before the login";
    let caption = Caption { id: "before-login-graph", title, description };
    let rows = numbers.iter().map(|(name, number, _)| vec![text(*name), text(count(*number))]);
    Card {
        id: "before-login",
        title,
        note: "Plain authorization requests, which are counted until their person is known.",
        link: None,
        graph: (most > 0).then(|| Graph::bars(caption, &bars, most).svg()),
        empty: "There was none.",
        legend: &[],
        table: Table { head: &["Requests", "How many"], rows: rows.collect() },
    }
}

fn lifetimes(lifetimes: &[Lifetime]) -> Card {
    let mut ended: Vec<_> = lifetimes
        .iter()
        .filter_map(|own| Some((own, own.ended_by.as_deref()?, own.life?)))
        .collect();
    ended.sort_by_key(|(own, ..)| -own.grants);
    let spans: Vec<_> = ended
        .iter()
        .map(|(own, cause, life)| Span {
            label: format!("{} · {} · {}", words(&own.grant_type), words(cause), count(own.grants)),
            p50: milliseconds(life.p50_s),
            p95: milliseconds(life.p95_s),
            p99: milliseconds(life.p99_s),
        })
        .collect();
    let row = |own: &Lifetime| {
        let times = own.life.map(|life| [life.p50_s, life.p95_s, life.p99_s, life.max_s]);
        let times = times.map(|times| times.map(|seconds| text(time_of_seconds(seconds))));
        let times = times.unwrap_or_else(|| [(); 4].map(|()| text("")));
        let head = [
            text(words(&own.grant_type)),
            text(own.ended_by.as_deref().map_or_else(|| "not revoked".to_owned(), words)),
            text(count(own.grants)),
            text(own.refreshes.map(count).unwrap_or_default()),
        ];
        head.into_iter().chain(times).collect()
    };
    let title = "How long grants live";
    Card {
        id: "grant-lifetime",
        title,
        note: "Grants opened in the period that were revoked by now, and what ended them. The \
               others may yet live on.",
        link: None,
        graph: spans_graph("grant-lifetime-graph", title, &spans).or_else(|| {
            let caption = Caption { id: "grant-lifetime-graph", title, description: String::new() };
            let bars = lifetimes.iter().map(|own| Bar {
                label: format!("{} · not revoked", words(&own.grant_type)),
                told: count(own.grants),
                length: own.grants,
                class: "amount",
            });
            let bars: Vec<_> = bars.collect();
            let most = bars.iter().map(|bar| bar.length).max();
            most.map(|most| Graph::bars(caption, &bars, most).svg())
        }),
        empty: "No grant has brought a token.",
        legend: if spans.is_empty() { &[] } else { SPANS },
        table: Table {
            head: &[
                "Grant type",
                "Ended by",
                "Grants",
                "Refreshes",
                "p50",
                "p95",
                "p99",
                "Longest",
            ],
            rows: lifetimes.iter().map(row).collect(),
        },
    }
}

fn residual_life(lives: &[ResidualLife]) -> Card {
    let spans: Vec<_> = lives
        .iter()
        .filter_map(|own| {
            let life = own.life?;
            Some(Span {
                label: format!("{} · {} · {}", words(&own.cause), own.form, count(own.tokens)),
                p50: milliseconds(life.p50_s),
                p95: milliseconds(life.p95_s),
                p99: milliseconds(life.p99_s),
            })
        })
        .collect();
    let row = |own: &ResidualLife| {
        let times = own.life.map(|life| [life.p50_s, life.p95_s, life.p99_s, life.max_s]);
        let times = times.map(|times| times.map(|seconds| text(time_of_seconds(seconds))));
        let head = [
            text(words(&own.cause)),
            text(own.form.clone()),
            text(count(own.grants)),
            text(count(own.tokens)),
        ];
        head.into_iter().chain(times.into_iter().flatten()).collect()
    };
    let title = "What outlives a revocation";
    Card {
        id: "residual-life",
        title,
        note: "Access tokens that had not ended when their grant was revoked in the period. \
               Whoever reads a JWT without asking takes it that much longer.",
        link: None,
        graph: spans_graph("residual-life-graph", title, &spans),
        empty: "No token was left when its grant was revoked.",
        legend: SPANS,
        table: Table {
            head: &["Revoked by", "Form", "Grants", "Tokens", "p50", "p95", "p99", "Longest"],
            rows: lives.iter().map(row).collect(),
        },
    }
}

fn counters(figures: &Figures) -> Card {
    let mut counters: Vec<_> = figures.counters.iter().collect();
    counters.sort_by_key(|counter| -counter.count);
    let bar = |counter: &&crate::events::figures::Counter| Bar {
        label: format!("{} · {}", words(&counter.what), words(&counter.reason)),
        told: count(counter.count),
        length: counter.count,
        class: "amount",
    };
    let bars: Vec<_> = counters.iter().take(ROWS).map(bar).collect();
    let most = bars.first().map_or(0, |bar| bar.length);
    let told = |bar: &Bar| format!("{}: {}", bar.label, bar.told);
    let description = bars.iter().map(told).collect::<Vec<_>>().join("; ");
    let rows = counters.iter().map(|counter| {
        let (what, reason) = (words(&counter.what), words(&counter.reason));
        vec![text(what), text(reason), text(count(counter.count))]
    });
    let title = "Counted, and not recorded";
    let caption = Caption { id: "counters-graph", title, description };
    Card {
        id: "counters",
        title,
        note: "What strangers do is counted in windows of a minute: nobody can make the log grow.",
        link: None,
        graph: (most > 0).then(|| Graph::bars(caption, &bars, most).svg()),
        empty: "There was nothing to count.",
        legend: &[],
        table: Table { head: &["What", "Why", "How often"], rows: rows.collect() },
    }
}

/// A name of events, as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}
