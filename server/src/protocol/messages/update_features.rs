//! UpdateFeatures, API key 57. Versions 0 to 2, flexible.
//!
//! - 1: upgrade type, validation only.
//! - 2: no results per feature.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Changes finalized features (KIP-584).
    pub struct UpdateFeaturesRequest(0..=2, flexible 0..) {
        timeout_ms: i32 = 60_000,
        feature_updates: Vec<UpdateFeaturesRequestFeatureUpdate>,
        validate_only: bool [1..],
    }

    /// An element of [`UpdateFeaturesRequest::feature_updates`].
    pub struct UpdateFeaturesRequestFeatureUpdate {
        feature: Str,
        max_version_level: i16,
        allow_downgrade: bool [0..=0],
        /// 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
        upgrade_type: i8 [1..] = 1,
    }

    /// Whether they were changed.
    pub struct UpdateFeaturesResponse(0..=2, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        results: Vec<UpdateFeaturesResponseFeature> [..=1],
    }

    /// An element of [`UpdateFeaturesResponse::results`].
    pub struct UpdateFeaturesResponseFeature {
        feature: Str,
        error_code: i16,
        error_message: Option<Str> [.., null ..],
    }
}
