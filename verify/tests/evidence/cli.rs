//! The program: its arguments, its answers, its exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::bundles::*;
use chancery_verify::format::names;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn run(bundle: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_chancery-verify"))
        .arg(bundle)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let Output { status, stdout, stderr } = output;
    let text = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn each_verdict_has_its_exit_code() {
    let (folder, log) = (Folder::new(), Log::example());
    let whole = folder.file("whole.zip", &log.bundle().zip());
    let key = log.vkey();
    assert_eq!(run(&whole, &["--key", &key]).0, 0);
    assert_eq!(run(&whole, &[]).0, 4);

    let mut bundle = log.bundle();
    bundle.replace(names::EVENTS, "openid", "openjd");
    let altered = folder.file("altered.zip", &bundle.zip());
    let (code, text) = run(&altered, &["--key", &key]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("ALTERED"), "{text}");

    let unsealed = folder.file("unsealed.zip", &log.bundle_sealed(11).zip());
    assert_eq!(run(&unsealed, &["--key", &key]).0, 3);
}

#[test]
fn what_is_wrong_with_the_command_line_is_told_apart() {
    let (folder, log) = (Folder::new(), Log::example());
    let whole = folder.file("whole.zip", &log.bundle().zip());
    let empty = folder.file("empty.txt", b"# none\n");
    for (bundle, arguments) in [
        (whole.as_path(), vec!["--key", "nonsense"]),
        (&whole, vec!["--manifest", "12"]),
        (&whole, vec!["--key-file", "/nowhere"]),
        (&whole, vec!["--key-file", empty.to_str().unwrap()]),
        (&whole, vec!["--checkpoint", "/nowhere"]),
        (&whole, vec!["--frobnicate"]),
        (Path::new("/nowhere.zip"), vec![]),
        (folder.0.path(), vec![]),
    ] {
        let (code, text) = run(bundle, &arguments);
        assert_eq!(code, 2, "{arguments:?}: {text}");
    }
}

#[test]
fn keys_and_a_checkpoint_come_from_files() {
    let (folder, log) = (Folder::new(), Log::example());
    let bundle = folder.file("since.zip", &log.bundle_since(7).zip());
    let keys = folder.file("keys.txt", format!("# ours\n\n{}\n", log.vkey()).as_bytes());
    let held = folder.file("held.txt", &log.checkpoint(7));
    let (keys, held) = (keys.to_str().unwrap(), held.to_str().unwrap());
    let (code, text) = run(&bundle, &["--key-file", keys, "--checkpoint", held]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("Since the checkpoint that you held (7 events)"), "{text}");
}

#[test]
fn programs_get_json() {
    let (folder, log) = (Folder::new(), Log::example());
    let bundle = folder.file("whole.zip", &log.bundle().zip());
    let (code, text) = run(&bundle, &["--key", &log.vkey(), "--json"]);
    assert_eq!(code, 0);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["verdict"], "proved");
    assert_eq!(report["checkpoint"]["size"], 13);
    assert_eq!(report["events"], 10);
    assert_eq!(report["aggregates"][0]["type"], "grant");
    assert_eq!(report["aggregates"][0]["complete_through"], 10);
}
