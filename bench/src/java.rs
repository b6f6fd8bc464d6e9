//! Kafka's own perf tools, run as they are: how they are called, and what they print.

use std::path::PathBuf;
use std::process::Command;

use crate::compare::Figures;
use crate::measure::process;
use crate::sys;

/// Heap of the tools, as their start scripts set it.
const HEAP: &str = "-Xmx512M";
/// How long the consumer waits for its next record before it gives up. Milliseconds.
const CONSUMER_TIMEOUT_MS: u32 = 60_000;

/// Why a tool gave no figures.
#[derive(Debug, thiserror::Error)]
pub enum JavaError {
    /// It could not be started.
    #[error("cannot start java: {0}")]
    Start(std::io::Error),
    /// It failed, or printed something else than figures.
    #[error("{tool} {problem}; the end of what it printed:\n{tail}")]
    Tool {
        /// Which.
        tool: &'static str,
        /// What it did.
        problem: String,
        /// The last lines of its output.
        tail: String,
    },
}

/// What the tools are to do.
#[derive(Clone, Debug)]
pub struct Work {
    /// Records of one run.
    pub records: u64,
    /// Value size. Bytes.
    pub record_bytes: u64,
    /// Settings of the producer.
    pub producer: Vec<(String, String)>,
    /// Settings of the consumer.
    pub consumer: Vec<(String, String)>,
}

impl Work {
    fn gigabytes(&self) -> f64 {
        self.records as f64 * self.record_bytes as f64 / 1e9
    }
}

/// The tools, and the broker that they are pointed at.
pub struct Tools<'t> {
    /// Kafka's libraries.
    pub libraries: &'t PathBuf,
    /// `host:port`.
    pub bootstrap: &'t str,
    /// The broker's process, if it is one of this machine.
    pub broker: Option<u32>,
    /// Pinned to this core.
    pub core: Option<usize>,
}

impl Tools<'_> {
    /// `kafka-producer-perf-test` as fast as it goes: throughput, latencies as it prints them, CPU.
    pub fn produce(&self, topic: &str, work: &Work) -> Result<Figures, JavaError> {
        let mut command = self.command("org.apache.kafka.tools.ProducerPerformance", topic, work);
        command
            .args(["--record-size", &work.record_bytes.to_string(), "--throughput", "-1"])
            .args(properties(&work.producer));
        let (text, mut figures) = self.run("kafka-producer-perf-test", command, "produce", work)?;
        figures.extend(produced(&text).ok_or_else(|| lacking("kafka-producer-perf-test", &text))?);
        Ok(figures)
    }

    /// `kafka-consumer-perf-test` over what was produced.
    pub fn consume(&self, topic: &str, work: &Work) -> Result<Figures, JavaError> {
        let mut command = self.command("org.apache.kafka.tools.ConsumerPerformance", topic, work);
        command
            .args(["--timeout", &CONSUMER_TIMEOUT_MS.to_string(), "--hide-header"])
            .args(properties(&work.consumer));
        let (text, mut figures) = self.run("kafka-consumer-perf-test", command, "consume", work)?;
        figures.extend(
            consumed(&text, work.records)
                .ok_or_else(|| lacking("kafka-consumer-perf-test", &text))?,
        );
        Ok(figures)
    }

    fn command(&self, class: &str, topic: &str, work: &Work) -> Command {
        let path = format!("{}/*", self.libraries.display());
        let mut command = Command::new("java");
        command
            .args([HEAP, "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"])
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &path, class])
            .args(["--bootstrap-server", self.bootstrap, "--topic", topic])
            .args(["--num-records", &work.records.to_string()]);
        command
    }

    /// Runs a tool to its end: what it printed, and the CPU time that it and the broker took meanwhile.
    fn run(
        &self,
        tool: &'static str,
        mut command: Command,
        name: &str,
        work: &Work,
    ) -> Result<(String, Figures), JavaError> {
        let broker_cpu = || self.broker.and_then(process::cpu_us);
        let client_cpu = || sys::usage_of_children().map_err(JavaError::Start);
        let cores = sys::cores().map_err(JavaError::Start)?;
        let (broker, client) = (broker_cpu(), client_cpu()?.cpu_us);
        if let Some(core) = self.core {
            sys::pin(core).map_err(JavaError::Start)?;
        }
        let output = command.output();
        sys::pin_to(&cores).map_err(JavaError::Start)?;
        let output = output.map_err(JavaError::Start)?;
        let per_gb = |us: u64| us as f64 / 1e6 / work.gigabytes();
        let mut figures = Figures::new();
        if let (Some(before), Some(after)) = (broker, broker_cpu()) {
            figures.insert(format!("{name}.broker.cpu_s_per_gb"), per_gb(after - before));
        }
        figures
            .insert(format!("{name}.client.cpu_s_per_gb"), per_gb(client_cpu()?.cpu_us - client));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let (problem, tail) =
                (format!("ended with {}", output.status), end_of(&(text + &errors)));
            return Err(JavaError::Tool { tool, problem, tail });
        }
        Ok((text, figures))
    }
}

