//! SaslHandshake, API key 17. Versions 0 to 1, never flexible.
//!
//! - 1: the exchange that follows is wrapped in SaslAuthenticate.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Chooses a SASL mechanism.
    pub struct SaslHandshakeRequest(0..=1) {
        mechanism: Str,
    }

    /// The mechanisms there are.
    pub struct SaslHandshakeResponse(0..=1) {
        /// 0 is success.
        error_code: i16,
        mechanisms: Vec<Str>,
    }
}
