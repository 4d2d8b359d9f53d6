//! `/events/groups`: a cursor that the server keeps, and that several workers
//! share.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::query::Reader;
use crate::clock::rfc3339_ms;
use crate::events::filter::Filter;
use crate::events::groups::{Fetch, Group, GroupError, GroupState, Groups};
use crate::http::api::endpoint::{Call, Endpoint, Json, List, NoBody, PartOfList};
use crate::http::api::problem::Problem;

/// The most partitions that a group has.
const MOST_PARTITIONS: u16 = 256;

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::GET,
            "/groups",
            ("list_event_groups", "The groups of readers, and how far they are"),
            list,
        ),
        Endpoint::new(
            Method::PUT,
            "/groups/{group}",
            ("create_event_group", "Make a group; one that is the same stays as it is"),
            create,
        ),
        Endpoint::new(
            Method::GET,
            "/groups/{group}",
            ("get_event_group", "A group, its members and its partitions"),
            read,
        ),
        Endpoint::new(
            Method::DELETE,
            "/groups/{group}",
            ("delete_event_group", "Forget a group and how far it was"),
            delete,
        ),
        Endpoint::new(
            Method::POST,
            "/groups/{group}/next",
            ("next_events", "Say what is done, and take what comes next"),
            next,
        ),
        Endpoint::new(
            Method::POST,
            "/groups/{group}/leave",
            ("leave_event_group", "Say what is done, and leave one's partitions to others"),
            leave,
        ),
        Endpoint::new(
            Method::POST,
            "/groups/{group}/rewind",
            ("rewind_event_group", "Let a group begin again from another place"),
            rewind,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Named {
    /// Letters, digits, `-`, `_` and `.`
    #[schemars(length(min = 1, max = 64), pattern("^[A-Za-z0-9._-]{1,64}$"))]
    group: String,
}

/// What a group is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewEventGroup {
    /// In how many parts the log is shared out: no more members can work at once.
    #[serde(default = "sixteen")]
    #[schemars(range(min = 1, max = 256))]
    partitions: u16,
    /// Only events of these types, as `CodeRedeemed`; empty: all.
    #[serde(default)]
    #[schemars(length(max = 100))]
    types: Vec<String>,
    /// Only events that concern these clients; empty: all.
    #[serde(default)]
    #[schemars(length(max = 100))]
    clients: Vec<String>,
    /// Where it begins: a cursor, or `now`; absent: at the beginning of the log.
    #[serde(default)]
    from: Option<String>,
}

fn sixteen() -> u16 {
    16
}

#[derive(Serialize, JsonSchema)]
struct EventGroup {
    name: String,
    /// The client or account that made it: the only one that may use it.
    owner: String,
    created_at: String,
    types: Vec<String>,
    clients: Vec<String>,
    /// Everything up to here has been done.
    cursor: String,
    /// By how many positions of the log it is behind.
    lag: u64,
    /// Until when each member's leases last (RFC 3339).
    members: BTreeMap<String, String>,
    partitions: Vec<EventPartition>,
}

#[derive(Serialize, JsonSchema)]
struct EventPartition {
    cursor: String,
    /// Whose it is; absent: nobody's just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
}

/// A worker asks for more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NextEvents {
    /// What the worker is called: each by another name.
    #[schemars(length(min = 1, max = 64))]
    member: String,
    /// What it has done: `done` of the answer before. What is not said to be done is given
    /// again.
    #[serde(default)]
    done: Option<Done>,
    /// For how many seconds its partitions stay its own, if it does not ask again.
    #[serde(default = "thirty")]
    #[schemars(range(min = 1, max = 600))]
    lease: u32,
    /// How many events at most.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
    /// How many seconds to wait for the first event: less than the lease.
    #[serde(default)]
    #[schemars(range(max = 600))]
    wait: u32,
}

fn thirty() -> u32 {
    30
}

fn hundred() -> u32 {
    100
}

/// What a worker has done: to be given back as it came.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Done {
    /// A cursor.
    through: String,
    /// Partitions, each with the count of its owners.
    partitions: BTreeMap<u16, u64>,
}

