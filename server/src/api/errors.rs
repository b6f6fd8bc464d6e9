//! Which error code a client sees for each error of the engine. Exhaustive on purpose: a new error of
//! the engine does not compile until somebody has decided here.

use millrace_engine::group::GroupError;
use millrace_engine::metadata::controller::ControllerError;
use millrace_engine::partition::AppendError;
use millrace_engine::partition::producers::ProducerError;
use millrace_engine::record::validate::{BatchError, RefusedRecord};
use millrace_engine::shard::call::{CoordinatorError, ReadError, StorageError};

use crate::protocol::ErrorCode;

impl From<&AppendError> for ErrorCode {
    fn from(error: &AppendError) -> Self {
        match error {
            AppendError::NotLeader => Self::NotLeaderOrFollower,
            AppendError::Storage => Self::KafkaStorageError,
            AppendError::Batch(error) => Self::from(error),
            AppendError::Producer(error) => Self::from(error),
            AppendError::LargerThanSegment { .. } => Self::RecordListTooLarge,
        }
    }
}

impl From<&BatchError> for ErrorCode {
    fn from(error: &BatchError) -> Self {
        match error {
            BatchError::Corrupt(_) => Self::CorruptMessage,
            BatchError::Invalid(_) | BatchError::InvalidRecords(_) => Self::InvalidRecord,
            BatchError::InvalidTimestamps(_) => Self::InvalidTimestamp,
            BatchError::TooLarge { .. } => Self::MessageTooLarge,
            BatchError::UnsupportedCompression(_) => Self::UnsupportedCompressionType,
        }
    }
}

/// The records that spoilt their batch, for `RecordErrors` (KIP-467).
#[must_use]
pub fn refused_records(error: &AppendError) -> &[RefusedRecord] {
    match error {
        AppendError::Batch(error) => match error {
            BatchError::InvalidRecords(records) | BatchError::InvalidTimestamps(records) => records,
            BatchError::Corrupt(_)
            | BatchError::Invalid(_)
            | BatchError::TooLarge { .. }
            | BatchError::UnsupportedCompression(_) => &[],
        },
        AppendError::NotLeader
        | AppendError::Storage
        | AppendError::Producer(_)
        | AppendError::LargerThanSegment { .. } => &[],
    }
}

impl From<&ProducerError> for ErrorCode {
    fn from(error: &ProducerError) -> Self {
        match error {
            ProducerError::InvalidEpoch { .. } => Self::InvalidProducerEpoch,
            ProducerError::OutOfOrderSequence { .. } => Self::OutOfOrderSequenceNumber,
            ProducerError::InvalidTransactionState { .. } => Self::InvalidTxnState,
            ProducerError::CoordinatorFenced { .. } => Self::TransactionCoordinatorFenced,
        }
    }
}

impl From<&ReadError> for ErrorCode {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::NotLeader => Self::NotLeaderOrFollower,
            ReadError::OutOfRange { .. } => Self::OffsetOutOfRange,
            ReadError::FencedEpoch => Self::FencedLeaderEpoch,
            ReadError::UnknownEpoch => Self::UnknownLeaderEpoch,
            ReadError::Storage => Self::KafkaStorageError,
            // Kafka's answer where it finds a batch malformed: its consumer tells the application, with
            // the offset, where a storage error is tried again for ever.
            ReadError::Damaged => Self::CorruptMessage,
            ReadError::Policy => Self::PolicyViolation,
        }
    }
}

impl From<&CoordinatorError> for ErrorCode {
    fn from(error: &CoordinatorError) -> Self {
        match error {
            // As Kafka: the client looks for the coordinator again.
            CoordinatorError::NotHere | CoordinatorError::Storage => Self::NotCoordinator,
            CoordinatorError::Loading => Self::CoordinatorLoadInProgress,
        }
    }
}

/// For calls to the controller.
impl From<&StorageError> for ErrorCode {
    fn from(StorageError: &StorageError) -> Self {
        Self::KafkaStorageError
    }
}

impl From<&GroupError> for ErrorCode {
    fn from(error: &GroupError) -> Self {
        match error {
            GroupError::NotCoordinator => Self::NotCoordinator,
            GroupError::InvalidGroupId => Self::InvalidGroupId,
            GroupError::InvalidSessionTimeout => Self::InvalidSessionTimeout,
            GroupError::InconsistentGroupProtocol => Self::InconsistentGroupProtocol,
            GroupError::MemberIdRequired { .. } => Self::MemberIdRequired,
            GroupError::UnknownMemberId => Self::UnknownMemberId,
            GroupError::FencedInstanceId => Self::FencedInstanceId,
            GroupError::IllegalGeneration => Self::IllegalGeneration,
            GroupError::RebalanceInProgress => Self::RebalanceInProgress,
            GroupError::GroupMaxSizeReached => Self::GroupMaxSizeReached,
            // Kafka answers so too: the group's state could not be stored.
            GroupError::GroupTooLarge => Self::UnknownServerError,
            GroupError::GroupIdNotFound => Self::GroupIdNotFound,
            GroupError::NonEmptyGroup => Self::NonEmptyGroup,
            GroupError::GroupSubscribedToTopic => Self::GroupSubscribedToTopic,
            GroupError::OffsetMetadataTooLarge => Self::OffsetMetadataTooLarge,
            GroupError::InvalidCommitOffsetSize => Self::InvalidCommitOffsetSize,
        }
    }
}

impl From<&ControllerError> for ErrorCode {
    fn from(error: &ControllerError) -> Self {
        match error {
            ControllerError::UnknownTopicOrPartition(_) => Self::UnknownTopicOrPartition,
            ControllerError::UnknownTopicId(_) => Self::UnknownTopicId,
            ControllerError::TopicExists(_) => Self::TopicAlreadyExists,
            ControllerError::InvalidTopic(_) => Self::InvalidTopicException,
            ControllerError::InvalidPartitions(_) => Self::InvalidPartitions,
            ControllerError::InvalidReplicationFactor(_) => Self::InvalidReplicationFactor,
            ControllerError::InvalidReplicaAssignment(_) => Self::InvalidReplicaAssignment,
            ControllerError::InvalidConfig(_) => Self::InvalidConfig,
            ControllerError::InvalidRequest(_) => Self::InvalidRequest,
            ControllerError::PolicyViolation(_) => Self::PolicyViolation,
            ControllerError::TopicDeletionDisabled(_) => Self::TopicDeletionDisabled,
            ControllerError::BrokerNotRegistered(_) => Self::BrokerIdNotRegistered,
            ControllerError::StaleBrokerEpoch(_) => Self::StaleBrokerEpoch,
            ControllerError::InvalidRegistration(_) => Self::InvalidRegistration,
            ControllerError::UnsupportedVersion(_) => Self::UnsupportedVersion,
            ControllerError::InvalidUpdateVersion(_) => Self::InvalidUpdateVersion,
            ControllerError::ElectionNotNeeded(_) => Self::ElectionNotNeeded,
            ControllerError::PreferredLeaderNotAvailable(_) => Self::PreferredLeaderNotAvailable,
            ControllerError::EligibleLeadersNotAvailable(_) => Self::EligibleLeadersNotAvailable,
        }
    }
}
