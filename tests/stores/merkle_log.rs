//! The Merkle log on every store: what is sealed stays provable, and every way
//! of changing the log behind the server's back is found.

use std::sync::Arc;

use chancery::stores::{Append, NewEvent, Store, StreamId};
use chancery::transparency::held;
use chancery::transparency::proofs::{ProofError, Proofs, is_included};
use chancery::transparency::verify::{Held, Report, Verdict, verify};
use chancery::transparency::{
    CheckpointSigner, Entry, MerkleLog, SealError, SignedCheckpoint, Verifiers,
};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::AggregateKind;

use crate::contract::Fixture;

const ORIGIN: &str = "as.example/audit/log";

pub fn key(byte: u8) -> CheckpointSigner {
    CheckpointSigner::from_seed(ORIGIN, &[byte; 32]).unwrap()
}

/// Appends events to histories, two each; as many appends as asked for.
async fn append(store: &dyn Store, from: u64, count: u64) {
    for number in from..from + count {
        let stream = StreamId { kind: AggregateKind::Grant, id: format!("g{number}").into() };
        let mut prev_digest = Sha256Digest::ZERO;
        let mut events = Vec::new();
        for sequence in 1..=2 {
            let mut event = NewEvent {
                stream: stream.clone(),
                sequence,
                event_type: "CodeIssued".into(),
                event_version: "1".into(),
                payload: format!("{{\"n\":{number}}}").into(),
                metadata: "{}".into(),
                prev_digest,
                digest: prev_digest,
            };
            event.digest = event.facts().digest();
            prev_digest = event.digest;
            events.push(event);
        }
        let append = Append { events, ..Append::default() };
        let mut results = store.commit(vec![append]).await;
        results.pop().unwrap().unwrap();
    }
}

/// Seals what is there, as the sealer does.
pub async fn seal(store: &dyn Store, by: &CheckpointSigner) -> SignedCheckpoint {
    let mut log = MerkleLog::load(store, ORIGIN).await.unwrap();
    let mut reader = store.read_log(log.position());
    loop {
        let events = reader.next(1000).await.unwrap();
        if events.is_empty() {
            break;
        }
        for event in &events {
            log.push(Entry::from(event));
        }
    }
    assert!(log.seal(store, &[by], 1000).await.unwrap());
    SignedCheckpoint::read(&log.last().unwrap().note).unwrap()
}

pub async fn verified(store: &Arc<dyn Store>, held: Vec<SignedCheckpoint>) -> Report {
    let held = held.into_iter().map(|checkpoint| Held { name: "held".to_owned(), checkpoint });
    let keys = Verifiers::new([key(1).verifier()]).unwrap();
    verify(store, held.collect(), &keys, |_, _| {}).await.unwrap()
}

/// Takes the guards away that hold back a slip of the hand.
pub async fn unguard<F: Fixture>(fixture: &F) {
    for statement in [
        "DROP TRIGGER events_are_not_updated",
        "DROP TRIGGER events_are_not_deleted",
        "DROP TRIGGER events_are_append_only ON events",
        "DROP TRIGGER packs_are_not_updated",
        "DROP TRIGGER packs_are_not_deleted",
        "DROP TRIGGER packs_are_append_only ON packs",
    ] {
        // Those of the other store are not there.
        drop(fixture.sql(statement).await);
    }
}

/// A log of 300 histories, sealed; then changed by this statement.
async fn tampered<F: Fixture>(statement: &str) -> Report {
    let fixture = F::new().await;
    append(&*fixture.store(), 0, 300).await;
    seal(&*fixture.store(), &key(1)).await;
    assert_eq!(verified(&fixture.store(), vec![]).await.verdict, Verdict::Intact);
    unguard(&fixture).await;
    fixture.sql(statement).await.unwrap();
    found_out(&fixture).await
}

/// What an audit says of a log that was changed.
pub async fn found_out<F: Fixture>(fixture: &F) -> Report {
    let report = verified(&fixture.store(), vec![]).await;
    assert_eq!(report.verdict, Verdict::Tampered, "{report:#?}");
    report
}

pub fn tells(report: &Report, place: &str, what: &str) {
    let told = |finding: &&chancery::transparency::verify::Finding| {
        finding.place == place && finding.what.contains(what)
    };
    assert!(report.findings.iter().any(|finding| told(&finding)), "{report:#?}");
}

