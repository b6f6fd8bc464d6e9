//! What a partition keeps in memory while nothing happens to it. A file of its own: it counts what the process
//! allocates.

use std::path::Path;
use std::sync::Arc;

use allocation_counter::measure;
use bytes::Bytes;
use millrace_engine::limits::BLOCK_BYTES;
use millrace_engine::log::segment::OpenSegment;
use millrace_engine::memory::Pool;
use millrace_engine::partition::admit::{Now, index_rules};
use millrace_engine::partition::commit::CommitPart;
use millrace_engine::partition::epochs::Epochs;
use millrace_engine::partition::producers::Producers;
use millrace_engine::partition::{Partition, Recovered};
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::shard::Waiter;
use millrace_engine::topic_config::TopicConfig;
use millrace_engine::types::{Nanos, TopicPartition, Uuid};

/// Beside the copy of its last, partial block. Bytes.
const OWN_BYTES_MAX: u64 = 2 * 1024;

fn batch(bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(1_000, None, Some(&vec![7; bytes]), &[]).expect("it fits");
    builder.finish()
}

fn partition(config: &Arc<TopicConfig>, number: i32) -> Partition<Waiter> {
    let recovered = Recovered {
        log_start_offset: 0,
        sealed: Vec::new(),
        active: OpenSegment::new(0, index_rules(config)),
        producers: Producers::default(),
        epochs: Epochs::default(),
        lost_end: None,
    };
    let id = TopicPartition { topic_id: Uuid(7), partition: number };
    let dir = Arc::from(Path::new("/data/orders-0"));
    Partition::new(id, Arc::from("orders"), dir, Arc::clone(config), 1, recovered)
}

/// Appends, has it written to the segment, and lets its memory go, as a shard does after a while.
fn work_and_rest(partition: &mut Partition<Waiter>, pool: &Arc<Pool>, batches: &[Bytes]) {
    let now = Now { now: Nanos::default(), wall_ms: 1_000 };
    for batch in batches {
        let end = partition.append_own(pool, now, batch).end;
        assert!(matches!(partition.plan_commit(true), CommitPart::Journal(_)));
        partition.committed(end);
    }
    for write in partition.write_planned() {
        partition.written(write.segment, write.end, write.end_offset);
    }
    partition.release(0);
    assert_eq!(partition.memory_bytes(), 0);
}

#[test]
fn an_idle_partition_keeps_little() {
    let config = Arc::new(TopicConfig::default());
    // The test's own, and what is made once.
    let (pool, few, many) = (Pool::new(0), vec![batch(100)], vec![batch(1_000); 200]);
    work_and_rest(&mut partition(&config, 0), &pool, &few);
    for batches in [few, many] {
        let mut kept = None;
        let held = measure(|| {
            let mut partition = Box::new(partition(&config, 1));
            work_and_rest(&mut partition, &pool, &batches);
            kept = Some(partition);
        });
        let held = u64::try_from(held.bytes_current).expect("the partition is still there");
        let bound = OWN_BYTES_MAX + BLOCK_BYTES as u64;
        assert!(held <= bound, "{held} bytes after {} batches, more than {bound}", batches.len());
        drop(kept);
    }
}
