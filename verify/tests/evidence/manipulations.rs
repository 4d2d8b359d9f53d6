//! Every way that we know of to alter a bundle, and what the verifier says of it.
//! Whoever alters one here does so with care: the manifest fits, unless it is the
//! manifest that is altered.

use crate::bundles::*;
use chancery_verify::format::{Base64, EventLine, HeadLine, Hex, ProofLine, names};
use chancery_verify::note::VerifierKey;
use chancery_verify::report::Kind;
use chancery_verify::{Given, Verdict, event};
use sha2::{Digest as _, Sha256};

use Verdict::{Altered, Incomplete, Proved, UnknownKey};

#[test]
fn what_was_exported_is_proved_by_the_key_that_is_trusted() {
    let log = Log::example();
    let report = log.bundle().check(&log.trust());
    expect(&report, Proved, "10 events in the log of the checkpoint (13 events)");
    expect(&report, Proved, "3 aggregates complete up to position 10");
    expect(&report, Proved, "is signed by a key that you trust: login.example/log+");
    expect(&report, Proved, "inclusion is not completeness");
    assert_eq!(report.to_json()["exit_code"], 0);
    assert_eq!(report.aggregates[0].complete_through, Some(10));
}

#[test]
fn without_a_key_it_says_that_nobody_is_proved_to_have_signed() {
    let log = Log::example();
    let report = log.bundle().check(&Given::default());
    expect(&report, UnknownKey, "That says nothing about who signed, until you compare");
    expect(&report, UnknownKey, &log.vkey());
}

#[test]
fn the_key_of_another_log_proves_nothing() {
    let log = Log::example();
    let key = VerifierKey::parse(&vkey(&log.key, "other.example")).unwrap();
    let given = Given { keys: vec![key], ..Given::default() };
    expect(&log.bundle().check(&given), UnknownKey, "is signed by no key that you gave");
}

// --- an event -----------------------------------------------------------------

fn altered(change: impl Fn(&mut EventLine)) -> chancery_verify::Report {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.edit_events(|events| {
        let consent = events.iter_mut().find(|e| e.event_type == "ConsentGiven").unwrap();
        change(consent);
    });
    bundle.check(&log.trust())
}

#[test]
fn a_changed_byte_of_a_payload_is_found() {
    let report = altered(|event| event.payload = event.payload.replace("openid", "openjd"));
    expect(&report, Altered, "position 8 (grant");
    expect(&report, Altered, "the event was altered, its bytes have another digest");
}

#[test]
fn a_changed_payload_is_found_though_its_digest_was_made_to_fit() {
    let report = altered(|event| {
        event.payload = event.payload.replace("openid", "openjd");
        event.digest = Hex(event::digest(event));
    });
    expect(&report, Altered, "does not stand in the log at index 6");
    expect(&report, Altered, "does not follow event 3 of its aggregate");
}

#[test]
fn changed_space_in_a_payload_is_found() {
    let report = altered(|event| event.payload.push(' '));
    expect(&report, Altered, "the event was altered");
}

#[test]
fn a_changed_byte_of_metadata_is_found() {
    let report = altered(|event| event.metadata = event.metadata.replace("system", "client"));
    expect(&report, Altered, "the event was altered");
}

#[test]
fn a_changed_time_is_found() {
    let report = altered(|event| event.recorded_at_ms += 1);
    expect(&report, Altered, "position 8: the event as it is here does not stand in the log");
}

#[test]
fn a_changed_position_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    // To where there is a hole.
    bundle.edit_events(|events| events[4].position = 6);
    bundle.edit::<ProofLine>(names::PROOFS, |proofs| proofs[4].position = 6);
    let report = bundle.check(&log.trust());
    expect(&report, Altered, "position 6: the event as it is here does not stand in the log");
}

#[test]
fn another_name_of_an_event_is_found() {
    for change in [
        |event: &mut EventLine| event.event_type = "ConsentDenied".to_owned(),
        |event: &mut EventLine| event.event_version = "2".to_owned(),
        |event: &mut EventLine| event.sequence += 1,
        |event: &mut EventLine| event.aggregate_id = OTHER.to_owned(),
        |event: &mut EventLine| event.aggregate_type = "consent".to_owned(),
        |event: &mut EventLine| event.prev_digest = Hex([7; 32]),
    ] {
        expect(&altered(change), Altered, "the event was altered");
    }
}

// --- events left out, put in, put elsewhere -------------------------------------

