//! Who changed a client, how, and what it led to.

use chancery_domain::client::ClientEvent;
use chancery_domain::event::AnyEvent;
use chancery_domain::ids::{AggregateKind, ClientId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::as_of::StatedList;
use super::cascade::{LedTo, led_to};
use super::error::AuditError;
use super::happening::Happening;
use super::part::Part;
use super::records::Records;

/// How many grants are named for each change; `chancery audit cascade` names all.
const NAMED: u32 = 20;

/// A change of a client.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClientChange {
    #[serde(flatten)]
    pub event: Happening,
    /// The event's name: `client/ID/SEQUENCE`.
    pub reference: String,
    /// What became other in its metadata (RFC 7591 §2), by member.
    pub diff: Vec<MemberChange>,
    /// The grants that ended because of it, the first of them; absent: it is no change that
    /// ends any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub led_to: Option<LedTo>,
}

/// What became of a member of the metadata.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MemberChange {
    pub member: String,
    /// Absent: it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Absent: it is there no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Who changed a client, the first change (its registration) first.
pub async fn client_changes(
    records: &Records,
    client_id: &ClientId,
    part: Part,
) -> Result<StatedList<ClientChange>, AuditError> {
    let after = match &part.after {
        None => 0,
        Some(after) => after.parse().map_err(|_| {
            AuditError::Invalid("after must be the `next` of the list before".to_owned())
        })?,
    };
    let limit = usize::try_from(part.limit).unwrap_or(usize::MAX);
    let (as_of, (items, next)) = records
        .settled(&["grants"], async |position| {
            let id = client_id.as_str();
            // The client itself is read in the log, which may be ahead of the read model.
            let history = records.history(AggregateKind::Client, id, u64::MAX).await?;
            if history.is_empty() {
                return Err(AuditError::not_found("client", client_id));
            }
            let mut items: Vec<ClientChange> = vec![];
            let mut more = false;
            let mut metadata = Map::new();
            for told in history.iter().take_while(|told| told.moment.position <= position) {
                let AnyEvent::Client(event) = &told.event else { continue };
                let diff = match metadata_of(event) {
                    None => vec![],
                    Some(new) => {
                        let diff = difference(&metadata, &new);
                        metadata = new;
                        diff
                    }
                };
                if told.moment.sequence <= after {
                    continue;
                }
                more = items.len() >= limit;
                if more {
                    break;
                }
                let reference = format!("client/{id}/{}", told.moment.sequence);
                let first = Part { after: None, limit: NAMED };
                let led_to = match event {
                    ClientEvent::ClientDisabled(_) | ClientEvent::ClientDeleted(_) => {
                        Some(led_to(records, (&reference, position), first).await?)
                    }
                    ClientEvent::ClientRegistered(_)
                    | ClientEvent::ClientMetadataReplaced(_)
                    | ClientEvent::ClientSecretRotated(_)
                    | ClientEvent::ClientEnabled(_) => None,
                };
                items.push(ClientChange { event: Happening::of(told), reference, diff, led_to });
            }
            let last = items.last().filter(|_| more);
            let next = last.map(|change| change.event.at.sequence.to_string());
            Ok((items, next))
        })
        .await?;
    Ok(StatedList { as_of, items, next })
}

/// All of the metadata, where the event brings them.
fn metadata_of(event: &ClientEvent) -> Option<Map<String, Value>> {
    let metadata = match event {
        ClientEvent::ClientRegistered(event) => &event.metadata,
        ClientEvent::ClientMetadataReplaced(event) => &event.metadata,
        ClientEvent::ClientSecretRotated(_)
        | ClientEvent::ClientDisabled(_)
        | ClientEvent::ClientEnabled(_)
        | ClientEvent::ClientDeleted(_) => return None,
    };
    match serde_json::to_value(metadata) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<MemberChange> {
    let mut members: Vec<&String> = before.keys().chain(after.keys()).collect();
    members.sort_unstable();
    members.dedup();
    let change = |member: &String| MemberChange {
        member: member.clone(),
        before: before.get(member).cloned(),
        after: after.get(member).cloned(),
    };
    let changes = members.into_iter().map(change);
    changes.filter(|change| change.before != change.after).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_difference_names_what_came_went_and_changed() {
        let before = object(json!({ "scope": "a", "client_name": "N", "jwks_uri": "x" }));
        let after = object(json!({ "scope": "a b", "client_name": "N", "contacts": [] }));
        let told = serde_json::to_value(difference(&before, &after)).unwrap();
        assert_eq!(
            told,
            json!([
                { "member": "contacts", "after": [] },
                { "member": "jwks_uri", "before": "x" },
                { "member": "scope", "before": "a", "after": "a b" },
            ])
        );
    }
}
