//! Comparisons that end early keep the pairs that are whole, and say so.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use support::{Scratch, Stub, output, program, result, run, words};

/// A comparison of two targets with pairs of about two seconds, and where its results go.
fn begin(name: &str, (a, b): (&str, &str), flags: &[&str]) -> (Child, Scratch) {
    let scratch = Scratch::new(name);
    let child = program()
        .args(["compare", a, b, "--pairs", "5", "--rate", "200", "--consumers", "0"])
        .args(["--warmup", "0s", "--duration", "1s", "--settle", "0s", "--timeout", "2s"])
        .args(flags)
        .arg("--out")
        .arg(&scratch.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    (child, scratch)
}

/// Waits until the comparison says `text`, then interrupts it. What it said after that.
fn interrupt_at(child: &mut Child, text: &str) -> String {
    let mut lines =
        BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(text)), "it never said {text}");
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("kill starts").success());
    lines.collect::<Vec<_>>().join("\n")
}

/// How it ended, and what it complained of.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn an_interrupt_keeps_whole_pairs() {
    let (a, b) = (Stub::start(&[]), Stub::start(&["--delay", "5ms"]));
    let (mut child, scratch) = begin("compare-interrupt", (&a.address, &b.address), &[]);
    let said = interrupt_at(&mut child, "pair 3 of 5");
    let (code, complaints) = end(child);
    assert_eq!(code, Some(4), "{said}{complaints}");
    let comparison = result(&scratch.0);
    assert_eq!(comparison["partial"], "interrupted");
    assert_eq!(comparison["pairs"], 2);
    assert!(said.contains("ended early, after 2 of 5 pairs: interrupted"), "{said}");
    let verdict = &comparison["verdict"]["produce.latency_us.p50"];
    assert!(verdict["ratio"].as_f64().is_some_and(|ratio| ratio < 1.0), "{verdict}");
    assert!(verdict["low"].is_number() && verdict["high"].is_number(), "{verdict}");
    for side in ["a", "b"] {
        assert_eq!(comparison[side]["runs"].as_array().map(Vec::len), Some(2));
        let run = result(&scratch.0.join(side));
        assert_eq!(run["produce"]["latency_us"]["count"], 400, "both runs of side {side}");
    }
    let page = std::fs::read_to_string(scratch.0.join("report.html")).expect("is written");
    assert!(page.contains("after 2 of 5 pairs"));
}

#[test]
fn an_interrupt_before_the_first_pair_has_nothing_to_keep() {
    let (a, b) = (Stub::start(&[]), Stub::start(&[]));
    for (flags, at) in [(&["--settle", "5s"][..], "settling"), (&[], "pair 1 of 5")] {
        let (mut child, scratch) = begin("compare-nothing", (&a.address, &b.address), flags);
        interrupt_at(&mut child, at);
        let (code, complaints) = end(child);
        assert_eq!(code, Some(4), "{complaints}");
        assert!(complaints.contains("nothing to save: interrupted"), "{complaints}");
        assert!(!scratch.0.join("result.json").exists());
    }
}

#[test]
fn a_target_that_goes_away_ends_the_comparison_with_what_there_is() {
    let (a, b) = (Stub::start(&[]), Stub::start(&["--duration", "6s"]));
    let (child, scratch) = begin("compare-away", (&a.address, &b.address), &[]);
    let (code, complaints) = end(child);
    assert_eq!(code, Some(4), "{complaints}");
    let comparison = result(&scratch.0);
    let why = comparison["partial"].as_str().expect("says why");
    assert!(why.contains(&b.address), "{why}");
    let pairs = comparison["pairs"].as_u64().expect("a number");
    assert!((1..5).contains(&pairs), "{pairs} pairs");
}

#[test]
fn a_whole_comparison_is_not_partial_and_its_sides_are_runs() {
    let (a, b) = (Stub::start(&[]), Stub::start(&[]));
    let scratch = Scratch::new("compare-whole");
    let load = ["--rate", "200", "--consumers", "0", "--warmup", "0s", "--duration", "1s"];
    let directory = scratch.0.to_str().expect("text");
    let rest = ["--pairs", "2", "--settle", "0s", "--out", directory];
    let done = output(&[&["compare", &a.address, &b.address][..], &load, &rest].concat());
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    let comparison = result(&scratch.0);
    assert_eq!(comparison["partial"], serde_json::Value::Null);
    assert_eq!(comparison["pairs"], 2);
    let names = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    let alone = run("compare-alone", &a.address, &load);
    for side in ["a", "b"] {
        assert_eq!(names(&result(&scratch.0.join(side))), names(&alone), "side {side}");
    }
}

#[test]
fn one_cluster_under_two_addresses_is_told() {
    let stub = Stub::start(&[]);
    let other = stub.address.replace("127.0.0.1", "localhost");
    let (mut child, scratch) = begin("compare-same", (&stub.address, &other), &[]);
    let said = interrupt_at(&mut child, "pair 3 of 5");
    let (code, complaints) = end(child);
    assert_eq!(code, Some(4), "{said}{complaints}");
    let told = "A and B both say that they are cluster";
    assert_eq!(complaints.matches(told).count(), 1, "{complaints}");
    assert!(said.contains(told), "{said}");
    let remarks = result(&scratch.0)["remarks"].to_string();
    assert!(remarks.contains(told), "{remarks}");
}
