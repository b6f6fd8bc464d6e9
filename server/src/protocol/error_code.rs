//! Kafka's error codes: what a response says instead of, or beside, what was asked for.

use std::fmt;

macro_rules! error_codes {
    ($($(#[$meta:meta])* $variant:ident = $code:literal, $name:literal, $message:literal;)*) => {
        /// An error code of Kafka 4.3.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(
                #[doc = concat!("`", $name, "`: ", $message, ".")]
                $(#[$meta])*
                $variant = $code,
            )*
        }

        impl ErrorCode {
            /// All codes, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The error of a code, if Kafka 4.3 has one.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// Kafka's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// A sentence for people, used where a response has room for one.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }
        }
    };
}

error_codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", "the broker met an unexpected error";
    #[default]
    None = 0, "NONE", "no error";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", "the offset is outside the partition's log";
    CorruptMessage = 2, "CORRUPT_MESSAGE",
        "the records are corrupt, too large, or lack a key that the topic needs";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION",
        "this broker has no such topic or partition";
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", "the fetch size is not valid";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", "the partition has no leader at the moment";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER",
        "this broker is not the leader, or not a replica, of the partition";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", "the request timed out";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", "the broker is not available";
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", "the replica is not available on this broker";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", "the record batch is larger than the topic allows";
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH",
        "the controller has moved to another broker";
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE",
        "the metadata committed with the offset is too long";
    NetworkException = 13, "NETWORK_EXCEPTION", "the connection ended before the response came";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS",
        "the coordinator is still loading its state";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", "the coordinator is not available";
    NotCoordinator = 16, "NOT_COORDINATOR", "this broker is not the coordinator";
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION",
        "the topic's name, or what was asked of it, is not valid";
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", "the record batch is larger than a segment";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS",
        "fewer replicas are in sync than the topic demands";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "the records were appended, but to fewer in-sync replicas than demanded";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", "acks is neither -1, 0 nor 1";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", "the group has another generation";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL",
        "the member has no protocol in common with the group";
    InvalidGroupId = 24, "INVALID_GROUP_ID", "the group id is not valid";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", "the coordinator does not know this member";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT",
        "the session timeout is outside the range that the broker allows";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS",
        "the group is rebalancing, so the member must rejoin";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", "the offset commit is too large";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", "not authorized for the topic";
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", "not authorized for the group";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED",
        "not authorized for the cluster";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP",
        "a record's timestamp is out of the range that the topic allows";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM",
        "the broker does not offer this SASL mechanism";
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", "the request is out of place in the SASL exchange";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", "the version is not supported";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", "there is a topic of this name already";
    InvalidPartitions = 37, "INVALID_PARTITIONS", "the number of partitions is not valid";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR",
        "the replication factor is below 1 or above the number of brokers";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT",
        "the replica assignment is not valid";
    InvalidConfig = 40, "INVALID_CONFIG", "the configuration is not valid";
    NotController = 41, "NOT_CONTROLLER", "this broker is not the controller";
    InvalidRequest = 42, "INVALID_REQUEST", "the request is malformed or contradicts itself";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        "the log's record format does not allow this";
    PolicyViolation = 44, "POLICY_VIOLATION", "the request breaks a policy of the cluster";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER",
        "the producer's sequence number leaves a gap";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER",
        "the producer's sequence number was used before";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", "the producer's epoch is old";
    InvalidTxnState = 48, "INVALID_TXN_STATE", "the transaction's state does not allow this";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING",
        "the producer id does not belong to the transactional id";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT",
        "the transaction timeout is above what the broker allows";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS",
        "the producer's previous transaction is still ending";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED",
        "the transaction coordinator that sent this has been replaced";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        "not authorized for the transactional id";
    SecurityDisabled = 54, "SECURITY_DISABLED", "security is not configured";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED",
        "the broker did not try, because another part of the request failed";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", "the disk failed";
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", "the broker has no such log directory";
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", "authentication failed";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", "the partition does not know the producer";
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", "the partition is being reassigned";
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED",
        "delegation tokens are not enabled";
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", "there is no such delegation token";
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH",
        "the delegation token belongs to someone else";
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
        "delegation tokens are not given out over such a connection";
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
        "not authorized for the delegation token";
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", "the delegation token has expired";
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", "there is no such type of principal";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", "the group still has members";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", "there is no such group";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", "there is no such fetch session";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH",
        "the request is out of order in its fetch session";
    ListenerNotFound = 72, "LISTENER_NOT_FOUND",
        "the leader has no listener of the name this request came in on";
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED",
        "topics cannot be deleted on this cluster";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH",
        "the leader epoch in the request is older than the broker's";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH",
        "the leader epoch in the request is newer than the broker's";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE",
        "the compression type is not supported in this version";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", "the broker has registered anew since";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE",
        "the new leader's high watermark has not caught up yet";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED",
        "the member must join again with the member id in this response";
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE",
        "the preferred leader is not available";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED",
        "the group has as many members as it may have";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", "another member has taken this group instance id";
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE",
        "no replica is eligible as leader";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", "the partition needs no election";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS",
        "the partition is not being reassigned";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC",
        "the group is subscribed to the topic";
    InvalidRecord = 87, "INVALID_RECORD", "a record failed the broker's validation";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT",
        "a transaction over these offsets has not ended yet";
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", "the quota is used up";
    ProducerFenced = 90, "PRODUCER_FENCED", "a newer producer uses the transactional id";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", "there is no such resource";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", "the request names a resource twice";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", "the credential is not acceptable";
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET",
        "sender and receiver do not agree on the voters";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", "the update's version is not valid";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", "the features could not be updated";
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE",
        "the forwarded principal cannot be read";
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", "there is no such snapshot";
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", "the position is outside the snapshot";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", "this broker has no topic of this id";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION",
        "a broker of this id is registered already";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", "no broker of this id is registered";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID",
        "the log's topic id is not the one in the request";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", "the cluster id is not this cluster's";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND",
        "there is no such transactional id";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR",
        "the fetch session mixes topic names and topic ids";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA",
        "the new set of in-sync replicas has one that may not be in it";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", "the partition was changed and has a new leader";
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE",
        "the offset is in tiered storage only";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH",
        "the member has been fenced and must rejoin without its partitions";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID",
        "another member still holds this group instance id";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", "the group does not support this assignor";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH",
        "the member must learn its new epoch by a heartbeat first";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE",
        "the request went to the wrong type of endpoint";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE",
        "this type of endpoint is not supported";
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", "there is no controller of this id";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID",
        "the telemetry subscription is old or unknown";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE",
        "the telemetry is larger than the broker accepts";
    InvalidRegistration = 119, "INVALID_REGISTRATION",
        "the controller does not accept the registration";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE",
        "the transaction failed and must be aborted, after which the producer may go on";
    InvalidRecordState = 121, "INVALID_RECORD_STATE",
        "the record is in no state to be acknowledged";
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", "there is no such share session";
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH",
        "the request is out of order in its share session";
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", "the share group's state has a newer epoch";
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", "the voter key is not that of the replica";
    DuplicateVoter = 126, "DUPLICATE_VOTER", "the replica is a voter already";
    VoterNotFound = 127, "VOTER_NOT_FOUND", "the replica is not a voter";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION",
        "the regular expression is not valid";
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED",
        "the client's metadata is out of date, it must start from its bootstrap servers";
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", "the topology is not valid";
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH",
        "the topology epoch is not valid";
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", "the topology epoch is out of date";
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED",
        "there are as many share sessions as there may be";
}

impl ErrorCode {
    /// Whether this is no error.
    #[must_use]
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> Self {
        error.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_without_gaps() {
        for (code, &error) in (-1..).zip(ErrorCode::ALL) {
            assert_eq!(error.code(), code);
            assert_eq!(ErrorCode::from_code(code), Some(error));
        }
        assert_eq!(ErrorCode::ALL.len(), 135);
        assert_eq!(ErrorCode::from_code(134), None);
        assert_eq!(ErrorCode::RebootstrapRequired.to_string(), "REBOOTSTRAP_REQUIRED");
    }
}
