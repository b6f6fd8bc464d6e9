//! Writes `docs/COMPATIBILITY.md`: which APIs of Kafka 4.3 are served in which versions, and where an
//! answer differs from Kafka's. What is served comes from the table that requests are served by.

use crate::api::SERVED;
use crate::protocol::ApiKey;

/// An API that a broker of Kafka 4.3 offers to clients and other brokers.
#[derive(Debug, Clone, Copy)]
pub struct KafkaApi {
    /// Its key.
    pub key: i16,
    /// Its name.
    pub name: &'static str,
    /// Lowest and highest stable version.
    pub versions: (i16, i16),
    /// Served: what is different here, if anything. Not served: why.
    pub note: &'static str,
}

const ACL: &str = "access control is not built yet";
const CLUSTER: &str = "there is one broker";
const NEW_GROUPS: &str =
    "consumer groups of KIP-848 are not built yet; clients use the classic protocol";
const MOVES: &str = "partitions are not moved between log directories yet";
const QUOTAS: &str = "quotas are not built yet";
const QUORUM: &str = "the only voter is this node";
const SASL: &str = "SASL is not built yet";
const SHARE: &str = "share groups are not built yet";
const STREAMS: &str =
    "streams groups of KIP-1071 are not built yet; applications use the classic protocol";
const TELEMETRY: &str = "client telemetry is not built; clients do without";
const TOKENS: &str = "delegation tokens are not built yet";
const TRANSACTIONS: &str = "transactions are not built yet";

macro_rules! kafka_apis {
    ($($key:literal $name:ident $min:literal $max:literal $note:expr;)*) => {
        /// What a broker of Kafka 4.3.1 announces (`kafka-broker-api-versions`), and its Produce without
        /// the versions that it announces and does not take.
        pub const KAFKA: &[KafkaApi] = &[$(
            KafkaApi { key: $key, name: stringify!($name), versions: ($min, $max), note: $note },
        )*];
    };
}

