//! Runs the program.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The exit codes, as the help text has them.
pub const DONE: i32 = 0;
pub const USAGE: i32 = 2;
pub const NOT_FOUND: i32 = 3;
pub const REFUSED: i32 = 4;
pub const STORE_UNAVAILABLE: i32 = 5;
pub const DIFFERENCES: i32 = 6;
pub const INCOMPLETE: i32 = 7;
pub const UNKNOWN_KEY: i32 = 8;

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// What it said, if it went well.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, DONE, "{self:?}");
        self.out
    }

    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.done()).expect("the answer is JSON")
    }

    /// The lines of NDJSON that it printed.
    #[track_caller]
    pub fn lines(self) -> Vec<Value> {
        let out = self.done();
        out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// That it failed so, and said why.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert!(!self.err.is_empty(), "it failed without a word");
        self.err
    }
}

/// The program, to be run with these arguments and no settings from outside.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
    command.args(arguments).env_clear().env("USER", "ada").stdin(Stdio::null());
    command
}

pub fn run(arguments: &[&str]) -> Ended {
    ended(&mut program(arguments))
}

pub fn run_with_input(arguments: &[&str], input: &str) -> Ended {
    let mut command = program(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    of(&child.wait_with_output().unwrap())
}

fn ended(command: &mut Command) -> Ended {
    of(&command.output().unwrap())
}

pub fn of(output: &std::process::Output) -> Ended {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// A folder with an embedded store and its master key.
pub struct Data {
    folder: TempDir,
}

impl Data {
    pub fn new() -> Self {
        let data = Self::without_store();
        data.run(&["migrate"]).done();
        data
    }

    /// The master key alone.
    pub fn without_store() -> Self {
        let data = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(data.path().join("master.key"), "0f".repeat(32)).unwrap();
        data
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(&self.with_data(arguments))
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        run_with_input(&self.with_data(arguments), input)
    }

    pub fn with_data<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let folder = self.path().to_str().unwrap();
        arguments.iter().copied().chain(["--data", folder]).collect()
    }

    /// All events of the log.
    pub fn events(&self) -> Vec<Value> {
        self.run(&["events"]).lines()
    }

    /// Does this text stand in any file of the folder but the master key's?
    pub fn holds(&self, text: &str) -> bool {
        std::fs::read_dir(self.path()).unwrap().any(|entry| {
            let entry = entry.unwrap();
            if entry.file_name() == "master.key" || !entry.file_type().unwrap().is_file() {
                return false;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}
