//! The administration API: what the command line does, over HTTP, for whoever
//! holds an access token of this server with the scope `admin`.

mod accounts;
mod clients;
mod grants;
mod history;
mod hooks;
mod keys;
mod projections;
mod registration_tokens;
mod scopes;
mod settings;
mod sinks;

use chancery_domain::account::Role;

use super::api::Api;
use super::api::endpoint::Endpoint;

pub static ADMIN: Api = Api {
    base: "/admin",
    scope: ("admin", "Administer the server"),
    roles: &[Role::Admin],
    title: "Chancery administration",
    description: "Everything needs an access token of this server with the scope `admin`, of a \
                  client that an operator registered for it, or of a person whose account has \
                  the role admin. What is known of people is shown with the scope `pii:read` \
                  besides.",
    endpoints,
};

fn endpoints() -> Vec<Endpoint> {
    [
        clients::endpoints(),
        accounts::endpoints(),
        registration_tokens::endpoints(),
        grants::endpoints(),
        hooks::endpoints(),
        history::endpoints(),
        keys::endpoints(),
        projections::endpoints(),
        scopes::endpoints(),
        settings::endpoints(),
        sinks::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