kafka_apis! {
    0 Produce 3 13 "answered when the batch is on disk, with `acks=1` too; transactional batches are refused";
    1 Fetch 4 18 "there are no followers; the rack id has no effect";
    2 ListOffsets 1 11 "there is no tiered storage";
    3 Metadata 0 13 "waits for a topic that it creates instead of sending the client away once";
    8 OffsetCommit 2 10 "";
    9 OffsetFetch 1 10 "member id and epoch of KIP-848 are not looked at";
    10 FindCoordinator 0 6 "waits for `__consumer_offsets` when it creates it; groups only";
    11 JoinGroup 0 9 "";
    12 Heartbeat 0 4 "";
    13 LeaveGroup 0 5 "";
    14 SyncGroup 0 5 "";
    15 DescribeGroups 0 6 "";
    16 ListGroups 0 5 "";
    17 SaslHandshake 0 1 SASL;
    18 ApiVersions 0 4 "";
    19 CreateTopics 2 7 "no `create.topic.policy.class.name`";
    20 DeleteTopics 1 6 "";
    21 DeleteRecords 0 2 "";
    22 InitProducerId 0 5 "idempotent producers only; a transactional id is refused";
    23 OffsetForLeaderEpoch 2 4 "";
    24 AddPartitionsToTxn 0 5 TRANSACTIONS;
    25 AddOffsetsToTxn 0 4 TRANSACTIONS;
    26 EndTxn 0 5 TRANSACTIONS;
    27 WriteTxnMarkers 1 2 TRANSACTIONS;
    28 TxnOffsetCommit 0 5 TRANSACTIONS;
    29 DescribeAcls 1 3 ACL;
    30 CreateAcls 1 3 ACL;
    31 DeleteAcls 1 3 ACL;
    32 DescribeConfigs 1 4 "a broker's settings are all read-only; loggers, groups and metrics subscriptions have none";
    33 AlterConfigs 0 2 "topics only";
    34 AlterReplicaLogDirs 1 2 MOVES;
    35 DescribeLogDirs 1 5 "";
    36 SaslAuthenticate 0 2 SASL;
    37 CreatePartitions 0 3 "";
    38 CreateDelegationToken 1 3 TOKENS;
    39 RenewDelegationToken 1 2 TOKENS;
    40 ExpireDelegationToken 1 2 TOKENS;
    41 DescribeDelegationToken 1 3 TOKENS;
    42 DeleteGroups 0 2 "";
    43 ElectLeaders 0 2 "";
    44 IncrementalAlterConfigs 0 1 "topics only; a broker's settings cannot be changed while it runs, and who tries is told so";
    45 AlterPartitionReassignments 0 1 CLUSTER;
    46 ListPartitionReassignments 0 0 "";
    47 OffsetDelete 0 0 "";
    48 DescribeClientQuotas 0 1 QUOTAS;
    49 AlterClientQuotas 0 1 QUOTAS;
    50 DescribeUserScramCredentials 0 0 SASL;
    51 AlterUserScramCredentials 0 0 SASL;
    55 DescribeQuorum 0 2 "no listener for controllers is named";
    57 UpdateFeatures 0 2 "";
    60 DescribeCluster 0 2 "";
    61 DescribeProducers 0 0 "";
    64 UnregisterBroker 0 0 CLUSTER;
    65 DescribeTransactions 0 0 TRANSACTIONS;
    66 ListTransactions 0 2 TRANSACTIONS;
    68 ConsumerGroupHeartbeat 0 1 NEW_GROUPS;
    69 ConsumerGroupDescribe 0 1 NEW_GROUPS;
    71 GetTelemetrySubscriptions 0 0 TELEMETRY;
    72 PushTelemetry 0 0 TELEMETRY;
    74 ListConfigResources 0 1 "";
    75 DescribeTopicPartitions 0 0 "";
    76 ShareGroupHeartbeat 1 1 SHARE;
    77 ShareGroupDescribe 1 1 SHARE;
    78 ShareFetch 1 2 SHARE;
    79 ShareAcknowledge 1 2 SHARE;
    80 AddRaftVoter 0 1 QUORUM;
    81 RemoveRaftVoter 0 0 QUORUM;
    83 InitializeShareGroupState 0 0 SHARE;
    84 ReadShareGroupState 0 0 SHARE;
    85 WriteShareGroupState 0 1 SHARE;
    86 DeleteShareGroupState 0 0 SHARE;
    87 ReadShareGroupStateSummary 0 1 SHARE;
    88 StreamsGroupHeartbeat 0 0 STREAMS;
    89 StreamsGroupDescribe 0 0 STREAMS;
    90 DescribeShareGroupOffsets 0 1 SHARE;
    91 AlterShareGroupOffsets 0 0 SHARE;
    92 DeleteShareGroupOffsets 0 0 SHARE;
}

const INTRODUCTION: &str = "# Compatibility

<!-- Written by `document::compatibility::markdown()`. After a change of the tables run
     `UPDATE_DOCS=1 cargo test -p millrace --test compatibility` -->

millrace speaks the protocol of Apache Kafka 4.3 to unchanged clients. ApiVersions announces exactly
what the first table below lists.

- A client finds out what it may use by ApiVersions. A request of an API or version that is not announced
  costs its connection, as in Kafka, but for ApiVersions itself, which is answered with
  `UNSUPPORTED_VERSION` and its versions (KIP-511).
- Produce is announced from version 0, as Kafka does, because older librdkafka compresses only then
  (KAFKA-18659); versions 0 to 2 are not taken.
- Clients that Kafka 4.x brokers serve (KIP-896) are served: Java clients from 2.1, librdkafka from
  1.8.2, sarama from 1.29.1, kafkajs from 1.15, and others of that time.
- `throttle_time_ms` is always 0: there are no quotas yet. Everybody may do everything: there is no access
  control yet.
";

const SERVED_INTRODUCTION: &str = "
## Served

Versions are all of Kafka 4.3's, unless a second range says what Kafka has.

| key | API | versions | what is different from Kafka |
|--|--|--|--|
";

