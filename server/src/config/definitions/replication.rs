//! Replication between brokers, and quotas.

use super::*;

definitions! {
    "auto.leader.rebalance.enable" Boolean "true" [Any] High ignored ALONE
        "Whether leadership goes back to the preferred replicas by itself.";
    "leader.imbalance.check.interval.seconds" Long "300" [AtLeast(1)] High ignored ALONE
        "How often the spread of leaders is looked at.";
    "controller.socket.timeout.ms" Int "30000" [Any] Medium ignored ALONE
        "How long a controller waits for a broker's socket.";
    "num.replica.fetchers" Int "1" [AtLeast(1)] High ignored ALONE
        "How many fetchers copy from each other broker.";
    "replica.fetch.backoff.ms" Int "1000" [AtLeast(0)] Medium ignored ALONE
        "How long a fetcher pauses after an error.";
    "replica.fetch.max.bytes" Int "1048576" [AtLeast(0)] Medium ignored ALONE
        "How many bytes of one partition a fetcher asks for.";
    "replica.fetch.min.bytes" Int "1" [Any] High ignored ALONE
        "How many bytes a fetcher waits for.";
    "replica.fetch.response.max.bytes" Int "10485760" [AtLeast(0)] Medium ignored ALONE
        "How many bytes one answer to a fetcher carries.";
    "replica.fetch.wait.max.ms" Int "500" [Any] High ignored ALONE
        "How long a fetcher waits for bytes.";
    "replica.high.watermark.checkpoint.interval.ms" Long "5000" [Any] High ignored JOURNAL
        "How often Kafka writes its high watermarks.";
    "replica.lag.time.max.ms" Long "30000" [Any] High ignored ALONE
        "After how long a slow replica is no longer in sync.";
    "replica.selector.class" String null [Any] Medium unsupported CLASSES
        "A Java class that picks the replica a consumer reads from.";
    "replica.socket.receive.buffer.bytes" Int "65536" [Any] High ignored ALONE
        "The receive buffer of a fetcher's connection.";
    "replica.socket.timeout.ms" Int "30000" [Any] High ignored ALONE
        "How long a fetcher waits for an answer.";
    "unclean.leader.election.enable" Boolean "false" [Any] High ignored ALONE
        "Whether a replica that is not in sync may become leader when no other is left.";
    "unclean.leader.election.interval.ms" Long "300000" [AtLeast(1)] Medium ignored ALONE internal
        "How often leaderless partitions are looked for.";
    "follower.fetch.last.tiered.offset.enable" Boolean "false" [Any] Medium unsupported TIERED
        "Whether an empty follower begins after the last tiered offset.";
    "client.quota.callback.class" Class null [Any] Low unsupported CLASSES
        "A Java class that computes client quotas.";
    "quota.window.num" Int "11" [AtLeast(1)] Low ignored QUOTAS
        "How many samples a client quota keeps.";
    "quota.window.size.seconds" Int "1" [AtLeast(1)] Low ignored QUOTAS
        "How long a client quota's sample lasts.";
    "controller.quota.window.num" Int "11" [AtLeast(1)] Low ignored QUOTAS
        "How many samples a quota on topic changes keeps.";
    "controller.quota.window.size.seconds" Int "1" [AtLeast(1)] Low ignored QUOTAS
        "How long such a quota's sample lasts.";
    "replication.quota.window.num" Int "11" [AtLeast(1)] Low ignored ALONE
        "How many samples a replication quota keeps.";
    "replication.quota.window.size.seconds" Int "1" [AtLeast(1)] Low ignored ALONE
        "How long a replication quota's sample lasts.";
    "alter.log.dirs.replication.quota.window.num" Int "11" [AtLeast(1)] Low ignored MOVES
        "How many samples the quota on moves between directories keeps.";
    "alter.log.dirs.replication.quota.window.size.seconds" Int "1" [AtLeast(1)] Low ignored MOVES
        "How long such a quota's sample lasts.";
}
