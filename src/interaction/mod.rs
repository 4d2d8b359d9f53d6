//! What people see of the server: plain forms that work without script.
//!
//! A browser comes to [`authorize`], which makes a [`pending`] request of what
//! it brings; goes to [`login`] (or [`select_account`], [`create_account`]) and
//! [`consent`] as far as [`demands`] and the person's earlier consent want it, carrying a sealed [`handle`]; and returns
//! to its relying party with a [`response`]. [`error_page`] is for whom nobody
//! can be told about.

mod account;
mod acr;
pub mod assets;
mod authorize;
mod consent;
pub mod context;
pub mod cookies;
mod create_account;
mod credentials;
pub mod csrf;
mod demands;
pub mod device;
mod end_session;
mod error_page;
mod handle;
pub mod headers;
mod hooks;
mod login;
mod logout;
pub mod pages;
mod pending;
pub mod response;
mod select_account;
pub mod session;
mod session_state;
pub mod texts;
pub mod throttle;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, Resource, web};
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::prompt::Prompt;
use chancery_domain::protocol::response_mode::ResponseMode;

use self::assets::Asset;
pub use self::credentials::{Failure, attempt, judge};
pub use self::session::AMR;
use crate::http::oauth::metadata::ServerMetadata;
use crate::tokens::for_client;

/// The longest form that is read, in bytes.
pub const LONGEST_FORM: usize = 65_536;

/// The pages, and the files that they load.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(
            form("/authorize")
                .route(web::get().to(authorize::get))
                .route(web::post().to(authorize::post)),
        )
        .service(form("/login").route(web::get().to(login::get)).route(web::post().to(login::post)))
        .service(
            form("/select_account")
                .route(web::get().to(select_account::get))
                .route(web::post().to(select_account::post)),
        )
        .service(
            form("/create_account")
                .route(web::get().to(create_account::get))
                .route(web::post().to(create_account::post)),
        )
        .service(
            form("/consent")
                .route(web::get().to(consent::get))
                .route(web::post().to(consent::post)),
        )
        .service(
            form("/end_session")
                .route(web::get().to(end_session::get))
                .route(web::post().to(end_session::post)),
        )
        .service(
            form("/logout").route(web::get().to(logout::get)).route(web::post().to(logout::post)),
        );
    service.service(web::resource("/check_session").route(web::get().to(session_state::get)));
    service.configure(account::configure);
    for asset in assets::assets() {
        let file = move || std::future::ready(serve(asset));
        service.service(web::resource(&asset.url).route(web::get().to(file)));
    }
}

fn form(path: &str) -> Resource {
    web::resource(path).app_data(web::PayloadConfig::new(LONGEST_FORM))
}

/// A file, to be kept for ever.
#[must_use]
pub fn serve(asset: &'static Asset) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, asset.content_type))
        .insert_header((CACHE_CONTROL, assets::CACHE_CONTROL))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(asset.body)
}

/// RP-Initiated Logout §2.1, Back-Channel Logout §2.1, Front-Channel Logout §3.
fn describe_logout(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("end_session_endpoint", "/end_session");
    metadata.set("backchannel_logout_supported", &true);
    metadata.set("backchannel_logout_session_supported", &true);
    metadata.set("frontchannel_logout_supported", &true);
    metadata.set("frontchannel_logout_session_supported", &true);
}

/// JARM §4
fn describe_jarm(metadata: &mut ServerMetadata<'_>) {
    let signing = for_client::signing_algorithms(metadata.services());
    metadata.set("authorization_signing_alg_values_supported", &signing);
    let (algorithms, contents) = (KeyManagementAlgorithm::ALL, ContentEncryption::ALL);
    metadata.set("authorization_encryption_alg_values_supported", algorithms);
    metadata.set("authorization_encryption_enc_values_supported", contents);
}

/// RFC 8414 §2, RFC 9207 §3, OpenID Connect Discovery §3, Initiating User
/// Registration §4.
pub(crate) fn describe(metadata: &mut ServerMetadata<'_>) {
    metadata.endpoint("authorization_endpoint", "/authorize");
    let response_types = metadata.config().authorization.response_types.clone();
    metadata.set("response_types_supported", &response_types);
    metadata.set("response_modes_supported", ResponseMode::ALL);
    describe_jarm(metadata);
    let plain = metadata.config().authorization.pkce_plain;
    let methods: &[&str] = if plain { &["S256", "plain"] } else { &["S256"] };
    metadata.set("code_challenge_methods_supported", methods);
    metadata.set("authorization_response_iss_parameter_supported", &true);
    let may_create = metadata.config().accounts.self_registration;
    let prompts = Prompt::ALL.iter().filter(|prompt| may_create || **prompt != Prompt::Create);
    let prompts: Vec<_> = prompts.collect();
    metadata.set("prompt_values_supported", &prompts);
    let acr_values = metadata.config().login.acr_values.clone();
    metadata.set("acr_values_supported", &acr_values);
    // One page fits all: plain forms that fold to the width there is.
    metadata.set("display_values_supported", &["page", "popup", "touch", "wap"]);
    describe_logout(metadata);
    session_state::describe(metadata);
    let languages: Vec<_> = texts::LANGUAGES.iter().map(|texts| texts.lang).collect();
    metadata.set("ui_locales_supported", &languages);
}

#[cfg(test)]
mod tests;
