//! Share groups (KIP-932).

use super::*;

definitions! {
    "group.share.assignment.interval.ms" Int "1000" [AtLeast(0)] Medium unsupported SHARE
        "How often a share group's assignment may change.";
    "group.share.assignors" List "simple" [Any] Medium unsupported SHARE
        "The assignor of share groups.";
    "group.share.delivery.count.limit" Int "5" [Between(2, 10)] Medium unsupported SHARE
        "How often a record is delivered at most.";
    "group.share.heartbeat.interval.ms" Int "5000" [AtLeast(1)] Medium unsupported SHARE
        "How often a member of a share group sends heartbeats.";
    "group.share.initialize.retry.interval.ms" Int "30000" [AtLeast(1)] Low unsupported SHARE internal
        "How soon setting up a share group's state is tried again.";
    "group.share.max.assignment.interval.ms" Int "15000" [AtLeast(0)] Medium unsupported SHARE
        "The longest assignment interval a share group may be given.";
    "group.share.max.delivery.count.limit" Int "10" [Between(5, 25)] Medium unsupported SHARE
        "The highest delivery limit a share group may be given.";
    "group.share.max.heartbeat.interval.ms" Int "15000" [AtLeast(1)] Medium unsupported SHARE
        "The longest heartbeat interval a share group may be given.";
    "group.share.max.partition.max.record.locks" Int "4000" [Between(2000, 10_000)] Medium unsupported SHARE
        "The most record locks per partition a share group may be given.";
    "group.share.max.record.lock.duration.ms" Int "60000" [Between(30_000, 3_600_000)] Medium unsupported SHARE
        "The longest record lock a share group may be given.";
    "group.share.max.session.timeout.ms" Int "60000" [AtLeast(1)] Medium unsupported SHARE
        "The longest session timeout a share group may be given.";
    "group.share.max.share.sessions" Int "2000" [AtLeast(1)] Medium unsupported SHARE
        "How many share sessions the broker keeps.";
    "group.share.max.size" Int "200" [Between(1, 1000)] Medium unsupported SHARE
        "How many members a share group may have.";
    "group.share.min.assignment.interval.ms" Int "0" [AtLeast(0)] Medium unsupported SHARE
        "The shortest assignment interval a share group may be given.";
    "group.share.min.delivery.count.limit" Int "2" [Between(2, 5)] Medium unsupported SHARE
        "The lowest delivery limit a share group may be given.";
    "group.share.min.heartbeat.interval.ms" Int "5000" [AtLeast(1)] Medium unsupported SHARE
        "The shortest heartbeat interval a share group may be given.";
    "group.share.min.partition.max.record.locks" Int "100" [Between(100, 2000)] Medium unsupported SHARE
        "The fewest record locks per partition a share group may be given.";
    "group.share.min.record.lock.duration.ms" Int "15000" [Between(1000, 30_000)] Medium unsupported SHARE
        "The shortest record lock a share group may be given.";
    "group.share.min.session.timeout.ms" Int "45000" [AtLeast(1)] Medium unsupported SHARE
        "The shortest session timeout a share group may be given.";
    "group.share.partition.max.record.locks" Int "2000" [Between(100, 10_000)] Medium unsupported SHARE
        "How many records of a partition may be locked at once.";
    "group.share.persister.class.name" String "org.apache.kafka.server.share.persister.DefaultStatePersister" [Any] Medium unsupported SHARE internal
        "The Java class that keeps the state of share groups.";
    "group.share.record.lock.duration.ms" Int "30000" [Between(1000, 3_600_000)] Medium unsupported SHARE
        "How long a fetched record stays locked.";
    "group.share.session.timeout.ms" Int "45000" [AtLeast(1)] Medium unsupported SHARE
        "After how long a silent member leaves a share group.";
    "share.coordinator.append.linger.ms" Int "-1" [AtLeast(-1)] Medium unsupported SHARE
        "How long the share coordinator gathers writes.";
    "share.coordinator.cached.buffer.max.bytes" Int "1048588" [AtLeast(524_288)] Medium unsupported SHARE
        "How large a buffer the share coordinator keeps for reuse.";
    "share.coordinator.cold.partition.snapshot.interval.ms" Int "300000" [AtLeast(1)] Low unsupported SHARE internal
        "How often the state of an idle share partition is written whole.";
    "share.coordinator.load.buffer.size" Int "5242880" [AtLeast(1)] High unsupported SHARE
        "How much of the share state topic is read at a time.";
    "share.coordinator.snapshot.update.records.per.snapshot" Int "500" [Between(0, 500)] Medium unsupported SHARE
        "How many updates lie between two whole states.";
    "share.coordinator.state.topic.compression.codec" Int "0" [Any] High unsupported SHARE
        "How the share state topic is compressed, by Kafka's number.";
    "share.coordinator.state.topic.min.isr" Short "2" [AtLeast(1)] High unsupported SHARE
        "How many replicas of the share state topic must be in sync.";
    "share.coordinator.state.topic.num.partitions" Int "50" [AtLeast(1)] High unsupported SHARE
        "How many partitions the share state topic gets.";
    "share.coordinator.state.topic.prune.interval.ms" Int "300000" [AtLeast(1)] Low unsupported SHARE internal
        "How often the share state topic is pruned.";
    "share.coordinator.state.topic.replication.factor" Short "3" [AtLeast(1)] High unsupported SHARE
        "How many replicas the share state topic gets.";
    "share.coordinator.state.topic.segment.bytes" Int "104857600" [AtLeast(1)] High unsupported SHARE
        "The segment size of the share state topic.";
    "share.coordinator.threads" Int "1" [AtLeast(1)] Medium unsupported SHARE
        "How many threads the share coordinator uses.";
    "share.coordinator.write.timeout.ms" Int "5000" [AtLeast(1)] High unsupported SHARE
        "How long a share state write waits for the replicas.";
}