#[test]
fn an_event_left_out_of_the_middle_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.leave_out(|event| event.event_type == "ConsentGiven");
    let report = bundle.check(&log.trust());
    expect(&report, Altered, "does not follow event 2 of its aggregate: something was left out");
}

#[test]
fn the_last_event_left_out_is_found_where_a_list_of_heads_knows_it() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.leave_out(|e| ["CodeIssued", "CodeRedeemed"].contains(&&*e.event_type));
    let report = bundle.check(&log.trust());
    expect(&report, Altered, "the list of heads knows 4 events, here are 3: the last were left");
}

#[test]
fn leaving_out_the_entry_in_the_list_of_heads_too_does_not_pass() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.leave_out(|e| ["CodeIssued", "CodeRedeemed"].contains(&&*e.event_type));
    bundle.edit::<HeadLine>(names::HEADS, |heads| heads.retain(|h| h.aggregate_id != GRANT));
    expect(&bundle.check(&log.trust()), Incomplete, "has no entry of it here");
}

#[test]
fn leaving_out_the_list_of_heads_itself_does_not_pass() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.leave_out(|event| event.event_type == "HeadsListed");
    bundle.put(names::HEADS, Vec::new());
    expect(&bundle.check(&log.trust()), Incomplete, "There is no list of heads");
}

#[test]
fn an_entry_of_an_older_list_of_heads_does_not_pass() {
    let mut log = Log::example();
    let old = log.bundle();
    log.list_heads(20);
    let mut bundle = log.bundle();
    bundle.put(names::HEADS, old.files[names::HEADS].clone());
    let report = bundle.check(&log.trust());
    expect(&report, Altered, "which is not the latest list of heads that stands in the log here");
}

#[test]
fn an_entry_of_a_list_of_heads_that_was_made_to_fit_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.leave_out(|e| ["CodeIssued", "CodeRedeemed"].contains(&&*e.event_type));
    let consent = log.events.iter().find(|e| e.event_type == "ConsentGiven").unwrap();
    bundle.edit::<HeadLine>(names::HEADS, |heads| {
        let own = heads.iter_mut().find(|head| head.aggregate_id == GRANT).unwrap();
        (own.sequence, own.digest) = (consent.sequence, consent.digest);
    });
    let report = bundle.check(&log.trust());
    expect(&report, Altered, "its entry does not stand in the list of heads");
}

#[test]
fn an_event_put_in_is_found() {
    let log = Log::example();
    let mut forged = log.clone();
    forged.append(("grant", GRANT, "GrantRevoked"), &serde_json::json!({"at": 14}));
    let added = forged.events.last().unwrap().clone();
    let mut bundle = log.bundle();
    let position = added.position;
    bundle.edit_events(|events| events.push(added));
    bundle.edit::<ProofLine>(names::PROOFS, |proofs| {
        let last = proofs.last().unwrap().clone();
        proofs.push(ProofLine { position, index: Some(13), ..last });
    });
    expect(&bundle.check(&log.trust()), Altered, "position 15: the event as it is here");
}

#[test]
fn reordered_events_are_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.edit_events(|events| events.swap(4, 5));
    bundle.edit::<ProofLine>(names::PROOFS, |proofs| proofs.swap(4, 5));
    let report = bundle.check(&log.trust());
    expect(&report, Altered, "is not in the order of the log");
}

#[test]
fn events_that_changed_places_are_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.edit_events(|events| {
        let (one, two) = (events[4].position, events[5].position);
        (events[4].position, events[5].position) = (two, one);
        events.swap(4, 5);
    });
    expect(&bundle.check(&log.trust()), Altered, "does not follow event 1 of its aggregate");
}

#[test]
fn an_event_told_twice_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.edit_events(|events| events.push(events.last().unwrap().clone()));
    bundle.edit::<ProofLine>(names::PROOFS, |proofs| proofs.push(proofs.last().unwrap().clone()));
    expect(&bundle.check(&log.trust()), Altered, "is not in the order of the log");
}

// --- proofs ---------------------------------------------------------------------

#[test]
fn the_proof_of_another_event_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.edit::<ProofLine>(names::PROOFS, |proofs| {
        proofs[4].proof = proofs[5].proof.clone();
    });
    expect(&bundle.check(&log.trust()), Altered, "position 7: the event as it is here");
}

#[test]
fn the_proof_for_another_index_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.edit::<ProofLine>(names::PROOFS, |proofs| proofs[4].index = Some(4));
    expect(&bundle.check(&log.trust()), Altered, "does not stand in the log at index 4");
}

