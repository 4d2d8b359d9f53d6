//! `chancery-verify`: checks a bundle of evidence, offline.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chancery_verify::format::Hex;
use chancery_verify::note::VerifierKey;
use chancery_verify::report::printable;
use chancery_verify::{Given, verify};
use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  chancery-verify evidence.zip --key 'login.example+1a2b3c4d+AaKi…'
  chancery-verify evidence.zip --key-file keys.txt --checkpoint held.txt
  chancery-verify evidence.zip --key-file keys.txt --json

Exit codes:
  0  everything is proved, with a key that you gave
  1  altered: something does not verify, and it is said what and where
  2  the command line is wrong, or a file cannot be read
  3  incomplete: something cannot be checked
  4  only keys that you did not give have signed";

/// Files larger than this hold no keys and no checkpoint.
const MAX_INPUT: u64 = 1 << 20;

/// Check evidence that a Chancery server exported
///
/// Needs no network and no database. Says in plain words what the bundle proves,
/// and what it does not.
#[derive(Debug, Parser)]
#[command(name = "chancery-verify", version, after_help = EXAMPLES)]
struct Cli {
    /// The bundle: a zip archive
    bundle: PathBuf,
    /// A key that you trust, as its operator told you (`chancery audit key list`)
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<String>,
    /// A file of such keys, one a line; lines that begin with # are passed over
    #[arg(long = "key-file", value_name = "FILE")]
    key_files: Vec<PathBuf>,
    /// A checkpoint of this log that you have held
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The SHA-256 digest of the manifest, as the exporting side printed it
    #[arg(long, value_name = "DIGEST")]
    manifest: Option<String>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    run(std::env::args_os()).unwrap_or_else(|message| {
        // If standard error is gone, the exit code is all that is left to say.
        drop(writeln!(io::stderr().lock(), "error: {}", printable(&message)));
        ExitCode::from(2)
    })
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, String> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return Ok(ExitCode::from(if error.use_stderr() { 2 } else { 0 }));
        }
    };
    let given = given(&cli)?;
    let bundle = File::open(&cli.bundle).map_err(|error| named(&cli.bundle, &error))?;
    if bundle.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(format!("{} is a folder, not a bundle", cli.bundle.display()));
    }
    let report = verify(BufReader::new(bundle), &given);
    let mut text = if cli.json { format!("{:#}\n", report.to_json()) } else { report.to_text() };
    if !cli.json {
        text.insert_str(0, &printable(&format!("Evidence  {}\n", cli.bundle.display())));
    }
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(ExitCode::from(report.verdict().exit_code())),
    }
}

fn given(cli: &Cli) -> Result<Given, String> {
    let mut given = Given::default();
    for key in &cli.keys {
        given.keys.push(key_of(key)?);
    }
    for file in &cli.key_files {
        let bytes = read(file)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("{}: it is not a text", file.display()))?;
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let before = given.keys.len();
        for line in lines {
            let key = key_of(line).map_err(|error| format!("{}: {error}", file.display()))?;
            given.keys.push(key);
        }
        if given.keys.len() == before {
            return Err(format!("{}: there is no key in it", file.display()));
        }
    }
    given.checkpoint = cli.checkpoint.as_deref().map(read).transpose()?;
    given.manifest = match &cli.manifest {
        None => None,
        Some(text) => {
            let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
            let digest = Hex::parse(&digits).ok_or("--manifest wants 64 hexadecimal digits")?;
            Some(digest)
        }
    };
    Ok(given)
}

fn key_of(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).map_err(|error| format!("{text} is no verifier key: {error}"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let length = fs::metadata(path).map_err(|error| named(path, &error))?.len();
    if length > MAX_INPUT {
        return Err(format!("{} is too large", path.display()));
    }
    fs::read(path).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
