//! ListConfigResources, API key 74. Versions 0 to 1, flexible.
//!
//! - 0: only client metrics.
//! - 1: by type; no type asks for all (KIP-1142).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for resources that have a configuration.
    pub struct ListConfigResourcesRequest(0..=1, flexible 0..) {
        resource_types: Vec<i8> [1..],
    }

    /// The resources.
    pub struct ListConfigResourcesResponse(0..=1, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
        config_resources: Vec<ListConfigResourcesResponseConfigResource>,
    }

    /// An element of [`ListConfigResourcesResponse::config_resources`].
    pub struct ListConfigResourcesResponseConfigResource {
        resource_name: Str,
        /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8 [1..] = 16,
    }
}
