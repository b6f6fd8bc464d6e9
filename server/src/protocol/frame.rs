//! Frames: a size of four bytes, then so many bytes of header and body.

use super::header::{RequestHeader, put_response_header};
use super::messages::Request;
use bytes::{Buf, Bytes, BytesMut};
use millrace_engine::codec::{EncodeError, Frame, Message, Writer};

/// Bytes of the size before a frame.
pub const SIZE_BYTES: usize = 4;

/// A size that no frame may have; the connection cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Less than nothing.
    #[error("negative frame size {0}")]
    Negative(i32),
    /// More than is accepted.
    #[error("frame of {size} bytes where at most {size_max} are accepted")]
    TooLarge {
        /// What was declared.
        size: usize,
        /// What is accepted.
        size_max: usize,
    },
}

/// The bytes of a frame after its size, from the four bytes of the size.
///
/// # Errors
/// [`FrameError`] if it is negative or above `size_max`.
pub fn frame_size(prefix: [u8; SIZE_BYTES], size_max: usize) -> Result<usize, FrameError> {
    let declared = i32::from_be_bytes(prefix);
    let size = usize::try_from(declared).map_err(|_negative| FrameError::Negative(declared))?;
    if size > size_max {
        return Err(FrameError::TooLarge { size, size_max });
    }
    Ok(size)
}

/// Takes the first frame, without its size, out of what has been received; none if it is not whole yet.
///
/// # Errors
/// [`FrameError`], as soon as the size is there.
pub fn split_frame(received: &mut BytesMut, size_max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = received.first_chunk::<SIZE_BYTES>() else { return Ok(None) };
    let size = frame_size(*prefix, size_max)?;
    if received.len() - SIZE_BYTES < size {
        return Ok(None);
    }
    received.advance(SIZE_BYTES);
    Ok(Some(received.split_to(size).freeze()))
}

/// A request as it is sent. The header's API is that of the request.
///
/// # Errors
/// [`EncodeError`] if the version is not known or a string is too long for it.
pub fn request_frame<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::framed(256);
    let client_id = client_id.map(Into::into);
    RequestHeader { api: R::API, version, correlation_id, client_id }.put(&mut writer);
    request.encode(version, &mut writer);
    writer.finish()
}

/// A response as it is sent; `request` is the header of what it answers.
///
/// # Errors
/// [`EncodeError`] if the version is not known or a string is too long for it.
pub fn response_frame<M: Message>(
    request: &RequestHeader,
    response: &M,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::framed(256);
    put_response_header(request.api, request.version, request.correlation_id, &mut writer);
    response.encode(request.version, &mut writer);
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (prefix, expected) in [
            ([0, 0, 0, 0], Ok(0)),
            ([0, 0, 0, 100], Ok(100)),
            ([0, 0, 0, 101], Err(FrameError::TooLarge { size: 101, size_max: 100 })),
            (
                [0x7f, 0xff, 0xff, 0xff],
                Err(FrameError::TooLarge { size: 0x7fff_ffff, size_max: 100 }),
            ),
            ([0xff, 0xff, 0xff, 0xff], Err(FrameError::Negative(-1))),
            ([0x80, 0, 0, 0], Err(FrameError::Negative(i32::MIN))),
        ] {
            assert_eq!(frame_size(prefix, 100), expected, "{prefix:?}");
        }
    }

    #[test]
    fn frames_are_taken_when_whole() {
        let mut received = BytesMut::new();
        for byte in [0, 0, 0, 2, 7] {
            received.extend_from_slice(&[byte]);
            assert_eq!(split_frame(&mut received, 100), Ok(None));
        }
        received.extend_from_slice(&[8, 0, 0, 0, 0, 0]);
        assert_eq!(split_frame(&mut received, 100), Ok(Some(Bytes::from_static(&[7, 8]))));
        assert_eq!(split_frame(&mut received, 100), Ok(Some(Bytes::new())));
        assert_eq!(split_frame(&mut received, 100), Ok(None));
        assert_eq!(received.len(), 1);
    }
}
