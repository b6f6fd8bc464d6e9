//! A workload in librdkafka's settings. What the workload does not say stays as librdkafka has it by default.

use rdkafka::ClientConfig;

use crate::client::setup::Target;
use crate::workload::{Pace, ReadFrom, Workload};

/// Most records that librdkafka lets a batch have.
const BATCH_RECORDS_MAX: usize = 1_000_000;
/// What librdkafka waits for a batch to fill by default: a closed loop without a linger of its own has that, or batches
/// would never be full.
const LINGER_NS: u64 = 5_000_000;
/// Memory that the queues of all producers together may take, KiB.
const QUEUES_KIB: usize = 1 << 20;
/// Its largest record by default, bytes.
const RECORD_BYTES: usize = 1_000_000;
/// Instances that may tell their request counts at the fastest pace.
const TALKATIVE: usize = 16;

fn common(workload: &Workload, target: &Target) -> ClientConfig {
    let timeout_ms = workload.timeout_ns / 1_000_000;
    let instances = workload.producers + workload.consumers_in_all();
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &target.bootstrap)
        .set("client.id", crate::wire::CLIENT_ID)
        .set("socket.timeout.ms", timeout_ms.max(10).to_string())
        .set("statistics.interval.ms", (250 * instances.div_ceil(TALKATIVE)).to_string());
    config
}

/// Settings of a producer whose largest value has `largest` bytes.
pub fn producer(workload: &Workload, target: &Target, largest: usize) -> ClientConfig {
    let closed = workload.pace == Pace::Closed;
    let linger_ns = match workload.linger_ns {
        0 if closed => LINGER_NS,
        linger_ns => linger_ns,
    };
    let linger_ms = linger_ns as f64 / 1e6;
    let timeout_ms = (workload.timeout_ns / 1_000_000).max(1);
    // A record may linger, and then wait for its answer.
    let record_ms = timeout_ms + linger_ns.div_ceil(1_000_000);
    let record_bytes = RECORD_BYTES.max(workload.batch_bytes).max(largest + 1024);
    let queue_kib = (QUEUES_KIB / workload.producers.max(1)).max(2 * record_bytes / 1024);
    let mut config = common(workload, target);
    config
        .set("acks", workload.acks.to_string())
        .set("enable.idempotence", workload.idempotent.to_string())
        .set("max.in.flight.requests.per.connection", workload.in_flight.to_string())
        .set("linger.ms", linger_ms.to_string())
        .set("batch.size", workload.batch_bytes.max(1).to_string())
        .set("batch.num.messages", workload.batch_records.clamp(1, BATCH_RECORDS_MAX).to_string())
        .set("message.max.bytes", record_bytes.to_string())
        .set("queue.buffering.max.kbytes", queue_kib.to_string())
        .set("request.timeout.ms", timeout_ms.to_string())
        .set("message.timeout.ms", record_ms.to_string())
        .set("compression.type", workload.codec.to_string())
        // As the Java client has it; librdkafka's own default is another hash.
        .set("partitioner", "murmur2_random");
    config
}

/// Settings of a consumer in `group`.
pub fn consumer(workload: &Workload, target: &Target, group: &str) -> ClientConfig {
    let reset = if workload.read_from == ReadFrom::Latest { "latest" } else { "earliest" };
    let fetch_bytes = i64::from(workload.fetch_bytes);
    let mut config = common(workload, target);
    config
        .set("group.id", group)
        .set("enable.auto.commit", (workload.groups > 0).to_string())
        .set("auto.offset.reset", reset)
        .set("max.partition.fetch.bytes", fetch_bytes.to_string())
        .set("fetch.max.bytes", fetch_bytes.to_string())
        .set("message.max.bytes", fetch_bytes.max(1000).to_string())
        .set("receive.message.max.bytes", (fetch_bytes.max(100_000_000) + 512).to_string())
        .set("fetch.min.bytes", workload.fetch_min_bytes.to_string())
        .set("fetch.wait.max.ms", workload.fetch_wait_ms.to_string());
    config
}
