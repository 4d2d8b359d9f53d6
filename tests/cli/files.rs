//! `chancery events export`: what is in the files, whatever happens on the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use chancery_domain::digest::Sha256Digest;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use rusqlite::Connection;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::postgres_database::Database;
use crate::program::{Data, NOT_FOUND, REFUSED, USAGE, program, run};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A store with a history of some hundred events.
fn sample() -> Data {
    let data = Data::new();
    data.run(&["sample", "--grants", "150", "--clients", "8", "--days", "3", "--log-only"]).done();
    data
}

/// What is exported.
struct Export {
    folder: TempDir,
}

impl Export {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("events")
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let path = self.path();
        let own = ["events", "export", "--out", path.to_str().unwrap()];
        own.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    }

    fn run(&self, data: &Data, more: &[&str]) -> crate::program::Ended {
        let arguments = self.arguments(more);
        data.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path().join("manifest.json")).unwrap()).unwrap()
    }

    fn files(&self) -> Vec<Value> {
        self.manifest()["files"].as_array().unwrap().clone()
    }

    /// Everything in the folder by its name, but the lock, and the manifest, which has a time in it.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for day in fs::read_dir(self.path()).unwrap() {
            let day = day.unwrap().path();
            if !day.is_dir() {
                let name = day.file_name().unwrap().to_str().unwrap().to_owned();
                assert!([".lock", "manifest.json"].contains(&&*name), "{name} is left over");
                continue;
            }
            for file in fs::read_dir(day).unwrap() {
                let file = file.unwrap().path();
                let name = file.strip_prefix(self.path()).unwrap().to_owned();
                found.insert(name, fs::read(file).unwrap());
            }
        }
        found
    }

    /// All lines, in the order of the manifest; checks on the way what that says of the files.
    fn lines(&self) -> Vec<Value> {
        let contents = self.contents();
        let files = self.files();
        assert_eq!(contents.len(), files.len(), "{:?}", contents.keys());
        let mut all = Vec::new();
        for file in &files {
            let bytes = &contents[Path::new(file["path"].as_str().unwrap())];
            let digest = Sha256Digest::from_bytes(Sha256::digest(bytes).into()).to_string();
            assert_eq!((&file["sha256"], &file["bytes"]), (&digest.into(), &bytes.len().into()));
            let text = std::str::from_utf8(bytes).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            let lines: Vec<Value> = lines.collect();
            assert_eq!(file["events"], lines.len());
            assert_eq!(file["first_position"], lines[0]["position"]);
            assert_eq!(file["last_position"], lines[lines.len() - 1]["position"]);
            assert_eq!(file["last_digest"], lines[lines.len() - 1]["digest"]);
            for line in &lines {
                assert!(
                    line["recorded_at"]
                        .as_str()
                        .unwrap()
                        .starts_with(file["day"].as_str().unwrap())
                );
            }
            all.extend(lines);
        }
        let manifest = self.manifest();
        assert_eq!(manifest["events"], all.len());
        let complete = files.iter().rev().skip(1).all(|file| file["complete"] == true);
        assert!(complete, "a file before the last may yet change");
        all
    }
}

/// Moves what is recorded apart: so many events on each day, up to now.
fn spread_over_days(data: &Data, events_a_day: i64) {
    let connection = Connection::open(data.file("chancery.db")).unwrap();
    connection
        .execute_batch(&format!(
            "DROP TRIGGER events_are_not_updated;
             UPDATE events SET recorded_at = recorded_at - {DAY_MS} *
                 (((SELECT max(position) FROM events) - position) / {events_a_day});"
        ))
        .unwrap();
}

fn days(lines: &[Value]) -> Vec<String> {
    let mut days: Vec<_> =
        lines.iter().map(|line| line["recorded_at"].as_str().unwrap()[..10].to_owned()).collect();
    days.dedup();
    days
}

