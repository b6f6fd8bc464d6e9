//! What the program says and how it ends when things are not as they should be.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::Duration;

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
        (&["run", "--bootstrap", "h:1", "--budget", "p99=5"], "Say 5ms"),
        (
            &["run", "--bootstrap", "h:1", "--consumers", "0", "--budget", "e2e-p99=5ms"],
            "--consumers 0",
        ),
        (
            &["knee", "--bootstrap", "h:1", "--consumers", "0", "--budget", "e2e-p99=5ms"],
            "--consumers 0",
        ),
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
    assert!(words(&output).contains("no answer in time (10 s)"), "{}", words(&output));
}

#[test]
fn an_interrupt_while_nobody_answers_ends_the_program() {
    for command in [&["run"][..], &["verify"], &["knee", "--budget", "p99=5ms"]] {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let child = program()
            .args(command)
            .args(["--bootstrap", &silent.local_addr().expect("an address").to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let (mut asked, _) = silent.accept().expect("it connects");
        asked.read_exact(&mut [0; 4]).expect("it asks");
        let output = interrupt(child);
        assert_eq!(output.status.code(), Some(4), "{}", words(&output));
        assert!(words(&output).contains("interrupted before it answered"), "{}", words(&output));
    }
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
    let greeting = listener(|mut stream| {
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").ok();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let alerting = listener(|mut stream| {
        stream.read_exact(&mut [0; 4]).ok();
        stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).ok();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let unused = {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        port.local_addr().expect("an address").to_string()
    };
    for (address, reason) in [
        (closing.as_str(), "closed the connection"),
        (garbling.as_str(), "it speaks no Kafka but something that begins with `HTTP`"),
        (greeting.as_str(), "begins with `SSH-`"),
        (alerting.as_str(), "it speaks no Kafka but TLS"),
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
    for (budget, status) in [("p50=1s", 0), ("p50=1ms", 6), ("errors=0", 0), ("rate=1M", 6)] {
        let flags = ["--rate", "100", "--consumers", "0", "--budget", budget];
        let output = output(&[&base[..], &flags].concat());
        assert_eq!(output.status.code(), Some(status), "{budget}: {}", words(&output));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process is held still in real time")]
fn a_generator_that_was_the_limit_is_an_exit_status() {
    let stub = Stub::start(&[]);
    let mut child = program()
        .args(["run", "--bootstrap", &stub.address, "--rate", "1k", "--consumers", "0", "--strict"])
        .args(["--warmup", "0s", "--duration", "5s"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    lines.next().expect("a line after the first second").expect("is text");
    let pid = child.id().to_string();
    for signal in ["-STOP", "-CONT"] {
        let told = std::process::Command::new("kill").args([signal, &pid]).status();
        assert!(told.expect("kill starts").success());
        // What is due meanwhile goes out late, and the target has nothing to do with it.
        thread::sleep(Duration::from_millis(800));
    }
    let said: Vec<_> = lines.map_while(Result::ok).collect();
    let status = child.wait().expect("ends");
    assert_eq!(status.code(), Some(3), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("the generator was the limit")), "{said:#?}");
}

#[test]
fn an_interrupted_floor_says_so() {
    let scratch = Scratch::new("floor-interrupt");
    let child = program()
        .args(["floor", "--duration", "60s", "--dir"])
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .current_dir(&scratch.0)
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let output = interrupt(child);
    assert_eq!(output.status.code(), Some(4), "{}", words(&output));
    assert!(words(&output).contains("interrupted"), "{}", words(&output));
}

/// Interrupts a program as soon as it would notice, and waits for its end.
fn interrupt(mut child: Child) -> Output {
    let pid = child.id().to_string();
    let caught = || std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(catches_int);
    while !caught() {
        assert!(child.try_wait().expect("can be asked").is_none(), "it has ended");
        std::thread::yield_now();
    }
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("kill starts").success());
    child.wait_with_output().expect("ends")
}

/// Whether the status of a process says that it catches SIGINT.
fn catches_int(status: String) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let signals = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    signals.is_some_and(|signals| signals & (1 << (2 - 1)) != 0)
}

#[test]
fn a_result_takes_the_place_of_an_earlier_one() {
    let stub = Stub::start(&[]);
    let scratch = Scratch::new("replaced");
    let directory = scratch.0.to_str().expect("is text");
    let load = ["--rate", "200", "--duration", "1s", "--warmup", "0s", "--out", directory];
    let files = || {
        let mut names: Vec<_> = std::fs::read_dir(&scratch.0)
            .expect("is there")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    };
    let compare = ["compare", &stub.address, &stub.address, "--pairs", "2", "--settle", "0s"];
    let run = ["run", "--bootstrap", &stub.address];
    let of_run = ["latency.hlog", "mine.txt", "report.html", "result.json", "seconds.csv"];
    let of_comparison = ["a", "b", "mine.txt", "pairs.csv", "report.html", "result.json"];
    std::fs::write(scratch.0.join("mine.txt"), "mine").expect("is written");
    for (command, left, says) in
        [(&run[..], &of_run[..], false), (&compare, &of_comparison, true), (&run, &of_run, true)]
    {
        let output = output(&[command, &load].concat());
        assert!(output.status.success(), "{}", words(&output));
        assert_eq!(words(&output).contains("has an earlier result"), says, "{}", words(&output));
        assert_eq!(files(), left);
    }
    let file = scratch.0.join("mine.txt");
    let file = file.to_str().expect("is text");
    let output = output(&[&run[..], &load[..6], &["--out", file]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("it is there and not a directory"), "{}", words(&output));
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
