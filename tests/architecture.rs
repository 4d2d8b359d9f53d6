//! The layout's rules, as tests: who may depend on what, and what must come in
//! pairs. They read manifests and sources; nothing runs.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the helpers of a test may fail it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The domain and the read models ask the world nothing, whatever the server is built on.
#[test]
fn the_pure_crates_depend_on_nothing_that_does_io() {
    const IMPURE: [&str; 15] = [
        "actix",
        "actix-web",
        "async-std",
        "aws-lc-rs",
        "getrandom",
        "jsonwebtoken",
        "postgres-es",
        "rand",
        "reqwest",
        "rusqlite",
        "sqlx",
        "tokio",
        "tracing",
        "tracing-subscriber",
        "chancery",
    ];
    for manifest in ["domain/Cargo.toml", "projections/Cargo.toml"] {
        let direct = dependencies(manifest);
        let impure: Vec<_> = direct.iter().filter(|name| IMPURE.contains(&name.as_str())).collect();
        assert!(impure.is_empty(), "{manifest} depends on {impure:?}");
    }
}

/// `domain ← projections ← server`.
#[test]
fn the_domain_knows_neither_the_projections_nor_the_server() {
    let direct = dependencies("domain/Cargo.toml");
    assert!(
        !direct.iter().any(|name| name.starts_with("chancery")),
        "domain depends on {direct:?}"
    );
    assert!(dependencies("projections/Cargo.toml").contains("chancery-domain"));
    assert!(dependencies("Cargo.toml").contains("chancery-projections"));
}

/// Evidence is checked without the server's code paths and without a network: by few crates, each
/// of them known. A new one is a decision.
#[test]
fn the_offline_verifier_stands_alone() {
    const KNOWN: [&str; 8] =
        ["base64", "clap", "ed25519-dalek", "flate2", "serde", "serde_json", "sha2", "zip"];
    let direct = dependencies("verify/Cargo.toml");
    assert_eq!(direct, KNOWN.map(str::to_owned).into());
    let lock = read("Cargo.lock").parse::<toml::Table>().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    // Of several versions of a crate, what any of them needs.
    let mut needs = BTreeMap::<_, Vec<_>>::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let own = package.get("dependencies").and_then(toml::Value::as_array);
        let own = own.into_iter().flatten().filter_map(toml::Value::as_str);
        needs.entry(name).or_default().extend(own.filter_map(|need| need.split(' ').next()));
    }
    let (mut waiting, mut all) = (KNOWN.to_vec(), BTreeSet::new());
    while let Some(name) = waiting.pop() {
        if all.insert(name) {
            waiting.extend(needs.get(name).into_iter().flatten());
        }
    }
    assert!(all.contains("miniz_oxide"), "{all:?}");
    let talkative = ["tokio", "mio", "socket2", "hyper", "reqwest", "rustls", "actix-rt", "sqlx"];
    for name in
        talkative.into_iter().chain(all.iter().copied().filter(|n| n.starts_with("chancery")))
    {
        assert!(!all.contains(name), "the verifier comes to depend on {name}");
    }
    for path in [&["std", "net"][..], &["std", "os", "unix", "net"], &["Command"]] {
        assert_path_confined(&["verify/src"], path, &[]);
    }
}

#[test]
fn databases_are_touched_only_by_the_stores() {
    for krate in ["sqlx", "rusqlite", "postgres_es"] {
        assert_confined(&["src"], krate, &["src/stores/"]);
    }
}

#[test]
fn jwts_are_made_and_read_only_in_jose() {
    assert_confined(&["src"], "jsonwebtoken", &["src/jose/"]);
}

/// Strangers choose some of the URLs: limits and checks stand in one place. (The demo is a client
/// of this server only.)
#[test]
fn others_servers_are_called_from_one_place() {
    assert_confined(&["src"], "reqwest", &["src/outbound/", "src/demo/"]);
    // The load generator calls the server that its operator names, as fast as it can.
    for krate in ["hyper", "hyper_util", "http_body_util"] {
        assert_confined(&["src"], krate, &["src/bench/"]);
    }
}

