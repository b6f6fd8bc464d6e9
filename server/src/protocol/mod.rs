//! Kafka's wire protocol: frames, headers, APIs with their versions, error codes and messages.

pub mod api_key;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod messages;

pub use api_key::{ApiKey, ApiSpec};
pub use error_code::ErrorCode;
pub use header::{HeaderError, RequestHeader};
