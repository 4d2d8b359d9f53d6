//! A machine that a process runs on, and what is wrong with it (`machine.c`).

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The places in the file that both share.
const CLOCK_MS: u64 = 0;
const FULL: u64 = 8;
const SYNC_DELAY_MS: u64 = 16;
const BROKEN: u64 = 24;
const STRUCK: u64 = 32;

/// Compiles what is loaded into processes; gives where it is.
pub fn library(folder: &Path) -> PathBuf {
    let library = folder.join("machine.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/machine.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
    let output = compiler.output().expect("a C compiler, which building the server needs as well");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

pub struct Machine {
    library: PathBuf,
    path: PathBuf,
    file: File,
}

impl Machine {
    pub fn healthy(library: &Path, path: PathBuf) -> Self {
        let mut options = OpenOptions::new();
        let file = options.create_new(true).read(true).write(true).open(&path).unwrap();
        file.set_len(40).unwrap();
        // PostgreSQL may run as somebody else.
        file.set_permissions(Permissions::from_mode(0o666)).unwrap();
        Self { library: library.to_owned(), path, file }
    }

    /// What a process on this machine has in its environment.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("TORTURE_MACHINE", &self.path)]
    }

    pub fn move_clock(&self, by_ms: i64) {
        self.set(CLOCK_MS, by_ms);
    }

    pub fn fill_disk(&self, full: bool) {
        self.set(FULL, full.into());
    }

    pub fn slow_disk(&self, delay_ms: u64) {
        self.set(SYNC_DELAY_MS, i64::try_from(delay_ms).unwrap());
    }

    pub fn break_disk(&self, broken: bool) {
        self.set(BROKEN, broken.into());
    }

    /// How often something was wrong when a process asked for it.
    pub fn struck(&self) -> i64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, STRUCK).unwrap();
        i64::from_ne_bytes(bytes)
    }

    fn set(&self, place: u64, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), place).unwrap();
    }
}
