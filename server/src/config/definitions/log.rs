//! Data directory, segments, retention and compaction.

use super::*;

definitions! {
    "log.dirs" List null [Distinct] High supported
        "The directories of all data, each with shards of its own (`millrace.shards`); the metadata log is in the first. When one fails its partitions are offline and the others go on, unless it is the first.";
    "log.dir" List "./millrace-data" [Distinct] High supported
        "The data directory if `log.dirs` is not set.";
    "cordoned.log.dirs" List "" [Distinct] Medium unsupported CORDONED
        "Directories that take no new partitions.";
    "log.cleanup.policy" List "delete" [Each(&["compact", "delete"])] Medium supported
        "What happens to old records: `delete`, `compact`, both, or an empty list for neither.";
    "log.retention.ms" Long null [Any] High supported
        "How long records are kept, in milliseconds; -1 is no limit.";
    "log.retention.minutes" Int null [Any] High supported
        "How long records are kept, in minutes, if `log.retention.ms` is not set.";
    "log.retention.hours" Int "168" [Any] High supported
        "How long records are kept, in hours, if neither of the finer settings is set.";
    "log.retention.bytes" Long "-1" [Any] High supported
        "How large a partition may grow before its oldest segments are deleted; -1 is no limit.";
    "log.retention.check.interval.ms" Long "300000" [AtLeast(1)] Medium supported
        "How often the broker looks for segments to delete.";
    "log.segment.bytes" Int "1073741824" [AtLeast(1_048_576)] High supported
        "The size at which a segment is closed and the next one begun.";
    "log.segment.delete.delay.ms" Long "60000" [AtLeast(0)] High supported
        "How long a removed segment's file stays on disk after it has been renamed.";
    "log.roll.ms" Long null [Any] High supported
        "After how long a segment is closed although it is not full, in milliseconds.";
    "log.roll.hours" Int "168" [AtLeast(1)] High supported
        "After how long a segment is closed although it is not full, in hours, if `log.roll.ms` is not set.";
    "log.roll.jitter.ms" Long null [Any] High supported
        "By how much at most the roll time is shortened at random, in milliseconds.";
    "log.roll.jitter.hours" Int "0" [AtLeast(0)] High supported
        "By how much at most the roll time is shortened at random, in hours, if `log.roll.jitter.ms` is not set.";
    "log.index.interval.bytes" Int "4096" [AtLeast(0)] Medium supported
        "At most how many bytes of batches lie between two entries of the offset index.";
    "log.index.size.max.bytes" Int "10485760" [AtLeast(4)] Medium supported
        "The largest size of a segment's offset index.";
    "log.preallocate" Boolean "false" [Any] Medium supported
        "Whether a new segment file takes its full size at once.";
    "log.message.timestamp.type" String "CreateTime" [OneOf(&["CreateTime", "LogAppendTime"])] Medium supported
        "Whose clock stamps records: the producer's or, at the append, the broker's.";
    "log.message.timestamp.before.max.ms" Long "9223372036854775807" [AtLeast(0)] Medium supported
        "How far a record's timestamp may lie behind the broker's clock.";
    "log.message.timestamp.after.max.ms" Long "3600000" [AtLeast(0)] Medium supported
        "How far a record's timestamp may lie ahead of the broker's clock.";
    "log.flush.interval.messages" Long "9223372036854775807" [AtLeast(1)] High ignored FLUSH
        "After how many records Kafka forces a flush.";
    "log.flush.interval.ms" Long null [Any] High ignored FLUSH
        "After how long Kafka forces a flush.";
    "log.flush.scheduler.interval.ms" Long "9223372036854775807" [Any] High ignored FLUSH
        "How often Kafka looks for logs to flush.";
    "log.flush.offset.checkpoint.interval.ms" Int "60000" [AtLeast(0)] High supported
        "How often recovery points are written, at which damage is told from a write that was cut short; they are also written a second or so after a journal file was begun.";
    "log.flush.start.offset.checkpoint.interval.ms" Int "60000" [AtLeast(0)] High ignored JOURNAL
        "How often Kafka writes its log start offsets.";
    "log.dir.failure.timeout.ms" Long "30000" [AtLeast(1)] Low ignored LOCAL
        "How long a broker tries to report a failed directory before it stops.";
    "log.initial.task.delay.ms" Long "30000" [AtLeast(0)] Low ignored TESTS internal
        "How long Kafka's background work waits after the start.";
    "log.cleaner.enable" Boolean "true" [Any] Medium ignored CLEANER
        "Whether compaction runs at all.";
    "log.cleaner.threads" Int "1" [AtLeast(0)] Medium ignored CLEANER
        "How many threads Kafka uses for compaction.";
    "log.cleaner.io.max.bytes.per.second" Double "1.7976931348623157E308" [Any] Medium ignored CLEANER
        "How fast compaction may read and write.";
    "log.cleaner.dedupe.buffer.size" Long "134217728" [Any] Medium ignored CLEANER
        "How much memory Kafka's compaction uses for keys.";
    "log.cleaner.io.buffer.size" Int "524288" [AtLeast(0)] Medium ignored CLEANER
        "How much memory Kafka's compaction uses for reading and writing.";
    "log.cleaner.io.buffer.load.factor" Double "0.9" [Any] Medium ignored CLEANER
        "How full Kafka's table of keys may become.";
    "log.cleaner.backoff.ms" Long "15000" [AtLeast(0)] Medium ignored CLEANER
        "How long compaction pauses when nothing is due.";
    "log.cleaner.min.cleanable.ratio" Double "0.5" [Between(0, 1)] Medium supported
        "What share of a log must be uncompacted before compaction rewrites it.";
    "log.cleaner.delete.retention.ms" Long "86400000" [AtLeast(0)] Medium supported
        "How long a compacted topic keeps a deletion marker.";
    "log.cleaner.min.compaction.lag.ms" Long "0" [AtLeast(0)] Medium supported
        "How long a record is safe from compaction.";
    "log.cleaner.max.compaction.lag.ms" Long "9223372036854775807" [AtLeast(1)] Medium supported
        "After how long a record becomes due for compaction at the latest.";
    "log.local.retention.ms" Long "-2" [AtLeast(-2)] Medium unsupported TIERED
        "With tiered storage, how long segments stay on local disk.";
    "log.local.retention.bytes" Long "-2" [AtLeast(-2)] Medium unsupported TIERED
        "With tiered storage, how many bytes stay on local disk.";
    "producer.id.expiration.ms" Int "86400000" [AtLeast(1)] Low supported
        "How long an idle idempotent producer is remembered.";
    "producer.id.expiration.check.interval.ms" Int "600000" [AtLeast(1)] Low supported internal
        "How often forgotten idempotent producers are looked for.";
}
