//! The least that a token endpoint can be: a form and HTTP Basic are read, and an answer of about
//! the length of a token's goes out. `chancery bench` measures it, to say what HTTP itself costs.

use std::net::{Ipv4Addr, SocketAddr};

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{render, request};

/// Where it is.
pub const PATH: &str = "/floor";

/// About as long as an access token that is a JWT.
const LONG: usize = 700;

/// Serves on a free port of loopback, until it is told to stop; says where.
pub async fn serve(
    workers: usize,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let server = HttpServer::new(|| App::new().route(PATH, web::post().to(answer)))
        .workers(workers)
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, 0))?;
    let addresses = server.addrs();
    let server = server.run();
    let handle = server.handle();
    if let Some(address) = addresses.first() {
        ready(*address);
    }
    let stopping = async {
        stop.await;
        handle.stop(false).await;
    };
    let (result, ()) = futures_util::join!(server, stopping);
    result
}

async fn answer(request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Ok(parameters) = request::form(&request, &body) else {
        return render::json(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request" }));
    };
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let basic = header.and_then(|value| value.strip_prefix("Basic "));
    let pair = basic.and_then(|text| STANDARD.decode(text).ok());
    if pair.is_none() || parameters.get("grant_type").is_none() {
        return render::json(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_client" }));
    }
    let token = "x".repeat(LONG);
    let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 300 });
    render::json(StatusCode::OK, &body)
}