#[test]
fn the_lines_are_those_that_are_printed_by_day_and_of_a_bounded_number() {
    let data = sample();
    spread_over_days(&data, 150);
    let export = Export::new();
    let said = export.run(&data, &["--format", "ndjson", "--file-events", "100", "--json"]).json();
    let all = data.events();
    assert_eq!(export.lines(), all);
    assert_eq!(said["new_events"], all.len());
    assert_eq!(said["through"], all[all.len() - 1]["position"]);

    let days = days(&all);
    assert!(days.len() >= 3, "{days:?}");
    let mut folders: Vec<_> = export.files().iter().map(|file| file["day"].clone()).collect();
    folders.dedup();
    assert_eq!(folders, days);
    for file in export.files() {
        assert!(file["events"].as_u64().unwrap() <= 100, "{file}");
        let folder = format!("day={}/", file["day"].as_str().unwrap());
        assert!(file["path"].as_str().unwrap().starts_with(&folder), "{file}");
    }
    let manifest = export.manifest();
    assert_eq!((&manifest["format"], &manifest["after"]), (&"ndjson".into(), &0.into()));
    assert!(manifest["written_by"].as_str().unwrap().starts_with("chancery "));
}

#[test]
fn parquet_has_the_same_events() {
    let data = sample();
    let export = Export::new();
    export.run(&data, &["--file-events", "200"]).done();
    let all = data.events();
    let mut found = Vec::new();
    for file in export.files() {
        let file = fs::File::open(export.path().join(file["path"].as_str().unwrap())).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let text = |column| row.get_string(column).unwrap().clone();
            let position = u64::try_from(row.get_long(0).unwrap()).unwrap();
            found.push((position, text(4), text(6), text(20), text(23)));
        }
    }
    let expected: Vec<_> = all
        .iter()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let position = event["position"].as_u64().unwrap();
            let payload = event["payload"].to_string();
            (position, text("aggregate_id"), text("event_type"), payload, text("digest"))
        })
        .collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(
            (found.0, &found.1, &found.2, &found.4),
            (expected.0, &expected.1, &expected.2, &expected.4)
        );
        let payload: Value = serde_json::from_str(&found.3).unwrap();
        assert_eq!(payload.to_string(), expected.3);
    }
}

#[test]
fn days_follow_each_other_without_a_gap() {
    let data = sample();
    spread_over_days(&data, 150);
    let all = data.events();
    let days = days(&all);
    let second = days[1].as_str();
    let (before, on, after) = (Export::new(), Export::new(), Export::new());
    let lines = ["--format", "ndjson"];
    before.run(&data, &[&lines[..], &["--to", &days[0]]].concat()).done();
    on.run(&data, &[&lines[..], &["--from", second, "--to", second]].concat()).done();
    after.run(&data, &[&lines[..], &["--from", &days[2]]].concat()).done();
    assert_eq!([before.lines(), on.lines(), after.lines()].concat(), all);
    assert!(
        on.lines().iter().all(|line| line["recorded_at"].as_str().unwrap().starts_with(second))
    );

    // By positions, and on from there.
    let some = Export::new();
    some.run(&data, &["--format", "ndjson", "--from", "11", "--to", "20"]).done();
    assert_eq!(some.lines(), all[10..20]);
    some.run(&data, &["--format", "ndjson", "--to", "300"]).done();
    assert_eq!(some.lines(), all[10..300]);
    // What is there stays there.
    some.run(&data, &["--format", "ndjson", "--to", "15"]).done();
    assert_eq!(some.lines(), all[10..300]);
    let said = some.run(&data, &["--format", "ndjson", "--from", "12"]).fails(REFUSED);
    assert!(said.contains("after position 10"), "{said}");
}

