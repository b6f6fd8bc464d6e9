//! ApiVersions, versions 0 to 4: exactly what is served, and the features.
//!
//! An unknown version is answered in version 0 with `UNSUPPORTED_VERSION` and the versions of ApiVersions
//! itself (KIP-511). Before version 4, features whose lowest level is 0 are left out (KAFKA-17011).

use millrace_engine::codec::{Message, Writer};
use millrace_engine::io::Env;

use super::{Ctx, Outcome, Refusal, RequestMeta, SERVED, Work};
use crate::protocol::messages::api_versions::{
    ApiVersionsRequest, ApiVersionsResponse, ApiVersionsResponseApiKey,
    ApiVersionsResponseFinalizedFeature, ApiVersionsResponseSupportedFeature,
};
use crate::protocol::{ApiKey, ErrorCode};

/// Answers the request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let is_named = is_software_name(request.client_software_name.as_str())
        && is_software_name(request.client_software_version.as_str());
    if meta.version() >= 3 && !is_named {
        let error_code = ErrorCode::InvalidRequest.code();
        return ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() };
    }
    let image = ctx.image();
    let own = image.cluster.broker(ctx.node_id());
    let supported = own.map(|broker| broker.features.as_slice()).unwrap_or_default();
    ApiVersionsResponse {
        api_keys: SERVED.iter().map(|api| versions_of(*api)).collect(),
        supported_features: supported
            .iter()
            .filter(|feature| feature.min_supported_version > 0 || meta.version() >= 4)
            .map(|feature| ApiVersionsResponseSupportedFeature {
                name: feature.name.clone(),
                min_version: feature.min_supported_version,
                max_version: feature.max_supported_version,
            })
            .collect(),
        finalized_features_epoch: image.provenance.offset,
        finalized_features: image
            .features
            .iter()
            .map(|(name, level)| ApiVersionsResponseFinalizedFeature {
                name: name.into(),
                max_version_level: level,
                min_version_level: level,
            })
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

fn versions_of(api: ApiKey) -> ApiVersionsResponseApiKey {
    let spec = api.spec();
    ApiVersionsResponseApiKey {
        api_key: api.code(),
        min_version: spec.advertised_min,
        max_version: spec.max,
    }
}

/// The answer to a version that there is not.
///
/// # Errors
/// None that can happen: the answer has no strings.
pub fn unsupported(correlation_id: i32) -> Result<Work, Refusal> {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![versions_of(ApiKey::ApiVersions)],
        ..ApiVersionsResponse::default()
    };
    let mut writer = Writer::framed(32);
    writer.put_i32(correlation_id);
    response.encode(0, &mut writer);
    let refused = |cause| Refusal::Response { api: ApiKey::ApiVersions, version: 0, cause };
    let frame = writer.finish().map_err(refused)?;
    Ok(Box::pin(std::future::ready(Outcome::Answer(frame))))
}

/// Letters and digits, and between them also dots and dashes (KIP-511).
fn is_software_name(name: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_checked_as_kafka_checks_them() {
        for good in ["a", "apache-kafka-java", "4.3.1", "A.-9"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".", "a b", "a_b", "ä", "a\n"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }

    #[test]
    fn each_api_is_announced_once_and_in_order() {
        let keys: Vec<_> = SERVED.iter().map(|api| api.code()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        // KAFKA-18659: old librdkafka compresses only if it sees version 0.
        let produce = versions_of(ApiKey::Produce);
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
        let fetch = versions_of(ApiKey::Fetch);
        assert_eq!((fetch.min_version, fetch.max_version), (4, 18));
    }
}
