//! WriteTxnMarkers, API key 27. Versions 1 to 2, flexible.
//!
//! - 2: transaction version (KIP-1228).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Has a leader write the markers that end transactions; sent between brokers.
    pub struct WriteTxnMarkersRequest(1..=2, flexible 1..) {
        markers: Vec<WriteTxnMarkersRequestMarker>,
    }

    /// An element of [`WriteTxnMarkersRequest::markers`].
    pub struct WriteTxnMarkersRequestMarker {
        producer_id: i64,
        producer_epoch: i16,
        transaction_result: bool,
        topics: Vec<WriteTxnMarkersRequestTopic>,
        coordinator_epoch: i32,
        transaction_version: i8 [2..],
    }

    /// An element of [`WriteTxnMarkersRequestMarker::topics`].
    pub struct WriteTxnMarkersRequestTopic {
        name: Str,
        partition_indexes: Vec<i32>,
    }

    /// Per partition, whether the marker was written.
    pub struct WriteTxnMarkersResponse(1..=2, flexible 1..) {
        markers: Vec<WriteTxnMarkersResponseMarker>,
    }

    /// An element of [`WriteTxnMarkersResponse::markers`].
    pub struct WriteTxnMarkersResponseMarker {
        producer_id: i64,
        topics: Vec<WriteTxnMarkersResponseTopic>,
    }

    /// An element of [`WriteTxnMarkersResponseMarker::topics`].
    pub struct WriteTxnMarkersResponseTopic {
        name: Str,
        partitions: Vec<WriteTxnMarkersResponsePartition>,
    }

    /// An element of [`WriteTxnMarkersResponseTopic::partitions`].
    pub struct WriteTxnMarkersResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