/// Runs the tests against a fixture.
macro_rules! merkle_log {
    ($fixture:ty) => {
        merkle_log!(@each $fixture:
            what_was_sealed_verifies
            an_event_is_proved_to_be_in_the_log
            a_log_continues_its_checkpoints
            of_two_sealers_one_wins
            sealing_goes_on_after_a_crash_at_any_point
            a_log_of_another_origin_begins_anew
            an_unknown_key_is_not_believed
            a_changed_payload_is_found
            changed_metadata_are_found
            a_changed_time_is_found
            a_changed_event_with_its_digest_made_anew_is_found
            a_deleted_event_is_found
            an_inserted_event_is_found
            an_event_put_before_all_others_is_found
            two_events_in_each_other_s_place_are_found
            a_deleted_grant_is_found
            a_cut_off_end_is_found
            a_database_rolled_back_is_found_by_a_held_checkpoint
            a_rewritten_tile_is_found
            a_forged_checkpoint_is_found
            a_log_made_anew_is_found_by_a_held_checkpoint
            nothing_is_sealed_on_changed_tiles
        );
    };
    (@each $fixture:ty: $($name:ident)*) => {
        mod merkle_log {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                crate::merkle_log::$name::<$fixture>().await;
            })*
        }
    };
}
pub(crate) use merkle_log;

pub async fn what_was_sealed_verifies<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    assert_eq!(verified(&store, vec![]).await.verdict, Verdict::NothingSealed);
    append(&*store, 0, 10).await;
    let first = seal(&*store, &key(1)).await;
    append(&*store, 10, 290).await;
    let second = seal(&*store, &key(1)).await;
    append(&*store, 300, 1).await;
    assert_eq!((first.size, second.size), (20, 600));

    let report = verified(&store, vec![first, second]).await;
    assert_eq!(report.verdict, Verdict::Intact, "{report:#?}");
    assert_eq!((report.events, report.sealed, report.aggregates), (602, 600, 301));
    assert!(report.checkpoints.iter().all(|one| one.result == "matches"), "{report:#?}");
}

pub async fn an_event_is_proved_to_be_in_the_log<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    append(&*store, 0, 300).await;
    let checkpoint = seal(&*store, &key(1)).await;
    append(&*store, 300, 1).await;
    let proofs = Proofs::latest(&*store).await.unwrap();
    let events = store.read_log(0).next(1000).await.unwrap();
    for event in events.iter().take(600).step_by(37) {
        let inclusion = proofs.of_position(event.position).await.unwrap().unwrap();
        assert_eq!(inclusion.entry, Entry::from(event));
        assert!(is_included(&inclusion, checkpoint.root));
        assert!(!is_included(&inclusion, Sha256Digest::ZERO));
    }
    let unsealed = events.last().unwrap().position;
    assert_eq!(proofs.of_position(unsealed).await.unwrap(), None);
    let error = proofs.of_index(600, 600).await.unwrap_err();
    assert!(matches!(error, ProofError::TooLong { wanted: 601, has: 600 }), "{error}");
}

pub async fn a_log_continues_its_checkpoints<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    append(&*store, 0, 200).await;
    let first = seal(&*store, &key(1)).await;
    append(&*store, 200, 100).await;
    let second = seal(&*store, &key(1)).await;
    let proofs = Proofs::latest(&*store).await.unwrap();
    let found = proofs.consistency(first.size, second.size).await.unwrap();
    assert_eq!((found.old_root, found.new_root), (first.root, second.root));
    assert!(!found.proof.is_empty());
    held::check(&*store, &first).await.unwrap();
    let other = SignedCheckpoint { root: Sha256Digest::ZERO, ..first };
    let error = held::check(&*store, &other).await.unwrap_err();
    assert!(matches!(error, SealError::Tampered(_)), "{error}");
}

