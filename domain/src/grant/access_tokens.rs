//! The access tokens of a grant that may be alive.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tokens::AccessTokenFacts;
use crate::time::UnixTime;

/// How many stand in a part. With a thousand tokens, a change copies about a hundred pointers.
const PART: usize = 32;

/// Access tokens in the order in which they were issued, so by their numbers. A command works on a
/// copy of its grant: copies share the tokens, in parts, and a change copies the parts that it
/// touches.
#[derive(Debug, Clone, Default)]
pub struct AccessTokens(Arc<Vec<Arc<Part>>>);

/// Some of them, one after the other: never none.
#[derive(Debug, Clone)]
struct Part {
    /// When the first of them ends.
    ends: UnixTime,
    tokens: Vec<Arc<AccessTokenFacts>>,
}

impl Part {
    /// None: there are no tokens.
    fn of(tokens: Vec<Arc<AccessTokenFacts>>) -> Option<Arc<Self>> {
        let ends = tokens.iter().map(|token| token.expires_at).min()?;
        Some(Arc::new(Self { ends, tokens }))
    }

    /// Those that are kept.
    fn only(&self, keep: impl Fn(&AccessTokenFacts) -> bool) -> Option<Arc<Self>> {
        Self::of(self.tokens.iter().filter(|token| keep(token)).cloned().collect())
    }
}

impl AccessTokens {
    /// The tokens.
    pub fn iter(&self) -> impl Iterator<Item = &AccessTokenFacts> {
        self.0.iter().flat_map(|part| &part.tokens).map(|token| &**token)
    }

    /// The token with this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&AccessTokenFacts> {
        let tokens = &self.0.get(self.part_of(number))?.tokens;
        let found = tokens.get(tokens.partition_point(|token| token.number < number))?;
        (found.number == number).then_some(found)
    }

    /// Adds one, and forgets those that have ended before it, and the first where there are `most`.
    pub(super) fn push(&mut self, facts: &AccessTokenFacts, most: usize) {
        let now = facts.issued_at;
        if self.0.iter().any(|part| part.ends <= now) {
            let alive = |part: &Arc<Part>| {
                if now < part.ends {
                    return Some(Arc::clone(part));
                }
                part.only(|token| now < token.expires_at)
            };
            self.0 = Arc::new(self.0.iter().filter_map(alive).collect());
        }
        let count: usize = self.0.iter().map(|part| part.tokens.len()).sum();
        let parts = Arc::make_mut(&mut self.0);
        if count >= most
            && let Some(first) = parts.first()
        {
            let rest = Part::of(first.tokens.iter().skip(1).cloned().collect());
            parts.splice(..1, rest);
        }
        let token = Arc::new(facts.clone());
        match parts.last_mut().filter(|part| part.tokens.len() < PART) {
            Some(last) => {
                let last = Arc::make_mut(last);
                last.ends = last.ends.min(token.expires_at);
                last.tokens.push(token);
            }
            None => parts.extend(Part::of(vec![token])),
        }
    }

    /// Forgets one.
    pub(super) fn remove(&mut self, number: u32) {
        let place = self.part_of(number);
        let Some(part) = self.0.get(place) else { return };
        let rest = part.only(|token| token.number != number);
        let parts = Arc::make_mut(&mut self.0);
        parts.splice(place..=place, rest);
    }

    /// Where the part stands that has this number, if any has.
    fn part_of(&self, number: u32) -> usize {
        let before = |part: &Arc<Part>| part.tokens.last().is_some_and(|last| last.number < number);
        self.0.partition_point(before)
    }
}

/// However they are divided into parts.
impl PartialEq for AccessTokens {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Serialize for AccessTokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for AccessTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tokens = Vec::<Arc<AccessTokenFacts>>::deserialize(deserializer)?;
        let parts = tokens.chunks(PART).filter_map(|part| Part::of(part.to_vec()));
        Ok(Self(Arc::new(parts.collect())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grant::AccessTokenForm;

    fn token(number: u32, issued_at: i64, lasts: i64) -> AccessTokenFacts {
        AccessTokenFacts {
            number,
            form: AccessTokenForm::Opaque,
            scope: "a".parse().unwrap(),
            issued_at: UnixTime::from_seconds(issued_at),
            expires_at: UnixTime::from_seconds(issued_at + lasts),
            audience: vec![],
            claims: None,
        }
    }

    /// What is done to the tokens of a grant.
    #[derive(Debug, Clone)]
    enum Step {
        /// So much later one is issued that lasts so long.
        Issue(i64, i64),
        /// The one is revoked that was issued so long ago.
        Revoke(u32),
        /// They are written, and read again.
        Keep,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            20 => (0..3i64, 1..200i64).prop_map(|(later, lasts)| Step::Issue(later, lasts)),
            2 => (0..100u32).prop_map(Step::Revoke),
            1 => Just(Step::Keep),
        ];
        prop::collection::vec(step, 0..300)
    }

    proptest! {
        /// A plain list of all of them, searched from its beginning.
        #[test]
        fn they_are_those_that_a_plain_list_would_have(steps in steps(), most in 1..100usize) {
            let (mut tokens, mut list) = (AccessTokens::default(), Vec::<AccessTokenFacts>::new());
            let (mut now, mut last) = (0, 0);
            for step in steps {
                let before = (tokens.clone(), list.clone());
                match step {
                    Step::Issue(later, lasts) => {
                        (now, last) = (now + later, last + 1);
                        let token = token(last, now, lasts);
                        tokens.push(&token, most);
                        list.retain(|other| token.issued_at < other.expires_at);
                        if list.len() >= most {
                            list.remove(0);
                        }
                        list.push(token);
                    }
                    Step::Revoke(ago) => {
                        tokens.remove(last.saturating_sub(ago));
                        list.retain(|token| token.number != last.saturating_sub(ago));
                    }
                    Step::Keep => {
                        let json = serde_json::to_string(&tokens).unwrap();
                        prop_assert_eq!(&json, &serde_json::to_string(&list).unwrap());
                        let read: AccessTokens = serde_json::from_str(&json).unwrap();
                        prop_assert_eq!(&read, &tokens);
                        tokens = read;
                    }
                }
                prop_assert!(tokens.iter().eq(&list));
                prop_assert!(before.0.iter().eq(&before.1), "a copy has changed");
                for number in last.saturating_sub(120)..=last + 1 {
                    let found = list.iter().find(|token| token.number == number);
                    prop_assert_eq!(tokens.get(number), found);
                }
            }
        }
    }

    #[test]
    fn a_change_copies_what_it_touches_and_shares_the_rest() {
        let mut tokens = AccessTokens::default();
        for number in 1..=100 {
            tokens.push(&token(number, 0, 10), 1000);
        }
        let before = tokens.clone();
        tokens.push(&token(101, 0, 10), 1000);
        let shared = before.0.iter().zip(&*tokens.0).filter(|(one, other)| Arc::ptr_eq(one, other));
        assert_eq!((before.0.len(), shared.count()), (4, 3));
    }
}
