//! Kafka's error codes as messages and result files name them.

use millrace::protocol::ErrorCode;

/// The offset asked for is not in the log.
pub const OFFSET_OUT_OF_RANGE: i16 = ErrorCode::OffsetOutOfRange.code();
/// There is no such topic or partition.
pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = ErrorCode::UnknownTopicOrPartition.code();
/// The topic is there already.
pub const TOPIC_ALREADY_EXISTS: i16 = ErrorCode::TopicAlreadyExists.code();
/// The batch is there already: an answer to a batch that was sent again.
pub const DUPLICATE_SEQUENCE_NUMBER: i16 = ErrorCode::DuplicateSequenceNumber.code();
/// Nobody leads the partition.
pub const LEADER_NOT_AVAILABLE: i16 = ErrorCode::LeaderNotAvailable.code();

/// Whether asking again in a moment may help.
pub fn passing(code: i16) -> bool {
    matches!(
        ErrorCode::from_code(code),
        Some(
            ErrorCode::UnknownTopicOrPartition
                | ErrorCode::LeaderNotAvailable
                | ErrorCode::NotLeaderOrFollower
                | ErrorCode::RequestTimedOut
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator
                | ErrorCode::NotController
                | ErrorCode::NotEnoughReplicas
                | ErrorCode::NotEnoughReplicasAfterAppend
                | ErrorCode::KafkaStorageError
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::UnknownLeaderEpoch
                | ErrorCode::UnknownTopicId
        )
    )
}

/// Whether a batch may have been appended although the broker answers so.
pub fn may_have_happened(code: i16) -> bool {
    matches!(
        ErrorCode::from_code(code),
        Some(ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicasAfterAppend)
    )
}

/// Whether the broker does not know a producer or where its sequence stands.
pub fn sequence_unknown(code: i16) -> bool {
    matches!(
        ErrorCode::from_code(code),
        Some(
            ErrorCode::OutOfOrderSequenceNumber
                | ErrorCode::UnknownProducerId
                | ErrorCode::InvalidProducerEpoch
        )
    )
}

/// The name of an error code, or `ERROR_<code>`.
pub fn name(code: i16) -> String {
    ErrorCode::from_code(code)
        .map_or_else(|| format!("ERROR_{code}"), |known| known.name().to_owned())
}
