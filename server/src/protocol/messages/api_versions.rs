//! ApiVersions, API key 18. Versions 0 to 4, flexible from 3.
//!
//! - 3: the client's software (KIP-511), and features (KIP-584).
//! - 4: features whose minimum is 0 are listed.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks which APIs in which versions the broker speaks. An unknown version of this is answered
    /// in version 0 with `UNSUPPORTED_VERSION` (KIP-511).
    pub struct ApiVersionsRequest(0..=4, flexible 3..) {
        client_software_name: Str [3..],
        client_software_version: Str [3..],
    }

    /// APIs, versions and features; the header of this response is version 0 always.
    pub struct ApiVersionsResponse(0..=4, flexible 3..) {
        /// 0 is success.
        error_code: i16,
        api_keys: Vec<ApiVersionsResponseApiKey>,
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [1..],
        supported_features: Vec<ApiVersionsResponseSupportedFeature> [3.., tag 0],
        /// Grows with each change; -1 unknown.
        finalized_features_epoch: i64 [3.., tag 1] = -1,
        finalized_features: Vec<ApiVersionsResponseFinalizedFeature> [3.., tag 2],
        zk_migration_ready: bool [3.., tag 3],
    }

    /// An element of [`ApiVersionsResponse::api_keys`].
    pub struct ApiVersionsResponseApiKey {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    /// An element of [`ApiVersionsResponse::supported_features`].
    pub struct ApiVersionsResponseSupportedFeature {
        name: Str,
        min_version: i16,
        max_version: i16,
    }

    /// An element of [`ApiVersionsResponse::finalized_features`].
    pub struct ApiVersionsResponseFinalizedFeature {
        name: Str,
        max_version_level: i16,
        min_version_level: i16,
    }
}
