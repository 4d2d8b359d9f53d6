//! Which path is answered where. Paths not named here are 404, other methods
//! 405.

use actix_web::{Resource, web};

use super::cors::preflight;
use super::{admin, audit, events, health, oauth, oidc, schemas};

/// The endpoints that programs call.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(cross_origin("/token").route(web::post().to(oauth::token::handle)))
        .service(cross_origin("/par").route(web::post().to(oauth::par::handle)))
        .service(cross_origin("/introspect").route(web::post().to(oauth::introspect::handle)))
        .service(cross_origin("/revoke").route(web::post().to(oauth::revoke::handle)))
        .service(
            cross_origin("/userinfo")
                .route(web::get().to(oidc::userinfo::get))
                .route(web::post().to(oidc::userinfo::post)),
        )
        .service(cross_origin("/jwks").route(web::get().to(oauth::jwks::handle)))
        .service(
            cross_origin("/.well-known/openid-configuration")
                .route(web::get().to(oauth::metadata::handle)),
        )
        .service(
            cross_origin("/.well-known/oauth-authorization-server")
                .route(web::get().to(oauth::metadata::handle)),
        )
        .service(registration("/register").route(web::post().to(oauth::register::register)))
        .service(
            registration("/register/{client_id}")
                .route(web::get().to(oauth::register::read))
                .route(web::put().to(oauth::register::replace))
                .route(web::delete().to(oauth::register::delete)),
        )
        .configure(audit::configure)
        .configure(events::configure)
        .configure(schemas::configure)
        .configure(|service| admin::ADMIN.configure(service))
        .service(web::resource("/health/live").route(web::get().to(health::live)))
        .service(web::resource("/health/ready").route(web::get().to(health::ready)));
}

/// A resource that takes the metadata of clients.
fn registration(path: &str) -> Resource {
    web::resource(path).app_data(web::PayloadConfig::new(oauth::register::LONGEST_BODY))
}

/// The metadata of an issuer with a path, as RFC 8414 §3.1 wants them: the
/// well-known part comes before the path. (OpenID Connect Discovery §4 puts it
/// behind; there it is among all that is below the issuer.)
pub fn well_known(service: &mut web::ServiceConfig, issuer_path: &str) {
    for name in ["oauth-authorization-server", "openid-configuration"] {
        let path = format!("/.well-known/{name}{issuer_path}");
        service.service(cross_origin(&path).route(web::get().to(oauth::metadata::handle)));
    }
}

/// A resource that browsers' scripts may call.
fn cross_origin(path: &str) -> Resource {
    web::resource(path).route(web::method(actix_web::http::Method::OPTIONS).to(preflight))
}
