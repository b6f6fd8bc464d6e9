//! Why the controller refuses something: one variant per wire error, with what a client reads.

/// Why the controller refuses one item of a call. Each variant is one error of the protocol; the
/// text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// No such topic by name, or no such partition.
    #[error("{0}")]
    UnknownTopicOrPartition(String),
    /// No such topic by id.
    #[error("{0}")]
    UnknownTopicId(String),
    /// The topic exists.
    #[error("{0}")]
    TopicExists(String),
    /// The topic's name is not allowed.
    #[error("{0}")]
    InvalidTopic(String),
    /// The number of partitions is not allowed.
    #[error("{0}")]
    InvalidPartitions(String),
    /// The number of replicas is not allowed, or there are not as many brokers.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// The given replicas do not fit the cluster or each other.
    #[error("{0}")]
    InvalidReplicaAssignment(String),
    /// A configuration has no such name, or not such a value.
    #[error("{0}")]
    InvalidConfig(String),
    /// The call contradicts itself.
    #[error("{0}")]
    InvalidRequest(String),
    /// More than is done at once.
    #[error("{0}")]
    PolicyViolation(String),
    /// Topics may not be deleted here (`delete.topic.enable`).
    #[error("{0}")]
    TopicDeletionDisabled(String),
    /// No such broker.
    #[error("{0}")]
    BrokerNotRegistered(String),
    /// The broker has registered again since.
    #[error("{0}")]
    StaleBrokerEpoch(String),
    /// The registration contradicts itself.
    #[error("{0}")]
    InvalidRegistration(String),
    /// The broker or this release does not support the feature at its level.
    #[error("{0}")]
    UnsupportedVersion(String),
    /// The feature cannot be set to the level.
    #[error("{0}")]
    InvalidUpdateVersion(String),
    /// The partition has the leader it should have.
    #[error("{0}")]
    ElectionNotNeeded(String),
    /// The preferred leader cannot lead now.
    #[error("{0}")]
    PreferredLeaderNotAvailable(String),
    /// Nobody can lead now.
    #[error("{0}")]
    EligibleLeadersNotAvailable(String),
}

impl ControllerError {
    pub(super) fn unknown_topic() -> Self {
        Self::UnknownTopicOrPartition("This server does not host this topic-partition.".to_owned())
    }

    pub(super) fn unknown_topic_id() -> Self {
        Self::UnknownTopicId("This server does not host this topic ID.".to_owned())
    }
}
