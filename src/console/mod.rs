//! The console at `/console`: where auditors and operators look at what
//! happened. Pages made by the server, without script.
//!
//! [`operator`] says who may see it. [`grants`] and [`incidents`] find a grant; [`grant`] tells its
//! history, which [`drawing`] turns into a picture ([`chart`]) and [`seals`] compares with
//! what was sealed; [`dashboard`] draws the figures of all ([`graph`]); [`clients`], [`keys`] and [`history`] tell that of everything else,
//! [`checkpoints`] of the seals themselves. Reading here writes
//! nothing, but for the log of who was shown who a [`person`] is, and why. Logging
//! in and out is in the log, as it is for everybody.

mod assets;
mod chart;
mod checkpoints;
mod clients;
mod dashboard;
mod diff;
mod drawing;
mod events;
mod export;
mod grant;
mod grants;
mod graph;
mod history;
mod incidents;
mod keys;
mod login;
mod operator;
mod overview;
mod page;
mod person;
mod problem;
mod seals;

use actix_web::web;

use crate::interaction::{LONGEST_FORM, serve};

/// The pages, and the file that they load besides those of all pages.
pub fn configure(service: &mut web::ServiceConfig) {
    let form = |path: &str| web::resource(path).app_data(web::PayloadConfig::new(LONGEST_FORM));
    service
        .service(
            form("/console/login")
                .route(web::get().to(login::get))
                .route(web::post().to(login::post)),
        )
        .service(form("/console/logout").route(web::post().to(login::leave)))
        .service(web::resource("/console").route(web::get().to(overview::get)))
        .service(web::resource("/console/dashboard").route(web::get().to(dashboard::get)))
        .service(web::resource("/console/grants").route(web::get().to(grants::get)))
        .service(web::resource("/console/grants/{id}").route(web::get().to(grant::get)))
        .service(web::resource("/console/clients").route(web::get().to(clients::list)))
        .service(web::resource("/console/clients/{id}").route(web::get().to(clients::get)))
        .service(web::resource("/console/checkpoints").route(web::get().to(checkpoints::get)))
        .service(web::resource("/console/incidents").route(web::get().to(incidents::get)))
        .service(form("/console/grants/{id}/export").route(web::post().to(export::of_grant)))
        .service(form("/console/people/{id}/export").route(web::post().to(export::of_person)))
        .service(
            form("/console/people/{id}")
                .route(web::get().to(person::get))
                .route(web::post().to(person::post)),
        )
        .service(web::resource("/console/keys").route(web::get().to(keys::get)))
        .service(web::resource("/console/history/{kind}/{id}").route(web::get().to(history::get)))
        .service(web::resource("/console/{rest:.*}").route(web::get().to(problem::lost)));
    let style = || std::future::ready(serve(&assets::STYLE));
    service.service(web::resource(&assets::STYLE.url).route(web::get().to(style)));
}
