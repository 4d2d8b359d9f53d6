//! What evidence can be about: the questions of auditors, and which histories
//! belong to their answers.

use std::collections::BTreeSet;

use chancery_domain::ids::{AggregateKind, ClientId, ConsentId, GrantId, KeyId, SubjectId};
use chancery_domain::time::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::access::{Whose, access};
use super::super::grant::{At, grant_at};
use super::super::incidents::{Which, incidents};
use super::super::{AuditError, Part, Period, Records, cascade, client, signed_by};
use crate::lookups::{self, GrantFilter, Order};
use crate::stores::StreamId;

/// How much of a list is asked for at once.
const PART: u32 = 500;

/// A question, with what it is asked with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", content = "parameters", rename_all = "snake_case")]
#[schemars(rename = "EvidenceQuestion")]
pub enum Question {
    /// A grant: its state, its events, what its person saw.
    Grant { grant_id: GrantId },
    /// A person, by pseudonym: all their grants, and what came of them.
    Subject { subject: SubjectId },
    /// A client: who changed it, and who had access by it.
    Client {
        client_id: ClientId,
        /// Access from then on: seconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<UnixTime>,
        /// Access up to then (exclusive).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<UnixTime>,
    },
    /// Who had access in a time.
    Access { from: UnixTime, to: UnixTime },
    /// Credentials that were presented when or by whom they should not be.
    Incidents {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<UnixTime>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<UnixTime>,
    },
    /// Grants whose tokens a key signed.
    SignedBy {
        kid: KeyId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
    },
    /// The grants that ended because of an event: `aggregate_type/aggregate_id/sequence`.
    Cascade { event: String },
}

impl Question {
    /// Asks it, all parts of a list.
    pub(super) async fn ask(&self, records: &Records) -> Result<Value, AuditError> {
        match self {
            Self::Grant { grant_id } => value(&grant_at(records, *grant_id, At::Now).await?),
            Self::Subject { subject } => of_subject(records, *subject).await,
            Self::Client { client_id, from, to } => {
                let changes = all(async |part| {
                    value(&client::client_changes(records, client_id, part).await?)
                })
                .await?;
                let whose = Whose {
                    during: during(*from, *to),
                    client_id: Some(client_id.clone()),
                    subject: None,
                };
                let access = all(async |part| value(&access(records, &whose, part).await?)).await?;
                let as_of = earlier(&changes, &access);
                let (changes, access) = (changes.get("items"), access.get("items"));
                Ok(json!({
                    "as_of": as_of, "client_id": client_id, "changes": changes, "access": access,
                }))
            }
            Self::Access { from, to } => {
                let during = during(Some(*from), Some(*to));
                let whose = Whose { during, client_id: None, subject: None };
                all(async |part| value(&access(records, &whose, part).await?)).await
            }
            Self::Incidents { client_id, from, to } => {
                let which = Which {
                    client_id: client_id.clone(),
                    since: from.map(Into::into),
                    until: to.map(Into::into),
                    ..Which::default()
                };
                all(async |part| value(&incidents(records, &which, part).await?)).await
            }
            Self::SignedBy { kid, client_id } => {
                let client_id = client_id.as_ref();
                all(async |part| value(&signed_by::signed_by(records, kid, client_id, part).await?))
                    .await
            }
            Self::Cascade { event } => {
                all(async |part| value(&cascade::cascade(records, event, part).await?)).await
            }
        }
    }

    /// The aggregates that the question and its answer name.
    pub(super) fn streams(&self, answer: &Value) -> BTreeSet<StreamId> {
        let mut streams = BTreeSet::new();
        match self {
            Self::Subject { subject } => {
                streams.insert(stream(AggregateKind::Account, &subject.to_string()));
            }
            Self::Client { client_id, .. } => {
                streams.insert(stream(AggregateKind::Client, client_id.as_str()));
            }
            Self::Cascade { event } => streams.extend(named_by(event)),
            Self::Grant { .. }
            | Self::Access { .. }
            | Self::Incidents { .. }
            | Self::SignedBy { .. } => {}
        }
        collect(answer, &mut streams);
        streams
    }
}

