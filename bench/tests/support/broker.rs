//! Runs against the broker of this workspace, for tests that need a real one.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{Scratch, output, result, words};

/// Builds the broker beside the program under test: Cargo builds only the programs of this package by itself.
/// Asked for in the way in which the suite builds everything (for a test of the broker's package, which needs the
/// program), so that there is nothing left to do then: other packages choose features of common dependencies.
pub fn build() {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_millrace-bench"));
    let profile = program.parent().and_then(|dir| dir.file_name()).expect("a profile's directory");
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "test",
        "--quiet",
        "--locked",
        "--workspace",
        "--no-run",
        "--test",
        "configuration",
    ]);
    if profile != "debug" {
        command.arg("--profile").arg(profile);
    }
    if cfg!(feature = "librdkafka") {
        command.args(["--features", "millrace-bench/librdkafka"]);
    }
    let built = command.status();
    assert!(built.expect("cargo starts").success(), "the broker cannot be built");
}

/// A run against a broker of its own with two shards; its result and what it printed.
pub fn run(name: &str, flags: &[&str]) -> (Value, String) {
    build();
    // On the disk of the build: memory knows no direct I/O.
    let data =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let scratch = Scratch::new(name);
    let mut args = vec!["run", "--millrace", "--data-dir", data.to_str().expect("text")];
    args.extend(["--millrace-set", "millrace.journal.bytes=16777216", "--millrace-set"]);
    args.extend(["millrace.shards=2", "--out", scratch.0.to_str().expect("text")]);
    args.extend(flags);
    let done = output(&args);
    std::fs::remove_dir_all(&data).ok();
    assert!(done.status.success(), "{}", words(&done));
    (result(&scratch.0), words(&done))
}
