//! DescribeConfigs, API key 32. Versions 1 to 4, flexible from 4.
//!
//! - 1: source and synonyms (KIP-226).
//! - 3: type and documentation (KIP-569).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for the configuration of topics, brokers and groups.
    pub struct DescribeConfigsRequest(1..=4, flexible 4..) {
        resources: Vec<DescribeConfigsRequestResource>,
        include_synonyms: bool,
        include_documentation: bool [3..],
    }

    /// An element of [`DescribeConfigsRequest::resources`].
    pub struct DescribeConfigsRequestResource {
        /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
        configuration_keys: Option<Vec<Str>> [.., null ..],
    }

    /// The configuration.
    pub struct DescribeConfigsResponse(1..=4, flexible 4..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResponseResource>,
    }

    /// An element of [`DescribeConfigsResponse::results`].
    pub struct DescribeConfigsResponseResource {
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
        configs: Vec<DescribeConfigsResponseConfig>,
    }

    /// An element of [`DescribeConfigsResponseResource::configs`].
    pub struct DescribeConfigsResponseConfig {
        name: Str,
        value: Option<Str> [.., null ..],
        read_only: bool,
        /// 1 topic, 2 broker, 3 all brokers, 4 static, 5 default, 6 logger, 7 client metrics, 8
        /// group.
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsResponseSynonym>,
        /// 0 unknown, 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9
        /// password.
        config_type: i8 [3..],
        documentation: Option<Str> [3.., null 3..],
    }

    /// An element of [`DescribeConfigsResponseConfig::synonyms`].
    pub struct DescribeConfigsResponseSynonym {
        name: Str,
        value: Option<Str> [.., null ..],
        source: i8,
    }
}
