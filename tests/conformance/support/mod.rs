//! A real server on a port of its own, and those who talk to it.

mod answer;
mod browser;
mod encrypted;
pub mod keys_server;
mod listener;
mod people;
mod registration;
mod relying_party;
pub mod request_object;
mod scene;
pub mod server;

use std::future::Future;
use std::time::Duration;

pub use self::answer::{Answer, claims, header};
pub use self::browser::{Browser, Page, Place};
pub use self::encrypted::{decrypted, jwks_of};
pub use self::listener::Listener;
pub use self::people::{
    CHALLENGE, PASSWORD, REDIRECT_URI, VERIFIER, confidential, good_request, good_request_but,
    public, service,
};
pub use self::registration::{OPEN, good_for, good_metadata, good_metadata_but};
pub use self::relying_party::{Form, RelyingParty, basic, form, verified};
pub use self::scene::{Scene, Tokens};
pub use self::server::{BEGINNING, TestServer};

/// Which store a server keeps its log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    Sqlite,
    Postgres,
}

/// Makes tests of functions that take a [`StoreKind`]: each on SQLite and on
/// PostgreSQL. (The functions stand outside of the macro, where rustfmt sees
/// them; one that is not named here is reported as unused.)
macro_rules! both_stores {
    ($($test:ident,)*) => {
        mod on_sqlite {
            $(#[test]
            fn $test() {
                crate::support::run(super::$test(crate::support::StoreKind::Sqlite));
            })*
        }

        mod on_postgres {
            $(#[test]
            fn $test() {
                crate::support::run(super::$test(crate::support::StoreKind::Postgres));
            })*
        }
    };
}

/// Runs a test; one that hangs has failed.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(120);
        assert!(tokio::time::timeout(limit, test).await.is_ok(), "it hangs");
    });
}

/// Waits until it holds; for what another part of the server brings about.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let soon = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let limit = Duration::from_secs(20);
    assert!(tokio::time::timeout(limit, soon).await.is_ok(), "{what}: not within 20 seconds");
}
