//! What ends with an account, a client, a consent, a session — and what does not.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use chancery::actors::process_manager::{Cascade, CascadeError, NAME, ProcessManager, ReadModels};
use chancery::feed::consumer::{Progress, Standing};
use chancery::stores::Checkpoint;
use chancery_domain::grant::RevocationCause;
use chancery_domain::ids::{AggregateKind, ClientId, GrantId, SessionId};
use chancery_domain::session::SessionEndCause;
use chancery_projections::grants::Grants;
use chancery_projections::sessions::Sessions;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::world::{FAR, Running, Who, World, id, soon, story, tokens, until};

/// Carries commands out as the real one does: by events.
struct Recording {
    world: Weak<World>,
    /// Numbers of grants and words of causes, causations.
    revoked: Mutex<Vec<(u64, &'static str, String)>>,
    ended: Mutex<Vec<u64>>,
    /// So many commands fail before one is carried out.
    failures: AtomicU32,
    /// Numbers of sessions, and the clients that are told of their end.
    announced: Mutex<Vec<(u64, Vec<String>)>>,
    /// Grants that refuse.
    stubborn: Mutex<BTreeSet<u64>>,
}

fn number(id: &impl ToString) -> u64 {
    u64::from_str_radix(&id.to_string(), 16).unwrap()
}

impl Cascade for Recording {
    fn revoke_grant(
        &self,
        grant: GrantId,
        cause: RevocationCause,
        causation: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>> {
        Box::pin(async move {
            if self.stubborn.lock().unwrap().contains(&number(&grant)) {
                return Err(CascadeError::Refused("no".to_owned()));
            }
            let failures = &self.failures;
            let failed = failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if failed.is_ok() {
                return Err(CascadeError::Unavailable("not now".to_owned()));
            }
            let name = chancery_projections::grants::cause(&cause);
            self.revoked.lock().unwrap().push((number(&grant), name, causation));
            let Some(world) = self.world.upgrade() else { return Ok(()) };
            let payload = format!(r#"{{"cause":"{name}","at":50}}"#);
            world.append(AggregateKind::Grant, &grant.to_string(), "GrantRevoked", &payload).await;
            Ok(())
        })
    }

    fn end_session(
        &self,
        session: SessionId,
        cause: SessionEndCause,
        _: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>> {
        Box::pin(async move {
            let words = [SessionEndCause::AccountLocked, SessionEndCause::AccountErased];
            assert!(words.contains(&cause), "{cause:?}");
            self.ended.lock().unwrap().push(number(&session));
            let Some(world) = self.world.upgrade() else { return Ok(()) };
            let payload = r#"{"cause":"account_locked","at":50}"#;
            world
                .append(AggregateKind::Session, &session.to_string(), "SessionEnded", payload)
                .await;
            Ok(())
        })
    }

    fn announce_logout(
        &self,
        session: SessionId,
        clients: BTreeSet<ClientId>,
        _: String,
    ) -> BoxFuture<'_, Result<(), CascadeError>> {
        let clients = clients.iter().map(ToString::to_string).collect();
        self.announced.lock().unwrap().push((number(&session), clients));
        Box::pin(async { Ok(()) })
    }

    fn logout_ends_offline_access(&self) -> bool {
        false
    }
}

struct Scene {
    world: Arc<World>,
    cascade: Arc<Recording>,
    grants: Running,
    sessions: Running,
    manager: Option<(JoinHandle<()>, Progress)>,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let cascade = Arc::new(Recording {
            world: Arc::downgrade(&world),
            revoked: Mutex::default(),
            ended: Mutex::default(),
            failures: AtomicU32::new(0),
            announced: Mutex::default(),
            stubborn: Mutex::default(),
        });
        let (grants, sessions) = (world.project(&Grants), world.project(&Sessions));
        Self { world, cascade, grants, sessions, manager: None }
    }

    async fn with_manager() -> Self {
        let mut scene = Self::new().await;
        scene.start();
        scene
    }

    fn start(&mut self) {
        let reads = ReadModels {
            grants: self.grants.progress.clone(),
            sessions: self.sessions.progress.clone(),
        };
        let cascade: Arc<dyn Cascade> = Arc::clone(&self.cascade) as _;
        let manager = ProcessManager::new(self.world.lookups(), cascade, reads);
        let (standing, progress) = Standing::new();
        let run = manager.run(self.world.feed.clone(), Arc::new(standing));
        self.manager = Some((tokio::spawn(run), progress));
    }

    fn stop(&mut self) {
        let (task, _) = self.manager.take().unwrap();
        task.abort();
    }

    /// Waits until everything in the log, what cascades have added included, is dealt with.
    async fn settle(&self) {
        let (_, progress) = self.manager.as_ref().unwrap();
        soon("the cascades", async {
            loop {
                let last = self.world.store.last_position().await.unwrap();
                progress.caught_up_to(last).await.unwrap();
                self.grants.progress.caught_up_to(last).await.unwrap();
                if self.world.store.last_position().await.unwrap() == last {
                    return;
                }
            }
        })
        .await;
    }

    fn revoked(&self) -> Vec<u64> {
        let mut revoked: Vec<_> =
            self.cascade.revoked.lock().unwrap().iter().map(|(grant, ..)| *grant).collect();
        revoked.sort_unstable();
        revoked
    }

    async fn lock(&self, subject: &str) -> u64 {
        let reason = r#"{"reason":"r"}"#;
        self.world.append(AggregateKind::Account, subject, "AccountLocked", reason).await
    }

    async fn unlock(&self, subject: &str) -> u64 {
        self.world.append(AggregateKind::Account, subject, "AccountUnlocked", "{}").await
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some((task, _)) = &self.manager {
            task.abort();
        }
    }
}

fn ids() -> (String, String, String, String) {
    (id(0xa1), id(0xa2), id(0xb1), id(0xb2))
}

#[tokio::test]
async fn a_locked_account_takes_its_sessions_and_grants_along() {
    let scene = Scene::with_manager().await;
    let (anna, bert, annas, berts) = ids();
    let world = &scene.world;
    world.session(&annas, &anna).await;
    world.session(&berts, &bert).await;
    world
        .active_grant(
            &id(1),
            "rp",
            "openid offline_access",
            Who { subject: &anna, session: &annas },
        )
        .await;
    world.active_grant(&id(2), "rp", "openid", Who { subject: &bert, session: &berts }).await;
    world.active_grant(&id(3), "other", "openid", Who { subject: &anna, session: &annas }).await;
    let gone = r#"{"cause":"revoked_by_client","at":40}"#;
    world.append(AggregateKind::Grant, &id(3), "GrantRevoked", gone).await;
    scene.lock(&anna).await;
    scene.settle().await;
    assert_eq!(
        *scene.cascade.revoked.lock().unwrap(),
        [(1, "account_locked", format!("account/{anna}/1"))]
    );
    assert_eq!(*scene.cascade.ended.lock().unwrap(), [0xb1]);
}

#[tokio::test]
async fn an_erased_account_takes_its_sessions_and_grants_along() {
    let scene = Scene::with_manager().await;
    let (anna, bert, annas, berts) = ids();
    let world = &scene.world;
    world.session(&annas, &anna).await;
    world.session(&berts, &bert).await;
    let at = |subject, session| Who { subject, session };
    world.active_grant(&id(1), "rp", "openid offline_access", at(&anna, &annas)).await;
    world.active_grant(&id(2), "rp", "openid", at(&bert, &berts)).await;
    let requested = r#"{"reason":"r","at":50}"#;
    world.append(AggregateKind::Account, &anna, "ErasureRequested", requested).await;
    scene.settle().await;
    assert_eq!(
        *scene.cascade.revoked.lock().unwrap(),
        [(1, "account_erased", format!("account/{anna}/1"))]
    );
    assert_eq!(*scene.cascade.ended.lock().unwrap(), [0xb1]);
}

#[tokio::test]
async fn a_logout_spares_offline_access_and_other_sessions() {
    let scene = Scene::with_manager().await;
    let (anna, _, here, there) = ids();
    let world = &scene.world;
    let at = |session| Who { subject: &anna, session };
    world.active_grant(&id(1), "rp", "openid", at(&here)).await;
    world.active_grant(&id(2), "rp", "openid offline_access", at(&here)).await;
    world.active_grant(&id(3), "there", "openid", at(&there)).await;
    let ended = r#"{"cause":"logged_out","at":50}"#;
    world.append(AggregateKind::Session, &here, "SessionEnded", ended).await;
    scene.settle().await;
    assert_eq!(scene.revoked(), [1]);
    // Whoever took part is told, also where access goes on.
    let told = (0xb1, vec!["rp".to_owned()]);
    assert_eq!(*scene.cascade.announced.lock().unwrap(), [told]);
    assert_eq!(scene.cascade.revoked.lock().unwrap()[0].1, "session_ended");
}

#[tokio::test]
async fn a_withdrawn_consent_ends_this_clients_grants_of_this_person() {
    let scene = Scene::with_manager().await;
    let (anna, bert, session, _) = ids();
    let world = &scene.world;
    let who = |subject| Who { subject, session: &session };
    world.active_grant(&id(1), "rp", "openid", who(&anna)).await;
    world.active_grant(&id(2), "other", "openid", who(&anna)).await;
    world.active_grant(&id(3), "rp", "openid", who(&bert)).await;
    // Not yet consented to: the person will be asked.
    for (event, payload) in story("rp", "openid", who(&anna)).iter().take(2) {
        world.append(AggregateKind::Grant, &id(4), event, payload).await;
    }
    let withdrawn = format!(r#"{{"subject":"{anna}","client_id":"rp","at":9}}"#);
    world.append(AggregateKind::Consent, &id(7), "ConsentWithdrawn", &withdrawn).await;
    // Consented to anew, on a page.
    let presented = format!(
        r#"{{"scope":"openid","presented":{{"locale":"en","scopes":[],
            "text":"{}"}}}}"#,
        crate::world::DIGEST
    );
    world.append(AggregateKind::Grant, &id(4), "ConsentGiven", &presented).await;
    scene.settle().await;
    assert_eq!(scene.revoked(), [1]);
}

