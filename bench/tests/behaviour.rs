//! What the program says and how it ends when things are not as they should be.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use support::{Scratch, Stub, output, program, result, words};

/// A listener on which every connection is treated by `treat`, in a thread of its own that ends with the test.
fn listener(treat: fn(std::net::TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::Builder::new()
        .spawn(move || listener.incoming().flatten().for_each(treat))
        .expect("a thread");
    address
}

#[test]
fn wrong_command_lines_are_refused_with_a_reason() {
    for (args, reason) in [
        (&["run", "--bootstrap", "h:1", "--colour", "red"][..], "--colour"),
        (&["run"], "which broker?"),
        (&["run", "--bootstrap", "h:1", "--rate", "fast"], "--rate"),
        (&["run", "--bootstrap", "h:1", "--idempotent", "--acks", "1"], "--acks all"),
        (&["run", "--bootstrap", "h:1", "--producers", "0", "--consumers", "0"], "nothing to do"),
        (&["run", "--bootstrap", "h:1", "--budget", "p98=1ms"], "p98"),
        (&["compare", "h:1"], "two targets"),
        (&["compare", "h:1", "nonsense"], "kafka:flush"),
        (&["compare", "millrace", "kafka:flsh"], "kafka:flush"),
        (&["compare", "millrace", "millrace", "--kafka"], "two targets, not 3"),
        (&["run", "--bootstrap", "h"], "HOST:PORT"),
        (&["run", "--bootstrap", ""], "HOST:PORT"),
        (&["run", "--bootstrap", "h:1", "--millrace"], "cannot be used with"),
        (&["run", "--bootstrap", "h:1", "--rate", "0"], "would never send"),
        (&["run", "--bootstrap", "h:1", "--ramp", "10k"], "FROM..TO"),
        (&["run", "--bootstrap", "h:1", "--step", "max:1s"], "--rate"),
        (&["run", "--bootstrap", "h:1", "--timeout", "0s"], "--timeout"),
        (&["run", "--bootstrap", "h:1", "--keys", "zipf:0"], "zipf:COUNT"),
        (&["run", "--bootstrap", "h:1", "--groups", "2", "--consumers", "0"], "--consumers"),
        (&["knee", "--bootstrap", "h:1"], "--budget"),
        (&["knee", "--bootstrap", "h:1", "--budget", "p99=1ms", "--from", "0"], "--from"),
        (&["verify", "--bootstrap", "h:1", "--kill-every", "1s"], "--kill-every"),
        (&["scenario", "nonsense"], "there are"),
        (&["verify", "--bootstrap", "h:1", "--check"], "--ledger"),
        (&["run", "--bootstrap", "h:1", "--workload", "/nowhere.toml"], "/nowhere.toml"),
        #[cfg(not(feature = "librdkafka"))]
        (&["run", "--bootstrap", "h:1", "--client", "librdkafka"], "--features librdkafka"),
        #[cfg(feature = "librdkafka")]
        (&["run", "--bootstrap", "h:1", "--client", "librdkafka", "--spin"], "--client own"),
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", words(&output));
        assert!(words(&output).contains(reason), "{args:?}: {}", words(&output));
        assert!(!words(&output).contains("panicked"), "{args:?}: {}", words(&output));
    }
}

#[test]
fn what_is_not_there_is_named() {
    let stub = Stub::start(&[]);
    let scratch = Scratch::new("named");
    let nowhere = scratch.0.join("nowhere");
    let nowhere = nowhere.to_str().expect("is text");
    let run = ["run", "--bootstrap", &stub.address, "--duration", "1s", "--warmup", "0s"];
    for (args, reason) in [
        (&["report", "/nowhere/result.json"][..], "cannot be read"),
        (&["floor", "--dir", nowhere], "is not a directory"),
        (&[&run[..], &["--floor", nowhere]].concat(), "is not a directory"),
        (&[&run[..], &["--broker-pid", "4194305"]].concat(), "no process 4194305"),
        (&[&run[..], &["--core", "999"]].concat(), "core"),
        (&["stub", "--listen", "192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
    ] {
        let output = output(args);
        assert!(!output.status.success(), "{args:?}: {}", words(&output));
        assert!(words(&output).contains(reason), "{args:?}: {}", words(&output));
    }
    assert!(!std::path::Path::new(nowhere).exists(), "a directory was made to measure it");
}

#[test]
fn a_target_that_never_answers_ends_the_run() {
    // The first connections are kept open, and nothing is ever written to them.
    let silent = listener(std::mem::forget);
    let output = output(&["run", "--bootstrap", &silent, "--duration", "1s"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("no answer in time"), "{}", words(&output));
}

#[test]
fn a_target_that_goes_away_leaves_a_partial_result() {
    for (flags, reason) in [
        (&["--duration", "3s"][..], "closed"),
        (&["--stall", "50s", "--stall-every", "51s"], "within"),
    ] {
        let stub = Stub::start(flags);
        let scratch = Scratch::new("goes-away");
        let directory = scratch.0.to_str().expect("is text");
        let output = output(&[
            "run",
            "--bootstrap",
            &stub.address,
            "--rate",
            "200",
            "--duration",
            "20s",
            "--warmup",
            "0s",
            "--consumers",
            "0",
            "--timeout",
            "2s",
            "--out",
            directory,
        ]);
        assert_eq!(output.status.code(), Some(4), "{}", words(&output));
        let result = result(&scratch.0);
        let partial = result["partial"].as_str().expect("says why");
        assert!(partial.contains(reason), "{partial}");
        assert!(result["produce"]["latency_us"]["count"].as_u64().expect("a number") > 50);
    }
}

#[test]
fn targets_that_are_no_brokers_are_told_apart() {
    let closing = listener(drop);
    let garbling = listener(|mut stream| {
        let mut request = [0; 64];
        if stream.read(&mut request).is_ok() {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        }
    });
    let unused = {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        port.local_addr().expect("an address").to_string()
    };
    for (address, reason) in [
        (closing.as_str(), "closed the connection"),
        (garbling.as_str(), "did not answer"),
        (unused.as_str(), "cannot connect"),
        ("nowhere.invalid:9092", "cannot resolve"),
    ] {
        let output = output(&["run", "--bootstrap", address, "--duration", "1s"]);
        assert_eq!(output.status.code(), Some(1), "{address}: {}", words(&output));
        assert!(words(&output).contains(reason), "{address}: {}", words(&output));
    }
}

#[test]
fn an_interrupt_saves_what_there_is() {
    let stub = Stub::start(&["--delay", "1ms"]);
    let scratch = Scratch::new("interrupt");
    let mut child = program()
        .args(["run", "--bootstrap", &stub.address, "--duration", "30s", "--warmup", "0s"])
        .args(["--rate", "100", "--consumers", "0", "--out"])
        .arg(&scratch.0)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    // The first line comes after the first second.
    let mut first = [0; 1];
    child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("a line");
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("kill starts").success());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(4), "{}", words(&output));
    let result = result(&scratch.0);
    assert_eq!(result["partial"], "interrupted");
    assert!(result["produce"]["latency_us"]["count"].as_u64().expect("a number") > 50);
}

#[test]
fn budgets_and_strictness_are_exit_statuses() {
    let stub = Stub::start(&["--delay", "20ms"]);
    let base = ["run", "--bootstrap", &stub.address, "--duration", "1s", "--warmup", "0s"];
    for (budget, status) in [("p50=1s", 0), ("p50=1ms", 6), ("e2e-p50=1s", 6), ("rate=1M", 6)] {
        let flags = ["--rate", "100", "--consumers", "0", "--budget", budget];
        let output = output(&[&base[..], &flags].concat());
        assert_eq!(output.status.code(), Some(status), "{budget}: {}", words(&output));
    }
}

#[test]
fn the_contract_of_result_json() {
    let stub = Stub::start(&[]);
    let result = support::run(
        "contract",
        &stub.address,
        &["--rate", "500", "--duration", "1s", "--record-size", "1KiB", "--warmup", "0s"],
    );
    for latency in [
        &result["produce"]["latency_us"],
        &result["produce"]["service_us"],
        &result["end_to_end"]["latency_us"],
    ] {
        for figure in ["p50", "p90", "p99", "p999", "p9999", "max", "mean", "count"] {
            assert!(latency[figure].is_number(), "{figure} in {latency}");
        }
    }
    for (object, field) in [
        ("produce", "records_per_s"),
        ("produce", "bytes_per_s"),
        ("consume", "bytes_per_s"),
        ("client", "cpu_s_per_gb"),
    ] {
        assert!(result[object][field].is_number(), "{object}.{field}");
    }
    for field in ["errors", "late_sends"] {
        assert!(result[field].is_u64(), "{field}");
    }
    assert!(result["broker"].as_object().expect("an object").contains_key("cpu_s_per_gb"));
    assert!(result["target"]["durability"]["acknowledged"].is_string());
    assert_eq!(result["schema"], 1);
}

#[test]
fn the_page_needs_nothing_else() {
    let stub = Stub::start(&[]);
    let scratch = Scratch::new("page");
    let directory = scratch.0.to_str().expect("is text");
    let run = output(&[
        "run",
        "--bootstrap",
        &stub.address,
        "--rate",
        "500",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--out",
        directory,
    ]);
    assert!(run.status.success(), "{}", words(&run));
    let again = scratch.0.join("again.html");
    let report = output(&["report", directory, directory, "--out", again.to_str().expect("text")]);
    assert!(report.status.success(), "{}", words(&report));
    for page in [scratch.0.join("report.html"), again] {
        let text = std::fs::read_to_string(&page).expect("is written");
        for loaded in ["src=", "href=", "@import", "url(", "fetch("] {
            assert!(!text.contains(loaded), "{} loads something: {loaded}", page.display());
        }
        assert!(text.contains("prefers-color-scheme: dark"));
    }
}

#[test]
fn verify_does_not_believe_a_broker_that_throws_records_away() {
    let stub = Stub::start(&[]);
    let flags = ["--topic", "t", "--records", "100", "--duration", "1s", "--patience", "1s"];
    let base = ["verify", "--bootstrap", &stub.address];
    let output = output(&[&base[..], &flags].concat());
    assert!(!output.status.success(), "{}", words(&output));
    assert!(!words(&output).contains("nothing is wrong"), "{}", words(&output));
}