pub async fn of_two_sealers_one_wins<F: Fixture>() {
    let fixture = F::new().await;
    let (one, other) = (fixture.store(), fixture.another().await);
    append(&*one, 0, 5).await;
    let mut logs = Vec::new();
    for store in [&one, &other] {
        let mut log = MerkleLog::load(&**store, ORIGIN).await.unwrap();
        for event in store.read_log(0).next(1000).await.unwrap() {
            log.push(Entry::from(&event));
        }
        logs.push(log);
    }
    let key = key(1);
    let signers = [&key];
    let [first, second] = &mut logs[..] else { unreachable!() };
    let sealed = tokio::join!(first.seal(&*one, &signers, 1), second.seal(&*other, &signers, 1));
    let won = [sealed.0.unwrap(), sealed.1.unwrap()];
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    assert_eq!(verified(&one, vec![]).await.verdict, Verdict::Intact);
}

pub async fn sealing_goes_on_after_a_crash_at_any_point<F: Fixture>() {
    let mut fixture = F::new().await;
    for round in 0..6 {
        let store = fixture.store();
        append(&*store, round * 70, 70).await;
        // What was read but not sealed is read again.
        let mut lost = MerkleLog::load(&*store, ORIGIN).await.unwrap();
        for event in store.read_log(lost.position()).next(30).await.unwrap() {
            lost.push(Entry::from(&event));
        }
        drop(lost);
        fixture.reopen().await;
        seal(&*fixture.store(), &key(1)).await;
    }
    let report = verified(&fixture.store(), vec![]).await;
    assert_eq!(report.verdict, Verdict::Intact, "{report:#?}");
    assert_eq!((report.events, report.sealed), (840, 840));
}

pub async fn a_log_of_another_origin_begins_anew<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    append(&*store, 0, 300).await;
    let old = seal(&*store, &key(1)).await;
    let mut log = MerkleLog::load(&*store, "other.example/audit/log").await.unwrap();
    assert_eq!(log.position(), 0);
    for event in store.read_log(0).next(20).await.unwrap() {
        log.push(Entry::from(&event));
    }
    let other = CheckpointSigner::from_seed("other.example/audit/log", &[2; 32]).unwrap();
    assert!(log.seal(&*store, &[&other], 5000).await.unwrap());
    let keys = Verifiers::new([key(1).verifier(), other.verifier()]).unwrap();
    let report = verify(&store, vec![], &keys, |_, _| {}).await.unwrap();
    assert_eq!(report.verdict, Verdict::Intact, "{report:#?}");
    assert_eq!((report.sealed, report.origin.as_deref()), (20, Some("other.example/audit/log")));
    // The old checkpoint is of the same events.
    assert_eq!(old.size, 600);
}

pub async fn an_unknown_key_is_not_believed<F: Fixture>() {
    let fixture = F::new().await;
    append(&*fixture.store(), 0, 5).await;
    seal(&*fixture.store(), &key(2)).await;
    assert_eq!(verified(&fixture.store(), vec![]).await.verdict, Verdict::UnknownKey);
}

pub async fn a_changed_payload_is_found<F: Fixture>() {
    let report = tampered::<F>(
        "UPDATE events SET payload = '{\"n\":7}' WHERE aggregate_id = 'g8' AND sequence = 2",
    )
    .await;
    tells(&report, "grant/g8/2", "its content is not what its digest is of");
    tells(&report, "grant/g8/2", "is not the event that was sealed at this position");
}

pub async fn changed_metadata_are_found<F: Fixture>() {
    let report = tampered::<F>(
        "UPDATE events SET metadata = '{\"a\":\"b\"}' WHERE aggregate_id = 'g299' AND sequence = 1",
    )
    .await;
    tells(&report, "grant/g299/1", "its content is not what its digest is of");
}

pub async fn a_changed_time_is_found<F: Fixture>() {
    let sqlite = "UPDATE events SET recorded_at = recorded_at - 5000 WHERE aggregate_id = 'g40'";
    let postgres = "UPDATE events SET recorded_at = recorded_at - interval '5 seconds' \
                    WHERE aggregate_id = 'g40'";
    let report = tampered::<F>(F::statement(sqlite, postgres)).await;
    tells(&report, "grant/g40/1", "its time of recording was");
}

