//! A run's seconds as CSV.

use crate::result::RunResult;

/// One line per second, with a head.
pub fn seconds(result: &RunResult) -> String {
    let mut out = String::from(
        "at_s,warmup,produced_records,produced_bytes,consumed_bytes,produce_p50_us,produce_p99_us,produce_p999_us,produce_max_us,end_to_end_p50_us,end_to_end_p99_us,end_to_end_p999_us,end_to_end_max_us,broker_cpu_s,client_cpu_s,errors\n",
    );
    for second in &result.seconds {
        let (produce, arrival) = (&second.produce_latency_us, &second.end_to_end_latency_us);
        let fields = [
            format!("{:.3}", second.at_s),
            u8::from(second.warmup).to_string(),
            second.produced_records.to_string(),
            second.produced_bytes.to_string(),
            second.consumed_bytes.to_string(),
            produce.p50.to_string(),
            produce.p99.to_string(),
            produce.p999.to_string(),
            produce.max.to_string(),
            arrival.p50.to_string(),
            arrival.p99.to_string(),
            arrival.p999.to_string(),
            arrival.max.to_string(),
            second.broker_cpu_s.map(|cpu_s| cpu_s.to_string()).unwrap_or_default(),
            second.client_cpu_s.to_string(),
            second.errors.to_string(),
        ];
        out += &fields.join(",");
        out.push('\n');
    }
    out
}