/// What is exported, and where to, is told in one place: all others know spans of `tracing`.
#[test]
fn telemetry_is_exported_from_one_place() {
    let exporters = ["opentelemetry", "opentelemetry_sdk", "opentelemetry_proto", "prost"];
    for krate in exporters.into_iter().chain(["tracing_opentelemetry"]) {
        assert_confined(&["src"], krate, &["src/telemetry/"]);
    }
}

#[test]
fn http_is_spoken_only_at_the_edge() {
    let edge = ["src/http/", "src/interaction/", "src/console/", "src/demo/", "src/app.rs"];
    assert_confined(&["src"], "actix_web", &edge);
}

#[test]
fn the_stores_know_nothing_above_them() {
    const ABOVE: [&str; 9] =
        ["actors", "app", "cli", "console", "demo", "grants", "http", "interaction", "tokens"];
    let offences: Vec<_> = rust_files(&["src/stores"])
        .into_iter()
        .flat_map(|file| {
            let code = Code::of(&file);
            let name = file.name;
            ABOVE
                .into_iter()
                .filter(move |above| code.has_path(&["crate", above]))
                .map(move |above| format!("{name}: crate::{above}"))
        })
        .collect();
    assert!(offences.is_empty(), "{offences:#?}");
}

/// A new grant type, authentication method, proof or response mode is one file, and stays one.
#[test]
fn alternatives_do_not_import_each_other() {
    let mut offences = Vec::new();
    for family in ["client_auth", "proofs", "grants", "response_modes"] {
        let files = rust_files(&[&format!("src/{family}")]);
        let alternatives: BTreeSet<_> =
            files.iter().map(SourceFile::stem).filter(|stem| stem != "mod").collect();
        for file in files.iter().filter(|file| file.stem() != "mod") {
            let code = Code::of(file);
            for other in alternatives.iter().filter(|other| **other != file.stem()) {
                if code.has_path(&["super", other]) || code.has_path(&["crate", family, other]) {
                    offences.push(format!("{} imports {other}", file.name));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

/// A decision that reads a clock can't be replayed: time arrives in the command.
#[test]
fn only_the_clock_reads_the_time() {
    let reads: [&[&str]; 6] = [
        &["SystemTime", "now"],
        &["OffsetDateTime", "now_utc"],
        &["OffsetDateTime", "now_local"],
        &["UtcDateTime", "now"],
        &["Utc", "now"],
        &["Timestamp", "now"],
    ];
    for read in reads {
        assert_path_confined(&["src", "domain/src", "projections/src"], read, &["src/clock.rs"]);
    }
}

#[test]
fn only_the_configuration_reads_the_environment() {
    for read in ["var", "var_os", "vars", "vars_os"] {
        assert_path_confined(
            &["src", "domain/src", "projections/src"],
            &["env", read],
            &["src/config/", "src/config.rs"],
        );
    }
}

/// One TLS stack, and none that is bound to the system's C library of the day.
#[test]
fn nothing_brings_another_tls_stack() {
    let lock = read("Cargo.lock").parse::<toml::Table>().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    assert!(packages.len() > 100, "only {} packages read", packages.len());
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        assert!(!["openssl", "openssl-sys", "native-tls"].contains(&name), "{name} is in the lock");
    }
}

/// Which migration has run must mean the same on both stores.
#[test]
fn both_stores_have_the_same_migrations() {
    let sqlite = migrations("migrations/sqlite");
    let postgres = migrations("migrations/postgres");
    assert_eq!(sqlite, postgres);
    for (index, name) in sqlite.iter().enumerate() {
        let number = format!("{:04}_", index + 1);
        assert!(name.starts_with(&number), "{name} should begin with {number}");
    }
}

/// The first line of a file says what it is.
#[test]
fn every_source_file_says_what_it_is() {
    let files = rust_files(&["src", "domain", "projections", "tests", "benches", "verify"]);
    assert!(files.len() >= 10, "only {} files found", files.len());
    let silent: Vec<_> = files
        .iter()
        .filter(|file| {
            let first = file.text.lines().next().unwrap_or_default();
            first.strip_prefix("//! ").is_none_or(|what| what.trim().is_empty())
        })
        .map(|file| &file.name)
        .collect();
    assert!(silent.is_empty(), "without a first line `//! …`: {silent:#?}");
}

/// The rules above are worth what finding a name is worth.
#[test]
fn names_are_found_in_code_only() {
    let code = Code::parse(
        r##"
        //! sqlx::query in a comment
        /* rusqlite::Connection /* nested */ */
        use sqlx::{Pool, Row};
        const S: &str = "jsonwebtoken::encode \" actix_web::x";
        const R: &str = r#"tokio::spawn " "#;
        fn f<'a>(x: &'a str) -> char { let _ = crate :: http :: y; use std::{env, fs}; '"' }
        use crate::{grants::{code, refresh as r}, actors};
        #[cfg(test)]
        mod tests { use reqwest::get; fn g() { "}" } }
        use tracing::info;
        "##,
    );
    for present in ["sqlx", "tracing", "std"] {
        assert!(code.has_crate(present), "{present}");
    }
    for absent in ["rusqlite", "jsonwebtoken", "actix_web", "tokio", "reqwest", "http", "info"] {
        assert!(!code.has_crate(absent), "{absent}");
    }
    assert!(code.has_path(&["crate", "http"]));
    assert!(code.has_path(&["crate", "http", "y"]));
    assert!(code.has_path(&["std", "env"]));
    assert!(code.has_path(&["crate", "grants", "refresh"]));
    assert!(code.has_path(&["crate", "actors"]));
    assert!(code.has_path(&["sqlx", "Row"]));
    assert!(!code.has_path(&["crate", "refresh"]));
    assert!(!code.has_path(&["crate", "code"]));
    assert!(!code.has_path(&["sqlx", "PgPool"]));
}

fn assert_confined(roots: &[&str], krate: &str, allowed: &[&str]) {
    assert_only_in(roots, allowed, krate, |code| code.has_crate(krate));
}

fn assert_path_confined(roots: &[&str], path: &[&str], allowed: &[&str]) {
    assert_only_in(roots, allowed, &path.join("::"), |code| code.has_path(path));
}

fn assert_only_in(roots: &[&str], allowed: &[&str], what: &str, used_in: impl Fn(&Code) -> bool) {
    let files = rust_files(roots);
    assert!(!files.is_empty(), "no sources in {roots:?}");
    let offences: Vec<_> = files
        .into_iter()
        .filter(|file| !allowed.iter().any(|place| file.name.starts_with(place)))
        .filter(|file| used_in(&Code::of(file)))
        .map(|file| file.name)
        .collect();
    assert!(offences.is_empty(), "{what} belongs in {allowed:?} only, but stands in {offences:#?}");
}

/// The names of a crate's direct dependencies, those of its tests left out.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest = read(manifest).parse::<toml::Table>().expect("a manifest is TOML");
    let mut tables = vec![manifest.clone()];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table).cloned());
    }
    tables
        .iter()
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|key| table.get(key)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flatten()
        .map(|(name, value)| {
            let renamed = value.get("package").and_then(toml::Value::as_str);
            renamed.unwrap_or(name).to_owned()
        })
        .collect()
}

