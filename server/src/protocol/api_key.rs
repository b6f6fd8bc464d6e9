//! The APIs that messages are declared for, and their versions in Kafka 4.3.

use std::fmt;

/// What is fixed about an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSpec {
    /// The API.
    pub key: ApiKey,
    /// Its name in Kafka's documentation.
    pub name: &'static str,
    /// The lowest version there is.
    pub min: i16,
    /// The highest stable version.
    pub max: i16,
    /// The lowest version that a broker says it speaks. Below `min` only for Produce: librdkafka before
    /// 2.11.1 compresses only if version 0 is in the range (KAFKA-18659), and never sends it.
    pub advertised_min: i16,
    /// The first version with compact lengths and tagged fields (KIP-482), if any.
    pub flexible_from: Option<i16>,
}

impl ApiSpec {
    /// Whether a request of this version can be read.
    #[must_use]
    pub const fn has_version(&self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether this version is flexible (KIP-482).
    #[must_use]
    pub const fn is_flexible(&self, version: i16) -> bool {
        match self.flexible_from {
            Some(from) => from <= version,
            None => false,
        }
    }

    /// The version of the request's header: 2 has tagged fields, 1 has none.
    #[must_use]
    pub const fn request_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the response's header: 1 has tagged fields, 0 has none. The response to
    /// ApiVersions is read before anything is agreed upon, so its header stays 0.
    #[must_use]
    pub const fn response_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) && !matches!(self.key, ApiKey::ApiVersions) { 1 } else { 0 }
    }
}

macro_rules! apis {
    ($($name:ident = $key:literal, $versions:expr, $flexible_from:expr;)*) => {
        /// An API: what a request's first two bytes name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("API key ", $key, ".")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// All APIs, in the order of their keys.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The API of a key, if messages are declared for it.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The key.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self {
                    $(Self::$name => $key,)*
                }
            }

            /// What is fixed about the API.
            #[must_use]
            pub const fn spec(self) -> ApiSpec {
                let (name, (min, max), flexible_from) = match self {
                    $(Self::$name => (stringify!($name), $versions, $flexible_from),)*
                };
                let advertised_min = if matches!(self, Self::Produce) { 0 } else { min };
                ApiSpec { key: self, name, min, max, advertised_min, flexible_from }
            }
        }
    };
}

// Name = key, (lowest version, highest stable version), first flexible version.
apis! {
    Produce = 0, (3, 13), Some(9);
    Fetch = 1, (4, 18), Some(12);
    ListOffsets = 2, (1, 11), Some(6);
    Metadata = 3, (0, 13), Some(9);
    OffsetCommit = 8, (2, 10), Some(8);
    OffsetFetch = 9, (1, 10), Some(6);
    FindCoordinator = 10, (0, 6), Some(3);
    JoinGroup = 11, (0, 9), Some(6);
    Heartbeat = 12, (0, 4), Some(4);
    LeaveGroup = 13, (0, 5), Some(4);
    SyncGroup = 14, (0, 5), Some(4);
    DescribeGroups = 15, (0, 6), Some(5);
    ListGroups = 16, (0, 5), Some(3);
    SaslHandshake = 17, (0, 1), None;
    ApiVersions = 18, (0, 4), Some(3);
    CreateTopics = 19, (2, 7), Some(5);
    DeleteTopics = 20, (1, 6), Some(4);
    DeleteRecords = 21, (0, 2), Some(2);
    InitProducerId = 22, (0, 5), Some(2);
    OffsetForLeaderEpoch = 23, (2, 4), Some(4);
    AddPartitionsToTxn = 24, (0, 5), Some(3);
    AddOffsetsToTxn = 25, (0, 4), Some(3);
    EndTxn = 26, (0, 5), Some(3);
    WriteTxnMarkers = 27, (1, 2), Some(1);
    TxnOffsetCommit = 28, (0, 5), Some(3);
    DescribeConfigs = 32, (1, 4), Some(4);
    AlterConfigs = 33, (0, 2), Some(2);
    DescribeLogDirs = 35, (1, 5), Some(2);
    SaslAuthenticate = 36, (0, 2), Some(2);
    CreatePartitions = 37, (0, 3), Some(2);
    DeleteGroups = 42, (0, 2), Some(2);
    ElectLeaders = 43, (0, 2), Some(2);
    IncrementalAlterConfigs = 44, (0, 1), Some(1);
    ListPartitionReassignments = 46, (0, 0), Some(0);
    OffsetDelete = 47, (0, 0), None;
    DescribeQuorum = 55, (0, 2), Some(0);
    UpdateFeatures = 57, (0, 2), Some(0);
    DescribeCluster = 60, (0, 2), Some(0);
    DescribeProducers = 61, (0, 0), Some(0);
    DescribeTransactions = 65, (0, 0), Some(0);
    ListTransactions = 66, (0, 2), Some(0);
    ConsumerGroupHeartbeat = 68, (0, 1), Some(0);
    ConsumerGroupDescribe = 69, (0, 1), Some(0);
    ListConfigResources = 74, (0, 1), Some(0);
    DescribeTopicPartitions = 75, (0, 0), Some(0);
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().name)
    }
}
