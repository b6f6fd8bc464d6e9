//! Workload files of the OpenMessaging Benchmark, read as they are.
//!
//! Their loads are said per topic: with more than one topic, the topics' partitions become partitions of one topic,
//! and their producers and consumers connections of one run. `payloadFile` is not read; values are made instead.

use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};

/// Settings that change nothing here: names, payload files, and how the original searches for the highest rate.
const WITHOUT_EFFECT: [&str; 13] = [
    "name",
    "randomBytesRatio",
    "randomizedPayloadPoolSize",
    "payloadFile",
    "messageRateReceivedForSubscription",
    "producerStartRate",
    "acceptableBacklog",
    "producerIncrementRate",
    "producerIncrementSeconds",
    "backlogDrainRatio",
    "producerPauseBeforeDrain",
    "producerPauseDuringDrain",
    "logIntervalMillis",
];

/// The other settings of a file; one that is neither is misspelt.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct File {
    topics: u64,
    partitions_per_topic: u64,
    message_size: u64,
    use_randomized_payloads: bool,
    key_distributor: String,
    subscriptions_per_topic: u64,
    producers_per_topic: u64,
    consumer_per_subscription: u64,
    producer_rate: f64,
    #[serde(rename = "consumerBacklogSizeGB")]
    consumer_backlog_size_gb: f64,
    test_duration_minutes: f64,
    warmup_duration_minutes: f64,
}

impl Default for File {
    fn default() -> Self {
        Self {
            topics: 1,
            partitions_per_topic: 1,
            message_size: 1024,
            use_randomized_payloads: false,
            key_distributor: "NO_KEY".into(),
            subscriptions_per_topic: 1,
            producers_per_topic: 1,
            consumer_per_subscription: 1,
            producer_rate: 0.0,
            consumer_backlog_size_gb: 0.0,
            test_duration_minutes: 1.0,
            warmup_duration_minutes: 1.0,
        }
    }
}

/// The file as flags.
pub fn flags(text: &str) -> Result<Vec<String>, String> {
    let read: Result<Option<Mapping>, _> = serde_yaml_ng::from_str(text);
    let mut settings = read.map_err(|error| error.to_string())?.unwrap_or_default();
    settings.retain(|name, _| name.as_str().is_none_or(|name| !WITHOUT_EFFECT.contains(&name)));
    let file: File =
        serde_yaml_ng::from_value(Value::Mapping(settings)).map_err(|error| error.to_string())?;
    if file.topics == 0 || file.partitions_per_topic == 0 {
        return Err("it has no topics or no partitions".into());
    }
    let rate = if file.producer_rate > 0.0 {
        file.producer_rate.to_string()
    } else {
        "max".to_owned() // 0 asks the original to find the highest rate
    };
    let keys = match file.key_distributor.as_str() {
        "NO_KEY" => "none",
        "KEY_ROUND_ROBIN" | "RANDOM_NANO" => "uniform:1M",
        other => return Err(format!("keyDistributor {other} is not known")),
    };
    let groups = file.subscriptions_per_topic;
    let consumers = file.consumer_per_subscription * file.topics;
    let payload = if file.use_randomized_payloads { "random" } else { "json" };
    let mut flags = vec![
        format!("--rate={rate}"),
        format!("--partitions={}", file.topics * file.partitions_per_topic),
        format!("--record-size={}", file.message_size),
        format!("--producers={}", file.topics * file.producers_per_topic),
        format!("--consumers={consumers}"),
        format!("--groups={}", if consumers > 0 { groups } else { 0 }),
        format!("--keys={keys}"),
        format!("--payload={payload}"),
        format!("--duration={}m", file.test_duration_minutes),
        format!("--warmup={}m", file.warmup_duration_minutes),
    ];
    if file.consumer_backlog_size_gb > 0.0 {
        flags.push(format!("--prefill={}GB", file.consumer_backlog_size_gb));
        flags.push("--read=earliest".into());
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_benchmark_is_read() {
        let text = "name: 1 producer / 1 consumers on 1 topic\n\ntopics: 1\npartitionsPerTopic: 10\nkeyDistributor: \"NO_KEY\"\nmessageSize: 1024\npayloadFile: \"payload/payload-1Kb.data\"\nsubscriptionsPerTopic: 1\nconsumerPerSubscription: 2\nproducersPerTopic: 4\nproducerRate: 50000\nconsumerBacklogSizeGB: 0\ntestDurationMinutes: 5\n";
        let flags = flags(text).expect("is read");
        for flag in [
            "--rate=50000",
            "--partitions=10",
            "--producers=4",
            "--consumers=2",
            "--groups=1",
            "--duration=5m",
        ] {
            assert!(flags.contains(&flag.to_owned()), "{flag} in {flags:?}");
        }
        assert!(super::flags("topics: many").is_err());
        assert!(super::flags("keyDistributor: OTHER").is_err());
        assert!(super::flags("").is_ok_and(|flags| flags.contains(&"--rate=max".to_owned())));
        let misspelt = super::flags("topics: 1\npartitionsPerTopc: 2\n").expect_err("misspelt");
        assert!(misspelt.contains("partitionsPerTopc") && misspelt.contains("partitionsPerTopic"));
    }
}
