//! What the server's own APIs have in common: each [`Api`] names its endpoints
//! once, and from that come the routes, the checks of what is sent and of who
//! may, and the [`openapi`] document.

pub(super) mod endpoint;
mod openapi;
pub(super) mod operator;
pub(super) mod problem;

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, Route, web};
use chancery_domain::account::Role;

use self::endpoint::Endpoint;
use self::problem::Problem;
use super::render::uncached;
use crate::services::Services;

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 1 << 20;

/// An API of the server's own, for whoever holds an access token for it.
pub struct Api {
    /// Below which path everything is.
    pub base: &'static str,
    /// The scope that all of it needs, and what that allows.
    pub scope: (&'static str, &'static str),
    /// A person needs one of these roles besides; a client acting for itself needs none.
    pub roles: &'static [Role],
    /// Its name and description in the document.
    pub title: &'static str,
    pub description: &'static str,
    pub endpoints: fn() -> Vec<Endpoint>,
}

impl Api {
    /// Its routes. What is below its path and none of them is answered with 404: routes of
    /// others below that path are to be configured before.
    pub fn configure(&'static self, service: &mut web::ServiceConfig) {
        let mut scope =
            web::scope(self.base).app_data(web::PayloadConfig::new(LONGEST_BODY)).service(
                web::resource("/openapi.json")
                    .route(
                        web::get().to(move |services| std::future::ready(self.document(&services))),
                    )
                    .default_service(web::to(not_allowed)),
            );
        let mut by_path: Vec<(&'static str, Vec<Endpoint>)> = vec![];
        for endpoint in (self.endpoints)() {
            match by_path.iter_mut().find(|(path, _)| *path == endpoint.path) {
                Some((_, same)) => same.push(endpoint),
                None => by_path.push((endpoint.path, vec![endpoint])),
            }
        }
        for (path, endpoints) in by_path {
            let allowed: Vec<_> =
                endpoints.iter().map(|endpoint| endpoint.method.clone()).collect();
            let mut resource = web::resource(path)
                .default_service(web::to(move || std::future::ready(method_refused(&allowed))));
            for endpoint in endpoints {
                resource = resource.route(self.route(endpoint));
            }
            scope = scope.service(resource);
        }
        service.service(scope.default_service(web::to(unknown)));
    }

    fn route(&'static self, endpoint: Endpoint) -> Route {
        let method = endpoint.method.clone();
        web::method(method).to(move |request, body| endpoint.answer(self, request, body))
    }

    fn document(&self, services: &web::Data<Services>) -> HttpResponse {
        let document = openapi::document(self, services.issuer());
        uncached(StatusCode::OK).json(document)
    }
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