#[test]
fn a_proof_that_is_too_long_or_too_short_is_found() {
    for change in [
        |proof: &mut Vec<Base64>| proof.push(Base64([0; 32])),
        |proof: &mut Vec<Base64>| proof.truncate(proof.len() - 1),
        |proof: &mut Vec<Base64>| proof.clear(),
    ] {
        let log = Log::example();
        let mut bundle = log.bundle();
        bundle.edit::<ProofLine>(names::PROOFS, |proofs| {
            change(proofs[4].proof.as_mut().unwrap());
        });
        expect(&bundle.check(&log.trust()), Altered, "position 7: the event as it is here");
    }
}

#[test]
fn a_proof_left_out_does_not_pass() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.edit::<ProofLine>(names::PROOFS, |proofs| proofs.truncate(9));
    expect(&bundle.check(&log.trust()), Incomplete, "1 event without a proof");
}

#[test]
fn events_that_are_not_sealed_yet_are_told() {
    let log = Log::example();
    let report = log.bundle_sealed(11).check(&log.trust());
    expect(&report, Incomplete, "1 event (positions 14 to 14) not sealed yet");
}

#[test]
fn a_sealed_event_cannot_be_called_unsealed() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.edit_events(|events| {
        events[6].recorded_at_ms = 0;
    });
    bundle.edit::<ProofLine>(names::PROOFS, |proofs| {
        proofs[6] = ProofLine { sealed: false, index: None, proof: None, ..proofs[6] };
    });
    expect(&bundle.check(&log.trust()), Altered, "is sealed, but one before it is not");
}

// --- checkpoints and keys -------------------------------------------------------

#[test]
fn a_checkpoint_signed_anew_by_another_key_is_not_trusted() {
    let mut log = Log::example();
    let given = log.trust();
    log.key = key(2);
    let mut bundle = log.bundle();
    // The forger says in his own log that this is the key.
    expect(&bundle.check(&given), Altered, "checkpoint key c1: the events say something else");
    log = Log::example();
    bundle = log.bundle();
    let root = root(&log.leaves());
    bundle.put(names::NEW, sign(&key(2), ORIGIN, log.events.len(), root));
    expect(&bundle.check(&given), UnknownKey, "No key that the bundle names has signed it");
}

#[test]
fn a_signature_of_another_checkpoint_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.replace(names::NEW, "\n13\n", "\n14\n");
    expect(&bundle.check(&log.trust()), Altered, "that does not verify");
}

#[test]
fn a_log_that_was_made_anew_lacks_the_signature() {
    let given = Log::example().trust();
    let mut forged = Log::of(key(3));
    forged.append(("grant", GRANT, "GrantRevoked"), &serde_json::json!({"at": 14}));
    let report = forged.bundle().check(&given);
    expect(&report, UnknownKey, "is signed by no key that you gave");
    expect(&report, UnknownKey, &forged.vkey());
}

#[test]
fn the_checkpoint_of_another_log_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.manifest.origin = "other.example".to_owned();
    expect(&bundle.check(&log.trust()), Altered, "the checkpoint of another");
}

#[test]
fn no_checkpoint_is_incomplete() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.files.remove(names::NEW);
    expect(&bundle.check(&log.trust()), Incomplete, "there is no checkpoint");
}

#[test]
fn a_key_that_the_log_does_not_know_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.replace(names::CHECKPOINT_KEYS, &log.vkey(), &vkey(&key(9), ORIGIN));
    expect(
        &bundle.check(&log.trust()),
        Altered,
        "checkpoint key c1: the events say something else",
    );
}

#[test]
fn another_time_of_a_key_is_found() {
    let log = Log::example();
    for (from, to) in [("\"at\": 13", "\"at\": 12"), ("99", "98"), ("AAAA", "AAAB")] {
        let mut bundle = log.bundle();
        bundle.replace(names::SIGNING_KEYS, from, to);
        expect(
            &bundle.check(&log.trust()),
            Altered,
            "public key k1: the events say something else",
        );
    }
}

#[test]
fn a_key_left_out_of_the_list_is_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.put(names::SIGNING_KEYS, b"{\"keys\":[]}".to_vec());
    expect(
        &bundle.check(&log.trust()),
        Altered,
        "public key k1: it is in the events, but not in the list",
    );
}

#[test]
fn an_older_checkpoint_is_proved_to_be_continued() {
    let log = Log::example();
    for size in 1..=log.events.len() {
        let report = log.bundle_since(size).check(&log.trust());
        let says = format!("The log of the older checkpoint ({size} events) is what");
        expect(&report, Proved, &says);
    }
}

