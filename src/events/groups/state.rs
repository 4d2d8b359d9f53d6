//! A group of readers that share the log: which of them has which partitions,
//! until when, and how far each partition is. Pure: time is told.
//!
//! A partition is what some aggregates have in common, so that whoever has it
//! sees each grant's events in order. A member has its partitions as long as it
//! asks in time; what it was given counts as taken only when it says so, and
//! only while the partition is still its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A group, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupState {
    /// Whose group it is: the client or account that made it.
    pub owner: String,
    /// When it was made: milliseconds since 1970.
    pub created_at_ms: i64,
    /// Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    pub partitions: Vec<Partition>,
    /// Until when each member's leases last: milliseconds since 1970.
    pub members: BTreeMap<String, i64>,
}

/// A part of the log, by aggregates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Everything up to here has been taken.
    pub position: u64,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Counts its owners: what an earlier one says is not heard.
    pub epoch: u64,
}

/// The partitions that a member has: each with its epoch and its position.
pub type Leased = BTreeMap<u16, (u64, u64)>;

impl GroupState {
    /// A new group, whose partitions begin at a position.
    #[must_use]
    pub fn new(owner: &str, partitions: u16, position: u64, now_ms: i64) -> Self {
        let partition = Partition { position, member: None, epoch: 0 };
        Self {
            owner: owner.to_owned(),
            created_at_ms: now_ms,
            types: vec![],
            clients: vec![],
            partitions: vec![partition; usize::from(partitions)],
            members: BTreeMap::new(),
        }
    }

    /// The partition of an aggregate: the first eight bytes of its id's SHA-256, by the number
    /// of partitions.
    #[must_use]
    pub fn partition_of(&self, id: &str) -> u16 {
        use sha2::{Digest as _, Sha256};
        let digest = Sha256::digest(id.as_bytes());
        let number = digest.iter().take(8).fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
        let count = u64::try_from(self.partitions.len()).unwrap_or(u64::MAX).max(1);
        u16::try_from(number % count).unwrap_or_default()
    }

    /// Gives a member its share of the partitions, until a moment. A share that is too large is
    /// made smaller, and what nobody has any more is shared out.
    pub fn lease(&mut self, member: &str, until_ms: i64, now_ms: i64) -> Leased {
        self.forget_late_members(now_ms);
        self.members.insert(member.to_owned(), until_ms);
        let share = self.partitions.len().div_ceil(self.members.len());
        let mut own = 0;
        for partition in &mut self.partitions {
            if partition.member.as_deref() == Some(member) {
                own += 1;
                if own > share {
                    partition.member = None;
                }
            }
        }
        for partition in &mut self.partitions {
            if own < share && partition.member.is_none() {
                partition.member = Some(member.to_owned());
                partition.epoch += 1;
                own += 1;
            }
        }
        self.leased(member)
    }

    /// What a member has.
    #[must_use]
    pub fn leased(&self, member: &str) -> Leased {
        let numbered = (0_u16..).zip(&self.partitions);
        let own = numbered.filter(|(_, one)| one.member.as_deref() == Some(member));
        own.map(|(number, one)| (number, (one.epoch, one.position))).collect()
    }

    /// A member has taken everything up to a position in these partitions, each with the epoch
    /// in which it was given. Those that are not its own any more are left as they are; gives
    /// how many.
    pub fn commit(&mut self, member: &str, through: u64, taken: &BTreeMap<u16, u64>) -> usize {
        let mut lost = 0;
        for (number, epoch) in taken {
            match self.partitions.get_mut(usize::from(*number)) {
                Some(own) if own.member.as_deref() == Some(member) && own.epoch == *epoch => {
                    own.position = own.position.max(through);
                }
                _ => lost += 1,
            }
        }
        lost
    }

    /// A member gives up what it has.
    pub fn leave(&mut self, member: &str) {
        self.members.remove(member);
        for partition in &mut self.partitions {
            if partition.member.as_deref() == Some(member) {
                partition.member = None;
            }
        }
    }

    /// Everybody begins again after a position; what is under way is not heard.
    pub fn rewind(&mut self, position: u64) {
        self.members.clear();
        for partition in &mut self.partitions {
            (partition.position, partition.member) = (position, None);
            partition.epoch += 1;
        }
    }