#[test]
fn a_later_run_adds_what_is_new() {
    let data = sample();
    for format in ["ndjson", "parquet"] {
        let (export, at_once) = (Export::new(), Export::new());
        let arguments = ["--format", format, "--file-events", "100"];
        export.run(&data, &arguments).done();
        let before = export.contents();
        let nothing = export.run(&data, &[&arguments[..], &["--json"]].concat()).json();
        assert_eq!((&nothing["new_events"], &nothing["new_files"]), (&0.into(), &0.into()));
        assert_eq!(export.contents(), before);

        data.run(&["client", "add", "--id", &format!("new-{format}")]).done();
        let said = export.run(&data, &[&arguments[..], &["--json"]].concat()).json();
        let new = said["new_events"].as_u64().unwrap();
        assert!(new > 0 && new < 10, "{said}");
        let changed: Vec<_> = export
            .contents()
            .into_iter()
            .filter(|(name, bytes)| before.get(name).is_some_and(|before| before != bytes))
            .collect();
        assert!(
            changed.len() <= 1,
            "{:?}",
            changed.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        // As if it had been written at once.
        at_once.run(&data, &arguments).done();
        assert_eq!(export.contents(), at_once.contents());
        assert_eq!(export.files(), at_once.files());
    }
}

#[tokio::test]
async fn a_run_that_was_killed_is_taken_up_again() {
    let data = sample();
    let arguments = ["--file-events", "2"];
    let (export, at_once) = (Export::new(), Export::new());
    at_once.run(&data, &arguments).done();
    let all = at_once.files().len();
    let mut kills = 0;
    for files in [all / 4, all / 2] {
        let own = export.arguments(&arguments);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let mut child = program(&data.with_data(&own)).stdout(Stdio::null()).spawn().unwrap();
        let written = || {
            let folder = export.path();
            let days = fs::read_dir(folder).into_iter().flatten().map(|day| day.unwrap().path());
            days.filter_map(|day| fs::read_dir(day).ok()).flatten().count()
        };
        let enough = async {
            while written() < files {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), enough).await.expect("it writes");
        child.kill().unwrap();
        kills += usize::from(child.wait().unwrap().code().is_none());
        let there = export.files().len();
        assert!(there >= files.saturating_sub(2) && there < all, "{there} of {all}");
    }
    assert_eq!(kills, 2);
    export.run(&data, &arguments).done();
    assert_eq!(export.contents(), at_once.contents());
    assert_eq!(export.files(), at_once.files());
}

/// Each moment at which a run can end.
#[test]
fn what_an_interrupted_run_left_is_put_right() {
    let data = sample();
    let arguments = ["--format", "ndjson", "--file-events", "100", "--to"];
    let to = |end: &'static str| [&arguments[..], &[end]].concat();
    let (export, later) = (Export::new(), Export::new());
    export.run(&data, &to("250")).done();
    later.run(&data, &to("420")).done();
    let before = export.manifest();
    let files = export.files();
    let last = export.path().join(files[2]["path"].as_str().unwrap());

    // Files that are not whole, and one that is, which the manifest does not know.
    let day = last.parent().unwrap();
    fs::write(day.join("events-000000000301.ndjson.part"), "{").unwrap();
    fs::write(export.path().join("manifest.json.part"), "{").unwrap();
    fs::write(day.join("events-000000000301.ndjson"), "{}\n").unwrap();
    // The last file is longer than the manifest says.
    fs::copy(later.path().join(files[2]["path"].as_str().unwrap()), &last).unwrap();
    export.run(&data, &to("250")).done();
    assert_eq!(export.files(), *before["files"].as_array().unwrap());
    assert_eq!(export.lines(), data.events()[..250]);

    export.run(&data, &to("420")).done();
    assert_eq!(export.contents(), later.contents());
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let data = sample();
    let export = Export::new();
    export.run(&data, &["--to", "20"]).done();
    let before = export.contents();

    let said = export.run(&data, &["--format", "ndjson"]).fails(REFUSED);
    assert!(said.contains("holds Parquet files"), "{said}");
    let other = Data::new();
    other.run(&["client", "add", "--id", "other"]).done();
    let said = export.run(&other, &[]).fails(REFUSED);
    assert!(said.contains("another log"), "{said}");
    assert_eq!(export.contents(), before);

    let manifest = export.path().join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    // The same log, with another past.
    let digest = export.files()[0]["last_digest"].as_str().unwrap().to_owned();
    fs::write(&manifest, text.replace(&digest, &"0".repeat(64))).unwrap();
    let said = export.run(&data, &[]).fails(REFUSED);
    assert!(said.contains("position 20 that is not in the log"), "{said}");
    fs::write(&manifest, text.replace("chancery-events/1", "chancery-events/2")).unwrap();
    let said = export.run(&data, &[]).fails(REFUSED);
    assert!(said.contains("chancery-events/2"), "{said}");
    fs::write(&manifest, "{}").unwrap();
    let said = export.run(&data, &[]).fails(REFUSED);
    assert!(said.contains("is not the manifest"), "{said}");

    let foreign = Export::new();
    fs::create_dir(foreign.path()).unwrap();
    fs::write(foreign.path().join("thesis.txt"), "mine").unwrap();
    let said = foreign.run(&data, &[]).fails(REFUSED);
    assert!(said.contains("other things in it"), "{said}");
    assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 1);

    for wrong in [["--from", "yesterday"], ["--format", "csv"], ["--file-events", "0"]] {
        Export::new().run(&data, &wrong).fails(USAGE);
    }
}

