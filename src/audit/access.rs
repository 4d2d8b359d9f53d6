//! Who had access to what at some time, and by which consent?

use std::cell::RefCell;
use std::collections::BTreeMap;

use chancery_domain::consent::ConsentEvent;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::{AggregateKind, ClientId, ConsentId, GrantId, SessionId, SubjectId};
use chancery_domain::protocol::scope::Scope;
use chancery_domain::time::{Lifetime, UnixTime};
use chancery_projections::Value;
use chancery_projections::grants::{GRANTS, SPANS, made_from};
use schemars::JsonSchema;
use serde::Serialize;

use super::as_of::StatedList;
use super::error::AuditError;
use super::lineage::{Issue, Lineage, Revocation};
use super::moment::{Moment, Period, Timestamp};
use super::part::{Filling, Part};
use super::records::Records;
use crate::lookups::{GrantRow, Order};
use crate::stores::{Bounds, Query};

/// How far the clocks of nodes may be apart: ids have their time from one, events from another.
const SKEW: Lifetime = Lifetime::from_seconds(60 * 60);

/// Whose access, and when.
#[derive(Debug, Clone)]
pub struct Whose {
    pub during: Period,
    pub client_id: Option<ClientId>,
    pub subject: Option<SubjectId>,
}

/// Access that a grant gave: tokens of it were alive.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Access {
    pub grant_id: GrantId,
    /// To whom.
    pub client_id: ClientId,
    /// Whose access it was, by pseudonym; absent: the client's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    pub grant_type: String,
    /// To what.
    pub scope: Scope,
    /// At whom, by the access tokens; empty: this server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// When the first tokens were issued.
    pub from: Moment,
    /// When the last token ended, or will end.
    pub until: Timestamp,
    /// Why it ended before; absent: it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
    /// By which consent; absent: the client acts for itself, or by a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<ByConsent>,
}

/// The consent that access rests on.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ByConsent {
    pub consent_id: ConsentId,
    /// When the grant got it.
    pub given: Moment,
    /// Was a page shown for this grant?
    pub page_shown: bool,
    /// What was remembered of the person's consent by then; absent: nothing, since the client
    /// needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_on: Option<RememberedConsent>,
}

/// What a person had allowed a client, once or bit by bit.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RememberedConsent {
    #[serde(flatten)]
    pub at: Moment,
    pub scope: Scope,
    /// The grant whose consent page it was.
    pub grant_id: GrantId,
}

/// Who had access at that time: those whose tokens were alive in some part of it.
///
/// The order is by how long access lasts at most, then by age; with a subject, by age.
pub async fn access(
    records: &Records,
    whose: &Whose,
    part: Part,
) -> Result<StatedList<Access>, AuditError> {
    let cursor = Cursor::read(whose, part.after.as_deref())?;
    let (as_of, (items, next)) = records
        .settled(&["grants"], async |position| {
            let consents = Consents { records, position, known: RefCell::default() };
            let mut filling = Filling::new(part.limit);
            let mut ended = true;
            for class in whose.classes().filter(|class| *class >= cursor.class) {
                let after = cursor.grant_id.clone().filter(|_| class == cursor.class);
                let query = whose.query(class);
                ended = filling
                    .take(
                        (Order::FirstToLast, after),
                        async |part| Ok(records.lookups.grants_by(query.clone(), part).await?),
                        |row: &GrantRow| Cursor::write(class, row.grant_id),
                        async |row| {
                            let lineage = records.lineage(row.grant_id, position).await?;
                            let found = lineage.and_then(|own| Access::of(own, whose));
                            let Some((mut access, lineage)) = found else { return Ok(None) };
                            access.consent = consents.of(&lineage).await?;
                            Ok(Some(access))
                        },
                    )
                    .await?;
                if !ended {
                    break;
                }
            }
            Ok(filling.done(ended))
        })
        .await?;
    Ok(StatedList { as_of, items, next })
}

/// Where a part begins.
struct Cursor {
    class: Option<usize>,
    grant_id: Option<String>,
}

impl Cursor {
    /// With a subject there are no classes.
    fn read(whose: &Whose, text: Option<&str>) -> Result<Self, AuditError> {
        let Some(text) = text else {
            return Ok(Self { class: whose.classes().next().flatten(), grant_id: None });
        };
        let wrong = || AuditError::Invalid("after must be the `next` of the list before".into());
        let (class, grant_id) = text.split_once('.').ok_or_else(wrong)?;
        let grant_id: GrantId = grant_id.parse().map_err(|_| wrong())?;
        let class = match class {
            "" => None,
            class => Some(class.parse().map_err(|_| wrong())?),
        };
        if !whose.classes().any(|own| own == class) {
            return Err(wrong());
        }
        Ok(Self { class, grant_id: Some(grant_id.to_string()) })
    }

    fn write(class: Option<usize>, grant_id: GrantId) -> String {
        class.map_or_else(|| format!(".{grant_id}"), |class| format!("{class}.{grant_id}"))
    }
}

impl Whose {
    /// One person has few grants: those need no classes.
    fn classes(&self) -> impl Iterator<Item = Option<usize>> + use<> {
        let classes = if self.subject.is_some() { 0 } else { SPANS.len() };
        let none = self.subject.is_some().then_some(None);
        none.into_iter().chain((0..classes).map(Some))
    }

