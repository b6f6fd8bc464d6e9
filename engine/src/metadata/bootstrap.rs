//! The beginnings: what a newly formatted node has, and what a leader writes when its epoch begins.

use bytes::Bytes;

use super::apply::ApplyError;
use super::apply::Delta;
use super::features::{METADATA_VERSION, METADATA_VERSION_MAX, METADATA_VERSION_MIN};
use super::image::{Image, Provenance};
use super::loader::Loaded;
use super::quorum_state::QuorumState;
use super::record::{self, FeatureRange, MetadataRecord};
use super::snapshot::{self, SnapshotId, WriteError};
use crate::codec::{EncodeError, Str};
use crate::record::builder::{BatchBuilder, BatchFull, BatchOptions};
use crate::record::control::{self, ControlRecord, LeaderChange, VoterKey};
use crate::types::{LeaderEpoch, NodeId, Offset, TimestampMs, Uuid};

/// The features that a new cluster is finalized at: what this broker does today. `metadata.version`
/// comes first. No `transaction.version` (transactions are of version 0), no `group.version`
/// (classic groups), no `kraft.version` (the quorum is fixed), no
/// `eligible.leader.replicas.version` and no `share.version`.
pub const FEATURES: &[(&str, i16)] = &[(METADATA_VERSION, METADATA_VERSION_MAX)];

/// The features that this release can be finalized at: name, lowest and highest level. What a
/// broker tells when it registers.
pub const FEATURES_SUPPORTED: &[(&str, i16, i16)] =
    &[(METADATA_VERSION, METADATA_VERSION_MIN, METADATA_VERSION_MAX)];

/// [`FEATURES_SUPPORTED`] as they stand in a registration.
#[must_use]
pub fn feature_ranges() -> Vec<FeatureRange> {
    let range = |(name, min, max): &(&'static str, i16, i16)| FeatureRange {
        name: Str::from_static(name),
        min_supported_version: *min,
        max_supported_version: *max,
    };
    FEATURES_SUPPORTED.iter().map(range).collect()
}

/// What an image is finalized at beyond [`FEATURES_SUPPORTED`], as `name=level`.
#[must_use]
pub fn unsupported_features(image: &Image) -> Vec<String> {
    let is_supported = |name: &str, level: i16| {
        FEATURES_SUPPORTED
            .iter()
            .any(|&(known, min, max)| known == name && (min..=max).contains(&level))
    };
    let found = image.features.iter().filter(|(name, level)| !is_supported(name, *level));
    found.map(|(name, level)| format!("{name}={level}")).collect()
}

/// Who a newly formatted node is; to be written into `meta.properties`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// `cluster.id`.
    pub cluster_id: Uuid,
    /// `node.id`.
    pub node_id: NodeId,
    /// `directory.id` of one log directory.
    pub directory_id: Uuid,
}

impl Identity {
    /// A node of a new cluster.
    #[must_use]
    pub fn new(node_id: NodeId, random: &mut dyn FnMut() -> u128) -> Self {
        Self { cluster_id: new_id(random), node_id, directory_id: new_id(random) }
    }
}

/// A new id of a cluster, a directory or a process's life.
#[must_use]
pub fn new_id(random: &mut dyn FnMut() -> u128) -> Uuid {
    loop {
        if let Some(id) = Uuid::from_random(random()) {
            return id;
        }
    }
}

/// The records that a new cluster begins with.
#[must_use]
pub fn records() -> Vec<MetadataRecord> {
    let record = |(name, level): &(&'static str, i16)| {
        record::FeatureLevel { name: (*name).into(), feature_level: *level }.into()
    };
    FEATURES.iter().map(record).collect()
}

/// The file of the [bootstrap snapshot](SnapshotId::BOOTSTRAP).
///
/// # Errors
/// As [`snapshot::write`].
pub fn snapshot(now_ms: TimestampMs) -> Result<Bytes, WriteError> {
    snapshot::write_records(SnapshotId::BOOTSTRAP, &records(), METADATA_VERSION_MAX, (0, now_ms))
}

