//! What is switched off is not there, and the metadata do not name it.

use crate::support::{StoreKind, TestServer, service};

both_stores! {
    what_is_off_is_not_found_and_not_named,
    what_is_off_is_off_below_an_issuers_path_too,
}

/// Each with its paths and the members of the metadata.
const FEATURES: [(&str, &[&str], &[&str]); 9] = [
    (
        "par",
        &["/par"],
        &["pushed_authorization_request_endpoint", "require_pushed_authorization_requests"],
    ),
    ("userinfo", &["/userinfo"], &["userinfo_endpoint"]),
    (
        "introspection",
        &["/introspect"],
        &["introspection_endpoint", "introspection_endpoint_auth_methods_supported"],
    ),
    (
        "revocation",
        &["/revoke"],
        &["revocation_endpoint", "revocation_endpoint_auth_methods_supported"],
    ),
    ("registration", &["/register", "/register/x"], &["registration_endpoint"]),
    ("end_session", &["/logout"], &[]),
    ("session_management", &["/check_session"], &["check_session_iframe"]),
    ("console", &["/console", "/console/grants"], &[]),
    ("health", &["/health/live", "/health/ready"], &[]),
];

/// RFC 8414 §2
async fn what_is_off_is_not_found_and_not_named(store: StoreKind) {
    for on in [true, false] {
        let lines = FEATURES.map(|(name, ..)| format!("{name} = {on}\n"));
        let server =
            TestServer::with_settings(store, &format!("[features]\n{}", lines.concat())).await;
        let client = server.register("svc", service()).await;
        let metadata = client.get("/.well-known/openid-configuration").await.json();
        for (feature, paths, members) in FEATURES {
            for path in paths {
                let found = client.get(path).await.status != 404;
                assert_eq!(found, on, "{feature}: {path}");
                let encoded = path.replacen('r', "%72", 1);
                assert!(on || client.get(&encoded).await.status == 404, "{encoded}");
            }
            for member in members {
                assert_eq!(metadata.get(member).is_some(), on, "{feature}: {member}");
            }
        }
        client.client_credentials(&[]).await.ok();
    }
}

async fn what_is_off_is_off_below_an_issuers_path_too(store: StoreKind) {
    let server = TestServer::below(store, "/tenant", "[features]\nrevocation = false").await;
    let client = server.register("svc", service()).await;
    assert_eq!(client.get("/tenant/revoke").await.status, 404);
    assert_ne!(client.get("/tenant/introspect").await.status, 404);
}
