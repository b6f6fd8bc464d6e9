//! SaslAuthenticate, API key 36. Versions 0 to 2, flexible from 2.
//!
//! - 1: how long the session may last (KIP-368).

use bytes::Bytes;
use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// One step of a SASL exchange, from the client.
    pub struct SaslAuthenticateRequest(0..=2, flexible 2..) {
        auth_bytes: Bytes,
    }

    /// One step of a SASL exchange, from the broker.
    pub struct SaslAuthenticateResponse(0..=2, flexible 2..) {
        /// 0 is success.
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        auth_bytes: Bytes,
        session_lifetime_ms: i64 [1..],
    }
}