fn properties(settings: &[(String, String)]) -> Vec<String> {
    settings
        .iter()
        .flat_map(|(name, value)| ["--command-property".to_owned(), format!("{name}={value}")])
        .collect()
}

fn lacking(tool: &'static str, text: &str) -> JavaError {
    JavaError::Tool { tool, problem: "printed no figures".into(), tail: end_of(text) }
}

fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// The producer's last line: `N records sent, R records/sec (M MB/sec), A ms avg latency, ...`.
fn produced(text: &str) -> Option<Figures> {
    let line = text.lines().rev().find(|line| line.contains("99.9th"))?;
    let number = |before: &str| -> Option<f64> {
        let head = line.get(..line.find(before)?)?;
        head.rsplit([' ', '(']).next()?.parse().ok()
    };
    // Its megabytes are mebibytes.
    let rows = [
        ("produce.records_per_s", number(" records/sec")?),
        ("produce.bytes_per_s", number(" MB/sec")? * f64::from(1 << 20)),
        ("produce.latency_ms.mean", number(" ms avg")?),
        ("produce.latency_ms.p50", number(" ms 50th")?),
        ("produce.latency_ms.p99", number(" ms 99th")?),
        ("produce.latency_ms.p999", number(" ms 99.9th")?),
        ("produce.latency_ms.max", number(" ms max")?),
    ];
    Some(rows.map(|(name, value)| (name.to_owned(), value)).into())
}

/// The consumer's line: start, end, MB, MB/s, records, records/s, time to join ms, time fetching ms, MB/s fetching, ...
/// None as well if it did not get all records.
fn consumed(text: &str, records: u64) -> Option<Figures> {
    let line = text.lines().rev().find(|line| line.split(", ").count() == 10)?;
    let fields: Vec<&str> = line.split(", ").collect();
    let number = |at: usize| -> Option<f64> { fields.get(at)?.trim().parse().ok() };
    if number(4)? < records as f64 {
        return None;
    }
    let bytes_per_s = number(8)? * f64::from(1 << 20);
    Some([("consume.bytes_per_s".to_owned(), bytes_per_s)].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_producer_prints() {
        let text = "100 records sent, 20.0 records/sec (0.02 MB/sec), 1.0 ms avg latency, 2.0 ms max latency.\n\
            2000000 records sent, 162337.7 records/sec (158.53 MB/sec), 180.35 ms avg latency, 500.00 ms max latency, 150 ms 50th, 300 ms 95th, 350 ms 99th, 400 ms 99.9th.\n";
        let figures = produced(text).expect("figures");
        assert_eq!(figures["produce.records_per_s"], 162_337.7);
        assert_eq!(figures["produce.bytes_per_s"], 158.53 * 1_048_576.0);
        assert_eq!(figures["produce.latency_ms.mean"], 180.35);
        assert_eq!(figures["produce.latency_ms.p50"], 150.0);
        assert_eq!(figures["produce.latency_ms.p99"], 350.0);
        assert_eq!(figures["produce.latency_ms.p999"], 400.0);
        assert_eq!(figures["produce.latency_ms.max"], 500.0);
        assert!(produced("nothing was sent\n").is_none());
    }

    #[test]
    fn what_the_consumer_prints() {
        let text = "2026-11-25 10:00:00:000, 2026-11-25 10:00:04:000, 1953.1250, 488.2, 2000000, 500000.0, 300, 3700, 527.9, 540540.5\n";
        let figures = consumed(text, 2_000_000).expect("figures");
        assert_eq!(figures["consume.bytes_per_s"], 527.9 * 1_048_576.0);
        assert!(consumed(text, 2_000_001).is_none(), "not all of them");
        assert!(consumed("", 1).is_none());
    }
}
