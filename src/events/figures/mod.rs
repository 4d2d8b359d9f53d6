//! The figures of analysts: what the ready queries ask of exported files, at once and
//! for any period and client, from the sums of the read model.
//!
//! The API at `/events/figures` and the console's dashboard ask the same function. A figure has the
//! meaning, and its numbers the names, of the query of that name; times are rounded as
//! [`rounded_up`](chancery_projections::figures::rounded_up) has it.

mod asked;
mod sums;

use std::collections::BTreeMap;

use chancery_domain::ids::ClientId;
use chancery_domain::time::UnixTime;
use chancery_projections::figures::{Answer, Name, Request, Step, Sum};
use schemars::JsonSchema;
use serde::Serialize;

pub use self::asked::{Asked, Latest};
use self::sums::Sums;
use crate::audit::{AuditError, Records, Stated, Timestamp};

/// How many clients are told of one by one.
pub const MOST_CLIENTS: usize = 500;

/// The figures of a period.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// What is counted happened from then on (inclusive) …
    pub from: Timestamp,
    /// … up to then (exclusive).
    pub until: Timestamp,
    /// Whose; absent: all clients'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// How far grants by code got from the request to the token: those opened in the period,
    /// whenever they got there.
    pub funnel: Vec<FunnelStep>,
    /// What clients ask for and how much of it is refused, before there is a grant too.
    pub requests: Requests,
    /// The same client by client, those with the most token requests first; none if one was
    /// asked for.
    pub clients: Vec<ClientRequests>,
    /// There are more clients than are told of.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more_clients: bool,
    /// What was counted in windows, by reason.
    pub counters: Vec<Counter>,
    /// How long grants lived, and what ended them: those opened in the period.
    pub grant_lifetime: Vec<Lifetime>,
    /// Replaced refresh tokens that were presented again.
    pub refresh_reuse: RefreshReuse,
    /// How long access tokens lived on after their grant was revoked in the period.
    pub residual_life: Vec<ResidualLife>,
    /// The days of the period, or the hours of the last 24; those in which nothing was counted are
    /// left out.
    pub over_time: Vec<Moment>,
}

/// One step of the funnel.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FunnelStep {
    /// How the request came: `pushed` or `plain`; absent: both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<&'static str>,
    /// From 1 to 5.
    pub step: usize,
    /// `request`, `login`, `consent`, `code` or `token`
    pub name: &'static str,
    /// How many reached it.
    pub grants: i64,
    /// How many of these reached no further; absent for the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<i64>,
    /// How many of the lost were declined, and their client told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declined: Option<i64>,
    /// From the step before, in milliseconds; absent for the first step.
    #[serde(flatten)]
    pub times: Option<Milliseconds>,
}

/// Percentiles of times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Milliseconds {
    pub p50_ms: u64,
    pub p95_ms: u64,
    pub p99_ms: u64,
}

/// Percentiles of times in seconds, and the longest, which is not rounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Seconds {
    pub p50_s: f64,
    pub p95_s: f64,
    pub p99_s: f64,
    pub max_s: f64,
}

/// What was asked for, and what of it was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Requests {
    /// Token requests answered with tokens.
    pub answered: i64,
    /// Of these: for a code.
    pub answered_code: i64,
    /// For a refresh token.
    pub answered_refresh: i64,
    /// For neither.
    pub answered_direct: i64,
    /// Token requests refused.
    pub refused: i64,
    /// `refused / (answered + refused)`; absent where both are 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// Failed client authentications, at any endpoint.
    pub unauthenticated: i64,
    /// Refusals that are events.
    pub remembered: i64,
    /// Pushed requests refused.
    pub push_refused: i64,
    /// Authorization requests refused before they were recorded.
    pub request_refused: i64,
    /// Authorization requests recorded and ended without a code.
    pub declined: i64,
    /// Plain requests for which a first page was shown.
    pub begun: i64,
    /// Logins that failed.
    pub login_failed: i64,
    /// Plain requests recorded.
    pub recorded: i64,
    /// At least so many plain requests were begun and never heard of again.
    pub abandoned_at_least: i64,
}

/// What one client asked for.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClientRequests {
    /// Absent: no registered client was named, or authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    #[serde(flatten)]
    pub requests: Requests,
}

/// How often something was counted that is no event by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counter {
    pub what: String,
    pub reason: String,
    pub count: i64,
}

/// How long grants of a type lived.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Lifetime {
    pub grant_type: String,
    /// The cause of their revocation; absent: not revoked, so that nobody knows how long they will
    /// have lived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// How many.
    pub grants: i64,
    /// How often they were refreshed, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshes: Option<i64>,
    #[serde(flatten)]
    pub life: Option<Seconds>,
}

