//! `GET /metrics`: what is counted, in Prometheus' text format.

use std::fmt::Display;

use super::Broker;
use super::desk::ShardReport;
use super::process::Process;
use super::text::{Exposition, Family, Kind};
use crate::metrics::Counters;
use crate::protocol::ApiKey;
use crate::stages::{FETCH_STAGES, Histogram, STAGES};

/// Buckets that are told end at these powers of two. Nanoseconds: 16 microseconds to 17 seconds.
const BUCKET_BITS: std::ops::RangeInclusive<u32> = 14..=34;

/// The whole text.
pub(super) fn exposition(broker: &Broker, reports: &[ShardReport]) -> String {
    let mut out = Exposition::default();
    put_broker(&mut out, broker);
    put_counters(&mut out, &broker.counters);
    put_engine(&mut out, reports);
    put_stages(&mut out, reports);
    put_fetch_stages(&mut out, reports);
    out.finish()
}

fn put_broker(out: &mut Exposition, broker: &Broker) {
    let version = env!("CARGO_PKG_VERSION");
    out.family(Kind::Gauge, "millrace_build_info", "Always 1; the version is a label.")
        .put(&[("version", &version)], 1);
    let help =
        "Whether the log directory is online: 0 when nothing in it is acknowledged any more.";
    let mut family = out.family(Kind::Gauge, "millrace_log_dir_online", help);
    for (path, is_online) in broker.log_dirs() {
        family.put(&[("log_dir", &path)], u8::from(is_online));
    }
    let Process { cpu_s, start_s, resident_bytes, threads, open_fds } = Process::own();
    let mut put = |kind, name, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            out.family(kind, name, help).put(&[], value);
        }
    };
    let whole = |value: Option<u64>| value.map(|value| value as f64);
    let help = "User and system time of all threads.";
    put(Kind::Counter, "process_cpu_seconds_total", help, cpu_s);
    let help = "When the process began, since the Unix epoch.";
    put(Kind::Gauge, "process_start_time_seconds", help, start_s);
    let help = "Resident memory.";
    put(Kind::Gauge, "process_resident_memory_bytes", help, whole(resident_bytes));
    put(Kind::Gauge, "process_threads", "Threads.", whole(threads));
    put(Kind::Gauge, "process_open_fds", "Open descriptors.", whole(open_fds));
}

fn put_counters(out: &mut Exposition, counters: &[std::sync::Arc<Counters>]) {
    let help = "Requests taken up, by shard of the connection and API.";
    let mut family = out.family(Kind::Counter, "millrace_requests_total", help);
    for of_shard in counters {
        for (api, count) in ApiKey::ALL.iter().zip(of_shard.by_api()) {
            // What nobody has ever asked for would be most of the text.
            if count > 0 {
                family.put(&[("shard", &of_shard.shard()), ("api", api)], count);
            }
        }
    }
    for (kind, name, help, read) in COUNTERS {
        let mut family = out.family(*kind, name, help);
        for of_shard in counters {
            family.put(&[("shard", &of_shard.shard())], read(of_shard));
        }
    }
}

type ReadCounter = fn(&Counters) -> f64;

/// Counters of a shard's connections.
const COUNTERS: &[(Kind, &str, &str, ReadCounter)] = &[
    (Kind::Counter, "millrace_received_bytes_total", "Bytes received from clients.", |c| {
        c.totals().bytes_in as f64
    }),
    (Kind::Counter, "millrace_sent_bytes_total", "Bytes sent to clients.", |c| {
        c.totals().bytes_out as f64
    }),
    (Kind::Gauge, "millrace_connections", "Open connections.", |c| {
        c.totals().connections_open as f64
    }),
    (Kind::Counter, "millrace_connections_accepted_total", "Connections accepted.", |c| {
        c.totals().connections_accepted as f64
    }),
    (
        Kind::Counter,
        "millrace_connections_refused_total",
        "Connections closed at once, for want of room.",
        |c| c.totals().connections_refused as f64,
    ),
    (
        Kind::Counter,
        "millrace_connections_faulty_total",
        "Connections closed for what their clients sent, or did not.",
        |c| c.totals().connections_faulty as f64,
    ),
    (Kind::Counter, "millrace_calls_local_total", "Calls to the connection's own shard.", |c| {
        c.totals().calls_local as f64
    }),
    (Kind::Counter, "millrace_calls_hopped_total", "Calls to another shard.", |c| {
        c.totals().calls_hopped as f64
    }),
    (Kind::Counter, "millrace_hops_in_total", "Calls from another shard.", |c| {
        c.totals().hops_in as f64
    }),
    (
        Kind::Counter,
        "millrace_hop_seconds_total",
        "Time that calls from another shard spent on the way.",
        |c| c.totals().hop_ns as f64 / 1e9,
    ),
];

type ReadStats = fn(&ShardReport) -> f64;

