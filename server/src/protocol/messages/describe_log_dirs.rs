//! DescribeLogDirs, API key 35. Versions 1 to 5, flexible from 2.
//!
//! - 3: a top-level error code.
//! - 4: total and usable bytes (KIP-827).
//! - 5: cordoned directories (KIP-1066).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for log directories and what lies in them.
    pub struct DescribeLogDirsRequest(1..=5, flexible 2..) {
        topics: Option<Vec<DescribeLogDirsRequestTopic>> [.., null ..],
    }

    /// An element of [`DescribeLogDirsRequest::topics`].
    pub struct DescribeLogDirsRequestTopic {
        topic: Str,
        partitions: Vec<i32>,
    }

    /// The log directories.
    pub struct DescribeLogDirsResponse(1..=5, flexible 2..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16 [3..],
        results: Vec<DescribeLogDirsResponseDir>,
    }

    /// An element of [`DescribeLogDirsResponse::results`].
    pub struct DescribeLogDirsResponseDir {
        error_code: i16,
        log_dir: Str,
        topics: Vec<DescribeLogDirsResponseTopic>,
        total_bytes: i64 [4..] = -1,
        usable_bytes: i64 [4..] = -1,
        is_cordoned: bool [5..],
    }

    /// An element of [`DescribeLogDirsResponseDir::topics`].
    pub struct DescribeLogDirsResponseTopic {
        name: Str,
        partitions: Vec<DescribeLogDirsResponsePartition>,
    }

    /// An element of [`DescribeLogDirsResponseTopic::partitions`].
    pub struct DescribeLogDirsResponsePartition {
        partition_index: i32,
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }
}