/// Replaced refresh tokens that were presented again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RefreshReuse {
    pub incidents: i64,
    /// How many grants were revoked for it.
    pub revoked: i64,
    /// Access tokens of these grants that were good when it happened.
    pub access_tokens: i64,
}

/// How long access tokens lived on.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ResidualLife {
    /// Why their grant was revoked.
    pub cause: String,
    /// `jwt` or `opaque`
    pub form: String,
    pub grants: i64,
    pub tokens: i64,
    #[serde(flatten)]
    pub life: Option<Seconds>,
}

/// One hour or day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Moment {
    /// When it begins.
    pub from: Timestamp,
    /// Grants by code opened in it.
    pub requests: i64,
    /// How many of these came to a token, whenever they did.
    pub completed: i64,
    /// Token requests answered.
    pub answered: i64,
    /// Token requests refused.
    pub refused: i64,
    /// Replaced refresh tokens presented again.
    pub reused: i64,
}

/// Answers, and says where in the log it is true.
pub async fn figures(records: &Records, asked: &Asked) -> Result<Stated<Figures>, AuditError> {
    let models = [chancery_projections::figures::NAME];
    let (as_of, answer) = records
        .settled(&models, async |_| {
            let own = sums::of(records, asked).await?;
            let clients = match asked.client_id {
                Some(_) => BTreeMap::new(),
                None => sums::by_client(records, asked).await?,
            };
            Ok(Figures::of(asked, &own, clients))
        })
        .await?;
    Ok(Stated { as_of, answer })
}

impl Figures {
    fn of(
        asked: &Asked,
        own: &BTreeMap<i64, Sums>,
        clients: BTreeMap<Option<ClientId>, Sums>,
    ) -> Self {
        let mut total = Sums::default();
        for sums in own.values() {
            total.add(sums);
        }
        let mut clients: Vec<_> = clients
            .into_iter()
            .map(|(client_id, sums)| ClientRequests { client_id, requests: Requests::of(&sums) })
            .filter(|client| client.requests != Requests::default())
            .collect();
        clients.sort_by_key(|client| -(client.requests.answered + client.requests.refused));
        let more_clients = clients.len() > MOST_CLIENTS;
        clients.truncate(MOST_CLIENTS);
        let over_time = own.iter().map(|(start, sums)| Moment::of(*start, sums));
        Self {
            from: asked.period.from.into(),
            until: asked.period.below.into(),
            client_id: asked.client_id.clone(),
            funnel: funnel(&total),
            requests: Requests::of(&total),
            clients,
            more_clients,
            counters: counters(&total),
            grant_lifetime: lifetimes(&total),
            refresh_reuse: RefreshReuse {
                incidents: total.number(&Name::Reused),
                revoked: total.number(&Name::ReusedRevoked),
                access_tokens: total.number(&Name::ReusedAlive),
            },
            residual_life: residual(&total),
            over_time: over_time.collect(),
        }
    }
}

/// Of both kinds of request, then of each by itself; steps that nobody reached are left out.
fn funnel(sums: &Sums) -> Vec<FunnelStep> {
    let kinds: [(Option<Request>, &[Request]); 3] = [
        (None, &Request::ALL),
        (Some(Request::Pushed), &[Request::Pushed]),
        (Some(Request::Plain), &[Request::Plain]),
    ];
    let mut steps = Vec::new();
    for (request, kinds) in kinds {
        let all = |name: fn(Request, Step) -> Name, step| {
            let mut sum = Sum::default();
            for kind in kinds {
                sum.add(&sums.get(&name(*kind, step)));
            }
            sum
        };
        for (index, step) in Step::ALL.into_iter().enumerate() {
            let own = all(Name::Step, step);
            if own.number == 0 {
                continue;
            }
            let next = Step::ALL.get(index + 1);
            // Of those that reached the next step, those that had reached this one.
            let lost = next.map(|next| own.number - all(Name::Step, *next).times.count());
            steps.push(FunnelStep {
                request: request.map(Request::as_str),
                step: index + 1,
                name: step.as_str(),
                grants: own.number,
                lost,
                declined: next.map(|_| all(Name::Declined, step).number),
                times: Milliseconds::of(&own),
            });
        }
    }
    steps
}

fn counters(sums: &Sums) -> Vec<Counter> {
    let counter = |(name, sum): (&Name, &Sum)| match name {
        Name::Counted { what, reason } => Some(Counter {
            what: what.clone().into_owned(),
            reason: reason.clone().into_owned(),
            count: sum.number,
        }),
        _ => None,
    };
    sums.iter().filter_map(counter).collect()
}

