//! Consumer groups and their offsets.

use super::*;

definitions! {
    "group.min.session.timeout.ms" Int "6000" [Any] Medium supported
        "The shortest session timeout a group member may ask for.";
    "group.max.session.timeout.ms" Int "1800000" [Any] Medium supported
        "The longest session timeout a group member may ask for.";
    "group.initial.rebalance.delay.ms" Int "3000" [Any] Medium supported
        "How long an empty group waits for more members before its first rebalance.";
    "group.max.size" Int "2147483647" [AtLeast(1)] Medium supported
        "How many members a group may have.";
    "offset.metadata.max.bytes" Int "4096" [Any] High supported
        "The longest note a client may store with a committed offset.";
    "offsets.commit.timeout.ms" Int "5000" [AtLeast(1)] High ignored ALONE
        "How long a commit waits for the replicas of the offsets topic.";
    "offsets.load.buffer.size" Int "5242880" [AtLeast(1)] High ignored LOAD
        "How much of the offsets topic Kafka reads at a time when it loads groups.";
    "offsets.retention.minutes" Int "10080" [AtLeast(1)] High supported
        "How long the offsets of an empty group are kept.";
    "offsets.retention.check.interval.ms" Long "600000" [AtLeast(1)] High supported
        "How often expired offsets are looked for.";
    "offsets.topic.compression.codec" Int "0" [Any] High unsupported OFFSETS_CODEC
        "How the offsets topic is compressed, by Kafka's number.";
    "offsets.topic.num.partitions" Int "50" [AtLeast(1)] High supported
        "How many partitions `__consumer_offsets` gets when it is created; never changes after.";
    "offsets.topic.replication.factor" Short "3" [AtLeast(1)] High supported
        "How many replicas `__consumer_offsets` gets; at most as many as there are brokers.";
    "offsets.topic.segment.bytes" Int "104857600" [AtLeast(1)] High supported
        "The segment size of `__consumer_offsets`.";
    "group.coordinator.append.linger.ms" Int "-1" [AtLeast(-1)] Medium ignored TURN
        "How long Kafka's group coordinator gathers writes.";
    "group.coordinator.background.threads" Int "2" [AtLeast(1)] High ignored THREADS
        "How many threads Kafka's group coordinator uses for background work.";
    "group.coordinator.cached.buffer.max.bytes" Int "1048588" [AtLeast(524_288)] Medium ignored LOAD
        "How large a buffer Kafka's group coordinator keeps for reuse.";
    "group.coordinator.rebalance.protocols" List "classic,consumer,streams" [Each(&["consumer", "classic", "share", "streams"])] Medium ignored GROUP_NEW
        "Which group protocols Kafka offers.";
    "group.coordinator.threads" Int "4" [AtLeast(1)] High ignored THREADS
        "How many threads Kafka's group coordinator uses.";
    "group.consumer.assignment.interval.ms" Int "1000" [AtLeast(0)] Medium unsupported GROUP_NEW
        "How often a KIP-848 group's assignment may change.";
    "group.consumer.assignors" List "uniform,range" [Any] Medium unsupported GROUP_NEW
        "The server-side assignors of KIP-848 groups.";
    "group.consumer.heartbeat.interval.ms" Int "5000" [AtLeast(1)] Medium unsupported GROUP_NEW
        "How often a member of a KIP-848 group sends heartbeats.";
    "group.consumer.max.assignment.interval.ms" Int "15000" [AtLeast(0)] Medium unsupported GROUP_NEW
        "The longest assignment interval a KIP-848 group may be given.";
    "group.consumer.max.heartbeat.interval.ms" Int "15000" [AtLeast(1)] Medium unsupported GROUP_NEW
        "The longest heartbeat interval a KIP-848 group may be given.";
    "group.consumer.max.session.timeout.ms" Int "60000" [AtLeast(1)] Medium unsupported GROUP_NEW
        "The longest session timeout a KIP-848 group may be given.";
    "group.consumer.max.size" Int "2147483647" [AtLeast(1)] Medium unsupported GROUP_NEW
        "How many members a KIP-848 group may have.";
    "group.consumer.migration.policy" String "bidirectional" [OneOfIgnoreCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"])] Medium unsupported GROUP_NEW
        "Whether groups move between the classic protocol and KIP-848 while in use.";
    "group.consumer.min.assignment.interval.ms" Int "0" [AtLeast(0)] Medium unsupported GROUP_NEW
        "The shortest assignment interval a KIP-848 group may be given.";
    "group.consumer.min.heartbeat.interval.ms" Int "5000" [AtLeast(1)] Medium unsupported GROUP_NEW
        "The shortest heartbeat interval a KIP-848 group may be given.";
    "group.consumer.min.session.timeout.ms" Int "45000" [AtLeast(1)] Medium unsupported GROUP_NEW
        "The shortest session timeout a KIP-848 group may be given.";
    "group.consumer.regex.refresh.interval.ms" Int "600000" [AtLeast(10_000)] Medium unsupported GROUP_NEW internal
        "How often subscribed patterns are matched against the topics again.";
    "group.consumer.session.timeout.ms" Int "45000" [AtLeast(1)] Medium unsupported GROUP_NEW
        "After how long a silent member leaves a KIP-848 group.";
    "group.streams.assignment.interval.ms" Int "1000" [AtLeast(0)] Medium unsupported STREAMS
        "How often a streams group's assignment may change.";
    "group.streams.heartbeat.interval.ms" Int "5000" [AtLeast(1)] Medium unsupported STREAMS
        "How often a member of a streams group sends heartbeats.";
    "group.streams.initial.rebalance.delay.ms" Int "3000" [AtLeast(0)] Medium unsupported STREAMS
        "How long an empty streams group waits for more members.";
    "group.streams.max.assignment.interval.ms" Int "15000" [AtLeast(0)] Medium unsupported STREAMS
        "The longest assignment interval a streams group may be given.";
    "group.streams.max.heartbeat.interval.ms" Int "15000" [AtLeast(1)] Medium unsupported STREAMS
        "The longest heartbeat interval a streams group may be given.";
    "group.streams.max.session.timeout.ms" Int "60000" [AtLeast(1)] Medium unsupported STREAMS
        "The longest session timeout a streams group may be given.";
    "group.streams.max.size" Int "2147483647" [AtLeast(1)] Medium unsupported STREAMS
        "How many members a streams group may have.";
    "group.streams.max.standby.replicas" Int "2" [AtLeast(0)] Medium unsupported STREAMS
        "The most standby replicas a streams group may be given.";
    "group.streams.min.assignment.interval.ms" Int "0" [AtLeast(0)] Medium unsupported STREAMS
        "The shortest assignment interval a streams group may be given.";
    "group.streams.min.heartbeat.interval.ms" Int "5000" [AtLeast(1)] Medium unsupported STREAMS
        "The shortest heartbeat interval a streams group may be given.";
    "group.streams.min.session.timeout.ms" Int "45000" [AtLeast(1)] Medium unsupported STREAMS
        "The shortest session timeout a streams group may be given.";
    "group.streams.num.standby.replicas" Int "0" [AtLeast(0)] Medium unsupported STREAMS
        "How many standby replicas each task of a streams group has.";
    "group.streams.session.timeout.ms" Int "45000" [AtLeast(1)] Medium unsupported STREAMS
        "After how long a silent member leaves a streams group.";
}
