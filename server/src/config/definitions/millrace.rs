//! Settings that Kafka does not have: shards, memory, journal, durability.

use super::*;

definitions! {
    "millrace.shards" Int null [Between(1, 64)] High supported
        "How many shards, that is threads, the broker runs; by default one less than the cores it may use, from 1 to 64. There is at least one for each of `log.dirs`.";
    "millrace.pin.cores" List "" [Distinct] Medium supported
        "Which cores the shards are pinned to, such as `0-3,8`, one per shard; empty takes the last of those the process may use, and pins a single shard only if there is but one.";
    "millrace.memory.bytes" Long "536870912" [AtLeast(16_777_216)] High supported
        "How much memory all shards together use for tails, caches, requests in flight and records on their way to clients.";
    "millrace.journal.bytes" Long "268435456" [AtLeast(16_777_216)] Medium supported
        "How large each shard's commit journal is on disk; written in full once, when it is created. As much again is reserved beside it for a start on a full disk.";
    "millrace.durability" String "fsync" [OneOf(&["fsync", "written"])] High supported
        "What an acknowledgement means: `fsync` that the device has flushed the record, `written` that the operating system has it, which a power cut may lose.";
    "millrace.validate.records" String "deep" [OneOf(&["headers", "deep"])] Medium supported
        "How far produced batches are checked: `headers` stops at batch header and checksum, `deep` decompresses and reads every record, as Kafka does.";
    "millrace.watchdog.ms" Long "10000" [AtLeast(0)] Medium supported
        "How long a shard may go without taking a turn before it counts as stuck, which is logged as an error; in steps of a second, 0 is for ever.";
    "millrace.watchdog.action" String "log" [OneOf(&["log", "abort"])] Medium supported
        "What happens when a shard is stuck: `log` leaves it at the error, `abort` ends the process by SIGABRT, so that its supervisor starts it again.";
    "millrace.admin.listener" String "127.0.0.1:9644" [Any] Low supported
        "Where the admin port listens, `host:port`: metrics, health and stage times over HTTP, without authentication. Empty opens none; if the default is taken, the broker goes on without, and if an address that is set is taken, it does not start.";
    "millrace.scrub.interval.ms" Long "86400000" [AtLeast(0)] Low supported
        "How long after the start, and after the end of the last pass, every closed segment is read again and its checksums, indexes and snapshots are checked; 0 turns it off.";
    "millrace.scrub.bytes.per.second" Long "4194304" [AtLeast(65_536)] Low supported
        "How many bytes each shard reads in a second while it checks closed segments.";
    "millrace.allow.plaintext.non.loopback" Boolean null [Any] High supported
        "Whether listeners without encryption and authentication may be reachable from other machines: `true` allows it silently, `false` refuses to start, and unset allows what `listeners` says with a loud warning.";
}
