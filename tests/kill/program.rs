//! The program as operators run it: nodes as processes, and commands; and what stands in its log.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use chancery::handles::TokenRef;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::support::{RelyingParty, claims, until};

/// Writes the settings of a node, and these besides.
pub fn configured(
    folder: &Path,
    (issuer, address): (&str, &str),
    store: &str,
    more: &str,
) -> PathBuf {
    let config = folder.join("chancery.toml");
    let key = folder.join("master.key");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(0o600).open(&key).unwrap();
    file.write_all("5a".repeat(32).as_bytes()).unwrap();
    let text = format!(
        "[server]\nissuer = \"{issuer}\"\nlisten = [\"{address}\"]\nworkers = 2\n[store]\n\
         url = \"{store}\"\n[master_key]\nfile = \"{}\"\n[log]\nfilter = \"warn\"\n{more}",
        key.display()
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// The program of this version.
pub const CHANCERY: &str = env!("CARGO_BIN_EXE_chancery");

/// Starts a node; gives it when this client finds it ready.
pub async fn started(config: &Path, party: &RelyingParty) -> Child {
    started_by(Path::new(CHANCERY), config, party).await
}

/// The same by another build of the program.
pub async fn started_by(by: &Path, config: &Path, party: &RelyingParty) -> Child {
    let child = program(by, config, &["serve"]).stdin(Stdio::null()).spawn().unwrap();
    let ready = || async {
        let asked = party.request(reqwest::Method::GET, "/health/ready").send().await;
        asked.is_ok_and(|answer| answer.status() == 200)
    };
    until("readiness", ready).await;
    child
}

pub fn jti(access_token: &str) -> String {
    claims(access_token)["jti"].as_str().unwrap().to_owned()
}

/// The `jti` of the access token that an event issued.
pub fn issued_jti(event: &Value) -> Option<String> {
    let number = event["payload"]["tokens"]["access"]["number"].as_u64()?;
    let grant = event["aggregate_id"].as_str()?.parse().ok()?;
    Some(TokenRef { grant, number: u32::try_from(number).ok()? }.encode())
}

/// The grant that a handle names.
pub fn grant_of(handle: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(handle).unwrap();
    uuid::Uuid::from_slice(&bytes[..16]).unwrap().as_simple().to_string()
}

/// The program; it ends with the test.
pub fn chancery(config: &Path, arguments: &[&str]) -> Command {
    program(Path::new(CHANCERY), config, arguments)
}

/// Another build of the program, perhaps of another version.
pub fn program(program: &Path, config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg("--config").arg(config).kill_on_drop(true);
    // It takes every variable of this prefix for a setting.
    let own = [
        "TEST_POSTGRES",
        "TORTURE_FROM",
        "TORTURE_SECONDS",
        "TORTURE_SEED",
        "TORTURE_USERS",
        "UPGRADE_FROM",
    ];
    for own in own {
        command.env_remove(format!("CHANCERY_{own}"));
    }
    command
}

/// Runs a command to its good end; gives what it printed.
pub async fn cli(config: &Path, arguments: &[&[&str]], input: &str) -> String {
    finished(chancery(config, &arguments.concat()), input).await
}

/// Runs a command to its good end; gives what it printed.
pub async fn finished(mut command: Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().expect("it is piped");
    // It need not read it.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
