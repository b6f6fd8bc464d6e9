//! A Rust application on the `rdkafka` crate: creates a topic, produces, consumes in a group, resumes from its commit.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PARTITIONS: i32 = 3;
const RECORDS: usize = 300;

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

async fn create(servers: &str, topic: &str) -> Outcome<()> {
    let admin: AdminClient<DefaultClientContext> = config(servers).create()?;
    let wanted = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    for created in admin.create_topics(&[wanted], &AdminOptions::new()).await? {
        created.map_err(|(name, code)| format!("creating {name}: {code}"))?;
    }
    Ok(())
}

async fn produce(servers: &str, topic: &str, codec: &str, first: usize) -> Outcome<()> {
    let producer: FutureProducer = config(servers)
        .set("enable.idempotence", "true")
        .set("compression.type", codec)
        .set("linger.ms", "5")
        .create()?;
    // All are sent before the first is waited for, so that they travel in batches.
    let mut waiting = Vec::new();
    for number in first..first + RECORDS {
        let key = format!("k{}", number % 16);
        let value = number.to_string();
        let headers = OwnedHeaders::new().insert(Header { key: "codec", value: Some(codec) });
        let record = FutureRecord::to(topic).key(&key).payload(&value).headers(headers);
        waiting.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    for delivery in waiting {
        tokio::time::timeout(Duration::from_secs(20), delivery)
            .await??
            .map_err(|(error, _)| error)?;
    }
    Ok(())
}

/// Reads `expected` records in a group, checks keys, headers and order, and commits.
async fn consume(servers: &str, topic: &str, expected: usize) -> Outcome<Vec<usize>> {
    let consumer: StreamConsumer = config(servers)
        .set("group.id", format!("{topic}-group"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&[topic])?;
    let mut last = BTreeMap::new();
    let mut numbers = Vec::new();
    while numbers.len() < expected {
        let message = tokio::time::timeout(Duration::from_secs(30), consumer.recv()).await??;
        let number: usize = std::str::from_utf8(message.payload().ok_or("no value")?)?.parse()?;
        let key = format!("k{}", number % 16);
        if message.key() != Some(key.as_bytes()) {
            return Err(format!("record {number} has key {:?}", message.key()).into());
        }
        if message.headers().map(|headers| headers.count()) != Some(1) {
            return Err(format!("record {number} lost its header").into());
        }
        if let Some(before) = last.insert(message.partition(), message.offset())
            && message.offset() != before + 1
        {
            return Err(format!("offset {} follows {before}", message.offset()).into());
        }
        numbers.push(number);
    }
    consumer.commit_consumer_state(CommitMode::Sync)?;
    numbers.sort_unstable();
    Ok(numbers)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().ok_or("usage: interop-rdkafka BOOTSTRAP TOPIC")?;
    let topic = arguments.next().ok_or("usage: interop-rdkafka BOOTSTRAP TOPIC")?;
    create(&servers, &topic).await?;
    for (round, codec) in ["none", "gzip", "lz4"].into_iter().enumerate() {
        let first = round * RECORDS;
        produce(&servers, &topic, codec, first).await?;
        // The group begins each round where the round before committed.
        let numbers = consume(&servers, &topic, RECORDS).await?;
        if numbers != (first..first + RECORDS).collect::<Vec<_>>() {
            return Err(
                format!("{codec}: read back {} records, not those sent", numbers.len()).into()
            );
        }
        println!("{codec}: {RECORDS} records there and back");
    }
    Ok(())
}
