//! The Merkle log over all events, as who watches it sees it (C2SP tlog-tiles,
//! tlog-checkpoint, tlog-proof; RFC 9162 §2.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery::admin::{Operation, perform};
use chancery::transparency::heads::HeadsTree;
use chancery::transparency::{SignedCheckpoint, Verifiers, keys, origin};
use chancery_domain::time::Lifetime;
use serde_json::Value;
use tlog_tiles::tlog::{self, Hash};

use crate::support::{Answer, RelyingParty, StoreKind, TestServer, run, service, until};

both_stores! {
    every_event_is_sealed_within_seconds,
    a_checkpoint_is_signed_by_a_key_that_the_log_names,
    an_event_is_proved_to_a_stranger,
    a_later_checkpoint_continues_an_earlier_one,
    the_tiles_give_the_root,
    full_tiles_never_change_and_others_are_not_found,
    what_is_not_there_is_refused_in_words,
    a_rotated_key_signs_beside_the_one_before,
    a_key_rotated_without_overlap_signs_no_more,
    sealing_goes_on_after_a_restart,
    where_every_history_ends_is_listed,
    switched_off_it_is_not_there,
}

/// A server, and somebody who makes events.
async fn watched(store: StoreKind, settings: &str) -> (TestServer, RelyingParty) {
    let server = TestServer::with_settings(store, settings).await;
    let rp = server.register("svc", service()).await;
    (server, rp)
}

async fn last_position(server: &TestServer) -> u64 {
    server.log().await.last().unwrap().position
}

/// The checkpoint, once it covers all that is in the log now.
async fn sealed(server: &TestServer, rp: &RelyingParty) -> SignedCheckpoint {
    let position = last_position(server).await;
    let path = format!("/audit/log/inclusion?position={position}");
    until("the log is sealed", || async { rp.get(&path).await.status == 200 }).await;
    let answer = rp.get("/audit/log/checkpoint").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    SignedCheckpoint::read(&answer.body).unwrap()
}

async fn key_list(rp: &RelyingParty) -> Vec<String> {
    let answer = rp.get("/audit/log/keys").await.json();
    let keys = answer["keys"].as_array().unwrap().iter();
    keys.map(|key| key["verifier"].as_str().unwrap().to_owned()).collect()
}

fn hash(text: &Value) -> Hash {
    Hash(STANDARD.decode(text.as_str().unwrap()).unwrap().try_into().unwrap())
}

fn proof(answer: &Value) -> Vec<Hash> {
    answer["proof"].as_array().unwrap().iter().map(hash).collect()
}

fn root(checkpoint: &SignedCheckpoint) -> Hash {
    Hash(*checkpoint.root.as_bytes())
}

fn believed(checkpoint: &SignedCheckpoint, key: &str) -> bool {
    checkpoint.verify(&Verifiers::new([key]).unwrap()).is_ok()
}

#[track_caller]
fn is_problem(answer: &Answer, status: u16, detail: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.json()["detail"].as_str().unwrap().contains(detail), "{answer:?}");
}

async fn every_event_is_sealed_within_seconds(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    for _ in 0..3 {
        rp.client_credentials(&[]).await.ok();
        let checkpoint = sealed(&server, &rp).await;
        // The key's own publication is sealed too.
        assert!(checkpoint.size >= 3, "{checkpoint:?}");
    }
    let log = server.log().await;
    let checkpoint = sealed(&server, &rp).await;
    assert_eq!(checkpoint.size, u64::try_from(log.len()).unwrap());
}

/// C2SP tlog-checkpoint
async fn a_checkpoint_is_signed_by_a_key_that_the_log_names(store: StoreKind) {
    let (server, rp) = watched(store, "[audit]\norigin = \"as.example/log\"\n").await;
    let checkpoint = sealed(&server, &rp).await;
    assert_eq!(checkpoint.origin, "as.example/log");
    let keys = key_list(&rp).await;
    assert_eq!(keys.len(), 1);
    assert!(keys[0].starts_with("as.example/log+"), "{keys:?}");
    assert!(believed(&checkpoint, &keys[0]));
    let published = server.log().await.into_iter().find_map(|stored| {
        let event = stored.event;
        (event.event_type == "CheckpointKeyPublished").then_some((event.stream, event.payload))
    });
    let (stream, payload) = published.unwrap();
    assert_eq!((stream.kind.as_str(), &*stream.id), ("log", "as.example/log"));
    assert!(payload.contains(&keys[0]), "{payload}");
}