const MISSING_INTRODUCTION: &str = "
## Not served yet

| key | API | Kafka 4.3 | why |
|--|--|--|--|
";

const BEHAVIOUR: &str = "
## Differences in behaviour

- **An acknowledgement is a flush.** With `acks=1` and `acks=all` alike, a batch is answered when it is on
  disk (`millrace.durability`). `acks=0` has no answer, as in Kafka.
- **Creation is complete when it is answered.** CreateTopics, CreatePartitions, DeleteTopics and changes of
  settings are answered when they are durable and every shard knows them, so a client never sees
  `UNKNOWN_TOPIC_OR_PARTITION` right after it has created a topic. `timeout_ms` of these requests
  therefore has no effect.
- **A single broker gives internal topics one replica** where Kafka's default of 3 would keep groups from
  working at all.
- **Committed offsets of a topic that is deleted are forgotten** with it, as in Kafka 4.x.
- **Groups are classic ones.** `group.protocol=classic`, the default of all Kafka clients, is whole: static
  members (KIP-345), known member ids (KIP-394), skipped assignments (KIP-814). A client that asks for
  `group.protocol=consumer` is told by ApiVersions that it cannot have it.
- **Log directories**: the metadata log is always in the first of `log.dirs` (there is no
  `metadata.log.dir`), and which one that is must not change. None is ever cordoned. A partition whose
  directory is not there at the start stays offline until it is back or the topic is deleted; it is not begun
  anew elsewhere. The leader of a partition in a failed directory stays named: clients get
  `KAFKA_STORAGE_ERROR`.
";

/// Kafka's own tools and what of them works; tried with those of Kafka 4.3.1.
const TOOLS: &str = "
## Kafka's tools

| tool | what works |
|--|--|
| `kafka-topics` | all |
| `kafka-console-producer`, `kafka-console-consumer` | all but transactions and `group.protocol=consumer` |
| `kafka-consumer-groups` | all: list, describe (offsets, members, state), reset and delete offsets, delete |
| `kafka-groups` | list |
| `kafka-configs` | topics: all; brokers: describe; users, clients, groups, loggers and metrics: nothing to show or change |
| `kafka-get-offsets`, `kafka-delete-records`, `kafka-log-dirs` | all |
| `kafka-leader-election`, `kafka-features`, `kafka-cluster` | all that a single broker has to do |
| `kafka-metadata-quorum` | describe |
| `kafka-reassign-partitions` | `--list`, which shows nothing |
| `kafka-transactions` | `describe-producers` |
| `kafka-broker-api-versions`, `kafka-dump-log` and the performance tools | all |
| `kafka-acls`, `kafka-delegation-tokens`, `kafka-share-groups`, `kafka-streams-groups`, `kafka-client-metrics` | nothing yet |
";

/// The whole document.
#[must_use]
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str(SERVED_INTRODUCTION);
    for api in KAFKA {
        if let Some(served) = served(api) {
            text.push_str(&served_row(api, served));
        }
    }
    text.push_str(BEHAVIOUR);
    text.push_str(TOOLS);
    text.push_str(MISSING_INTRODUCTION);
    for api in KAFKA.iter().filter(|api| served(api).is_none()) {
        let (key, name, versions) = (api.key, api.name, range(api.versions));
        text.push_str(&format!("| {key} | {name} | {versions} | {} |\n", api.note));
    }
    text
}

/// The API as it is served here, if it is.
fn served(api: &KafkaApi) -> Option<ApiKey> {
    SERVED.iter().copied().find(|served| served.code() == api.key)
}

fn served_row(api: &KafkaApi, served: ApiKey) -> String {
    let spec = served.spec();
    let ours = (spec.min, spec.max);
    let versions = if ours == api.versions {
        range(ours)
    } else {
        format!("{} (Kafka {})", range(ours), range(api.versions))
    };
    format!("| {} | {} | {versions} | {} |\n", api.key, api.name, api.note)
}

fn range((min, max): (i16, i16)) -> String {
    if min == max { min.to_string() } else { format!("{min}-{max}") }
}
