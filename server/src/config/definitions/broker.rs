//! Broker-wide settings, topics and limits.

use super::*;

definitions! {
    "process.roles" List "broker,controller" [Each(&["broker", "controller"])] High supported
        "Which roles this node has: `broker,controller`, which is also the default.";
    "node.id" Int "1" [AtLeast(0)] High supported
        "This node's number, also its broker id.";
    "broker.id" Int "-1" [Any] High supported
        "The old name of `node.id`.";
    "broker.rack" String null [Any] Medium supported
        "The rack, zone or room this broker stands in, told to clients that prefer near replicas.";
    "num.partitions" Int "1" [AtLeast(1)] Medium supported
        "How many partitions a topic gets when its creator does not say.";
    "default.replication.factor" Int "1" [Any] Medium supported
        "How many replicas a partition gets when its creator does not say.";
    "auto.create.topics.enable" Boolean "true" [Any] High supported
        "Whether asking for a topic that does not exist creates it.";
    "delete.topic.enable" Boolean "true" [Any] High supported
        "Whether clients may delete topics.";
    "message.max.bytes" Int "1048588" [AtLeast(0)] High supported
        "The largest record batch a topic accepts, after compression, unless the topic says otherwise.";
    "min.insync.replicas" Int "1" [AtLeast(1)] High supported
        "How many replicas must be in sync for a write with `acks=all`, unless the topic says otherwise.";
    "compression.type" String "producer" [OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])] High supported
        "How batches are stored unless the topic says otherwise: `producer` keeps what the producer sent.";
    "compression.gzip.level" Int "-1" [GzipLevel] Medium supported
        "How hard gzip works when the broker itself compresses.";
    "compression.lz4.level" Int "9" [Between(1, 17)] Medium supported
        "How hard LZ4 works when the broker itself compresses.";
    "compression.zstd.level" Int "3" [Between(-131_072, 22)] Medium supported
        "How hard Zstandard works when the broker itself compresses.";
    "fetch.max.bytes" Int "57671680" [AtLeast(1024)] Medium supported
        "The most bytes one fetch response carries, whatever the client asks for.";
    "max.incremental.fetch.session.cache.slots" Int "1000" [AtLeast(0)] Medium supported
        "How many incremental fetch sessions are kept (KIP-227).";
    "max.request.partition.size.limit" Int "2000" [AtLeast(1)] Medium supported
        "The most partitions one `DescribeTopicPartitions` response lists.";
    "request.timeout.ms" Int "30000" [Any] High ignored ALONE
        "How long a broker waits for another one's answer.";
    "background.threads" Int "10" [AtLeast(1)] High ignored THREADS
        "How many threads Kafka uses for background work.";
    "num.io.threads" Int "8" [AtLeast(1)] High ignored THREADS
        "How many threads Kafka uses to process requests.";
    "num.network.threads" Int "3" [AtLeast(1)] High ignored THREADS
        "How many threads Kafka uses to read requests and write responses.";
    "num.recovery.threads.per.data.dir" Int "2" [AtLeast(1)] High ignored THREADS
        "How many threads Kafka uses per directory to recover logs.";
    "num.replica.alter.log.dirs.threads" Int null [Any] High ignored MOVES
        "How many threads move replicas between directories.";
    "controlled.shutdown.enable" Boolean "true" [Any] Medium ignored ALONE
        "Whether a stopping broker hands its leaderships over first.";
    "delete.records.purgatory.purge.interval.requests" Int "1" [Any] Medium ignored PURGATORY
        "How often finished delete-records requests are swept out of Kafka's waiting room.";
    "fetch.purgatory.purge.interval.requests" Int "1000" [Any] Medium ignored PURGATORY
        "How often finished fetches are swept out of Kafka's waiting room.";
    "producer.purgatory.purge.interval.requests" Int "1000" [Any] Medium ignored PURGATORY
        "How often finished produce requests are swept out of Kafka's waiting room.";
    "share.fetch.purgatory.purge.interval.requests" Int "1000" [Any] Medium ignored PURGATORY
        "How often finished share fetches are swept out of Kafka's waiting room.";
    "create.topic.policy.class.name" Class null [Any] Low unsupported CLASSES
        "A Java class that decides whether a topic may be created.";
    "alter.config.policy.class.name" Class null [Any] Low unsupported CLASSES
        "A Java class that decides whether a configuration may be changed.";
    "config.providers" List "" [Any] Low refused PROVIDERS
        "Names of Java classes that fill in `${name:path:key}` references.";
    "early.start.listeners" List null [Any] High ignored ACL
        "Listeners that open before the authorizer is ready.";
    "metric.reporters" List "org.apache.kafka.common.metrics.JmxReporter" [Any] Low unsupported METRICS
        "Java classes that receive the metrics.";
    "metrics.num.samples" Int "2" [AtLeast(1)] Low ignored METRICS
        "How many samples a metric keeps.";
    "metrics.recording.level" String "INFO" [Any] Low ignored METRICS
        "Which metrics are recorded.";
    "metrics.sample.window.ms" Long "30000" [AtLeast(1)] Low ignored METRICS
        "How long a metric's sample lasts.";
    "kafka.metrics.polling.interval.secs" Int "10" [AtLeast(1)] Low ignored METRICS
        "How often Kafka's reporters read the metrics.";
    "kafka.metrics.reporters" List "" [Any] Low unsupported METRICS
        "Java classes that receive Kafka's oldest kind of metrics.";
    "telemetry.max.bytes" Int "1048576" [AtLeast(1)] Low ignored TELEMETRY
        "The largest batch of client metrics accepted (KIP-714).";
    "unstable.api.versions.enable" Boolean "false" [Any] High ignored UNSTABLE internal
        "Whether API versions still in the making are offered.";
    "unstable.feature.versions.enable" Boolean "false" [Any] High ignored UNSTABLE internal
        "Whether feature versions still in the making may be chosen.";
}
