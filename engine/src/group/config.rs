//! The settings of the group coordinator, with Kafka's defaults.

/// Settings of the group coordinator; the comment of each names Kafka's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: u64,
    /// `group.max.size`. Members.
    pub members_max: usize,
    /// How long a member that has never completed a join is kept while its join is held; Kafka has
    /// no key for it.
    pub new_member_join_timeout_ms: u64,
    /// `offset.metadata.max.bytes`, which Kafka counts in UTF-16 code units.
    pub offset_metadata_units_max: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_ms: u64,
    /// Largest batch that the log of the machine takes (`max.message.bytes` of
    /// `__consumer_offsets`).
    pub batch_bytes_max: usize,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            members_max: i32::MAX as usize,
            new_member_join_timeout_ms: 5 * 60 * 1000,
            offset_metadata_units_max: 4096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_ms: 600_000,
            batch_bytes_max: 1_048_588,
        }
    }
}