/// RFC 9162 §2.1.3
async fn an_event_is_proved_to_a_stranger(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    for _ in 0..5 {
        rp.client_credentials(&[]).await.ok();
    }
    let checkpoint = sealed(&server, &rp).await;
    for stored in server.log().await {
        let path = format!("/audit/log/inclusion?position={}", stored.position);
        let answer = rp.get(&path).await.json();
        let mut entry = stored.position.to_be_bytes().to_vec();
        entry.extend(stored.recorded_at_ms.to_be_bytes());
        entry.extend(stored.event.digest.as_bytes());
        let (size, index) = (answer["size"].as_u64().unwrap(), answer["index"].as_u64().unwrap());
        let leaf = tlog::record_hash(&entry);
        assert_eq!(size, checkpoint.size);
        tlog::check_record(&proof(&answer), size, root(&checkpoint), index, leaf).unwrap();
    }
    // As one text (C2SP tlog-proof).
    let text = rp.get("/audit/log/inclusion?index=0&format=tlog-proof").await.body;
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n"), "{text}");
    assert!(text.ends_with(&format!("\n\n{}", checkpoint.note)), "{text}");
}

/// RFC 9162 §2.1.4
async fn a_later_checkpoint_continues_an_earlier_one(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    let old = sealed(&server, &rp).await;
    for _ in 0..7 {
        rp.client_credentials(&[]).await.ok();
    }
    let new = sealed(&server, &rp).await;
    let answer = rp.get(&format!("/audit/log/consistency?old={}", old.size)).await.json();
    assert_eq!((hash(&answer["old_root"]), hash(&answer["new_root"])), (root(&old), root(&new)));
    tlog::check_tree(&proof(&answer), new.size, root(&new), old.size, root(&old)).unwrap();
}

