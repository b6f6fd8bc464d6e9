//! AlterConfigs, API key 33. Versions 0 to 2, flexible from 2.
//!
//! Superseded by IncrementalAlterConfigs (KIP-339).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Replaces the whole configuration of resources.
    pub struct AlterConfigsRequest(0..=2, flexible 2..) {
        resources: Vec<AlterConfigsRequestResource>,
        validate_only: bool,
    }

    /// An element of [`AlterConfigsRequest::resources`].
    pub struct AlterConfigsRequestResource {
        /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
        configs: Vec<AlterConfigsRequestConfig>,
    }

    /// An element of [`AlterConfigsRequestResource::configs`].
    pub struct AlterConfigsRequestConfig {
        name: Str,
        value: Option<Str> [.., null ..],
    }

    /// Per resource, whether it was replaced.
    pub struct AlterConfigsResponse(0..=2, flexible 2..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResponseResource>,
    }

    /// An element of [`AlterConfigsResponse::responses`].
    pub struct AlterConfigsResponseResource {
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
    }
}
