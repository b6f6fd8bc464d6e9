//! The controller and the metadata log.

use super::*;

definitions! {
    "controller.listener.names" List "" [Any] High supported
        "Which of the listeners belong to the controller; they are not opened, for the only node is its own controller.";
    "controller.quorum.voters" List "" [NoEmptyItem] High supported
        "The controllers, as `id@host:port`; more than this node is refused.";
    "controller.quorum.bootstrap.servers" List "" [NoEmptyItem] High supported
        "Where the controllers are found; more than one is refused.";
    "controller.quorum.append.linger.ms" Int "25" [AtLeast(0)] Medium ignored QUORUM
        "How long the quorum's leader gathers writes.";
    "controller.quorum.auto.join.enable" Boolean "false" [Any] Low ignored QUORUM
        "Whether a controller joins the quorum by itself.";
    "controller.quorum.election.backoff.max.ms" Int "1000" [AtLeast(0)] High ignored QUORUM
        "How long a failed election waits at most.";
    "controller.quorum.election.timeout.ms" Int "1000" [AtLeast(0)] High ignored QUORUM
        "How long a voter waits before it asks for an election.";
    "controller.quorum.fetch.max.bytes" Int "1048576" [AtLeast(1)] Low ignored QUORUM
        "How many bytes one quorum fetch carries.";
    "controller.quorum.fetch.snapshot.max.bytes" Int "1048576" [AtLeast(1)] Low ignored QUORUM
        "How many bytes of a snapshot one answer carries.";
    "controller.quorum.fetch.timeout.ms" Int "2000" [AtLeast(0)] High ignored QUORUM
        "How long a voter goes without a leader's answer.";
    "controller.quorum.request.timeout.ms" Int "2000" [AtLeast(0)] Medium ignored QUORUM
        "How long a quorum request waits.";
    "controller.quorum.retry.backoff.ms" Int "20" [AtLeast(0)] Low ignored QUORUM
        "How soon a failed quorum request is tried again.";
    "controller.performance.always.log.threshold.ms" Long "2000" [AtLeast(0)] Medium ignored QUORUM internal
        "How slow a controller event must be to be logged.";
    "controller.performance.sample.period.ms" Long "60000" [AtLeast(100)] Medium ignored QUORUM internal
        "How often Kafka logs the controller's speed.";
    "broker.heartbeat.interval.ms" Int "2000" [Any] Medium ignored QUORUM
        "How often a broker tells the controller that it lives.";
    "broker.session.timeout.ms" Int "9000" [Any] Medium ignored QUORUM
        "After how long a silent broker counts as gone.";
    "initial.broker.registration.timeout.ms" Int "60000" [Any] Medium ignored QUORUM
        "How long a starting broker tries to register.";
    "server.max.startup.time.ms" Long "9223372036854775807" [AtLeast(0)] Medium ignored TESTS internal
        "How long a start may take.";
    "sasl.mechanism.controller.protocol" String "GSSAPI" [Any] High ignored QUORUM
        "The SASL mechanism towards the controllers.";
    "metadata.log.dir" String null [Any] High unsupported METADATA_DIR
        "A directory of its own for the metadata log.";
    "metadata.log.max.record.bytes.between.snapshots" Long "20971520" [AtLeast(1)] High supported
        "After how many bytes of metadata records a snapshot is written.";
    "metadata.log.max.snapshot.interval.ms" Long "3600000" [AtLeast(0)] High supported
        "After how long a snapshot of changed metadata is written.";
    "metadata.log.segment.bytes" Int "1073741824" [AtLeast(8_388_608)] High supported
        "The segment size of the metadata log.";
    "metadata.log.segment.ms" Long "604800000" [Any] High supported
        "After how long a segment of the metadata log is closed.";
    "metadata.max.idle.interval.ms" Int "500" [AtLeast(0)] Low ignored QUORUM
        "How often an idle quorum writes a no-op record.";
    "metadata.max.retention.bytes" Long "104857600" [Any] High supported
        "How large metadata log and snapshots may grow before old ones go.";
    "metadata.max.retention.ms" Long "604800000" [Any] High supported
        "How long old metadata segments and snapshots are kept.";
    "internal.metadata.delete.delay.millis" Long "60000" [Any] Low ignored TESTS internal
        "How long a removed metadata segment stays on disk.";
    "internal.metadata.log.segment.bytes" Int null [Any] Low ignored TESTS internal
        "A segment size of the metadata log below its lower bound.";
    "internal.metadata.max.batch.size.in.bytes" Int "8388608" [Any] Low ignored TESTS internal
        "The largest batch of metadata records.";
}