/// A person's grants, all of them, and what came of each.
async fn of_subject(records: &Records, subject: SubjectId) -> Result<Value, AuditError> {
    let as_of = records.log_end().await?;
    let filter = GrantFilter { subject: Some(subject), ..GrantFilter::default() };
    let (mut grants, mut after) = (Vec::new(), None);
    loop {
        let part = lookups::Part { order: Order::FirstToLast, after, limit: PART };
        let page = records.lookups.grants(&filter, part).await?;
        for row in &page.rows {
            grants.extend(records.lineage(row.grant_id, as_of.position).await?);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let account = stream(AggregateKind::Account, &subject.to_string());
    if grants.is_empty() && records.store.history(&account).await?.is_empty() {
        return Err(AuditError::NotFound { what: "account", name: subject.to_string() });
    }
    Ok(json!({ "as_of": as_of, "subject": subject, "grants": grants }))
}

/// All parts of a list as one. What a list is in differs; all of them say `next`.
async fn all(ask: impl AsyncFn(Part) -> Result<Value, AuditError>) -> Result<Value, AuditError> {
    let mut answer: Option<Value> = None;
    let mut after = None;
    loop {
        let mut part = ask(Part { after, limit: PART }).await?;
        after = take_next(&mut part);
        match &mut answer {
            None => answer = Some(part),
            Some(whole) => join(whole, part),
        }
        if after.is_none() {
            return Ok(answer.unwrap_or_default());
        }
    }
}

/// Takes `next` out, wherever in the answer it is.
fn take_next(value: &mut Value) -> Option<String> {
    let object = value.as_object_mut()?;
    if let Some(Value::String(next)) = object.remove("next") {
        return Some(next);
    }
    object.values_mut().find_map(take_next)
}

/// Appends the lists of a further part to those of the parts before.
fn join(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Array(whole), Value::Array(part)) => whole.extend(part),
        (Value::Object(whole), Value::Object(part)) => {
            // It is true at the position of the first part, and of each later one.
            for (name, value) in part.into_iter().filter(|(name, _)| name != "as_of") {
                match whole.get_mut(&name) {
                    Some(own) => join(own, value),
                    None => drop(whole.insert(name, value)),
                }
            }
        }
        _ => {}
    }
}

/// The ids that an answer names.
fn collect(value: &Value, streams: &mut BTreeSet<StreamId>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, streams)),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            if let (Some(subject), Some(client)) = (text("subject"), text("client_id"))
                && let (Ok(subject), Ok(client)) = (subject.parse(), ClientId::parse(client))
            {
                // What the person has allowed the client, if anything.
                let consent = ConsentId::of(subject, &client).to_string();
                streams.insert(stream(AggregateKind::Consent, &consent));
            }
            for (name, value) in members {
                let Some(id) = value.as_str() else {
                    collect(value, streams);
                    continue;
                };
                let kind = match name.as_str() {
                    "grant_id" => AggregateKind::Grant,
                    "consent_id" => AggregateKind::Consent,
                    "client_id" => AggregateKind::Client,
                    "because_of" => {
                        streams.extend(named_by(id));
                        continue;
                    }
                    _ => continue,
                };
                streams.insert(stream(kind, id));
            }
        }
        _ => {}
    }
}

/// The aggregate in `aggregate_type/aggregate_id/sequence`.
fn named_by(reference: &str) -> Option<StreamId> {
    let (kind, rest) = reference.split_once('/')?;
    let (id, _) = rest.rsplit_once('/')?;
    let kind = AggregateKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    Some(stream(kind, id))
}

fn stream(kind: AggregateKind, id: &str) -> StreamId {
    StreamId { kind, id: id.into() }
}

/// Of two answers the position at which both are true.
fn earlier(one: &Value, other: &Value) -> Value {
    let position = |answer: &Value| answer.pointer("/as_of/position").and_then(Value::as_u64);
    let first = if position(one) <= position(other) { one } else { other };
    first.get("as_of").cloned().unwrap_or_default()
}

fn during(from: Option<UnixTime>, to: Option<UnixTime>) -> Period {
    // No grant is older than 1970; none that there is begins after the year 9999.
    const END: i64 = 253_402_300_799;
    Period {
        from: from.unwrap_or(UnixTime::from_seconds(0)),
        below: to.unwrap_or(UnixTime::from_seconds(END)),
    }
}

fn value<T: Serialize>(answer: &T) -> Result<Value, AuditError> {
    serde_json::to_value(answer).map_err(|error| AuditError::Invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_as_it_was_written() {
        for text in [
            r#"{"name":"client","parameters":{"client_id":"web","from":1}}"#,
            r#"{"name":"cascade","parameters":{"event":"client/web/2"}}"#,
        ] {
            let question: Question = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&question).unwrap(), text);
        }
    }

    #[test]
    fn the_aggregates_of_an_answer_are_those_it_names() {
        let question = Question::Cascade { event: "account/a1/3".to_owned() };
        let answer = json!({"event": {"because_of": "client/a/b/2"}, "led_to": [
            {"grant_id": "g1", "grants": [{"grant_id": "g2", "consent_id": "c1"}]},
        ]});
        let streams = question.streams(&answer);
        let name = |stream: &StreamId| format!("{}/{}", stream.kind.as_str(), stream.id);
        let streams: Vec<_> = streams.iter().map(name).collect();
        for expected in ["account/a1", "client/a/b", "grant/g1", "grant/g2", "consent/c1"] {
            assert!(streams.iter().any(|own| own == expected), "{expected}: {streams:?}");
        }
        assert_eq!(streams.len(), 5);
    }

    #[tokio::test]
    async fn the_parts_of_a_list_become_one_list() {
        let ask = async |part: Part| {
            let second = part.after.is_some();
            Ok(if second {
                json!({"as_of": {"position": 9}, "led_to": {"grants": [3]}})
            } else {
                json!({"as_of": {"position": 8}, "led_to": {"grants": [1, 2], "next": "2"}})
            })
        };
        let whole = all(ask).await.unwrap();
        assert_eq!(whole, json!({"as_of": {"position": 8}, "led_to": {"grants": [1, 2, 3]}}));
    }
}
