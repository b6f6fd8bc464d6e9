//! What a client is told of one thing that it asked for: a code and a sentence.

use millrace_engine::codec::Str;
use millrace_engine::metadata::controller::ControllerError;
use millrace_engine::shard::call::StorageError;

use crate::protocol::ErrorCode;

/// An error code and the sentence that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// The code; 0 is success.
    pub code: i16,
    /// The sentence; none with success.
    pub message: Option<Str>,
}

impl Told {
    /// Success.
    pub const NONE: Self = Self { code: 0, message: None };

    /// An error with its usual sentence.
    #[must_use]
    pub fn plain(error: ErrorCode) -> Self {
        Self { code: error.code(), message: Some(Str::from_static(error.message())) }
    }

    /// An error with a sentence of its own.
    #[must_use]
    pub fn with(error: ErrorCode, message: impl Into<Str>) -> Self {
        Self { code: error.code(), message: Some(message.into()) }
    }
}

impl From<&Result<(), ControllerError>> for Told {
    fn from(result: &Result<(), ControllerError>) -> Self {
        result.as_ref().err().map_or(Self::NONE, Self::from)
    }
}

impl From<&ControllerError> for Told {
    fn from(error: &ControllerError) -> Self {
        Self::with(error.into(), error.to_string())
    }
}

impl From<StorageError> for Told {
    fn from(error: StorageError) -> Self {
        Self::with((&error).into(), error.to_string())
    }
}
