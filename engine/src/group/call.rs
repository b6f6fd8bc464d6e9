//! What can be asked of a group machine, and what it answers: the engine's own words, not the wire's.

use bytes::Bytes;

use crate::types::{LeaderEpoch, Offset, TopicId};

/// One question to a group machine. The host routes it by [`super::partition_for`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCall {
    /// Become or stay a member; answered when the join phase ends.
    Join(JoinCall),
    /// Fetch (as leader: give) the assignment; answered when it is durable.
    Sync(SyncCall),
    /// Keep a member's session alive.
    Heartbeat(HeartbeatCall),
    /// Remove members.
    Leave(LeaveCall),
    /// Store offsets.
    OffsetCommit(OffsetCommitCall),
    /// Read offsets of one group.
    OffsetFetch(OffsetFetchCall),
    /// Forget offsets.
    OffsetDelete(OffsetDeleteCall),
    /// One group's state and members.
    Describe {
        /// Which group.
        group_id: String,
    },
    /// All groups of this machine that pass the filters.
    List(ListCall),
    /// Delete empty groups with their offsets.
    Delete {
        /// Which groups; all of them belong to this machine.
        group_ids: Vec<String>,
    },
}

impl GroupCall {
    /// Whether it only stores something, so that there is no use in taking it up while that is
    /// impossible.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        match self {
            Self::OffsetCommit(_) | Self::OffsetDelete(_) | Self::Delete { .. } => true,
            Self::Join(_)
            | Self::Sync(_)
            | Self::Heartbeat(_)
            | Self::Leave(_)
            | Self::OffsetFetch(_)
            | Self::Describe { .. }
            | Self::List(_) => false,
        }
    }
}

/// The answer to a [`GroupCall`], in the variant of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAnswer {
    /// To [`GroupCall::Join`].
    Join(Result<Joined, GroupError>),
    /// To [`GroupCall::Sync`].
    Sync(Result<Synced, GroupError>),
    /// To [`GroupCall::Heartbeat`].
    Heartbeat(Result<(), GroupError>),
    /// To [`GroupCall::Leave`]: one answer per member named, in order.
    Leave(Result<Vec<Left>, GroupError>),
    /// To [`GroupCall::OffsetCommit`]: in the order of the call.
    OffsetCommit(Result<Vec<TopicResults>, GroupError>),
    /// To [`GroupCall::OffsetFetch`].
    OffsetFetch(Result<Vec<TopicOffsets>, GroupError>),
    /// To [`GroupCall::OffsetDelete`]: in the order of the call.
    OffsetDelete(Result<Vec<TopicResults>, GroupError>),
    /// To [`GroupCall::Describe`].
    Describe(DescribedGroup),
    /// To [`GroupCall::List`].
    List(Vec<ListedGroup>),
    /// To [`GroupCall::Delete`]: in the order of the call.
    Delete(Vec<(String, Result<(), GroupError>)>),
}

/// Why a group machine refused. The server chooses the wire code, by exhaustive match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The machine was unloaded while the call waited.
    #[error("this broker does not coordinate the group any more")]
    NotCoordinator,
    /// The call needs a group id and gave an empty one.
    #[error("the group id is empty")]
    InvalidGroupId,
    /// The session timeout is outside of what is configured.
    #[error("the session timeout is outside of the configured range")]
    InvalidSessionTimeout,
    /// The protocol type differs from the group's, or no protocol is supported by all members.
    #[error("the member's protocols do not fit the group's")]
    InconsistentGroupProtocol,
    /// KIP-394: join again with this id.
    #[error("join again with member id {member_id}")]
    MemberIdRequired {
        /// The id that was given to the member.
        member_id: String,
    },
    /// No such member, or no such group where a member is asked for.
    #[error("no such member")]
    UnknownMemberId,
    /// KIP-345: another member has taken over the group instance id.
    #[error("the group instance id belongs to another member")]
    FencedInstanceId,
    /// The member's generation is not the group's.
    #[error("the generation is not the group's")]
    IllegalGeneration,
    /// A rebalance goes on: join again.
    #[error("a rebalance is in progress")]
    RebalanceInProgress,
    /// `group.max.size` members are there.
    #[error("the group has as many members as it may")]
    GroupMaxSizeReached,
    /// The group's record is larger than the log takes.
    #[error("the group's metadata is larger than a batch may be")]
    GroupTooLarge,
    /// No such group. For `OffsetCommit` below version 9 the wire says that the generation is
    /// illegal.
    #[error("no such group")]
    GroupIdNotFound,
    /// Only empty groups can be deleted, and only consumers' offsets while the group has members.
    #[error("the group is not empty")]
    NonEmptyGroup,
    /// A member is subscribed to the topic, so its offsets cannot be deleted.
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    /// The text given with an offset is too long.
    #[error("the metadata of an offset is too long")]
    OffsetMetadataTooLarge,
    /// The commit is larger than the log takes.
    #[error("the commit is larger than a batch may be")]
    InvalidCommitOffsetSize,
}

