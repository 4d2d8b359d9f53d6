//! The state of a grant at some moment, and what the person saw when they
//! consented.

use chancery_domain::grant::Presented;
use chancery_domain::ids::{AggregateKind, ConsentId, GrantId};
use chancery_domain::time::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::{at_consent, remembered};
use super::as_of::{AsOf, Stated};
use super::error::AuditError;
use super::happening::Happening;
use super::lineage::Lineage;
use super::moment::Moment;
use super::records::{Records, Told};

/// At which moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// As it stands.
    Now,
    /// At this position of the log.
    Position(u64),
    /// At this time (inclusive), by one of the clocks.
    Time(UnixTime, Clock),
}

/// By whose clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The store's, which took the events.
    #[default]
    Recorded,
    /// Those of the nodes that decided.
    Happened,
}

/// A grant at some moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GrantAt {
    /// The position of the last event that is in it.
    pub position: u64,
    /// True: more has happened to it since.
    pub more_since: bool,
    /// What it was then, and what had come of it.
    pub grant: Lineage,
    /// What the person saw when they consented; absent: no page was shown, ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Its events up to then.
    pub events: Vec<Happening>,
}

/// What a person saw when they were asked.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Seen {
    /// When they consented.
    #[serde(flatten)]
    pub at: Moment,
    /// The grant whose page it was: another, where they had consented before.
    pub grant_id: GrantId,
    /// The language of the page (BCP 47).
    pub locale: String,
    /// SHA-256 of the text shown, in hexadecimal digits.
    pub text_digest: String,
    /// The scopes as they were shown.
    pub scopes: Vec<Line>,
    /// The claims asked for by name, as they were shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Line>,
}

/// A line of a consent page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Line {
    pub name: String,
    /// As shown.
    pub description: String,
}

/// The state of a grant at a moment, folded from its events up to then.
pub async fn grant_at(
    records: &Records,
    grant_id: GrantId,
    at: At,
) -> Result<Stated<GrantAt>, AuditError> {
    let log = records.log_end().await?;
    let id = grant_id.to_string();
    let history = records.history(AggregateKind::Grant, &id, log.position).await?;
    let Some(first) = history.first() else {
        return Err(AuditError::not_found("grant", &grant_id));
    };
    let began = first.moment.clone();
    let shown = history.iter().take_while(|told| at.includes(&told.moment)).count();
    let (then, later) = history.split_at(shown);
    let Some((lineage, last)) = Lineage::of(grant_id, then).zip(then.last()) else {
        return Err(AuditError::NotFound {
            what: "grant at that moment",
            name: format!(
                "{grant_id} (it began at position {}, {})",
                began.position, began.recorded_at
            ),
        });
    };
    let position = last.moment.position;
    let seen = seen(records, &lineage).await?;
    let as_of = AsOf { position: at.position(&log, later), ..log };
    let answer = GrantAt {
        position,
        more_since: !later.is_empty(),
        grant: lineage,
        seen,
        events: then.iter().map(Happening::of).collect(),
    };
    Ok(Stated { as_of, answer })
}

impl At {
    fn includes(self, moment: &Moment) -> bool {
        match self {
            Self::Now => true,
            Self::Position(position) => moment.position <= position,
            Self::Time(time, Clock::Recorded) => moment.recorded() <= time,
            Self::Time(time, Clock::Happened) => moment.happened() <= time,
        }
    }

    /// Up to where the answer holds: the position asked for, or right before the next event.
    fn position(self, log: &AsOf, later: &[Told]) -> u64 {
        let until = later.first().map_or(log.position, |next| next.moment.position - 1);
        match self {
            Self::Position(position) => position.min(log.position),
            Self::Now | Self::Time(..) => until,
        }
    }
}

/// What the person saw: for this grant, or for the one that its consent rests on.
async fn seen(records: &Records, lineage: &Lineage) -> Result<Option<Seen>, AuditError> {
    if let Some(seen) = Seen::of(lineage) {
        return Ok(Some(seen));
    }
    let (Some(consent), Some(subject), Some(client_id)) =
        (&lineage.consent, lineage.subject, &lineage.client_id)
    else {
        return Ok(None);
    };
    let through = consent.given.position;
    let history = remembered(records, ConsentId::of(subject, client_id), through).await?;
    let Some(found) = at_consent(&history, lineage) else { return Ok(None) };
    // The consent is recorded in one append with its page, perhaps right before it.
    let page = records.lineage(found.grant_id, u64::MAX).await?;
    Ok(page.as_ref().and_then(Seen::of))
}

impl Seen {
    fn of(lineage: &Lineage) -> Option<Self> {
        let consent = lineage.consent.as_ref()?;
        let Presented { locale, text, scopes, claims } = consent.presented.as_ref()?;
        let line = |name: &String, description: &String| Line {
            name: name.clone(),
            description: description.clone(),
        };
        Some(Self {
            at: consent.given.clone(),
            grant_id: lineage.grant_id,
            locale: locale.clone(),
            text_digest: text.to_string(),
            scopes: scopes.iter().map(|own| line(&own.name, &own.description)).collect(),
            claims: claims.iter().map(|own| line(&own.name, &own.description)).collect(),
        })
    }
}
