//! Starts the program's stand-in broker and its runs, for tests that look at the program from outside.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The program.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_millrace-bench"))
}

/// A running stand-in; ends with this value.
pub struct Stub {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Stub {
    /// Starts one with the given flags.
    pub fn start(flags: &[&str]) -> Self {
        let mut child = program()
            .args(["stub", "--listen", "127.0.0.1:0", "--duration", "60s"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("says where it listens");
        let address = line.trim().rsplit(' ').next().expect("an address").to_owned();
        Self { child, address }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.child.kill().expect("runs until here");
        self.child.wait().expect("ends");
    }
}

/// A directory that goes away with this value.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("millrace-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("can be made");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Runs the program to its end.
pub fn output(args: &[&str]) -> Output {
    program().args(args).output().expect("starts")
}

/// What the program wrote to standard output and standard error.
pub fn words(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A run's `result.json`.
pub fn result(directory: &Path) -> serde_json::Value {
    let bytes = std::fs::read(directory.join("result.json")).expect("is written");
    serde_json::from_slice(&bytes).expect("is JSON")
}

/// A run against `address` with further flags; its result.
pub fn run(name: &str, address: &str, flags: &[&str]) -> serde_json::Value {
    let scratch = Scratch::new(name);
    let directory = scratch.0.to_str().expect("is text").to_owned();
    let mut args = vec!["run", "--bootstrap", address, "--out", &directory];
    args.extend(flags);
    let output = output(&args);
    assert!(output.status.success(), "{}", words(&output));
    result(&scratch.0)
}