fn migrations(directory: &str) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(root().join(directory)) else { return BTreeSet::new() };
    entries
        .map(|entry| entry.expect("a directory entry").file_name())
        .map(|name| name.into_string().expect("UTF-8"))
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = root().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

struct SourceFile {
    /// From the root of the repository, with `/`.
    name: String,
    text: String,
}

impl SourceFile {
    fn stem(&self) -> String {
        Path::new(&self.name).file_stem().expect("a file name").to_string_lossy().into_owned()
    }
}

/// All `.rs` files below these folders; a folder that is not there has none.
fn rust_files(folders: &[&str]) -> Vec<SourceFile> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = BTreeMap::new();
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with("node_modules") {
                    waiting.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root");
                let name = name.to_string_lossy().replace('\\', "/");
                found.insert(name.clone(), SourceFile { text: read(&name), name });
            }
        }
    }
    found.into_values().collect()
}

/// A file's code as tokens: no comments, no literals, no `#[cfg(test)]` items.
struct Code {
    tokens: Vec<String>,
    /// Every path that is named, with the groups of `use` multiplied out.
    paths: Vec<Vec<String>>,
}

impl Code {
    fn of(file: &SourceFile) -> Self {
        Self::parse(&file.text)
    }

    fn parse(text: &str) -> Self {
        let tokens = without_tests(&tokenize(text));
        let paths = paths(&tokens);
        Self { tokens, paths }
    }

