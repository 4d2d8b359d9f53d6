//! The administration API: what the command line does, over HTTP, for whoever
//! holds an access token of this server with the scope `admin`.
//!
//! Each file names its [`Endpoint`]s once: from that come the routes, the checks
//! of what is sent, and the [`openapi`] document.

mod accounts;
mod clients;
mod endpoint;
mod grants;
mod history;
mod hooks;
mod keys;
mod openapi;
mod operator;
mod problem;
mod projections;
mod registration_tokens;
mod scopes;
mod settings;

use actix_web::http::Method;
use actix_web::{HttpResponse, Route, web};

use self::endpoint::Endpoint;
use self::problem::Problem;
use crate::http::render::uncached;
use crate::services::Services;

/// Below which path everything is.
const BASE: &str = "/admin";

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 1 << 20;

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
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The routes of the API.
pub fn configure(service: &mut web::ServiceConfig) {
    let mut scope = web::scope(BASE).app_data(web::PayloadConfig::new(LONGEST_BODY)).service(
        web::resource("/openapi.json")
            .route(web::get().to(document))
            .default_service(web::to(not_allowed)),
    );
    let mut by_path: Vec<(&'static str, Vec<Endpoint>)> = vec![];
    for endpoint in endpoints() {
        match by_path.iter_mut().find(|(path, _)| *path == endpoint.path) {
            Some((_, same)) => same.push(endpoint),
            None => by_path.push((endpoint.path, vec![endpoint])),
        }
    }
    for (path, endpoints) in by_path {
        let allowed: Vec<_> = endpoints.iter().map(|endpoint| endpoint.method.clone()).collect();
        let mut resource = web::resource(path)
            .default_service(web::to(move || std::future::ready(method_refused(&allowed))));
        for endpoint in endpoints {
            resource = resource.route(route(endpoint));
        }
        scope = scope.service(resource);
    }
    service.service(scope.default_service(web::to(unknown)));
}

fn route(endpoint: Endpoint) -> Route {
    let method = endpoint.method.clone();
    web::method(method).to(move |request, body| endpoint.answer(request, body))
}

async fn document(services: web::Data<Services>) -> HttpResponse {
    let document = openapi::document(services.issuer(), &endpoints());
    uncached(actix_web::http::StatusCode::OK).json(document)
}

async fn unknown() -> HttpResponse {
    Problem::not_found("there is nothing at this path").into_response()
}

async fn not_allowed() -> HttpResponse {
    method_refused(&[Method::GET])
}

fn method_refused(allowed: &[Method]) -> HttpResponse {
    let allowed: Vec<_> = allowed.iter().map(Method::as_str).collect();
    Problem::method_not_allowed(allowed.join(", ")).into_response()
}
