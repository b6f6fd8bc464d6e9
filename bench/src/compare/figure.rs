//! The figures that two targets are compared by.

use crate::result::RunResult;

/// What a figure is.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name in the result file.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Whether more of it is better.
    pub more_is_better: bool,
}

/// One figure of a run.
pub struct Figure {
    /// What it is.
    pub kind: Kind,
    /// Reads it; `None` where the run has none.
    pub read: fn(&RunResult) -> Option<f64>,
}

macro_rules! figure {
    ($name:literal, $unit:literal, $more:literal, $read:expr) => {
        Figure { kind: Kind { name: $name, unit: $unit, more_is_better: $more }, read: $read }
    };
}

fn known(summary: &crate::measure::latency::Summary, value: f64) -> Option<f64> {
    (summary.count > 0).then_some(value)
}

/// All of them.
pub const FIGURES: &[Figure] = &[
    figure!("produce.records_per_s", "records/s", true, |run| {
        run.produce.as_ref().map(|produce| produce.records_per_s)
    }),
    figure!("produce.bytes_per_s", "bytes/s", true, |run| {
        run.produce.as_ref().map(|produce| produce.bytes_per_s)
    }),
    figure!("produce.requests_per_s", "requests/s", true, |run| {
        // In an open loop the number of requests says how records were batched, not what a target can do.
        let closed = run.workload.pace == "closed";
        run.produce.as_ref().filter(|_| closed).map(|produce| produce.requests_per_s)
    }),
    figure!("consume.bytes_per_s", "bytes/s", true, |run| {
        run.consume.as_ref().map(|consume| consume.bytes_per_s)
    }),
    figure!("produce.latency_us.p50", "us", false, |run| {
        run.produce.as_ref().and_then(|p| known(&p.latency_us, p.latency_us.p50))
    }),
    figure!("produce.latency_us.p99", "us", false, |run| {
        run.produce.as_ref().and_then(|p| known(&p.latency_us, p.latency_us.p99))
    }),
    figure!("produce.latency_us.p999", "us", false, |run| {
        run.produce.as_ref().and_then(|p| known(&p.latency_us, p.latency_us.p999))
    }),
    figure!("produce.latency_us.max", "us", false, |run| {
        run.produce.as_ref().and_then(|p| known(&p.latency_us, p.latency_us.max))
    }),
    figure!("end_to_end.latency_us.p50", "us", false, |run| {
        known(&run.end_to_end.latency_us, run.end_to_end.latency_us.p50)
    }),
    figure!("end_to_end.latency_us.p99", "us", false, |run| {
        known(&run.end_to_end.latency_us, run.end_to_end.latency_us.p99)
    }),
    figure!("end_to_end.latency_us.p999", "us", false, |run| {
        known(&run.end_to_end.latency_us, run.end_to_end.latency_us.p999)
    }),
    figure!("broker.cpu_s_per_gb", "s/GB", false, |run| run.broker.cpu_s_per_gb),
    figure!("broker.cpu_us_per_request", "us/request", false, |run| run.broker.cpu_us_per_request),
    figure!("broker.rss_bytes", "bytes", false, |run| run.broker.rss_bytes.map(|b| b as f64)),
    figure!("disk.written_per_produced_byte", "bytes/byte", false, |run| {
        // A broker that answers from the page cache has most of its writing still before it when the run ends.
        let flushed = run.target.durability.acknowledged == "flushed";
        run.disk.written_per_produced_byte.filter(|_| flushed)
    }),
];