#[derive(Serialize, JsonSchema)]
struct GivenEvents {
    /// Until when the partitions are the member's (RFC 3339).
    leased_until: String,
    /// `CloudEvents`, in order within each partition.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    events: Vec<Box<RawValue>>,
    /// To be sent with the next request, when all of `events` has been done.
    done: Done,
    /// How many partitions of what was said to be done were not the member's any more: others
    /// are given those events too.
    lost: usize,
}

/// A worker goes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Leaving {
    #[schemars(length(min = 1, max = 64))]
    member: String,
    #[serde(default)]
    done: Option<Done>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rewinding {
    /// A cursor, or `now`; absent: the beginning of the log.
    #[serde(default)]
    to: Option<String>,
}

/// Nothing to say.
#[derive(Serialize, JsonSchema)]
struct Left {
    lost: usize,
}

impl From<GroupError> for Problem {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::NotFound(_) => Self::not_found(error.to_string()),
            GroupError::Differs(_) | GroupError::Busy => Self::conflict(error.to_string()),
            GroupError::Store(error) => error.into(),
        }
    }
}

fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(good)
}

fn named(group: &Named) -> Result<&str, Problem> {
    let bad = || Problem::bad_request("a group is named by up to 64 letters, digits, . - and _");
    is_name(&group.group).then_some(&*group.group).ok_or_else(bad)
}

/// The group, if it is the caller's own.
async fn own<B>(call: &Call<Named, B>) -> Result<Group, Problem> {
    let group = Groups::of(&*call.services.store).get(named(&call.parameters)?).await?;
    if group.state.owner == call.operator.name {
        return Ok(group);
    }
    let detail = format!("the group is of {}: make one of your own", group.state.owner);
    Err(Problem::forbidden(super::EVENTS.scope.0, &detail))
}

fn told(reader: &Reader, group: Group, end: u64) -> EventGroup {
    let cursors = reader.events.cursors();
    let position = group.state.position();
    let members = group.state.members.into_iter();
    EventGroup {
        name: group.name,
        owner: group.state.owner,
        created_at: rfc3339_ms(group.state.created_at_ms),
        types: group.state.types,
        clients: group.state.clients,
        cursor: cursors.at(position),
        lag: end.saturating_sub(position),
        members: members.map(|(member, until)| (member, rfc3339_ms(until))).collect(),
        partitions: group
            .state
            .partitions
            .into_iter()
            .map(|one| EventPartition { cursor: cursors.at(one.position), member: one.member })
            .collect(),
    }
}

async fn list(call: Call<PartOfList, NoBody>) -> Result<List<EventGroup>, Problem> {
    let reader = Reader::calling(&call)?;
    let part = call.parameters.first_to_last()?;
    let after = part.after.unwrap_or_default();
    reader.sees_others()?;
    let groups = Groups::of(&*reader.services.store).list(&after, part.limit + 1).await?;
    let end = reader.services.feed.end().await?;
    let list = List::of(groups, part.limit, |group| group.name.clone());
    Ok(list.map(|group| told(&reader, group, end)))
}

async fn create(call: Call<Named, Json<NewEventGroup>>) -> Result<EventGroup, Problem> {
    let reader = Reader::calling(&call)?;
    let Json(new) = &call.body;
    if !(1..=MOST_PARTITIONS).contains(&new.partitions) {
        return Err(Problem::invalid(format!("partitions must be from 1 to {MOST_PARTITIONS}")));
    }
    let position = reader.position(new.from.as_deref()).await?;
    let now_ms = reader.services.clock.now_ms();
    let mut state = GroupState::new(&reader.name, new.partitions, position, now_ms);
    state.types.clone_from(&new.types);
    state.clients.clone_from(&new.clients);
    reader.filter(&state)?;
    let groups = Groups::of(&*reader.services.store);
    let group = groups.create(named(&call.parameters)?, state).await?;
    Ok(told(&reader, group, reader.services.feed.end().await?))
}

async fn read(call: Call<Named, NoBody>) -> Result<EventGroup, Problem> {
    let reader = Reader::calling(&call)?;
    let group = Groups::of(&*reader.services.store).get(named(&call.parameters)?).await?;
    if group.state.owner != reader.name {
        reader.sees_others()?;
    }
    Ok(told(&reader, group, reader.services.feed.end().await?))
}

async fn delete(call: Call<Named, NoBody>) -> Result<EventGroup, Problem> {
    let reader = Reader::calling(&call)?;
    let group = own(&call).await?;
    Groups::of(&*reader.services.store).delete(&group.name).await?;
    Ok(told(&reader, group, reader.services.feed.end().await?))
}

