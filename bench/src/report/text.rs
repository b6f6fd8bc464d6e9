//! A result as lines for the terminal.

use crate::measure::latency::Summary;
use crate::measure::recorder::Second;
use crate::result::RunResult;
use crate::stages::fetch::FetchStages;
use crate::stages::note::Stages;

/// `12.3 MB/s` and the like.
pub fn rate(bytes_per_s: f64) -> String {
    if bytes_per_s >= 1e9 {
        format!("{:.2} GB/s", bytes_per_s / 1e9)
    } else {
        format!("{:.1} MB/s", bytes_per_s / 1e6)
    }
}

/// Microseconds in the unit that reads best.
pub fn time(us: f64) -> String {
    if us >= 1e6 {
        format!("{:.2} s", us / 1e6)
    } else if us >= 1e3 {
        format!("{:.2} ms", us / 1e3)
    } else {
        format!("{us:.0} us")
    }
}

fn percentiles(name: &str, summary: &Summary) -> String {
    if summary.count == 0 {
        return format!("{name:<22} (nothing recorded)");
    }
    format!(
        "{name:<22} p50 {:<10} p90 {:<10} p99 {:<10} p99.9 {:<10} p99.99 {:<10} max {}",
        time(summary.p50),
        time(summary.p90),
        time(summary.p99),
        time(summary.p999),
        time(summary.p9999),
        time(summary.max),
    )
}

/// One line per second of a run.
pub fn second(second: &Second) -> String {
    let mut line = format!(
        "{:>6.1} s {} produced {:>9.0}/s {:>11}",
        second.at_s,
        if second.warmup { "warm-up " } else { "measured" },
        second.produced_records,
        rate(second.produced_bytes as f64),
    );
    if second.produce_latency_us.count > 0 {
        let latency = &second.produce_latency_us;
        line += &format!(
            "  p50 {:<9} p99 {:<9} max {:<9}",
            time(latency.p50),
            time(latency.p99),
            time(latency.max)
        );
    }
    if second.consumed_bytes > 0 {
        line += &format!("  consumed {:>11}", rate(second.consumed_bytes as f64));
    }
    if second.errors > 0 {
        line += &format!("  errors {}", second.errors);
    }
    line
}

/// The summary of a run.
pub fn summary(result: &RunResult) -> Vec<String> {
    let mut lines = vec![format!(
        "target {} ({}), {} partitions; acknowledged = {}: {}",
        result.target.bootstrap,
        result.target.kind.as_deref().unwrap_or("unknown broker"),
        result.workload.partitions,
        result.target.durability.acknowledged,
        result.target.durability.text,
    )];
    let known = |value: Option<f64>, unit: &str| {
        value.map_or("unknown".to_owned(), |value| format!("{value:.3} {unit}"))
    };
    if let Some(produce) = &result.produce {
        lines.push(format!(
            "produced {} records/s, {}, {:.0} requests/s ({} loop, {} connections x {} in flight, {:.1} s)",
            produce.records_per_s.round(),
            rate(produce.bytes_per_s),
            produce.requests_per_s,
            result.workload.pace,
            result.workload.producers,
            result.workload.in_flight,
            result.measured_s,
        ));
        lines.push(percentiles("latency (due to ack)", &produce.latency_us));
        lines.push(percentiles("service (sent to ack)", &produce.service_us));
    }
    lines.extend(result.stages.iter().flat_map(Stages::lines));
    if result.end_to_end.latency_us.count > 0 {
        lines.push(percentiles("end to end", &result.end_to_end.latency_us));
    }
    if let Some(consume) = &result.consume {
        lines.push(format!(
            "consumed {} records/s, {}, {:.0} fetches/s",
            consume.records_per_s.round(),
            rate(consume.bytes_per_s),
            consume.requests_per_s
        ));
    }
    lines.extend(result.fetch_stages.iter().flat_map(FetchStages::lines));
    lines.push(format!(
        "broker CPU {}, {}, {}; RSS {}",
        known(result.broker.cpu_s_per_gb, "s/GB"),
        known(result.broker.cpu_us_per_request, "us/request"),
        known(result.broker.cores, "cores"),
        result
            .broker
            .rss_bytes
            .map_or("unknown".into(), |bytes| format!("{:.0} MiB", bytes as f64 / 1048576.0)),
    ));
    lines.push(format!(
        "client {}: CPU {}, {}, {:.2} cores; woke late p99 {}, max {}",
        result.client.name,
        known(result.client.cpu_s_per_gb, "s/GB"),
        known(result.client.cpu_us_per_request, "us/request"),
        result.client.cores,
        time(result.client.lag_us.p99),
        time(result.client.lag_us.max),
    ));
    lines.push(format!(
        "disks wrote {} ({} per produced byte), {:.0} writes/s, {:.0} flushes/s",
        rate(result.disk.written_bytes as f64 / result.measured_s.max(1e-9)),
        known(result.disk.written_per_produced_byte, "bytes"),
        result.disk.writes_per_s,
        result.disk.flushes_per_s
    ));
    lines.push(format!(
        "errors {}, late sends {} ({} by the generator), never sent {}, unanswered {}",
        result.errors,
        result.late_sends,
        result.late_sends_by_client,
        result.skipped_sends,
        result.unanswered
    ));
    for (name, count) in &result.errors_by_name {
        lines.push(format!("  {count} x {name}"));
    }
    lines.extend(result.remarks.iter().map(|remark| format!("note: {remark}")));
    lines
}