#[tokio::test]
async fn a_disabled_client_loses_its_grants_by_the_thousand() {
    const MANY: u64 = 1100;
    let scene = Scene::with_manager().await;
    let world = &scene.world;
    let direct = |until| {
        format!(
            r#"{{"grant_type":"client_credentials","authorization":{{"client_id":"rp","scope":"a"}},
                "tokens":{}}}"#,
            tokens("a", until)
        )
    };
    let (alive, expired) = (direct(FAR), direct(1000));
    let grant_ids: Vec<_> = (1..=MANY).map(id).collect();
    let events: Vec<_> = grant_ids
        .iter()
        .map(|id| (AggregateKind::Grant, id.as_str(), "TokensIssued", alive.as_str()))
        .collect();
    world.append_all(&events).await;
    // What ended by itself long ago is left as it is.
    world.append(AggregateKind::Grant, &id(MANY + 1), "TokensIssued", &expired).await;
    let reason = r#"{"reason":"r"}"#;
    world.append(AggregateKind::Client, "rp", "ClientDisabled", reason).await;
    scene.settle().await;
    assert_eq!(scene.revoked(), (1..=MANY).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_command_that_fails_is_tried_again_and_nothing_is_forgotten() {
    let scene = Scene::with_manager().await;
    let (anna, _, session, _) = ids();
    let who = Who { subject: &anna, session: &session };
    for number in 1..=40 {
        scene.world.active_grant(&id(number), "rp", "openid", who).await;
    }
    scene.cascade.failures.store(3, Ordering::SeqCst);
    scene.cascade.stubborn.lock().unwrap().insert(7);
    scene.lock(&anna).await;
    scene.settle().await;
    let expected: BTreeSet<_> = (1..=40).filter(|number| *number != 7).collect();
    assert_eq!(scene.revoked().into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(scene.cascade.failures.load(Ordering::SeqCst), 0);
}

/// Its checkpoint is lost with the read models: then it sees everything again.
#[tokio::test]
async fn seen_again_an_event_ends_nothing_that_came_after_it() {
    let mut scene = Scene::with_manager().await;
    let (anna, _, session, new_session) = ids();
    scene
        .world
        .active_grant(&id(1), "rp", "openid", Who { subject: &anna, session: &session })
        .await;
    scene.lock(&anna).await;
    scene.settle().await;
    assert_eq!(scene.revoked(), [1]);
    scene.unlock(&anna).await;
    scene.world.session(&new_session, &anna).await;
    let who = Who { subject: &anna, session: &new_session };
    scene.world.active_grant(&id(2), "rp", "openid", who).await;
    scene.settle().await;

    scene.stop();
    scene.world.store.reset_projection(NAME, &[]).await.unwrap();
    scene.start();
    scene.settle().await;
    assert_eq!(scene.revoked(), [1], "the grant after the unlocking lives");
    assert_eq!(*scene.cascade.ended.lock().unwrap(), [0u64; 0], "and so does the session");
}

#[tokio::test]
async fn what_a_stale_node_adds_just_after_is_caught_until_it_is_taken_back() {
    let scene = Scene::with_manager().await;
    let (anna, _, session, new_session) = ids();
    let elsewhere = id(0xc);
    scene.lock(&anna).await;
    scene.settle().await;
    scene.world.session(&session, &anna).await;
    let who = Who { subject: &anna, session: &elsewhere };
    scene.world.active_grant(&id(1), "rp", "openid", who).await;
    scene.settle().await;
    assert_eq!(scene.revoked(), [1]);
    assert_eq!(scene.cascade.revoked.lock().unwrap()[0].1, "account_locked");
    assert_eq!(*scene.cascade.ended.lock().unwrap(), [0xb1]);
    scene.unlock(&anna).await;
    let who = Who { subject: &anna, session: &new_session };
    scene.world.session(&new_session, &anna).await;
    scene.world.active_grant(&id(2), "rp", "openid", who).await;
    scene.settle().await;
    assert_eq!(scene.revoked(), [1]);
    assert_eq!(*scene.cascade.ended.lock().unwrap(), [0xb1]);
}

#[tokio::test]
async fn what_happened_while_it_was_down_is_made_up_for_once() {
    let mut scene = Scene::with_manager().await;
    let (anna, bert, session, _) = ids();
    let who = |subject| Who { subject, session: &session };
    scene.world.active_grant(&id(1), "rp", "openid", who(&anna)).await;
    scene.world.active_grant(&id(2), "rp", "openid", who(&bert)).await;
    scene.lock(&anna).await;
    scene.settle().await;
    until("the checkpoint", async || {
        let last = scene.world.store.last_position().await.unwrap();
        let at = scene.world.store.checkpoint(NAME).await.unwrap();
        at == Some(Checkpoint { version: 1, position: last })
    })
    .await;
    scene.stop();
    scene.lock(&bert).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(scene.revoked(), [1]);
    scene.start();
    scene.settle().await;
    assert_eq!(scene.revoked(), [1, 2]);
}