/// C2SP tlog-tiles
async fn the_tiles_give_the_root(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    let checkpoint = sealed(&server, &rp).await;
    let size = usize::try_from(checkpoint.size).unwrap();
    assert!(size < 256);
    let bytes = async |path: String| {
        let answer = rp.request(reqwest::Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/octet-stream");
        answer.bytes().await.unwrap().to_vec()
    };
    let hashes = bytes(format!("/audit/log/tile/0/000.p/{size}")).await;
    let bundle = bytes(format!("/audit/log/tile/entries/000.p/{size}")).await;
    assert_eq!((hashes.len(), bundle.len()), (size * 32, size * 50));
    let mut leaves = Vec::new();
    for (hash, entry) in hashes.chunks(32).zip(bundle.chunks(50)) {
        assert_eq!(entry[..2], [0, 48]);
        assert_eq!(tlog::record_hash(&entry[2..]).0, hash);
        leaves.push(Hash(hash.try_into().unwrap()));
    }
    assert_eq!(mth(&leaves), root(&checkpoint));
}

/// RFC 9162 §2.1.1, word for word.
fn mth(leaves: &[Hash]) -> Hash {
    if let [one] = leaves {
        return *one;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    tlog::node_hash(mth(left), mth(right))
}

/// C2SP tlog-tiles
async fn full_tiles_never_change_and_others_are_not_found(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    for _ in 0..260 {
        rp.client_credentials(&[]).await.ok();
    }
    sealed(&server, &rp).await;
    let cached = async |path: &str| {
        let answer = rp.request(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.headers()["cache-control"].to_str().unwrap().to_owned()
    };
    assert!(cached("/audit/log/tile/0/000").await.contains("immutable"));
    assert!(cached("/audit/log/tile/entries/000").await.contains("immutable"));
    assert!(!cached("/audit/log/tile/0/001.p/1").await.contains("immutable"));
    assert!(!cached("/audit/log/tile/1/000.p/1").await.contains("immutable"));
    for none in [
        "/audit/log/tile/0/001",
        "/audit/log/tile/1/000",
        "/audit/log/tile/0/x001/000",
        "/audit/log/tile/0/1",
        "/audit/log/tile/0/000.p/0",
        "/audit/log/tile/0/000.p/256",
        "/audit/log/tile/entries/777",
        "/audit/log/tile/x",
        "/audit/log/tile/",
        "/audit/log/tile/99/000",
    ] {
        is_problem(&rp.get(none).await, 404, "no such tile");
    }
}

async fn what_is_not_there_is_refused_in_words(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    let size = sealed(&server, &rp).await.size;
    for (path, status, detail) in [
        ("/audit/log/inclusion".to_owned(), 404, "name the event"),
        ("/audit/log/inclusion?position=1&index=1".to_owned(), 404, "name the event"),
        ("/audit/log/inclusion?position=999999".to_owned(), 404, "is sealed (yet)"),
        (format!("/audit/log/inclusion?index={size}"), 400, "events, not"),
        (format!("/audit/log/inclusion?index=0&size={}", size + 1), 400, "events, not"),
        (format!("/audit/log/consistency?old={}", size + 1), 400, "events, not"),
        ("/audit/log/consistency?old=0".to_owned(), 400, "events, not"),
        (format!("/audit/log/consistency?old=1&new={}", size + 1), 400, "events, not"),
    ] {
        is_problem(&rp.get(&path).await, status, detail);
    }
    for path in ["/audit/log/inclusion?position=-1", "/audit/log/consistency?old=x"] {
        assert_eq!(rp.get(path).await.status, 400, "{path}");
    }
}

async fn rotate(server: &TestServer, overlap: u32) {
    let overlap = Lifetime::from_seconds(overlap);
    server
        .act(async move |services| {
            perform(&services, Operation::RotateCheckpointKey { overlap }, "ada").await.unwrap();
        })
        .await;
}

async fn a_rotated_key_signs_beside_the_one_before(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    sealed(&server, &rp).await;
    rotate(&server, 3600).await;
    let checkpoint = sealed(&server, &rp).await;
    let keys = key_list(&rp).await;
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| believed(&checkpoint, key)), "{checkpoint:?}");
    server.advance(3600);
    rp.client_credentials(&[]).await.ok();
    let checkpoint = sealed(&server, &rp).await;
    assert!(!believed(&checkpoint, &keys[0]));
    assert!(believed(&checkpoint, &keys[1]));
}

async fn a_key_rotated_without_overlap_signs_no_more(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    sealed(&server, &rp).await;
    rotate(&server, 0).await;
    let checkpoint = sealed(&server, &rp).await;
    let keys = key_list(&rp).await;
    assert!(!believed(&checkpoint, &keys[0]));
    assert!(believed(&checkpoint, &keys[1]));
}

async fn sealing_goes_on_after_a_restart(store: StoreKind) {
    let (server, rp) = watched(store, "").await;
    let old = sealed(&server, &rp).await;
    let server = server.restart().await;
    rp.client_credentials(&[]).await.ok();
    let new = sealed(&server, &rp).await;
    let answer = rp.get(&format!("/audit/log/consistency?old={}", old.size)).await.json();
    tlog::check_tree(&proof(&answer), new.size, root(&new), old.size, root(&old)).unwrap();
    assert_eq!(key_list(&rp).await.len(), 1);
}

async fn where_every_history_ends_is_listed(store: StoreKind) {
    let (server, rp) = watched(store, "[audit]\nheads_interval = 1\n").await;
    rp.client_credentials(&[]).await.ok();
    server.advance(10);
    let listed = || async {
        rp.client_credentials(&[]).await.ok();
        let log = server.whole_log().await;
        log.iter().any(|stored| stored.event.event_type == "HeadsListed")
    };
    until("the heads are listed", listed).await;
    let told = server
        .act(async move |services| {
            let log = keys::sealed_log(&*services.store, &origin(&services.config)).await.unwrap();
            let list = log.state.heads.unwrap();
            let tree = HeadsTree::load(&*services.store, list.through).await.unwrap();
            assert_eq!((tree.len(), tree.root()), (list.aggregates, Some(list.root)));
            let proved = tree.prove("client", "svc").unwrap();
            assert!(tree.prove("client", "other").is_none());
            (list, proved)
        })
        .await;
    let (list, proved) = told;
    let leaf = tlog::record_hash(&chancery::transparency::heads::leaf_bytes(&proved.head));
    let hashes = proved.proof.iter().map(|hash| Hash(*hash.as_bytes())).collect();
    let root = Hash(*list.root.as_bytes());
    tlog::check_record(&hashes, list.aggregates, root, proved.index, leaf).unwrap();
    assert_eq!(proved.head.head.sequence, 1);
}

async fn switched_off_it_is_not_there(store: StoreKind) {
    let (_server, rp) = watched(store, "[features]\naudit_log = false\n").await;
    for path in ["/audit/log/checkpoint", "/audit/log/keys", "/audit/log/tile/0/000"] {
        assert_eq!(rp.get(path).await.status, 404);
    }
}

#[test]
fn of_two_nodes_one_seals_and_the_other_takes_over() {
    run(async {
        let (first, rp) = watched(StoreKind::Postgres, "").await;
        let second = first.second_node().await;
        for _ in 0..20 {
            rp.client_credentials(&[]).await.ok();
            rp.at(&second).client_credentials(&[]).await.ok();
        }
        let old = sealed(&second, &rp.at(&second)).await;
        drop(first);
        let rp = rp.at(&second);
        rp.client_credentials(&[]).await.ok();
        let position = last_position(&second).await;
        let path = format!("/audit/log/inclusion?position={position}");
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while rp.get(&path).await.status != 200 {
            assert!(tokio::time::Instant::now() < deadline, "nobody seals any more");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let new = sealed(&second, &rp).await;
        let answer = rp.get(&format!("/audit/log/consistency?old={}", old.size)).await.json();
        tlog::check_tree(&proof(&answer), new.size, root(&new), old.size, root(&old)).unwrap();
    });
}
