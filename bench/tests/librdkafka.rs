//! The same loads through both clients, against the broker of this workspace: as many records, and no errors.

#[path = "support/broker.rs"]
mod broker;
mod support;

use serde_json::Value;
use support::{Scratch, Stub, output, result, words};

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// A load of both clients; what must hold of any: nothing went wrong, and who made it is told.
fn both(name: &str, flags: &[&str], check: impl Fn(&str, &Value)) {
    for client in ["own", "librdkafka"] {
        let client_flags = ["--client", client, "--duration", "2s", "--warmup", "1s"];
        let (result, text) =
            broker::run(&format!("{name}-{client}"), &[&client_flags[..], flags].concat());
        assert_eq!(result["errors"], 0, "{client}: {text}");
        assert_eq!(result["partial"], Value::Null, "{client}: {text}");
        assert_eq!(result["unanswered"], 0, "{client}: {text}");
        assert_eq!(result["workload"]["client"], client);
        let told = result["client"]["name"].as_str().expect("a name");
        assert!(told.starts_with(&format!("{client} ")) && text.contains(told), "{told}: {text}");
        check(client, &result);
    }
}

#[test]
fn an_open_loop_sends_every_record_that_is_due_and_reads_it_back() {
    let flags = ["--rate", "2k", "--record-size", "200", "--partitions", "4", "--producers", "2"];
    both(
        "open",
        &[&flags[..], &["--consumers", "2", "--linger", "2ms"]].concat(),
        |client, result| {
            // Two seconds of two thousand; an edge of the window may fall on either side of a record.
            let due = number(&result["produce"]["latency_us"]["count"]);
            assert!((3_998..=4_002).contains(&due), "{client}: {due} records");
            assert_eq!(result["end_to_end"]["latency_us"]["count"], due, "{client}: {result}");
            assert_eq!(
                result["produce"]["service_us"]["count"].as_u64().map(|n| n > 3_900),
                Some(true)
            );
            let requests = number(&result["produce"]["requests"]);
            assert!((1..=4_100).contains(&requests), "{client}: {requests} requests");
            assert!(number(&result["consume"]["requests"]) > 0, "{client}: {result}");
            let batches = result["produce"]["batch_bytes_per_s"].is_null();
            assert_eq!(batches, client == "librdkafka", "what is not known is null");
        },
    );
}

#[test]
fn a_closed_loop_is_one_and_says_so() {
    let flags = ["--rate", "max", "--batch-size", "16KiB", "--in-flight", "2", "--consumers", "1"];
    both("closed", &flags, |client, result| {
        assert_eq!(result["workload"]["pace"], "closed");
        assert!(result["remarks"].to_string().contains("closed loop"), "{client}");
        assert!(number(&result["produce"]["records"]) > 100, "{client}: {result}");
        assert!(number(&result["consume"]["records"]) > 100, "{client}: {result}");
    });
}

#[test]
fn keys_compression_idempotence_and_groups() {
    let flags = ["--rate", "1k", "--keys", "zipf:1k", "--compression", "lz4", "--idempotent"];
    let groups =
        ["--partitions", "4", "--groups", "2", "--consumers", "2", "--record-size", "100..300"];
    both("groups", &[&flags[..], &groups, &["--linger", "5ms"]].concat(), |client, result| {
        let due = number(&result["produce"]["latency_us"]["count"]);
        assert!((1_998..=2_002).contains(&due), "{client}: {due} records");
        // Each group reads everything.
        assert_eq!(result["end_to_end"]["latency_us"]["count"], 2 * due, "{client}: {result}");
    });
}

#[test]
fn values_without_room_for_a_stamp_are_followed_by_offset() {
    both(
        "small",
        &["--rate", "500", "--record-size", "10", "--partitions", "3"],
        |client, result| {
            let due = number(&result["produce"]["latency_us"]["count"]);
            assert_eq!(result["end_to_end"]["latency_us"]["count"], due, "{client}: {result}");
        },
    );
}

#[test]
fn a_window_is_read_over_and_over() {
    let flags = ["--producers", "0", "--prefill", "4MiB", "--read", "window:256KiB"];
    both(
        "window",
        &[&flags[..], &["--consumers", "1", "--consume-rate", "2MiB/s"]].concat(),
        |client, result| {
            let read = number(&result["consume"]["records"]);
            // Up to 2 MiB/s of 1 KiB for two seconds. librdkafka waits for its last fetch before it seeks.
            assert!((513..=8_000).contains(&read), "{client}: {read} records of a window of 256");
            assert_eq!(result["produce"], Value::Null);
        },
    );
}

#[test]
fn a_target_that_goes_away_leaves_a_partial_result() {
    let stub = Stub::start(&["--duration", "3s"]);
    let scratch = Scratch::new("rdkafka-goes-away");
    let out = scratch.0.to_str().expect("text");
    let base = ["run", "--bootstrap", &stub.address, "--client", "librdkafka", "--rate", "200"];
    let flags = ["--duration", "20s", "--warmup", "0s", "--consumers", "0", "--out", out];
    let output = output(&[&base[..], &flags, &["--timeout", "5s"]].concat());
    assert_eq!(output.status.code(), Some(4), "{}", words(&output));
    let result = result(&scratch.0);
    assert!(result["partial"].as_str().is_some_and(|why| why.contains("broker")), "{result}");
    assert!(number(&result["produce"]["latency_us"]["count"]) > 50);
}

#[test]
fn what_it_cannot_do_is_refused() {
    for (flag, value, reason) in
        [("--compression", "zstd", "without zstd"), ("--linger", "20m", "linger.ms")]
    {
        let stub = Stub::start(&[]);
        let output = output(&[
            "run",
            "--bootstrap",
            &stub.address,
            "--client",
            "librdkafka",
            "--duration",
            "1s",
            flag,
            value,
        ]);
        assert!(!output.status.success(), "{flag}: {}", words(&output));
        assert!(words(&output).contains(reason), "{flag}: {}", words(&output));
    }
}

#[test]
fn no_latency_is_below_a_known_delay() {
    let stub = Stub::start(&["--delay", "20ms"]);
    let flags = ["--client", "librdkafka", "--rate", "500", "--duration", "2s", "--warmup", "1s"];
    let result =
        support::run("rdkafka-delay", &stub.address, &[&flags[..], &["--consumers", "0"]].concat());
    for latency in [&result["produce"]["latency_us"], &result["produce"]["service_us"]] {
        let least = latency["min"].as_f64().expect("a number");
        assert!((20_000.0 * 0.99..40_000.0).contains(&least), "{latency}");
    }
    assert_eq!(result["errors"], 0, "{result}");
}
