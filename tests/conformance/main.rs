//! What the standards demand, over HTTP, as a relying party and a browser see
//! it: a module for each standard, each test on both stores.
//!
//! Nothing reaches into the server but to register clients and accounts, and to
//! read the log by the feed's reader.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[macro_use]
mod support;
#[path = "../stores/postgres_database.rs"]
#[expect(dead_code, reason = "some of it is for the tests of the stores")]
mod postgres_database;

mod account_pages;
mod admin_api;
mod audit_api;
mod c2sp_tlog;
mod cascades;
mod console;
mod custom_parameters;
mod erasure;
mod event_schemas;
mod events_feed;
mod events_groups;
mod events_sealed;
mod events_sinks;
mod evidence;
mod feature_flags;
mod figures;
mod hooks;
mod id_token_encryption;
mod initiating_user_registration;
mod jarm;
mod metrics;
mod oidc_acr;
mod oidc_backchannel_logout;
mod oidc_claims_parameter;
mod oidc_core;
mod oidc_frontchannel_logout;
mod oidc_hybrid;
mod oidc_implicit;
mod oidc_pairwise;
mod oidc_prompt;
mod oidc_rp_initiated_logout;
mod oidc_scopes;
mod oidc_session_lifetime;
mod oidc_session_management;
mod oidc_userinfo;
mod openidconnect;
mod otlp;
mod overload;
mod packs;
mod pages;
mod password_reset;
mod races;
mod rate_limits;
mod rfc6749_client_auth;
mod rfc6749_client_credentials;
mod rfc6749_code;
mod rfc6749_password;
mod rfc6749_refresh;
mod rfc7009_revocation;
mod rfc7523_client_assertions;
mod rfc7591_registration;
mod rfc7592_management;
mod rfc7636_pkce;
mod rfc7662_introspection;
mod rfc8414_metadata;
mod rfc9068_access_tokens;
mod rfc9101_by_reference;
mod rfc9101_jar;
mod rfc9126_par;
mod rfc9207_iss;
mod rfc9396_authorization_details;
mod rfc9701_introspection_jwt;
mod slow_clients;
mod strangers;
mod tls;
mod trace_context;