#[test]
fn an_older_checkpoint_of_a_log_that_was_rewritten_is_found() {
    let log = Log::example();
    let mut before = log.clone();
    before.events[4].recorded_at_ms += 1;
    let mut bundle = log.bundle_since(7);
    bundle.put(names::OLD, before.checkpoint(7));
    expect(&bundle.check(&log.trust()), Altered, "the log was rewritten");
}

#[test]
fn an_older_checkpoint_without_a_proof_does_not_pass() {
    let log = Log::example();
    let mut bundle = log.bundle_since(7);
    bundle.files.remove(names::CONSISTENCY);
    expect(&bundle.check(&log.trust()), Incomplete, "but no proof of consistency");
}

#[test]
fn a_checkpoint_that_was_held_is_compared() {
    let log = Log::example();
    let held = |log: &Log, size| Given { checkpoint: Some(log.checkpoint(size)), ..log.trust() };
    let bundle = log.bundle_since(7);
    let report = bundle.check(&held(&log, 7));
    expect(&report, Proved, "Since the checkpoint that you held (7 events) nothing was changed");
    let report = bundle.check(&held(&log, 13));
    expect(&report, Proved, "The checkpoint that you held is the one of this bundle");
    let report = bundle.check(&held(&log, 8));
    expect(&report, Incomplete, "no proof of consistency for the checkpoint that you held");
    let mut longer = log.clone();
    longer.append(("grant", GRANT, "GrantRevoked"), &serde_json::json!({}));
    let report = bundle.check(&held(&longer, 14));
    expect(&report, Incomplete, "is newer than the one of this bundle");
    let mut other = log.clone();
    other.events[2].recorded_at_ms += 1;
    for size in [7, 13] {
        expect(&bundle.check(&held(&other, size)), Altered, "the log was rewritten");
    }
}

// --- the files --------------------------------------------------------------------

#[test]
fn a_changed_manifest_is_found() {
    let log = Log::example();
    let bundle = log.bundle();
    for (from, to) in [("2026", "2025"), ("active", "activf"), ("0199", "0198"), ("grant", "grand")]
    {
        for name in [names::MANIFEST, names::ANSWER, names::QUERY] {
            let mut files = bundle.all();
            let text = String::from_utf8(files[name].clone()).unwrap();
            if text.contains(from) {
                files.insert(name.to_owned(), text.replacen(from, to, 1).into_bytes());
                let report = check(zip(&files), &log.trust());
                expect(&report, Altered, "manifest");
            }
        }
    }
}

#[test]
fn the_digest_that_was_told_shows_a_manifest_that_was_made_anew() {
    let log = Log::example();
    let mut bundle = log.bundle();
    let told = Hex(Sha256::digest(&bundle.all()[names::MANIFEST]).into());
    let given = Given { manifest: Some(told), ..log.trust() };
    expect(&bundle.check(&given), Proved, "has the digest that you were told");
    bundle.replace(names::ANSWER, "active", "revoked");
    expect(&bundle.check(&log.trust()), Proved, "The manifest is not signed");
    expect(&bundle.check(&given), Altered, "has not the digest that you were told");
}

#[test]
fn a_file_added_is_found() {
    let log = Log::example();
    let mut files = log.bundle().all();
    files.insert("letter.txt".to_owned(), b"trust me".to_vec());
    expect(&check(zip(&files), &log.trust()), Altered, "letter.txt was added");
    let mut bundle = log.bundle();
    bundle.put("letter.txt", b"trust me".to_vec());
    expect(&bundle.check(&log.trust()), Altered, "letter.txt is no file of such a bundle");
}

#[test]
fn a_file_left_out_does_not_pass() {
    let log = Log::example();
    let all = log.bundle().all();
    for name in all.keys() {
        let mut files = all.clone();
        files.remove(name);
        let report = check(zip(&files), &log.trust());
        assert_ne!(report.verdict(), Proved, "without {name}");
        let mut bundle = log.bundle();
        if bundle.files.remove(name).is_some() && !name.starts_with(names::SCHEMAS) {
            assert_ne!(bundle.check(&log.trust()).verdict(), Proved, "without {name}, with care");
        }
    }
}

#[test]
fn an_empty_bundle_proves_nothing() {
    let log = Log::example();
    expect(&check(zip_of(&[]), &log.trust()), Incomplete, "this is no bundle of evidence");
    let mut bundle = log.bundle();
    bundle.files.clear();
    assert_ne!(bundle.check(&log.trust()).verdict(), Proved);
}