fn lifetimes(sums: &Sums) -> Vec<Lifetime> {
    let mut lifetimes = Vec::new();
    let mut left = BTreeMap::new();
    for (name, sum) in sums.iter() {
        match name {
            Name::Grants(grant_type) => {
                *left.entry(grant_type.clone().into_owned()).or_default() += sum.number;
            }
            Name::Ended { cause, grant_type } => {
                let refreshes =
                    Name::EndedRefreshes { cause: cause.clone(), grant_type: grant_type.clone() };
                *left.entry(grant_type.clone().into_owned()).or_default() -= sum.number;
                lifetimes.push(Lifetime {
                    grant_type: grant_type.clone().into_owned(),
                    ended_by: Some(cause.clone().into_owned()),
                    grants: sum.number,
                    refreshes: Some(sums.number(&refreshes)),
                    life: Seconds::of(sum, 1000),
                });
            }
            _ => {}
        }
    }
    let left = left.into_iter().filter(|(_, grants): &(_, i64)| *grants > 0);
    lifetimes.extend(left.map(|(grant_type, grants)| Lifetime {
        grant_type,
        ended_by: None,
        grants,
        refreshes: None,
        life: None,
    }));
    lifetimes.sort_by(|a, b| {
        let key = |own: &Lifetime| (own.grant_type.clone(), own.ended_by.is_none());
        key(a).cmp(&key(b)).then_with(|| a.ended_by.cmp(&b.ended_by))
    });
    lifetimes
}

fn residual(sums: &Sums) -> Vec<ResidualLife> {
    let residual = |(name, sum): (&Name, &Sum)| match name {
        Name::Alive { cause, form } => Some(ResidualLife {
            cause: cause.clone().into_owned(),
            form: form.clone().into_owned(),
            grants: sums.number(&Name::AliveGrants { cause: cause.clone(), form: form.clone() }),
            tokens: sum.number,
            life: Seconds::of(sum, 1),
        }),
        _ => None,
    };
    sums.iter().filter_map(residual).collect()
}

impl Requests {
    fn of(sums: &Sums) -> Self {
        let of = |answer| sums.number(&Name::Answered(answer));
        let [code, refresh, direct] = Answer::ALL.map(of);
        let (answered, refused) = (code + refresh + direct, sums.what("token_request_refused"));
        let begun = sums.what("authorization_request_begun");
        let request_refused = sums.what("authorization_request_refused");
        let recorded = sums.number(&Name::Received);
        Self {
            answered,
            answered_code: code,
            answered_refresh: refresh,
            answered_direct: direct,
            refused,
            error_rate: ratio(refused, answered + refused),
            unauthenticated: sums.what("client_authentication_failed"),
            remembered: sums.number(&Name::Remembered),
            push_refused: sums.what("push_refused"),
            request_refused,
            declined: sums.number(&Name::RequestDeclined),
            begun,
            login_failed: sums.what("login_failed"),
            recorded,
            abandoned_at_least: (begun - request_refused - recorded).max(0),
        }
    }
}

/// A part of a whole; none of nothing.
#[must_use]
pub fn ratio(part: i64, whole: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    (whole != 0).then(|| part as f64 / whole as f64)
}

impl Moment {
    fn of(start: i64, sums: &Sums) -> Self {
        let both = |step| -> i64 {
            Request::ALL.map(|request| sums.number(&Name::Step(request, step))).iter().sum()
        };
        Self {
            from: UnixTime::from_seconds(start).into(),
            requests: both(Step::Request),
            completed: both(Step::Token),
            answered: Answer::ALL.map(|answer| sums.number(&Name::Answered(answer))).iter().sum(),
            refused: sums.what("token_request_refused"),
            reused: sums.number(&Name::Reused),
        }
    }
}

impl Milliseconds {
    fn of(sum: &Sum) -> Option<Self> {
        let percentile = |hundredths| sum.times.percentile(hundredths);
        Some(Self { p50_ms: percentile(50)?, p95_ms: percentile(95)?, p99_ms: percentile(99)? })
    }
}

impl Seconds {
    /// Of times of which so many are a second.
    fn of(sum: &Sum, a_second: u32) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "no time is above 2^52 milliseconds")]
        let seconds = |time: u64| time as f64 / f64::from(a_second);
        let percentile = |hundredths| sum.times.percentile(hundredths).map(seconds);
        Some(Self {
            p50_s: percentile(50)?,
            p95_s: percentile(95)?,
            p99_s: percentile(99)?,
            max_s: seconds(sum.longest?),
        })
    }
}
