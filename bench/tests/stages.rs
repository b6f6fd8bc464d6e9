//! Stage times against the broker of this workspace: that they are there, that they add up, and that a run says what
//! is missing where they are not.

#[path = "support/broker.rs"]
mod broker;
mod support;

use broker::run;
use serde_json::Value;

/// Stages in order.
const STAGES: [&str; 5] = ["queued", "admitted", "journaled", "flushed", "answered"];
/// How wrong a percentile may be: the width of a bucket.
const BUCKET: f64 = 1.0 / 32.0;

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn stages_are_there_and_add_up() {
    let flags = ["--rate", "2k", "--duration", "2s", "--warmup", "500ms", "--batch-size", "1KiB"];
    let (result, text) = run("stages-full", &[&flags[..], &["--partitions", "4"]].concat());
    let stages = &result["stages"];
    let produced = float(&result["produce"]["requests"]);
    let requests = float(&stages["requests"]);
    // Both ends of the window are seen a moment late.
    assert!((requests - produced).abs() <= 0.1 * produced, "{requests} of {produced} requests");
    let names: Vec<&str> = stages["by_stage"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|stage| stage["stage"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, STAGES);

    let of_stage = |index: usize, figure: &str| float(&stages["by_stage"][index]["us"][figure]);
    let total = |figure: &str| float(&stages["total_us"][figure]);
    let sum: f64 = (0..STAGES.len()).map(|index| of_stage(index, "mean")).sum();
    // Means are exact but for their rounding.
    assert!((sum - total("mean")).abs() <= 0.5 + 0.001 * sum, "{sum} is not {}", total("mean"));
    for figure in ["p50", "p99", "p999"] {
        for (index, name) in STAGES.iter().enumerate() {
            // No part is longer than the whole, in any quantile.
            let most = total(figure) * (1.0 + BUCKET) + 0.1;
            assert!(of_stage(index, figure) <= most, "{figure} of {name}: {stages}");
        }
    }
    // The broker's part is within what the client sees, which has both socket buffers in it.
    let service = float(&result["produce"]["service_us"]["p50"]);
    assert!(total("p50") <= service * (1.0 + BUCKET), "{} in {service}", total("p50"));

    let slowest = stages["slowest"].as_array().expect("a list");
    assert_eq!(slowest.len(), 32);
    for slow in slowest {
        let parts: f64 = STAGES.iter().map(|name| float(&slow["by_stage_us"][name])).sum();
        assert!((parts - float(&slow["total_us"])).abs() <= 0.5, "{slow}");
        assert!((0.0..=2.5).contains(&float(&slow["at_s"])), "{slow}");
    }
    let at_p999 = float(&slowest[0]["total_us"]);
    assert!(at_p999 >= total("p999") * (1.0 - BUCKET), "{at_p999} is the slowest");
    let shares: f64 =
        stages["p999"]["shares"].as_object().expect("an object").values().map(float).sum();
    assert!((shares - 1.0).abs() < 0.01, "{stages}");
    assert!(text.contains("p99.9") && text.contains("is made of: "), "{text}");
    assert!(text.contains("inside the broker"), "{text}");
    fetches_add_up(&result);
    assert!(text.contains("fetch requests by stage") && text.contains("read_tail"), "{text}");
}

/// A consumer that follows reads from memory, and what it waits for is in no stage.
fn fetches_add_up(result: &Value) {
    let stages = &result["fetch_stages"];
    let (requests, fetched) = (float(&stages["requests"]), float(&result["consume"]["requests"]));
    assert!((requests - fetched).abs() <= 0.1 * fetched, "{requests} of {fetched} fetches");
    let of_stage = |name: &str| -> Option<(f64, f64)> {
        let by_stage = stages["by_stage"].as_array().expect("a list");
        let stage = by_stage.iter().find(|stage| stage["stage"] == name)?;
        Some((float(&stage["requests"]), float(&stage["us"]["mean"])))
    };
    let (queued, tail) = (of_stage("queued"), of_stage("read_tail"));
    let answered = of_stage("answered").expect("all are answered");
    assert_eq!((queued.map(|it| it.0), answered.0), (Some(requests), requests), "{stages}");
    assert_eq!((tail.map(|it| it.0), of_stage("read_cold")), (Some(requests), None), "{stages}");
    let sum: f64 = queued.iter().chain(&tail).map(|it| it.1).sum::<f64>() + answered.1;
    let total = float(&stages["total_us"]["mean"]);
    assert!((sum - total).abs() <= 0.5 + 0.001 * sum, "{sum} is not {total}");
    let waited = &stages["waited"];
    assert!((1.0..=requests).contains(&float(&waited["requests"])), "{stages}");
    assert!(float(&waited["us"]["p50"]) > 0.0, "{stages}");
}

#[test]
fn a_port_that_is_off_is_a_note() {
    let off = ["--millrace-set", "millrace.admin.listener="];
    let flags = ["--rate", "500", "--duration", "1s", "--warmup", "0s"];
    let (result, text) = run("stages-off", &[&off[..], &flags].concat());
    assert_eq!((&result["stages"], &result["fetch_stages"]), (&Value::Null, &Value::Null));
    let remarks = result["remarks"].to_string();
    assert!(remarks.contains("no stage times") && remarks.contains("127.0.0.1:9644"), "{remarks}");
    assert!(text.contains("note: no stage times"), "{text}");
    assert!(!text.contains("inside the broker"), "{text}");
}

#[test]
fn other_brokers_lack_the_section() {
    let stub = support::Stub::start(&[]);
    let flags = ["--rate", "500", "--duration", "1s", "--warmup", "0s"];
    let result = support::run("stages-stub", &stub.address, &flags);
    assert_eq!((&result["stages"], &result["fetch_stages"]), (&Value::Null, &Value::Null));
    assert!(!result["remarks"].to_string().contains("stage"), "{}", result["remarks"]);
}
