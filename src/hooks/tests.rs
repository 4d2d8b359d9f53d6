//! The examples do what they say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::answers::check;
use super::script::Script;
use crate::config::hooks::Point;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hooks/examples")
}

/// What an example says to this input, which is what the point takes.
fn says(example: &str, point: Point, input: &Value) -> Value {
    let script = Script::read(&folder().join(example)).unwrap();
    let said = script.run(point, input, Duration::from_secs(1)).unwrap();
    check(point, said.clone()).unwrap();
    said
}

/// Good for every point.
fn input() -> Value {
    json!({
        "now": 1_800_000_000,
        "issuer": "https://login.example.com",
        "client": {
            "client_id": "partner-1", "client_name": "Partner", "application_type": "native",
            "grant_types": ["authorization_code"], "scope": ["openid"], "self_registered": false,
        },
        "request": {
            "redirect_uri": "https://rp.example/cb", "response_type": "code",
            "scope": ["openid", "payments"], "prompt": "", "max_age": null,
            "acr_values": [], "ui_locales": [], "pkce": true,
        },
        "person": { "sub": "x", "auth_time": 1_800_000_000 - 7200, "acr": "", "amr": ["pwd"] },
        "scope": ["openid", "orders", "avatar"],
        "audience": [],
        "claims": { "preferred_username": "ada", "updated_at": 1 },
        "answer": { "active": true },
        "metadata": { "client_name": "x" },
        "consented": [],
        "expires_in": 600,
    })
}

#[test]
fn every_example_compiles_and_answers_what_its_points_take() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let script = Script::read(&path).unwrap();
        for point in Point::ALL.into_iter().filter(|point| script.has(*point)) {
            says(path.file_name().unwrap().to_str().unwrap(), point, &input());
            seen += 1;
        }
    }
    assert!(seen >= 11, "{seen}");
}

#[test]
fn the_examples_do_what_they_say() {
    let token = says("token_claims.rhai", Point::Token, &input());
    assert_eq!(token["access_token_claims"], json!({ "tenant": "example", "order_limit": 500 }));
    assert_eq!(token["access_token_lifetime"], 60);

    let mut office = input();
    office["client"]["client_id"] = "back-office".into();
    // 1800000000 is 8 o'clock.
    assert_eq!(says("deny_clients.rhai", Point::Token, &office), Value::Null);
    office["now"] = json!(1_800_000_000 - 4 * 3600);
    assert!(says("deny_clients.rhai", Point::Token, &office)["deny"].is_string());

    let step_up = says("step_up.rhai", Point::Authorization, &input());
    assert_eq!(step_up, json!({ "require_consent": true, "require_login": true }));
    let mut stranger = input();
    stranger["client"]["self_registered"] = true.into();
    let narrowed = says("step_up.rhai", Point::Authorization, &stranger);
    assert_eq!(narrowed, json!({ "scope": ["openid"] }));

    let claims = &says("userinfo.rhai", Point::Userinfo, &input())["claims"];
    assert_eq!(claims["avatar"], "https://avatars.example.com/ada.png");
    assert_eq!(claims["updated_at"], Value::Null);

    assert_eq!(says("endpoints.rhai", Point::Par, &input())["expires_in"], 60);
    assert!(says("endpoints.rhai", Point::Registration, &input())["deny"].is_string());
}

/// Not a measurement, but it would show what is slow by orders of magnitude.
#[test]
fn a_trivial_script_is_a_matter_of_microseconds() {
    let script = Script::read(&folder().join("token_claims.rhai")).unwrap();
    let input = input();
    let begun = tokio::time::Instant::now();
    for _ in 0..1000 {
        script.run(Point::Token, &input, Duration::from_secs(1)).unwrap();
    }
    let each = begun.elapsed() / 1000;
    println!("{each:?} each");
    assert!(each < Duration::from_millis(2), "{each:?}");
}