/// Numbers of a shard's engine.
const STATS: &[(Kind, &str, &str, ReadStats)] = &[
    (Kind::Gauge, "millrace_tail_bytes", "Memory of the partitions' tails.", |r| {
        r.stats.tail_bytes as f64
    }),
    (Kind::Gauge, "millrace_appends_deferred", "Appends that wait for memory.", |r| {
        r.stats.appends_deferred as f64
    }),
    (
        Kind::Gauge,
        "millrace_damaged_ranges",
        "Ranges of records that are known to be damaged; reads of them fail.",
        |r| r.stats.damaged_ranges as f64,
    ),
    (
        Kind::Gauge,
        "millrace_lost_log_ends",
        "Partitions that take no records because the end of their log is lost.",
        |r| r.stats.lost_ends as f64,
    ),
    (Kind::Counter, "millrace_scrubbed_bytes_total", "What scrubs have read.", |r| {
        r.stats.scrubbed_bytes as f64
    }),
    (
        Kind::Gauge,
        "millrace_last_scrub_timestamp_seconds",
        "When the last scrub ended, since the Unix epoch; 0 before the first.",
        |r| r.stats.last_scrub_ms.unwrap_or_default() as f64 / 1e3,
    ),
    (Kind::Counter, "millrace_commits_total", "Writes to the commit journal.", |r| {
        r.stats.commits as f64
    }),
    (Kind::Counter, "millrace_segment_writes_total", "Writes to segments.", |r| {
        r.stats.flushes as f64
    }),
];

fn put_engine(out: &mut Exposition, reports: &[ShardReport]) {
    let mut family = out.family(Kind::Gauge, "millrace_partitions", "Partitions, by their state.");
    for ShardReport { shard, stats, .. } in reports {
        for (state, count) in [
            ("open", stats.partitions_open),
            ("opening", stats.partitions_opening),
            ("failed", stats.partitions_failed),
        ] {
            family.put(&[("shard", shard), ("state", &state)], count);
        }
    }
    for (kind, name, help, read) in STATS {
        let mut family = out.family(*kind, name, help);
        for report in reports {
            family.put(&[("shard", &report.shard)], read(report));
        }
    }
}

fn put_stages(out: &mut Exposition, reports: &[ShardReport]) {
    let help =
        "What Produce requests that were made durable spent in each stage, named by its end.";
    let family = out.family(Kind::Histogram, "millrace_produce_stage_seconds", help);
    put_by_stage(family, &STAGES, reports, |report| &report.histograms.stages);
    let help = "Produce requests that were made durable, from their last byte to their answer.";
    let family = out.family(Kind::Histogram, "millrace_produce_seconds", help);
    put_whole(family, reports, |report| &report.histograms.total);
}

fn put_fetch_stages(out: &mut Exposition, reports: &[ShardReport]) {
    let help =
        "What Fetch requests spent in each stage, named by its end; waiting for data is in none.";
    let family = out.family(Kind::Histogram, "millrace_fetch_stage_seconds", help);
    put_by_stage(family, &FETCH_STAGES, reports, |report| &report.fetch.stages);
    let help = "Fetch requests, from their last byte to their answer, without waiting for data.";
    let family = out.family(Kind::Histogram, "millrace_fetch_seconds", help);
    put_whole(family, reports, |report| &report.fetch.total);
    let help = "How long Fetch requests waited for data.";
    let family = out.family(Kind::Histogram, "millrace_fetch_wait_seconds", help);
    put_whole(family, reports, |report| &report.fetch.waited);
}

fn put_by_stage(
    mut family: Family<'_>,
    stages: &[&str],
    reports: &[ShardReport],
    read: fn(&ShardReport) -> &[Histogram],
) {
    for report in reports {
        for (stage, histogram) in stages.iter().zip(read(report)) {
            let labels: [(&str, &dyn Display); 2] = [("shard", &report.shard), ("stage", stage)];
            put_histogram(&mut family, &labels, histogram);
        }
    }
}

fn put_whole(
    mut family: Family<'_>,
    reports: &[ShardReport],
    read: fn(&ShardReport) -> &Histogram,
) {
    for report in reports {
        put_histogram(&mut family, &[("shard", &report.shard)], read(report));
    }
}

fn put_histogram(family: &mut Family<'_>, labels: &[(&str, &dyn Display)], histogram: &Histogram) {
    let with_bound = |bound: &dyn Display, family: &mut Family<'_>, count: u64| {
        let labels: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
        family.put_as("_bucket", &labels, count);
    };
    let mut buckets = histogram.buckets().peekable();
    let mut count = 0;
    for bits in BUCKET_BITS {
        let bound_ns = 1_u64 << bits;
        while let Some((_, more)) = buckets.next_if(|(end_ns, _)| *end_ns <= bound_ns) {
            count += more;
        }
        with_bound(&(bound_ns as f64 / 1e9), family, count);
    }
    with_bound(&"+Inf", family, histogram.count());
    family.put_as("_sum", labels, histogram.sum_ns() as f64 / 1e9);
    family.put_as("_count", labels, histogram.count());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_is_at_most_so_large() {
        let mut histogram = Histogram::default();
        for ns in [1 << 14, (1 << 14) + 1, 40_000, 30_000_000_000] {
            histogram.record(ns);
        }
        let mut out = Exposition::default();
        let mut family = out.family(Kind::Histogram, "h", "H.");
        put_histogram(&mut family, &[("shard", &1)], &histogram);
        let text = out.finish();
        for line in [
            "h_bucket{shard=\"1\",le=\"0.000016384\"} 1",
            "h_bucket{shard=\"1\",le=\"0.000032768\"} 2",
            "h_bucket{shard=\"1\",le=\"0.000065536\"} 3",
            "h_bucket{shard=\"1\",le=\"17.179869184\"} 3",
            "h_bucket{shard=\"1\",le=\"+Inf\"} 4",
            "h_count{shard=\"1\"} 4",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
    }
}
