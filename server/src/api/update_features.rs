//! UpdateFeatures, versions 0 to 2.
//!
//! Finalizes features at other levels, all or none (KIP-584). Version 0 has no upgrade type but a flag that
//! allows safe downgrades; up to version 1 the answer has a result per feature if all went well.

use millrace_engine::io::Env;
use millrace_engine::metadata::controller::call::FeatureUpdate;
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::update_features::{
    UpdateFeaturesRequestFeatureUpdate, UpdateFeaturesResponseFeature,
};
use crate::protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let version = meta.version();
    let update = |update: &UpdateFeaturesRequestFeatureUpdate| FeatureUpdate {
        name: update.feature.to_string(),
        level: update.max_version_level,
        upgrade_type: match (version, update.allow_downgrade) {
            (0, true) => SAFE_DOWNGRADE,
            (0, false) => UPGRADE,
            _ => update.upgrade_type,
        },
    };
    let call = ControllerCall::UpdateFeatures {
        updates: request.feature_updates.iter().map(update).collect(),
        validate_only: request.validate_only,
    };
    let told = match fanout::controller(&ctx.client, call).await {
        Ok(ControllerAnswer::UpdateFeatures(Ok(()))) => Told::NONE,
        Ok(ControllerAnswer::UpdateFeatures(Err(error))) => {
            let message = format!(
                "The update failed for all features since the following feature had an error: {error}"
            );
            Told::with(ErrorCode::from(&error), message)
        }
        Ok(other) => unreachable!("an update of features was answered with {other:?}"),
        Err(error) => error.into(),
    };
    let results = if version <= 1 && told.code == 0 { request.feature_updates } else { Vec::new() };
    let results = results.into_iter().map(|update| UpdateFeaturesResponseFeature {
        feature: update.feature,
        ..UpdateFeaturesResponseFeature::default()
    });
    UpdateFeaturesResponse {
        error_code: told.code,
        error_message: told.message,
        results: results.collect(),
        ..UpdateFeaturesResponse::default()
    }
}
