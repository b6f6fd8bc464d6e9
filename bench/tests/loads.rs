//! Loads with everything that flags and files can say of them, and a broker that the program starts for one.

#[path = "support/broker.rs"]
mod broker;
mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::{Scratch, Stub, program, result};

#[test]
fn ctrl_c_is_for_the_program_and_not_for_its_broker() {
    broker::build();
    let data =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ctrl-c-{}", std::process::id()));
    let scratch = Scratch::new("ctrl-c");
    let mut child = program()
        .args(["run", "--millrace", "--rate", "200", "--warmup", "0s", "--duration", "60s"])
        .arg("--data-dir")
        .arg(&data)
        .arg("--out")
        .arg(&scratch.0)
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("starts");
    let mut lines =
        BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("measured")), "it has run for a second");
    // As a terminal does: the whole group.
    let group = format!("-{}", child.id());
    let killed = Command::new("kill").args(["-INT", "--", &group]).status();
    assert!(killed.expect("kill starts").success());
    assert_eq!(child.wait().expect("ends").code(), Some(4), "{:?}", lines.collect::<Vec<_>>());
    let result = result(&scratch.0);
    assert_eq!(result["partial"], "interrupted");
    assert_eq!((&result["errors"], &result["unanswered"]), (&0.into(), &0.into()));
    let left = std::fs::read_dir(&data).map(Iterator::count).unwrap_or(0);
    std::fs::remove_dir_all(&data).ok();
    assert_eq!(left, 0, "the broker's data is removed");
}

#[test]
fn a_workload_of_the_openmessaging_benchmark_runs_as_it_is() {
    let scratch = Scratch::new("openmessaging");
    let file = scratch.0.join("workload.yaml");
    let text = "name: 2 topics, 2 partitions, 1 kb\n\ntopics: 2\npartitionsPerTopic: 2\nmessageSize: 1024\nuseRandomizedPayloads: true\nrandomBytesRatio: 0.5\nrandomizedPayloadPoolSize: 1000\nkeyDistributor: \"KEY_ROUND_ROBIN\"\npayloadFile: \"payload/payload-1Kb.data\"\nsubscriptionsPerTopic: 1\nconsumerPerSubscription: 1\nproducersPerTopic: 1\nproducerRate: 500\nconsumerBacklogSizeGB: 0\ntestDurationMinutes: 0.05\nwarmupDurationMinutes: 0.01\n";
    std::fs::write(&file, text).expect("is written");
    let flags = ["--workload", file.to_str().expect("text")];
    let (result, text) = broker::run("openmessaging", &flags);
    let workload = &result["workload"];
    let said = [&workload["partitions"], &workload["producers"], &workload["consumers"]];
    assert_eq!(said, [4, 2, 2], "{workload}");
    assert_eq!((&workload["groups"], &workload["keys"]), (&1.into(), &"uniform:1000000".into()));
    let count = result["produce"]["latency_us"]["count"].as_u64().expect("a count");
    assert!((1_498..=1_502).contains(&count), "{text}");
    assert_eq!(result["end_to_end"]["latency_us"]["count"], count, "{text}");
}

#[test]
fn ramps_and_steps_are_phases_with_their_own_records() {
    let stub = Stub::start(&[]);
    let base = ["--warmup", "0s", "--consumers", "0"];
    let phases = |name: &str, flags: &[&str]| -> Vec<u64> {
        let result = support::run(name, &stub.address, &[&base[..], flags].concat());
        let phases = result["phases"].as_array().expect("a list");
        phases.iter().map(|phase| phase["acked_records"].as_u64().expect("a count")).collect()
    };
    assert_eq!(phases("steps", &["--step", "200:1s", "--step", "600:500ms"]), [200, 300]);
    let ramp = phases("ramp", &["--ramp", "100..2000", "--duration", "2s"]);
    assert_eq!(ramp.len(), 20);
    // The first tenth of a second at 100 records a second, the last at 2,000.
    assert_eq!((ramp.first(), ramp.last()), (Some(&10), Some(&200)), "{ramp:?}");
    assert!(ramp.is_sorted(), "{ramp:?}");
}

#[test]
fn small_batches_have_the_sizes_that_were_asked_for() {
    let stub = Stub::start(&[]);
    let base = ["--rate", "1k", "--duration", "2s", "--warmup", "0s", "--consumers", "0"];
    for (name, mix, flags, mean) in [
        ("sizes-mixed", "100:50,1KiB:50", &[][..], 562.0),
        ("sizes-range", "200..1000", &[], 600.0),
        ("sizes-keyed", "100:50,1KiB:50", &["--keys", "zipf:1k"], 562.0),
    ] {
        let mix = ["--record-size", mix];
        let result = support::run(name, &stub.address, &[&base[..], &mix, flags].concat());
        let produce = &result["produce"];
        let figure = |name: &str| produce[name].as_f64().expect("a number");
        let found = figure("bytes_per_s") / figure("records_per_s");
        // Of two thousand records, six standard deviations are a tenth.
        assert!((found / mean - 1.0).abs() < 0.1, "{found} bytes a record, not {mean}: {produce}");
    }
}