#[test]
fn another_format_is_not_judged() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.manifest.format = "chancery-evidence/2".to_owned();
    expect(
        &bundle.check(&log.trust()),
        Incomplete,
        "the bundle has the format chancery-evidence/2",
    );
}

#[test]
fn members_that_are_unknown_or_twice_there_are_found() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.replace(names::EVENTS, "{\"position\"", "{\"x\":1,\"position\"");
    expect(&bundle.check(&log.trust()), Altered, "unknown field `x`");
    let mut bundle = log.bundle();
    bundle.replace(names::EVENTS, "{\"position\"", "{\"position\":9,\"position\"");
    expect(&bundle.check(&log.trust()), Altered, "duplicate field `position`");
}

// --- the archive --------------------------------------------------------------------

#[test]
fn a_truncated_archive_is_found_wherever_it_was_cut() {
    let log = Log::example();
    let zip = log.bundle().zip();
    for length in (0..zip.len()).step_by(7).chain([zip.len() - 1]) {
        let report = check(zip[..length].to_vec(), &log.trust());
        assert_eq!(report.verdict(), Altered, "cut at {length}");
    }
}

#[test]
fn something_behind_the_archive_is_found() {
    let log = Log::example();
    let mut zip = log.bundle().zip();
    zip.extend(b"more");
    expect(&check(zip, &log.trust()), Altered, "something was added");
}

#[test]
fn something_before_the_archive_is_found() {
    let log = Log::example();
    let mut zip = b"more".to_vec();
    zip.extend(log.bundle().zip());
    expect(&check(zip, &log.trust()), Altered, "the directory of the archive is not where");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let log = Log::example();
    for name in [
        "../events.ndjson",
        "/etc/passwd",
        "a/../b",
        "a//b",
        "a/b/c",
        "C:\\x",
        ".hidden",
        "a\\b",
        "checkpoints/",
        "\u{202e}txt",
        "a b",
        "con\n",
    ] {
        let report = check(zip_of(&[(name, b"x")]), &log.trust());
        expect(&report, Altered, "a file with a strange name");
    }
}

#[test]
fn two_files_of_one_name_are_refused() {
    let log = Log::example();
    let mut zip = zip_of(&[("answer.json", b"{}"), ("answer.jsoo", b"[]")]);
    // Both in the local header and in the directory.
    for at in 0..zip.len() - 11 {
        if &zip[at..at + 11] == b"answer.jsoo" {
            zip[at + 10] = b'n';
        }
    }
    expect(&check(zip, &log.trust()), Altered, "two files of the archive have the same name");
}

#[test]
fn too_many_files_are_refused() {
    let log = Log::example();
    let files = (0..65).map(|n| (format!("f{n}"), Vec::new())).collect();
    expect(&check(zip(&files), &log.trust()), Altered, "more than 64 files");
}

#[test]
fn a_file_that_unpacks_to_more_than_it_says_is_refused() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.put(names::ANSWER, vec![b' '; 65 << 20]);
    let zip = bundle.zip();
    assert!(zip.len() < 1 << 20);
    expect(&check(zip, &log.trust()), Altered, "answer.json is larger than a bundle has it");
}

#[test]
fn a_line_without_end_is_refused() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.put(names::EVENTS, vec![b'['; 5 << 20]);
    expect(&bundle.check(&log.trust()), Altered, "line 1 of events.ndjson is too long");
}

#[test]
fn brackets_without_end_are_no_trouble() {
    let log = Log::example();
    for name in [names::ANSWER, names::EVENTS, names::MANIFEST, names::SIGNING_KEYS] {
        let mut files = log.bundle().all();
        files.insert(name.to_owned(), vec![b'['; 1 << 20]);
        let report = check(zip(&files), &log.trust());
        assert_eq!(report.verdict(), Altered, "{name}");
    }
}

#[test]
fn control_characters_of_a_bundle_never_reach_the_terminal() {
    let log = Log::example();
    let mut bundle = log.bundle();
    bundle.manifest.question.name = "\u{1b}[2Jgrant".to_owned();
    bundle.edit_events(|events| events[3].event_type = "\u{1b}[31mX".to_owned());
    let report = bundle.check(&log.trust());
    assert!(!report.to_text().contains('\u{1b}'));
    assert!(report.of(Kind::Altered).count() > 0);
}