async fn next(call: Call<Named, Json<NextEvents>>) -> Result<GivenEvents, Problem> {
    let reader = Reader::calling(&call)?;
    let Json(asked) = &call.body;
    if !is_name(&asked.member) {
        return Err(Problem::invalid("member takes up to 64 letters, digits, . - and _"));
    }
    if !(1..=600).contains(&asked.lease) || !(1..=1000).contains(&asked.limit) {
        return Err(Problem::invalid("lease must be from 1 to 600, limit from 1 to 1000"));
    }
    if asked.wait >= asked.lease || asked.wait > reader.longest_wait() {
        let longest = reader.longest_wait();
        return Err(Problem::invalid(format!(
            "wait must be less than lease, and {longest} at most (both in seconds)"
        )));
    }
    let group = own(&call).await?;
    let done = asked.done.as_ref().map(|done| reader.done(done)).transpose()?;
    let now_ms = reader.services.clock.now_ms();
    let until_ms = now_ms + i64::from(asked.lease) * 1000;
    let groups = Groups::of(&*reader.services.store);
    let changed = groups.change(&group.name, |state| {
        let lost = commit(state, &asked.member, done.as_ref());
        (lost, state.lease(&asked.member, until_ms, now_ms))
    });
    let (group, (lost, leased)) = changed.await?;
    let fetch = Fetch {
        filter: reader.filter(&group.state)?,
        limit: usize::try_from(asked.limit).unwrap_or(usize::MAX),
        wait: Duration::from_secs(asked.wait.into()),
    };
    let fetched = group.state.fetch(&reader.services.feed, &leased, &fetch);
    let fetched = reader.unless_closing(fetched).await?;
    let events = fetched.events.iter().map(|event| {
        let event = reader.events.text(&event.stored).map_err(|error| Problem::internal(&error))?;
        RawValue::from_string(event).map_err(|error| Problem::internal(&error))
    });
    Ok(GivenEvents {
        leased_until: rfc3339_ms(until_ms),
        events: events.collect::<Result<_, _>>()?,
        done: Done {
            through: reader.events.cursors().at(fetched.through),
            partitions: leased.into_iter().map(|(number, (epoch, _))| (number, epoch)).collect(),
        },
        lost,
    })
}

async fn leave(call: Call<Named, Json<Leaving>>) -> Result<Left, Problem> {
    let reader = Reader::calling(&call)?;
    let Json(leaving) = &call.body;
    let group = own(&call).await?;
    let done = leaving.done.as_ref().map(|done| reader.done(done)).transpose()?;
    let groups = Groups::of(&*reader.services.store);
    let changed = groups.change(&group.name, |state| {
        let lost = commit(state, &leaving.member, done.as_ref());
        state.leave(&leaving.member);
        lost
    });
    Ok(Left { lost: changed.await?.1 })
}

async fn rewind(call: Call<Named, Json<Rewinding>>) -> Result<EventGroup, Problem> {
    let reader = Reader::calling(&call)?;
    let group = own(&call).await?;
    let position = reader.position(call.body.0.to.as_deref()).await?;
    let groups = Groups::of(&*reader.services.store);
    let (group, ()) = groups.change(&group.name, |state| state.rewind(position)).await?;
    Ok(told(&reader, group, reader.services.feed.end().await?))
}

/// What was done: a position, and partitions with their epochs.
type Taken = (u64, BTreeMap<u16, u64>);

/// Takes what a member has done; gives how many partitions were not its own any more.
fn commit(state: &mut GroupState, member: &str, done: Option<&Taken>) -> usize {
    done.map_or(0, |(through, partitions)| state.commit(member, *through, partitions))
}

impl Reader {
    fn done(&self, done: &Done) -> Result<Taken, Problem> {
        Ok((self.events.cursors().read(&done.through)?, done.partitions.clone()))
    }

    fn filter(&self, group: &GroupState) -> Result<Filter, Problem> {
        let filter = group.filter(self.services.schemas());
        let filter = filter.map_err(|error| Problem::invalid(error.to_string()))?;
        Ok(filter.within(&self.limits))
    }

    fn longest_wait(&self) -> u32 {
        self.services.config.events.longest_wait.seconds()
    }
}