/// `JoinGroup`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinCall {
    /// Which group.
    pub group_id: String,
    /// The member's id; empty if it has none yet.
    pub member_id: String,
    /// KIP-345: the id of a static member.
    pub instance_id: Option<String>,
    /// The client's id from the request header.
    pub client_id: String,
    /// The client's address as Kafka prints it (`/127.0.0.1`).
    pub client_host: String,
    /// How long the member is kept without a heartbeat.
    pub session_timeout_ms: i32,
    /// How long it may take to join again (version 0: the session timeout).
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect` and so on.
    pub protocol_type: String,
    /// What the member can do, best first, with its metadata for each.
    pub protocols: Vec<(String, Bytes)>,
    /// Why it joins, for the log.
    pub reason: Option<String>,
    /// KIP-394: a dynamic member without id is told one and joins again with it (version 4 and up).
    pub require_known_member_id: bool,
    /// The client understands `skip_assignment` (version 9 and up).
    pub supports_skip_assignment: bool,
    /// 128 random bits for the member id, if one must be made.
    pub random: u128,
}

/// A completed join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The member's id.
    pub member_id: String,
    /// The generation that it belongs to now.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The protocol that the members voted for.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: String,
    /// The leader has nothing to assign: the earlier assignment stays.
    pub skip_assignment: bool,
    /// All members, for the leader; else empty.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

/// `SyncGroup`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncCall {
    /// Which group.
    pub group_id: String,
    /// From the answer to the join.
    pub generation: i32,
    /// From the answer to the join.
    pub member_id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
    /// Checked against the group's if given.
    pub protocol_type: Option<String>,
    /// Checked against the group's if given.
    pub protocol: Option<String>,
    /// From the leader: each member's assignment.
    pub assignments: Vec<(String, Bytes)>,
}

/// A member's assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The group's protocol.
    pub protocol: Option<String>,
    /// What the leader gave to this member.
    pub assignment: Bytes,
}

/// `Heartbeat`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeartbeatCall {
    /// Which group.
    pub group_id: String,
    /// The member's generation.
    pub generation: i32,
    /// Which member.
    pub member_id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
}

/// `LeaveGroup`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaveCall {
    /// Which group.
    pub group_id: String,
    /// Who leaves.
    pub members: Vec<Leaving>,
}

/// One member that leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaving {
    /// Its id, or empty to name it by instance id.
    pub member_id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
}

/// What became of one [`Leaving`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// As in the call.
    pub member_id: String,
    /// As in the call.
    pub instance_id: Option<String>,
    /// Whether it left.
    pub result: Result<(), GroupError>,
}

/// `OffsetCommit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitCall {
    /// Which group; may be empty.
    pub group_id: String,
    /// The member's generation, or -1 outside of group management.
    pub generation: i32,
    /// The member's id, or empty.
    pub member_id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
    /// Versions 2 to 4: how long to keep the offsets, instead of what is configured.
    pub retention_ms: Option<i64>,
    /// What to store.
    pub topics: Vec<CommitTopic>,
}

/// The offsets of one topic in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTopic {
    /// The topic's name.
    pub name: String,
    /// The topic's id, or zero where it is not known.
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// One offset to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPartition {
    /// Which partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, or -1.
    pub leader_epoch: LeaderEpoch,
    /// Any text.
    pub metadata: Option<String>,
}

/// One result per partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicResults {
    /// As in the call.
    pub name: String,
    /// As in the call; zero in `OffsetDelete`.
    pub topic_id: TopicId,
    /// Partition and result.
    pub partitions: Vec<(i32, Result<(), GroupError>)>,
}

/// `OffsetFetch`, for one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetFetchCall {
    /// Which group; may be empty.
    pub group_id: String,
    /// What to read; none means all.
    pub topics: Option<Vec<FetchTopic>>,
    /// KIP-447: wait for commits that are not durable yet, instead of answering what is.
    pub require_stable: bool,
}

/// The partitions of one topic to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTopic {
    /// The topic's name.
    pub name: String,
    /// The topic's id, or zero where it is not known.
    pub topic_id: TopicId,
    /// Which partitions.
    pub partitions: Vec<i32>,
}

/// The offsets of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOffsets {
    /// The topic's name.
    pub name: String,
    /// As in the call; where all were asked for, what was given with the offsets, zero if nothing was.
    pub topic_id: TopicId,
    /// One per partition.
    pub partitions: Vec<PartitionOffset>,
}

/// One committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOffset {
    /// Which partition.
    pub partition: i32,
    /// The offset, or -1 if none is stored.
    pub offset: Offset,
    /// The leader epoch given with it, or -1.
    pub leader_epoch: LeaderEpoch,
    /// The text given with it.
    pub metadata: String,
}

/// `OffsetDelete`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetDeleteCall {
    /// Which group.
    pub group_id: String,
    /// Topics and partitions.
    pub topics: Vec<(String, Vec<i32>)>,
}

/// `ListGroups`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListCall {
    /// States to show, in any case; empty means all.
    pub states: Vec<String>,
    /// Types to show (`classic`), in any case; empty means all.
    pub types: Vec<String>,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group's id.
    pub group_id: String,
    /// `consumer`, `connect` or empty.
    pub protocol_type: String,
    /// Its state.
    pub state: GroupState,
    /// Its type.
    pub group_type: GroupType,
}

/// A group as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// The group's id.
    pub group_id: String,
    /// Whether there is such a group; if not, the rest is empty and the state is dead (which the wire
    /// says with an error from version 6).
    pub found: bool,
    /// Its state.
    pub state: GroupState,
    /// `consumer`, `connect` or empty.
    pub protocol_type: String,
    /// The protocol of a stable group, else empty.
    pub protocol: String,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
    /// The client's id.
    pub client_id: String,
    /// The client's address.
    pub client_host: String,
    /// Its metadata for the protocol of a stable group, else empty.
    pub metadata: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// The state of a classic group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No members; perhaps offsets.
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// The leader's assignment is awaited.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
    /// There is no such group.
    Dead,
}

impl GroupState {
    /// The name that Kafka gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// Which protocol a group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupType {
    /// JoinGroup and SyncGroup.
    Classic,
}

impl GroupType {
    /// The name that Kafka gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
        }
    }
}