/// Why an epoch cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// A record cannot be encoded.
    #[error("metadata record cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// A record does not fit into a batch.
    #[error(transparent)]
    Full(#[from] BatchFull),
    /// A record does not fit the log.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The epochs are used up, or `quorum-state` is damaged.
    #[error("leader epoch {0} cannot be followed by another")]
    Epoch(LeaderEpoch),
    /// The log belongs to a quorum of several voters, or of another one.
    #[error("the metadata log belongs to another quorum, of nodes {0:?}")]
    Voters(Vec<NodeId>),
}

/// The beginning of a leader's epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Beginning {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The text to write into `quorum-state` before the batches are appended.
    pub quorum_state: String,
    /// What to append, each batch where its header says: a leader change, and behind it what the
    /// log lacks.
    pub batches: Vec<Bytes>,
    /// The state when they are durable.
    pub image: Image,
    /// The offset behind them.
    pub next_offset: Offset,
}

/// Begins an epoch of `node_id` as the only voter, above all epochs in the log and in
/// `quorum-state`. `now_ms` is the wall clock.
///
/// # Errors
/// [`BeginError`]
pub fn begin_epoch(
    loaded: &Loaded,
    last_state: Option<QuorumState>,
    node_id: NodeId,
    now_ms: TimestampMs,
) -> Result<Beginning, BeginError> {
    let voters: Vec<NodeId> = loaded.voters.iter().map(|voter| voter.key.id).collect();
    if !voters.is_empty() && voters != [node_id] {
        return Err(BeginError::Voters(voters));
    }
    let last = loaded.epoch.max(last_state.map_or(0, |state| state.leader_epoch));
    let epoch = last.checked_add(1).ok_or(BeginError::Epoch(last))?;
    let options = |base_offset| BatchOptions {
        base_offset,
        partition_leader_epoch: epoch,
        ..BatchOptions::default()
    };
    let known = loaded.voters.first().map(|voter| voter.key);
    let voter = known.unwrap_or(VoterKey { id: node_id, directory_id: Uuid::ZERO });
    let change =
        LeaderChange { leader_id: node_id, voters: vec![voter], granting_voters: vec![voter] };
    let mut next_offset = loaded.next_offset;
    let change = [ControlRecord::LeaderChange(change)];
    let mut batches = vec![control::control_batch(options(next_offset), now_ms, &change)?];
    next_offset += 1;

    let mut delta = Delta::new(&loaded.image);
    let mut builder = BatchBuilder::new(options(next_offset));
    for record in first_records(loaded) {
        let level = delta.image().features.metadata_version();
        let value = record.encode(record.version_at(level))?;
        builder.push(now_ms, None, Some(&value), &[])?;
        // Loading has aborted the transaction already, in its image.
        if !matches!(record, MetadataRecord::AbortTransaction(_)) {
            delta.apply(record)?;
        }
    }
    if !builder.is_empty() {
        next_offset += i64::from(builder.record_count());
        batches.push(builder.finish());
    }
    let provenance = Provenance { offset: next_offset - 1, epoch, timestamp_ms: now_ms };
    let (image, _changes) = delta.finish(provenance);
    let quorum_state = QuorumState::solo(node_id, epoch).to_text(voter, loaded.kraft_version);
    Ok(Beginning { epoch, quorum_state, batches, image, next_offset })
}

/// What the log lacks: the bootstrap records if it has none, the end of a metadata transaction that
/// was left open.
fn first_records(loaded: &Loaded) -> Vec<MetadataRecord> {
    let mut first = Vec::new();
    if loaded.in_transaction {
        let reason = Some("the leader has changed".into());
        first.push(record::AbortTransaction { reason }.into());
    }
    if !loaded.has_records || loaded.image.features.level(METADATA_VERSION) == 0 {
        first.extend(records());
    }
    first
}