pub async fn a_changed_event_with_its_digest_made_anew_is_found<F: Fixture>() {
    let mut event = NewEvent {
        stream: StreamId { kind: AggregateKind::Grant, id: "g8".into() },
        sequence: 2,
        event_type: "CodeIssued".into(),
        event_version: "1".into(),
        payload: "{\"n\":7}".into(),
        metadata: "{}".into(),
        prev_digest: Sha256Digest::ZERO,
        digest: Sha256Digest::ZERO,
    };
    let first = NewEvent { sequence: 1, payload: "{\"n\":8}".into(), ..event.clone() };
    event.prev_digest = first.facts().digest();
    let digest = event.facts().digest().to_string();
    let sqlite = format!(
        "UPDATE events SET payload = '{{\"n\":7}}', digest = x'{digest}'
         WHERE aggregate_id = 'g8' AND sequence = 2"
    );
    let postgres = sqlite.replace("= x'", "= '\\x");
    let report = tampered::<F>(F::statement(&sqlite, &postgres)).await;
    tells(&report, "grant/g8/2", "is not the event that was sealed at this position");
    tells(&report, "checkpoint 1", "the events are not those that it was signed over");
}

pub async fn a_deleted_event_is_found<F: Fixture>() {
    let report =
        tampered::<F>("DELETE FROM events WHERE aggregate_id = 'g8' AND sequence = 1").await;
    tells(&report, "the log", "the event that was sealed at this position is gone");
    tells(&report, "grant/g8/2", "what was between is gone");
    assert_eq!(
        report.findings.iter().filter(|finding| finding.what.contains("is gone")).count(),
        2,
        "{report:#?}"
    );
}

const INSERT: &str = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
     event_version, payload, metadata, digest, prev_digest, position, recorded_at)
     SELECT aggregate_type, 'forged', sequence, event_type, event_version, payload, metadata,
     digest, prev_digest, POSITION, recorded_at FROM events WHERE aggregate_id = 'g1'
     AND sequence = 1";

pub async fn an_inserted_event_is_found<F: Fixture>() {
    let fixture = F::new().await;
    append(&*fixture.store(), 0, 300).await;
    seal(&*fixture.store(), &key(1)).await;
    unguard(&fixture).await;
    // Where another was: its place is free.
    fixture.sql("DELETE FROM events WHERE aggregate_id = 'g8' AND sequence = 2").await.unwrap();
    let free = 18.to_string();
    fixture.sql(&INSERT.replace("POSITION", &free)).await.unwrap();
    let report = verified(&fixture.store(), vec![]).await;
    assert_eq!(report.verdict, Verdict::Tampered);
    tells(&report, "grant/forged/1", "is not the event that was sealed at this position");
}

pub async fn an_event_put_before_all_others_is_found<F: Fixture>() {
    let report = tampered::<F>(&INSERT.replace("POSITION", "-5")).await;
    tells(&report, "grant/forged/1", "was put where no event can be");
}

pub async fn two_events_in_each_other_s_place_are_found<F: Fixture>() {
    let fixture = F::new().await;
    append(&*fixture.store(), 0, 300).await;
    seal(&*fixture.store(), &key(1)).await;
    unguard(&fixture).await;
    for (from, to) in [(18, 9_000_000), (20, 18), (9_000_000, 20)] {
        let statement = format!("UPDATE events SET position = {to} WHERE position = {from}");
        fixture.sql(&statement).await.unwrap();
    }
    let report = verified(&fixture.store(), vec![]).await;
    assert_eq!(report.verdict, Verdict::Tampered);
    tells(&report, "grant/g9/2", "is not the event that was sealed at this position");
    tells(&report, "grant/g8/2", "is not the event that was sealed at this position");
}

pub async fn a_deleted_grant_is_found<F: Fixture>() {
    let report = tampered::<F>("DELETE FROM events WHERE aggregate_id = 'g8'").await;
    let gone = |report: &Report| {
        report.findings.iter().filter(|finding| finding.what.contains("is gone")).count()
    };
    assert_eq!(gone(&report), 2, "{report:#?}");
    tells(&report, "checkpoint 1", "was signed over 600 events, and there are 598");
}

pub async fn a_cut_off_end_is_found<F: Fixture>() {
    let report = tampered::<F>("DELETE FROM events WHERE position > 590").await;
    tells(&report, "the log", "the event that was sealed at this position is gone");
    tells(&report, "checkpoint 1", "was signed over 600 events, and there are 590");
}

