//! IncrementalAlterConfigs, API key 44. Versions 0 to 1, flexible from 1.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Changes single settings of resources (KIP-339).
    pub struct IncrementalAlterConfigsRequest(0..=1, flexible 1..) {
        resources: Vec<IncrementalAlterConfigsRequestResource>,
        validate_only: bool,
    }

    /// An element of [`IncrementalAlterConfigsRequest::resources`].
    pub struct IncrementalAlterConfigsRequestResource {
        /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
        configs: Vec<IncrementalAlterConfigsRequestConfig>,
    }

    /// An element of [`IncrementalAlterConfigsRequestResource::configs`].
    pub struct IncrementalAlterConfigsRequestConfig {
        name: Str,
        /// 0 set, 1 delete, 2 append, 3 subtract.
        config_operation: i8,
        value: Option<Str> [.., null ..],
    }

    /// Per resource, whether it was changed.
    pub struct IncrementalAlterConfigsResponse(0..=1, flexible 1..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        responses: Vec<IncrementalAlterConfigsResponseResource>,
    }

    /// An element of [`IncrementalAlterConfigsResponse::responses`].
    pub struct IncrementalAlterConfigsResponseResource {
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
    }
}
