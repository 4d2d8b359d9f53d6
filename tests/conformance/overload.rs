//! More than can be written: what has no room is refused at once, nothing of it is lost or done in
//! part, and all goes on by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chancery::aggregates::{ExecuteError, Origin};
use chancery::services::Services;
use chancery::stores::AppendError;
use chancery_domain::client::ClientCommand;
use chancery_domain::ids::ClientId;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::support::{StoreKind, TestServer, public, service, until};

/// More than may wait.
const MANY: usize = 5_000;

/// RFC 9110 §15.6.4: 503 and `Retry-After`, at once, when the queue of the committer is full.
#[test]
fn what_is_too_much_is_refused_at_once_and_all_goes_on_after_it() {
    crate::support::run(async {
        let server = TestServer::start(StoreKind::Postgres).await;
        let svc = server.register("svc", service()).await;
        let token = svc.client_credentials(&[]).await.ok()["access_token"].to_string();
        let held_up = server.hold_up_writes().await;
        let flood = server.act(flood);
        tokio::pin!(flood);
        let full = || async {
            let asked = Instant::now();
            let form = [("grant_type", "client_credentials")];
            let answer = timeout(Duration::from_millis(500), svc.post("/token", &form)).await;
            let Ok(answer) = answer else { return false };
            assert!(asked.elapsed() < Duration::from_secs(1));
            answer.refused(503, "temporarily_unavailable");
            let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds));
            true
        };
        tokio::select! {
            _ = &mut flood => panic!("nothing is held up"),
            () = until("a refusal", full) => {}
        }
        // Whoever only asks is answered.
        assert!(svc.is_alive(token.trim_matches('"')).await);
        drop(held_up);
        let (written, refused) = flood.await;
        assert!(!refused.is_empty(), "all had room");
        assert!(written.len() >= 4_000, "only {} had room", written.len());
        svc.client_credentials(&[]).await.ok();
        let log = server.log().await;
        let there: BTreeSet<_> = log.iter().map(|event| &*event.event.stream.id).collect();
        assert!(written.iter().all(|id| there.contains(&**id)), "what was answered is there");
        assert!(!refused.iter().any(|id| there.contains(&**id)), "what was refused is not");
    });
}

/// Registers clients, all at once; gives those that had room, and those that had not.
async fn flood(services: Arc<Services>) -> (Vec<String>, Vec<String>) {
    let register = async |number: usize| {
        let id = format!("flood-{number}");
        let client_id = ClientId::parse(&id).unwrap();
        let metadata = Box::new(public());
        let now = services.now();
        let command = ClientCommand::Register { client_id, metadata, secret: None, now };
        let work = services.work(Origin::system("test")).unwrap();
        match services.clients.execute(&id, vec![command], work).await {
            Ok(_) => (id, true),
            Err(ExecuteError::Append(AppendError::Overloaded)) => (id, false),
            Err(error) => panic!("{error}"),
        }
    };
    let all = join_all((0..MANY).map(register)).await;
    let (written, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, written)| *written);
    let ids = |all: Vec<(String, bool)>| all.into_iter().map(|(id, _)| id).collect();
    (ids(written), ids(refused))
}
