//! Endpoints that can be switched off: one table of the switches, the paths
//! that go with each, and what the metadata say of them.

use actix_web::dev::ServiceRequest;

use crate::config::Config;
use crate::config::features::Features;

/// A switch, and what goes with it.
struct Feature {
    is_on: fn(&Features) -> bool,
    /// Each with all that is below it.
    paths: &'static [&'static str],
    /// Members of the server metadata, by the beginning of their names.
    metadata: &'static [&'static str],
}

static FEATURES: &[Feature] = &[
    Feature {
        is_on: |features| features.par,
        paths: &["/par"],
        metadata: &["pushed_authorization_request", "require_pushed_authorization_requests"],
    },
    Feature {
        is_on: |features| features.userinfo,
        paths: &["/userinfo"],
        metadata: &["userinfo_"],
    },
    Feature {
        is_on: |features| features.introspection,
        paths: &["/introspect"],
        metadata: &["introspection_"],
    },
    Feature {
        is_on: |features| features.revocation,
        paths: &["/revoke"],
        metadata: &["revocation_"],
    },
    Feature {
        is_on: |features| features.registration,
        paths: &["/register"],
        metadata: &["registration_"],
    },
    Feature {
        is_on: |features| features.end_session,
        paths: &["/logout", "/end_session"],
        metadata: &["end_session_", "frontchannel_logout_", "backchannel_logout_"],
    },
    Feature {
        is_on: |features| features.session_management,
        paths: &["/check_session"],
        metadata: &["check_session_"],
    },
    Feature { is_on: |features| features.admin_api, paths: &["/admin"], metadata: &[] },
    Feature { is_on: |features| features.audit_log, paths: &["/audit/log"], metadata: &[] },
    Feature { is_on: |features| features.console, paths: &["/console"], metadata: &[] },
    Feature { is_on: |features| features.audit_api, paths: &["/audit"], metadata: &[] },
    Feature {
        is_on: |features| features.events,
        paths: &["/events", "/schemas"],
        metadata: &["authorization_details_types_supported"],
    },
    Feature { is_on: |features| features.health, paths: &["/health"], metadata: &[] },
];

/// May this member of the metadata be said, as far as the features go?
#[must_use]
pub fn says(features: &Features, member: &str) -> bool {
    let off = |feature: &&Feature| !(feature.is_on)(features);
    !FEATURES
        .iter()
        .filter(off)
        .any(|feature| feature.metadata.iter().any(|beginning| member.starts_with(beginning)))
}

/// The paths that are answered with 404, whatever is routed there.
#[derive(Debug, Clone)]
pub struct Closed {
    /// Of the issuer, for requests that a proxy leaves as they are.
    prefix: String,
    /// Each path with a switch, and whether that is off. The longest that fits decides.
    paths: Vec<(&'static str, bool)>,
}

impl Closed {
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let paths = FEATURES.iter().flat_map(|feature| {
            let is_off = !(feature.is_on)(&config.features);
            feature.paths.iter().map(move |path| (*path, is_off))
        });
        let paths = paths.collect();
        Self { prefix: config.server.issuer.path().to_owned(), paths }
    }

    /// Is there nothing at the path of this request? Looks at the path that
    /// routes are matched with, which is not percent-encoded any more.
    #[must_use]
    pub fn covers(&self, request: &ServiceRequest) -> bool {
        self.covers_path(request.match_info().as_str())
    }

    fn covers_path(&self, path: &str) -> bool {
        let below_issuer = path.strip_prefix(&self.prefix).filter(|_| !self.prefix.is_empty());
        let is_at = |path: &str, closed: &str| {
            let rest = path.strip_prefix(closed);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_closed = |path: &str| {
            let fit = self.paths.iter().filter(|(own, _)| is_at(path, own));
            fit.max_by_key(|(own, _)| own.len()).is_some_and(|(_, is_off)| *is_off)
        };
        std::iter::once(path).chain(below_issuer).any(is_closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_decides() {
        for (api, log) in [(true, false), (false, true)] {
            let paths = vec![("/audit", api), ("/audit/log", log)];
            let closed = Closed { prefix: String::new(), paths };
            assert_eq!(closed.covers_path("/audit/access"), api);
            assert_eq!(closed.covers_path("/audit/logs"), api);
            assert_eq!(closed.covers_path("/audit/log/checkpoint"), log);
        }
    }

    #[test]
    fn a_closed_path_is_closed_with_all_below_it_and_below_the_issuer() {
        let closed = Closed { prefix: "/tenant".to_owned(), paths: vec![("/register", true)] };
        for path in ["/register", "/register/x", "/tenant/register", "/tenant/register/x"] {
            assert!(closed.covers_path(path), "{path}");
        }
        for path in ["/registers", "/token", "/other/register", "/tenant", "/"] {
            assert!(!closed.covers_path(path), "{path}");
        }
    }
}