    /// Everything up to here has been taken by somebody.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.position).min().unwrap_or_default()
    }

    fn forget_late_members(&mut self, now_ms: i64) {
        self.members.retain(|_, until| *until > now_ms);
        for partition in &mut self.partitions {
            if partition.member.as_ref().is_some_and(|own| !self.members.contains_key(own)) {
                partition.member = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEASE: i64 = 1000;

    fn group() -> GroupState {
        GroupState::new("client a", 8, 0, 0)
    }

    fn numbers(leased: &Leased) -> Vec<u16> {
        leased.keys().copied().collect()
    }

    fn epochs(leased: &Leased) -> BTreeMap<u16, u64> {
        leased.iter().map(|(number, (epoch, _))| (*number, *epoch)).collect()
    }

    #[test]
    fn partitions_are_shared_out_as_members_come_and_go() {
        let mut group = group();
        assert_eq!(numbers(&group.lease("a", LEASE, 0)).len(), 8);
        assert!(group.lease("b", LEASE, 0).is_empty(), "a has all until it asks again");
        assert_eq!(numbers(&group.lease("a", LEASE, 1)), [0, 1, 2, 3]);
        assert_eq!(numbers(&group.lease("b", LEASE, 2)), [4, 5, 6, 7]);
        group.leave("a");
        assert_eq!(group.lease("b", LEASE, 3).len(), 8);
    }

    #[test]
    fn a_member_that_is_late_loses_its_partitions_and_is_not_heard() {
        let mut group = group();
        let old = epochs(&group.lease("a", LEASE, 0));
        assert!(group.lease("b", LEASE + 500, 500).is_empty());
        let taken = group.lease("b", 2 * LEASE, LEASE);
        assert_eq!(taken.len(), 8);
        assert_eq!(group.commit("a", 99, &old), 8);
        assert_eq!(group.position(), 0);
        assert_eq!(group.commit("b", 99, &epochs(&taken)), 0);
        assert_eq!(group.position(), 99);
        // Back again, with the epochs that it had.
        group.leave("b");
        group.lease("a", 3 * LEASE, 1500);
        assert_eq!(group.commit("a", 200, &old), 8);
        assert_eq!(group.position(), 99);
    }

    #[test]
    fn who_begins_again_is_not_heard_of_before() {
        let mut group = group();
        let own = epochs(&group.lease("a", LEASE, 0));
        group.rewind(5);
        assert_eq!(group.commit("a", 50, &own), 8);
        assert_eq!(group.position(), 5);
    }

    #[test]
    fn an_aggregate_is_always_in_the_same_partition() {
        let group = group();
        let of = |id: &str| group.partition_of(id);
        assert_eq!(of("019de0d1fa867a34bde1be83439046d4"), of("019de0d1fa867a34bde1be83439046d4"));
        let all: std::collections::BTreeSet<_> =
            (0..200).map(|number| of(&format!("{number:032x}"))).collect();
        assert_eq!(all.len(), 8);
    }

    proptest! {
        /// Whatever members do and whenever: no partition is two members', none goes back, and
        /// nobody has more than a share after asking.
        #[test]
        fn no_history_gives_a_partition_to_two(
            steps in proptest::collection::vec((0_u8..4, 0_u8..4, 0_i64..400), 1..200)
        ) {
            let mut group = group();
            let mut now = 0;
            let mut held: BTreeMap<String, BTreeMap<u16, u64>> = BTreeMap::new();
            let mut through = 0;
            for (action, who, later) in steps {
                now += later;
                let name = format!("m{who}");
                let before: Vec<_> = group.partitions.iter().map(|one| one.position).collect();
                match action {
                    0 | 1 => {
                        let leased = group.lease(&name, now + LEASE, now);
                        prop_assert!(leased.len() <= 8_usize.div_ceil(group.members.len()));
                        held.insert(name, epochs(&leased));
                    }
                    2 => {
                        through += 1;
                        if let Some(held) = held.get(&name) {
                            let lost = group.commit(&name, through, held);
                            prop_assert!(lost <= held.len());
                        }
                    }
                    _ => group.leave(&name),
                }
                for (one, before) in group.partitions.iter().zip(before) {
                    prop_assert!(one.position >= before);
                }
                let of_members: usize =
                    group.members.keys().map(|member| group.leased(member).len()).sum();
                let owned = group.partitions.iter().filter(|one| one.member.is_some()).count();
                prop_assert_eq!(of_members, owned);
            }
        }
    }
}