    /// Whether a path begins with this crate, or the crate is imported by name.
    fn has_crate(&self, krate: &str) -> bool {
        let in_path = self
            .paths
            .iter()
            .any(|path| path.len() > 1 && path.first().is_some_and(|p| p == krate));
        let imported = self
            .tokens
            .windows(2)
            .any(|pair| (pair[0] == "use" || pair[0] == "crate") && pair[1] == krate);
        in_path || imported
    }

    /// Whether these segments stand in a path one after the other.
    fn has_path(&self, segments: &[&str]) -> bool {
        self.paths.iter().any(|path| {
            path.windows(segments.len()).any(|window| window.iter().eq(segments.iter()))
        })
    }
}

fn tokenize(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            i = after_block_comment(&chars, i);
        } else if let Some(end) = after_raw_string(&chars, i) {
            i = end;
        } else if c == '"' {
            i = after_string(&chars, i);
        } else if c == '\'' {
            i = after_quote(&chars, i);
        } else if c.is_alphabetic() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            tokens.push(chars[start..i].iter().collect());
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            i += 1;
        }
    }
    tokens
}

fn after_block_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut i = start;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn after_raw_string(chars: &[char], start: usize) -> Option<usize> {
    let prefix = if chars[start..].starts_with(&['b', 'r']) { 2 } else { 1 };
    if chars[start] != 'r' && prefix == 1 {
        return None;
    }
    let hashes = chars[start + prefix..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + prefix + hashes) != Some(&'"') {
        return None;
    }
    let mut end: Vec<char> = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    let body = start + prefix + hashes + 1;
    let length = chars[body..].windows(end.len()).position(|window| window == end)?;
    Some(body + length + end.len())
}

fn after_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// A character literal as a whole; of a lifetime only the quote.
fn after_quote(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let rest = chars.iter().skip(start + 3).position(|c| *c == '\'').unwrap_or_default();
            start + 3 + rest + 1
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start + 1,
    }
}

/// Without the items marked `#[cfg(test)]`: tests may use what they like.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        if !tokens[i..].iter().zip(MARK).all(|(token, mark)| token == mark) {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        i += MARK.len();
        let mut depth = 0_usize;
        while let Some(token) = tokens.get(i) {
            i += 1;
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && (token == "}" || token == ";") {
                break;
            }
        }
    }
    kept
}

fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if is_name(&tokens[i]) {
            i = path_from(tokens, i, &[], &mut found);
        } else {
            i += 1;
        }
    }
    found
}

/// Reads one path that begins at `start`, groups and all; gives where it ends.
fn path_from(
    tokens: &[String],
    start: usize,
    prefix: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut i = start;
    loop {
        path.push(tokens[i].clone());
        i += 1;
        if tokens.get(i).is_none_or(|token| token != "::") {
            break;
        }
        i += 1;
        match tokens.get(i) {
            Some(token) if is_name(token) => {}
            Some(token) if token == "{" => {
                i += 1;
                while let Some(token) = tokens.get(i) {
                    if token == "}" {
                        i += 1;
                        break;
                    }
                    i = if is_name(token) { path_from(tokens, i, &path, found) } else { i + 1 };
                }
                break;
            }
            _ => break,
        }
    }
    found.push(path);
    i
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
