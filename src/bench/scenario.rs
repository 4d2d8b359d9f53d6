//! What virtual users do: one flow of each scenario is what is counted.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::sample::chance::Chance;

/// A kind of flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// A token for the client itself: one request
    ClientCredentials,
    /// A pushed authorization request: one request
    Par,
    /// Authorization request with a live session, code, tokens (PKCE): two requests
    Code,
    /// The same, pushed first: three requests
    ParCode,
    /// The newest refresh token for the next, a chain per user: one request
    Refresh,
    /// Is this access token good? One request
    Introspect,
    /// The claims of the person: one request
    Userinfo,
    /// All of these, as a busy server sees them
    Mixed,
}

/// The parts of `mixed`, in a hundred flows.
pub const MIXED: [(Scenario, u32); 6] = [
    (Scenario::Introspect, 40),
    (Scenario::ClientCredentials, 20),
    (Scenario::Refresh, 20),
    (Scenario::Userinfo, 10),
    (Scenario::Code, 5),
    (Scenario::ParCode, 5),
];

/// What a server has to offer for a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    Token,
    Par,
    Authorization,
    Introspection,
    Userinfo,
}

impl Scenario {
    /// The name that it has on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Par => "par",
            Self::Code => "code",
            Self::ParCode => "par_code",
            Self::Refresh => "refresh",
            Self::Introspect => "introspect",
            Self::Userinfo => "userinfo",
            Self::Mixed => "mixed",
        }
    }

    /// What it is made of: itself, or the parts of a mixture.
    pub fn parts(self) -> impl Iterator<Item = Self> {
        let mixed = MIXED.into_iter().filter(move |_| self == Self::Mixed).map(|(part, _)| part);
        mixed.chain((self != Self::Mixed).then_some(self))
    }

    /// The one that is next: itself, or a part of the mixture by its weight.
    pub(super) fn pick(self, chance: &mut Chance) -> Self {
        if self != Self::Mixed {
            return self;
        }
        let total: u32 = MIXED.iter().map(|(_, weight)| weight).sum();
        let mut at = chance.below(total.into());
        for (part, weight) in MIXED {
            at -= i64::from(weight);
            if at < 0 {
                return part;
            }
        }
        Self::ClientCredentials
    }

    /// The endpoints that it calls.
    #[must_use]
    pub fn needs(self) -> Vec<Need> {
        let of_one = |part: Self| -> &'static [Need] {
            match part {
                Self::ClientCredentials => &[Need::Token],
                Self::Par => &[Need::Par],
                Self::Code | Self::Refresh => &[Need::Authorization, Need::Token],
                Self::ParCode => &[Need::Par, Need::Authorization, Need::Token],
                Self::Introspect => &[Need::Token, Need::Introspection],
                Self::Userinfo => &[Need::Authorization, Need::Token, Need::Userinfo],
                Self::Mixed => &[],
            }
        };
        let mut needs: Vec<Need> = self.parts().flat_map(of_one).copied().collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Does it act for a person, who has to have logged in?
    #[must_use]
    pub fn acts_for_a_person(self) -> bool {
        self.needs().contains(&Need::Authorization)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Need {
    /// Its name in the server's metadata.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Token => "token_endpoint",
            Self::Par => "pushed_authorization_request_endpoint",
            Self::Authorization => "authorization_endpoint",
            Self::Introspection => "introspection_endpoint",
            Self::Userinfo => "userinfo_endpoint",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_mixture_has_its_parts_by_their_weights() {
        assert_eq!(MIXED.iter().map(|(_, weight)| weight).sum::<u32>(), 100);
        let mut chance = Chance::new(7);
        let mut counts = BTreeMap::<_, u32>::new();
        for _ in 0..10_000 {
            *counts.entry(Scenario::Mixed.pick(&mut chance)).or_default() += 1;
        }
        for (part, weight) in MIXED {
            let count = counts.remove(&part).unwrap();
            assert!(count.abs_diff(weight * 100) < 200, "{part}: {count}");
        }
        assert!(counts.is_empty(), "{counts:?}");
    }

    #[test]
    fn the_names_are_those_of_the_command_line() {
        for scenario in Scenario::value_variants() {
            let value = scenario.to_possible_value().unwrap();
            assert_eq!(value.get_name(), scenario.name());
            assert_eq!(serde_json::to_value(scenario).unwrap(), scenario.name());
            assert!(scenario.parts().all(|part| part != Scenario::Mixed));
            assert!(!scenario.needs().is_empty());
        }
    }
}
