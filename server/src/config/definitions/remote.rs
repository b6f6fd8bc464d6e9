//! Tiered storage.

use super::*;

definitions! {
    "remote.fetch.max.wait.ms" Int "500" [AtLeast(1)] Medium unsupported TIERED
        "How long a fetch waits for the remote tier.";
    "remote.list.offsets.request.timeout.ms" Long "30000" [AtLeast(1)] Medium unsupported TIERED
        "How long a look-up of offsets waits for the remote tier.";
    "remote.log.index.file.cache.total.size.bytes" Long "1073741824" [AtLeast(1)] Low unsupported TIERED
        "How much disk the indexes of remote segments may take.";
    "remote.log.index.file.cache.ttl.ms" Long "900000" [AtLeast(-1)] Low unsupported TIERED internal
        "How long an unused index of a remote segment is kept.";
    "remote.log.manager.copier.thread.pool.size" Int "10" [AtLeast(1)] Medium unsupported TIERED
        "How many threads copy segments to the remote tier.";
    "remote.log.manager.copy.max.bytes.per.second" Long "9223372036854775807" [AtLeast(1)] Medium unsupported TIERED
        "How fast segments are copied to the remote tier.";
    "remote.log.manager.copy.quota.window.num" Int "11" [AtLeast(1)] Medium unsupported TIERED
        "How many samples the copy quota keeps.";
    "remote.log.manager.copy.quota.window.size.seconds" Int "1" [AtLeast(1)] Medium unsupported TIERED
        "How long the copy quota's sample lasts.";
    "remote.log.manager.expiration.thread.pool.size" Int "10" [AtLeast(1)] Medium unsupported TIERED
        "How many threads delete expired remote segments.";
    "remote.log.manager.fetch.max.bytes.per.second" Long "9223372036854775807" [AtLeast(1)] Medium unsupported TIERED
        "How fast segments are read from the remote tier.";
    "remote.log.manager.fetch.quota.window.num" Int "11" [AtLeast(1)] Medium unsupported TIERED
        "How many samples the fetch quota keeps.";
    "remote.log.manager.fetch.quota.window.size.seconds" Int "1" [AtLeast(1)] Medium unsupported TIERED
        "How long the fetch quota's sample lasts.";
    "remote.log.manager.follower.thread.pool.size" Int "2" [AtLeast(1)] Medium unsupported TIERED
        "How many threads followers use for the remote tier.";
    "remote.log.manager.task.interval.ms" Long "30000" [AtLeast(1)] Low unsupported TIERED
        "How often the remote tier's work is looked at.";
    "remote.log.manager.task.retry.backoff.max.ms" Long "30000" [AtLeast(1)] Low unsupported TIERED internal
        "How long failed work on the remote tier waits at most.";
    "remote.log.manager.task.retry.backoff.ms" Long "500" [AtLeast(1)] Low unsupported TIERED internal
        "How long failed work on the remote tier waits at first.";
    "remote.log.manager.task.retry.jitter" Double "0.2" [UpTo(0.5)] Low unsupported TIERED internal
        "By what share that wait varies.";
    "remote.log.manager.thread.pool.size" Int "2" [AtLeast(1)] Medium unsupported TIERED
        "How many threads do all other work on the remote tier.";
    "remote.log.metadata.custom.metadata.max.bytes" Int "128" [AtLeast(0)] Low unsupported TIERED
        "How large the plug-in's own data on a remote segment may be.";
    "remote.log.metadata.manager.class.name" String "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager" [NonEmpty] Medium unsupported TIERED
        "The Java class that keeps track of remote segments.";
    "remote.log.metadata.manager.class.path" String null [Any] Medium unsupported TIERED
        "Where that class is found.";
    "remote.log.metadata.manager.impl.prefix" String "rlmm.config." [NonEmpty] Medium unsupported TIERED
        "The prefix of that class's own settings.";
    "remote.log.metadata.manager.listener.name" String null [NonEmpty] Medium unsupported TIERED
        "Which listener that class connects to.";
    "remote.log.reader.max.pending.tasks" Int "100" [AtLeast(1)] Medium unsupported TIERED
        "How many reads of the remote tier may wait.";
    "remote.log.reader.threads" Int "10" [AtLeast(1)] Medium unsupported TIERED
        "How many threads read from the remote tier.";
    "remote.log.storage.manager.class.name" String null [NonEmpty] Medium unsupported TIERED
        "The Java class that reaches the remote tier.";
    "remote.log.storage.manager.class.path" String null [Any] Medium unsupported TIERED
        "Where that class is found.";
    "remote.log.storage.manager.impl.prefix" String "rsm.config." [NonEmpty] Medium unsupported TIERED
        "The prefix of that class's own settings.";
    "remote.log.storage.system.enable" Boolean "false" [Any] Medium unsupported TIERED
        "Whether tiered storage is on.";
}