    /// The grants of a class that may have given access at that time.
    fn query(&self, class: Option<usize>) -> Query {
        let Period { from, below } = self.during;
        let text = |text: String| Value::Text(text);
        let span = class.map(|class| ("span", i64::try_from(class).unwrap_or(i64::MAX).into()));
        let client = self.client_id.as_ref().map(|id| ("client_id", text(id.to_string())));
        let subject = self.subject.map(|id| ("subject", text(id.to_string())));
        // A class of a client's grants is looked up by both.
        let by = if subject.is_some() {
            Query::by(&GRANTS, [subject, client])
        } else {
            let equals = [span, client].into_iter().flatten().collect();
            Query { equals, ..Query::all(&GRANTS) }
        };
        let longest = class.and_then(|class| SPANS.get(class).copied()).unwrap_or(i64::MAX);
        let eldest = (from - SKEW).seconds().saturating_sub(longest).max(0);
        let made = Bounds {
            column: GRANTS.key,
            from: Some(made_from(UnixTime::from_seconds(eldest)).into()),
            below: Some(made_from(below + SKEW).into()),
        };
        let lasted = Bounds {
            column: "expires_at",
            from: Some(from.seconds().saturating_add(1).into()),
            below: None,
        };
        Query { within: vec![made, lasted], ..by }
    }
}

impl Access {
    /// The access that a grant gave, if some of it was at that time.
    fn of(lineage: Lineage, whose: &Whose) -> Option<(Self, Lineage)> {
        let first = lineage.issues().next()?;
        let from = issued(first)?;
        let ends = lineage.issues().filter_map(expires);
        let refresh = lineage.refresh_tokens.iter().filter(|token| token.replaced.is_none());
        let until = ends.chain(refresh.map(|token| token.expires)).max()?;
        let revoked = lineage.revoked.clone();
        let end = revoked.as_ref().map_or(until, |revoked| until.min(revoked.at.happened()));
        if from >= whose.during.below || end <= whose.during.from {
            return None;
        }
        let mut audience: Vec<_> =
            lineage.access_tokens().flat_map(|token| token.audience.clone()).collect();
        audience.sort_unstable();
        audience.dedup();
        let access = Self {
            grant_id: lineage.grant_id,
            client_id: lineage.client_id.clone()?,
            subject: lineage.subject,
            session_id: lineage.session_id,
            grant_type: lineage.grant_type.clone(),
            scope: lineage.scope.clone(),
            audience,
            from: first.issued.clone(),
            until: end.into(),
            revoked: revoked.filter(|_| end < until),
            consent: None,
        };
        Some((access, lineage))
    }
}

fn issued(issue: &Issue) -> Option<UnixTime> {
    let access = issue.access_token.as_ref().map(|token| token.issued);
    access.or_else(|| issue.id_token.as_ref().map(|token| token.issued))
}

/// An ID token alone is what the client got.
fn expires(issue: &Issue) -> Option<UnixTime> {
    let access = issue.access_token.as_ref().map(|token| token.expires);
    access.or_else(|| issue.id_token.as_ref().map(|token| token.expires))
}

/// The consents that have been looked at.
struct Consents<'a> {
    records: &'a Records,
    position: u64,
    known: RefCell<BTreeMap<ConsentId, Vec<Remembered>>>,
}

/// What was remembered from then on; none: it was taken back.
type Remembered = (u64, Option<RememberedConsent>);

impl Consents<'_> {
    async fn of(&self, lineage: &Lineage) -> Result<Option<ByConsent>, AuditError> {
        let (Some(consent), Some(subject), Some(client_id)) =
            (&lineage.consent, lineage.subject, &lineage.client_id)
        else {
            return Ok(None);
        };
        let consent_id = ConsentId::of(subject, client_id);
        let known = self.known.borrow().contains_key(&consent_id);
        if !known {
            let history = remembered(self.records, consent_id, self.position).await?;
            self.known.borrow_mut().insert(consent_id, history);
        }
        let known = self.known.borrow();
        let history = known.get(&consent_id).map(Vec::as_slice).unwrap_or_default();
        Ok(Some(ByConsent {
            consent_id,
            given: consent.given.clone(),
            page_shown: consent.page_shown,
            rests_on: at_consent(history, lineage),
        }))
    }
}

/// What a grant's consent rests on: what was remembered when it got it, or in the same append.
pub(super) fn at_consent(history: &[Remembered], lineage: &Lineage) -> Option<RememberedConsent> {
    let consent = lineage.consent.as_ref()?;
    let own = |(_, found): &&Remembered| {
        found.as_ref().is_some_and(|found| found.grant_id == lineage.grant_id)
    };
    let before = |(position, _): &&Remembered| *position < consent.given.position;
    let found = history.iter().find(own).filter(|_| consent.page_shown);
    let found = found.or_else(|| history.iter().rfind(before));
    found.and_then(|(_, found)| found.clone())
}

/// What a person allowed a client, from when on.
pub(super) async fn remembered(
    records: &Records,
    consent_id: ConsentId,
    position: u64,
) -> Result<Vec<Remembered>, AuditError> {
    let id = consent_id.to_string();
    let history = records.history(AggregateKind::Consent, &id, position).await?;
    let mut remembered = Vec::with_capacity(history.len());
    for told in history {
        let AnyEvent::Consent(event) = told.event else { continue };
        let position = told.moment.position;
        remembered.push(match event {
            ConsentEvent::ConsentRecorded(event) => {
                let (scope, grant_id) = (event.scope, event.grant_id);
                (position, Some(RememberedConsent { at: told.moment, scope, grant_id }))
            }
            ConsentEvent::ConsentWithdrawn(_) => (position, None),
        });
    }
    Ok(remembered)
}