pub async fn a_database_rolled_back_is_found_by_a_held_checkpoint<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    append(&*store, 0, 200).await;
    seal(&*store, &key(1)).await;
    let tiles = store.log_tiles(vec![(0, 1)]).await.unwrap().remove(0);
    append(&*store, 200, 100).await;
    let held = {
        let mut log = MerkleLog::load(&*store, ORIGIN).await.unwrap();
        for event in store.read_log(log.position()).next(1000).await.unwrap() {
            log.push(Entry::from(&event));
        }
        assert!(log.seal(&*store, &[&key(1)], 1000 * 3_600_000).await.unwrap());
        SignedCheckpoint::read(&log.last().unwrap().note).unwrap()
    };
    unguard(&fixture).await;
    // All that tells of the end is as it was before.
    let hex =
        tiles.data.iter().fold(String::new(), |hex, byte| hex + format!("{byte:02x}").as_str());
    let quoted = F::statement(&format!("x'{hex}'"), &format!("'\\x{hex}'")).to_owned();
    for statement in [
        "DELETE FROM events WHERE position > 400".to_owned(),
        "DELETE FROM log_checkpoints WHERE serial = 2".to_owned(),
        "DELETE FROM log_tiles WHERE level = 0 AND idx > 1".to_owned(),
        "DELETE FROM log_tiles WHERE level = 1".to_owned(),
        format!("UPDATE log_tiles SET data = {quoted} WHERE level = 0 AND idx = 1"),
        format!(
            "INSERT INTO log_tiles (level, idx, first_position, data)
             SELECT 1, 0, 0, {} ",
            F::statement("x''", "''")
        ),
    ] {
        fixture.sql(&statement).await.unwrap();
    }
    let first = store.log_tiles(vec![(0, 0)]).await.unwrap();
    assert_eq!(first.len(), 1);
    let report = verified(&store, vec![held.clone()]).await;
    assert!(matches!(report.verdict, Verdict::Incomplete | Verdict::Tampered), "{report:#?}");
    tells(&report, "held", "was signed over 600 events, and there are 400");
    let error = held::check(&*store, &held).await.unwrap_err();
    assert!(matches!(error, SealError::Tampered(_)), "{error}");
}

pub async fn a_rewritten_tile_is_found<F: Fixture>() {
    let zeros = "0".repeat(96);
    let sqlite = format!("UPDATE log_tiles SET data = x'{zeros}' WHERE level = 0 AND idx = 1");
    let postgres = sqlite.replace("x'", "'\\x");
    let report = tampered::<F>(F::statement(&sqlite, &postgres)).await;
    tells(&report, "tile 0/1", "is not what follows from the events");
}

pub async fn a_forged_checkpoint_is_found<F: Fixture>() {
    let report =
        tampered::<F>("UPDATE log_checkpoints SET note = replace(note, '600', '599')").await;
    tells(&report, "checkpoint 1", "its note is not what stands beside it");
}

pub async fn a_log_made_anew_is_found_by_a_held_checkpoint<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.store();
    append(&*store, 0, 300).await;
    let held = seal(&*store, &key(1)).await;
    unguard(&fixture).await;
    // Whoever has the key as well can make all of it fit again, but for what others hold.
    fixture.sql("DELETE FROM events WHERE aggregate_id = 'g8'").await.unwrap();
    fixture.sql("DELETE FROM log_tiles").await.unwrap();
    fixture.sql("DELETE FROM log_checkpoints").await.unwrap();
    seal(&*store, &key(1)).await;
    assert_eq!(verified(&store, vec![]).await.verdict, Verdict::Intact);
    let report = verified(&store, vec![held.clone()]).await;
    assert_ne!(report.verdict, Verdict::Intact, "{report:#?}");
    tells(&report, "held", "was signed over 600 events, and there are 598");
    // Filled up to the same length again, it is another log.
    append(&*store, 300, 1).await;
    let report = verified(&store, vec![held]).await;
    assert_eq!(report.verdict, Verdict::Tampered, "{report:#?}");
    tells(&report, "held", "the events are not those that it was signed over");
}

pub async fn nothing_is_sealed_on_changed_tiles<F: Fixture>() {
    let fixture = F::new().await;
    append(&*fixture.store(), 0, 300).await;
    seal(&*fixture.store(), &key(1)).await;
    fixture.sql("DELETE FROM log_tiles WHERE level = 1").await.unwrap();
    let error = MerkleLog::load(&*fixture.store(), ORIGIN).await.err().unwrap();
    assert!(matches!(error, SealError::Tampered(_)), "{error}");
}
