//! Opening a partition whose files are not what they were: on a simulated disk, with the journal's part.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::job::{JobSettings, Jobs};
use millrace_engine::journal::replay::Redo;
use millrace_engine::partition::Recovered;
use millrace_engine::shard::event::{DiskFailure, Event, Job, Open};
use millrace_engine::topic_config::TopicConfig;
use millrace_engine::types::{Offset, TopicPartition, Uuid};

use crate::files::{resealed_log, sample_log};
use crate::{Target, split_byte};

const DIR: &str = "/d/orders-0";
/// What stands in the directory, in the order of the input's parts.
const FILES: [&str; 6] = [
    "00000000000000000000.log",
    "00000000000000000000.index",
    "00000000000000000000.timeindex",
    "00000000000000000015.log",
    "00000000000000000015.snapshot",
    "leader-epoch-checkpoint",
];

/// A partition's directory.
pub const PARTITION: Target = Target {
    name: "partition",
    seeds,
    run: partition,
    // A shard's buffers and a simulated disk.
    memory_max: |input| 64 * 1024 * 1024 + 200 * input,
};

/// The parts of an input: a length of two bytes before each.
fn parts(mut input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (part, behind) = rest.split_at(length);
        parts.push(part);
        input = behind;
    }
    parts
}

/// What must be the same whenever a partition is opened again: where the log begins and ends, its segments
/// and its bytes.
fn outcome(recovered: &Recovered) -> (Offset, Offset, usize, u64) {
    let sealed = recovered.sealed.iter().map(|segment| segment.bytes).sum::<u64>();
    let (start, segments) = (recovered.log_start_offset, recovered.sealed.len());
    (start, end(recovered), segments, sealed + recovered.active.bytes())
}

/// No record gets an offset below this.
fn end(recovered: &Recovered) -> Offset {
    recovered.lost_end.unwrap_or(recovered.active.next_offset)
}

/// `point` is what a run before has noted as the end, if there was one.
async fn open(
    env: &SimEnv,
    was_clean: bool,
    redo: Vec<Redo>,
    point: Option<Offset>,
) -> Result<Recovered, DiskFailure> {
    let partition = TopicPartition { topic_id: Uuid(7), partition: 0 };
    let settings = JobSettings {
        cache_bytes: 16 << 20,
        shard: 0,
        log_dir: Arc::from(Path::new("/d")),
        is_flushed: true,
        was_clean,
        producer_expiration_ms: 86_400_000,
        recovery_points: Arc::new(point.map(|point| (partition, point)).into_iter().collect()),
    };
    let open = Open {
        partition,
        topic: Arc::from("orders"),
        dir: Arc::from(Path::new(DIR)),
        config: Arc::new(TopicConfig::default()),
        leader_epoch: 1,
        redo,
        log_start_offset: None,
        waypoint: None,
    };
    let events = RefCell::new(Vec::new());
    let jobs = Jobs::new(env.clone(), settings);
    jobs.run(Job::Open(Box::new(open)), &|event| events.borrow_mut().push(event)).await;
    match events.into_inner().pop() {
        Some(Event::Opened { result, .. }) => result.map(|recovered| *recovered),
        other => panic!("{other:?}"),
    }
}

fn partition(input: &[u8]) {
    let (first, input) = split_byte(input);
    let mut parts: Vec<Vec<u8>> = parts(input).into_iter().map(<[u8]>::to_vec).collect();
    if first & 1 == 0 {
        for log in [0, 3] {
            if let Some(part) = parts.get_mut(log) {
                *part = resealed_log(part);
            }
        }
    }
    let sim = Sim::new(1);
    let env = sim.env(0);
    let test = async move {
        let dir = Path::new(DIR);
        env.create_dir(dir).await.expect("a new directory");
        for (name, part) in FILES.iter().zip(&parts) {
            if !part.is_empty() {
                let bytes = Bytes::copy_from_slice(part);
                env.write_small(&dir.join(name), bytes).await.expect("a new file");
            }
        }
        let redo: Vec<Redo> = parts
            .iter()
            .skip(FILES.len())
            .map(|part| Redo {
                segment: if first & 4 == 0 { 0 } else { 15 },
                position: u64::from(first) * 16,
                bytes: Bytes::copy_from_slice(part),
            })
            .collect();
        let was_clean = first & 2 != 0 && redo.is_empty();
        if let Ok(recovered) = open(&env, was_clean, redo, None).await {
            let (before, point) = (outcome(&recovered), end(&recovered));
            drop(recovered);
            // Journals are not removed before recovery points say what they do.
            let again = open(&env, false, Vec::new(), Some(point)).await;
            let again = again.expect("what was recovered can be opened");
            assert_eq!(outcome(&again), before, "recovery ends with a sound log");
        }
    };
    sim.run(test).expect("opening ends");
}

fn seeds() -> Vec<Vec<u8>> {
    let log = sample_log();
    let joined = |first: u8, parts: &[&[u8]]| {
        let mut bytes = vec![first];
        for part in parts {
            bytes.extend_from_slice(&u16::try_from(part.len()).expect("small").to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    };
    let epochs = b"0\n1\n0 0\n";
    let index = [0, 0, 0, 5, 0, 0, 0, 200];
    let torn = [&log[..log.len() - 50], &[0; 400]].concat();
    vec![
        joined(0, &[&log]),
        joined(2, &[&log, &index, b"", b"", b"", epochs]),
        joined(0, &[&torn, b"", b"", b"", b"", epochs]),
        joined(1, &[&log[..log.len() / 2], b"", b"", b"", b"", b"", &log[16..]]),
        joined(8, &[b"", b"", b"", &log, b"snapshot", epochs, &log[..40]]),
    ]
}