#[test]
fn two_runs_at_once_do_not_mix() {
    let data = sample();
    let export = Export::new();
    fs::create_dir(export.path()).unwrap();
    let lock = fs::File::create(export.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    let said = export.run(&data, &[]).fails(REFUSED);
    assert!(said.contains("another export is writing"), "{said}");
    drop(lock);
    export.run(&data, &[]).done();
}

/// What stands beside the log sealed or wrapped, and what people are called.
#[test]
fn nothing_secret_or_personal_is_in_the_files() {
    let data = sample();
    let export = Export::new();
    export.run(&data, &["--format", "ndjson"]).done();
    let text: Vec<u8> = export.contents().into_values().flatten().collect();
    let holds = |wanted: &[u8]| text.windows(wanted.len()).any(|window| window == wanted);
    assert!(holds(b"app-000"), "the files are not what they seem");

    for personal in ["person-0000000", "people.example", "Person 0", "$argon2", "0f0f0f0f"] {
        assert!(!holds(personal.as_bytes()), "{personal}");
    }
    let connection = Connection::open(data.file("chancery.db")).unwrap();
    let mut secrets = 0;
    for question in [
        "SELECT ciphertext FROM sealed LIMIT 20",
        "SELECT wrapped FROM data_keys LIMIT 20",
        "SELECT name FROM names LIMIT 20",
    ] {
        let mut statement = connection.prepare(question).unwrap();
        let found = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        for secret in found {
            let secret = secret.unwrap();
            let hex = format!("{:032x}", u128::from_be_bytes(secret[..16].try_into().unwrap()));
            assert!(!holds(hex.as_bytes()) && !holds(&secret[..16]), "{question}");
            secrets += 1;
        }
    }
    assert!(secrets >= 9, "only {secrets} were looked for");
}

#[test]
fn a_query_is_printed_for_the_files_there_are() {
    let data = sample();
    let export = Export::new();
    let path = export.path();
    let folder = path.to_str().unwrap();
    let listed = run(&["events", "queries", "--json"]).json();
    assert!(listed.as_array().unwrap().len() >= 6, "{listed}");
    run(&["events", "query", "funnel", "--dir", folder]).fails(NOT_FOUND);
    run(&["events", "query", "horoscope", "--dir", folder]).fails(NOT_FOUND);
    export.run(&data, &["--format", "ndjson"]).done();
    for query in listed.as_array().unwrap() {
        let name = query["name"].as_str().unwrap();
        let printed = run(&["events", "query", name, "--dir", folder]).done();
        assert!(printed.contains(&format!("'{folder}/day=*/events-*.ndjson'")), "{printed}");
        assert!(printed.ends_with(query["sql"].as_str().unwrap()), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_same_on_postgres() {
    let database = Database::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("master.key");
    fs::write(&key, "0f".repeat(32)).unwrap();
    let file = folder.path().join("chancery.toml");
    let settings = format!(
        "server.issuer = \"http://127.0.0.1:1\"\nstore.url = \"{}\"\nmaster_key.file = \"{}\"\n",
        database.url(),
        key.display()
    );
    fs::write(&file, settings).unwrap();
    let command = |arguments: &[String]| {
        let config = ["--config", file.to_str().unwrap()];
        let own: Vec<_> = arguments.iter().map(String::as_str).chain(config).collect();
        run(&own)
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();

    command(&words("migrate")).done();
    command(&words("sample --grants 60 --clients 8 --days 3 --log-only")).done();
    let export = Export::new();
    let arguments = ["--format", "ndjson", "--file-events", "100"];
    command(&export.arguments(&[&arguments[..], &["--to", "150"]].concat())).done();
    command(&export.arguments(&arguments)).done();
    assert_eq!(export.lines(), command(&words("events")).lines());

    command(&words("client add --id new")).done();
    command(&export.arguments(&arguments)).done();
    let all = command(&words("events")).lines();
    assert_eq!(export.lines(), all);
    let today = &all[all.len() - 1]["recorded_at"].as_str().unwrap()[..10];
    let of_today = Export::new();
    command(&of_today.arguments(&["--format", "ndjson", "--from", today])).done();
    let first = of_today.lines()[0]["position"].clone();
    assert!(all.iter().any(|event| event["position"] == first));

    // Parquet, and nothing of it twice.
    let table = Export::new();
    command(&table.arguments(&["--file-events", "70", "--to", "100"])).done();
    command(&table.arguments(&["--file-events", "70"])).done();
    assert_eq!(table.manifest()["events"], all.len());
}
