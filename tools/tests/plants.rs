//! What is built as a release is built has no planted faults, and knows of none.
#![cfg(not(feature = "plants"))]

use std::process::Command;

const TOOLS: &str = env!("CARGO_BIN_EXE_millrace-tools");

#[test]
fn without_the_feature_nothing_can_be_planted() {
    for argument in ["--plants", "--plant=skip-crc"] {
        let output = Command::new(TOOLS).args(["simulate", argument]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("unexpected argument '--plant"), "{error}");
        assert!(!output.status.success());
    }
}

#[test]
fn without_the_feature_no_fault_has_a_name() {
    let binary = std::fs::read(TOOLS).unwrap();
    let has = |text: &str| binary.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("cycles"), "names of options stand in the file as they are");
    for name in ["ack-before-flush", "replay-old-journal-entries", "drop-last-partial-block"] {
        assert!(!has(name), "{name}");
    }
}
