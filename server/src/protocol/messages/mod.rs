//! Every request and response, one file per API, and which response answers which request.

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod alter_configs;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod elect_leaders;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod update_features;
pub mod write_txn_markers;

use super::ApiKey;
use millrace_engine::codec::Message;

/// A request: its API and the type of its response.
pub trait Request: Message {
    /// The API that this is a request of.
    const API: ApiKey;
    /// What answers it.
    type Response: Message;
}

macro_rules! requests {
    ($($api:ident $module:ident $request:ident $response:ident,)*) => {
        $(
            pub use $module::{$request, $response};

            impl Request for $request {
                const API: ApiKey = ApiKey::$api;
                type Response = $response;
            }
        )*

        /// Calls `$visit!(Request)` for every request type there is.
        #[macro_export]
        macro_rules! for_each_request {
            ($visit:ident) => {
                $($visit!($crate::protocol::messages::$request);)*
            };
        }
    };
}

requests! {
    Produce produce ProduceRequest ProduceResponse,
    Fetch fetch FetchRequest FetchResponse,
    ListOffsets list_offsets ListOffsetsRequest ListOffsetsResponse,
    Metadata metadata MetadataRequest MetadataResponse,
    OffsetCommit offset_commit OffsetCommitRequest OffsetCommitResponse,
    OffsetFetch offset_fetch OffsetFetchRequest OffsetFetchResponse,
    FindCoordinator find_coordinator FindCoordinatorRequest FindCoordinatorResponse,
    JoinGroup join_group JoinGroupRequest JoinGroupResponse,
    Heartbeat heartbeat HeartbeatRequest HeartbeatResponse,
    LeaveGroup leave_group LeaveGroupRequest LeaveGroupResponse,
    SyncGroup sync_group SyncGroupRequest SyncGroupResponse,
    DescribeGroups describe_groups DescribeGroupsRequest DescribeGroupsResponse,
    ListGroups list_groups ListGroupsRequest ListGroupsResponse,
    SaslHandshake sasl_handshake SaslHandshakeRequest SaslHandshakeResponse,
    ApiVersions api_versions ApiVersionsRequest ApiVersionsResponse,
    CreateTopics create_topics CreateTopicsRequest CreateTopicsResponse,
    DeleteTopics delete_topics DeleteTopicsRequest DeleteTopicsResponse,
    DeleteRecords delete_records DeleteRecordsRequest DeleteRecordsResponse,
    InitProducerId init_producer_id InitProducerIdRequest InitProducerIdResponse,
    OffsetForLeaderEpoch offset_for_leader_epoch OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse,
    AddPartitionsToTxn add_partitions_to_txn AddPartitionsToTxnRequest AddPartitionsToTxnResponse,
    AddOffsetsToTxn add_offsets_to_txn AddOffsetsToTxnRequest AddOffsetsToTxnResponse,
    EndTxn end_txn EndTxnRequest EndTxnResponse,
    WriteTxnMarkers write_txn_markers WriteTxnMarkersRequest WriteTxnMarkersResponse,
    TxnOffsetCommit txn_offset_commit TxnOffsetCommitRequest TxnOffsetCommitResponse,
    DescribeConfigs describe_configs DescribeConfigsRequest DescribeConfigsResponse,
    AlterConfigs alter_configs AlterConfigsRequest AlterConfigsResponse,
    DescribeLogDirs describe_log_dirs DescribeLogDirsRequest DescribeLogDirsResponse,
    SaslAuthenticate sasl_authenticate SaslAuthenticateRequest SaslAuthenticateResponse,
    CreatePartitions create_partitions CreatePartitionsRequest CreatePartitionsResponse,
    DeleteGroups delete_groups DeleteGroupsRequest DeleteGroupsResponse,
    ElectLeaders elect_leaders ElectLeadersRequest ElectLeadersResponse,
    IncrementalAlterConfigs incremental_alter_configs IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse,
    ListPartitionReassignments list_partition_reassignments ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse,
    OffsetDelete offset_delete OffsetDeleteRequest OffsetDeleteResponse,
    DescribeQuorum describe_quorum DescribeQuorumRequest DescribeQuorumResponse,
    UpdateFeatures update_features UpdateFeaturesRequest UpdateFeaturesResponse,
    DescribeCluster describe_cluster DescribeClusterRequest DescribeClusterResponse,
    DescribeProducers describe_producers DescribeProducersRequest DescribeProducersResponse,
    DescribeTransactions describe_transactions DescribeTransactionsRequest DescribeTransactionsResponse,
    ListTransactions list_transactions ListTransactionsRequest ListTransactionsResponse,
    ConsumerGroupHeartbeat consumer_group_heartbeat ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse,
    ConsumerGroupDescribe consumer_group_describe ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse,
    ListConfigResources list_config_resources ListConfigResourcesRequest ListConfigResourcesResponse,
    DescribeTopicPartitions describe_topic_partitions DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse,
}
