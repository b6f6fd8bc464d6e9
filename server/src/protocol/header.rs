//! Headers of requests and responses.
//!
//! They are read by hand: the first eight bytes are the same in every version, the client id never
//! is compact, and an ApiVersions request must get as far as an answer whatever its version is.

use super::ApiKey;
use millrace_engine::codec::{Cx, DecodeError, Nullable, Reader, Str, Writer};

/// The header of a request whose API and version are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API.
    pub api: ApiKey,
    /// The version of request and response.
    pub version: i16,
    /// What the response repeats.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Str>,
}

/// Why a header leads to no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The header cannot be read; the connection is closed.
    #[error("malformed request header: {0}")]
    Malformed(#[from] DecodeError),
    /// There are no messages of this API; the connection is closed.
    #[error("unknown api key {0}")]
    UnknownApi(i16),
    /// This version of the API does not exist; the connection is closed.
    #[error("unknown version {version} of {api}")]
    UnknownVersion {
        /// The API.
        api: ApiKey,
        /// The version asked for.
        version: i16,
    },
    /// An ApiVersions request of an unknown version; it is answered in version 0 with
    /// `UNSUPPORTED_VERSION` and the versions of ApiVersions (KIP-511), and the connection goes on.
    #[error("unknown version {version} of ApiVersions")]
    UnknownApiVersions {
        /// The version asked for.
        version: i16,
        /// What the response repeats.
        correlation_id: i32,
    },
}

/// A string of two bytes' length, whatever the version: so it can be read before the version is known.
const CLIENT_ID: Cx = Cx { version: 0, flexible: false, nullable: true, tagged: false };

impl RequestHeader {
    /// Reads the header; the reader is left at the body.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn get(reader: &mut Reader) -> Result<Self, HeaderError> {
        let code = reader.i16()?;
        let version = reader.i16()?;
        let correlation_id = reader.i32()?;
        let api = ApiKey::from_code(code).ok_or(HeaderError::UnknownApi(code))?;
        let spec = api.spec();
        if !spec.has_version(version) {
            return Err(match api {
                ApiKey::ApiVersions => HeaderError::UnknownApiVersions { version, correlation_id },
                _ => HeaderError::UnknownVersion { api, version },
            });
        }
        let client_id = Str::get_nullable(reader, CLIENT_ID)?;
        if spec.request_header_version(version) >= 2 {
            reader.skip_tagged()?;
        }
        Ok(Self { api, version, correlation_id, client_id })
    }

    /// Writes the header.
    pub fn put(&self, writer: &mut Writer) {
        writer.put_i16(self.api.code());
        writer.put_i16(self.version);
        writer.put_i32(self.correlation_id);
        Str::put_nullable(self.client_id.as_ref(), writer, CLIENT_ID);
        if self.api.spec().request_header_version(self.version) >= 2 {
            writer.put_uvarint(0);
        }
    }
}

/// Writes the header of a response.
pub fn put_response_header(api: ApiKey, version: i16, correlation_id: i32, writer: &mut Writer) {
    writer.put_i32(correlation_id);
    if api.spec().response_header_version(version) >= 1 {
        writer.put_uvarint(0);
    }
}

/// Reads the header of a response: its correlation id. The reader is left at the body.
///
/// # Errors
/// [`DecodeError`].
pub fn get_response_header(
    api: ApiKey,
    version: i16,
    reader: &mut Reader,
) -> Result<i32, DecodeError> {
    let correlation_id = reader.i32()?;
    if api.spec().response_header_version(version) >= 1 {
        reader.skip_tagged()?;
    }
    Ok(correlation_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn header(bytes: &[u8]) -> Result<(RequestHeader, usize), HeaderError> {
        let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
        RequestHeader::get(&mut reader).map(|header| (header, reader.remaining()))
    }

    fn expected(api: ApiKey, version: i16, client_id: Option<&str>) -> RequestHeader {
        RequestHeader { api, version, correlation_id: 258, client_id: client_id.map(Into::into) }
    }

    #[test]
    fn headers_are_read_by_version() {
        for (bytes, api, version, client_id, left) in [
            // Metadata 0: header 1, the byte that follows is the body's.
            (&[0, 3, 0, 0, 0, 0, 1, 2, 0, 1, b'c', 9][..], ApiKey::Metadata, 0, Some("c"), 1),
            (&[0, 3, 0, 0, 0, 0, 1, 2, 0xff, 0xff], ApiKey::Metadata, 0, None, 0),
            // Metadata 12: header 2 with one unknown tagged field.
            (&[0, 3, 0, 12, 0, 0, 1, 2, 0, 0, 1, 7, 1, 5, 9], ApiKey::Metadata, 12, Some(""), 1),
            // SaslHandshake is never flexible.
            (&[0, 17, 0, 1, 0, 0, 1, 2, 0xff, 0xff, 0], ApiKey::SaslHandshake, 1, None, 1),
            (&[0, 18, 0, 4, 0, 0, 1, 2, 0xff, 0xff, 0], ApiKey::ApiVersions, 4, None, 0),
        ] {
            assert_eq!(header(bytes), Ok((expected(api, version, client_id), left)), "{bytes:?}");
        }
    }

    #[test]
    fn refusals() {
        let end = |needed, left| HeaderError::Malformed(DecodeError::End { needed, left });
        for (bytes, error) in [
            (&[][..], end(2, 0)),
            (&[0, 3], end(2, 0)),
            (&[0, 3, 0, 1, 0, 0, 0], end(4, 3)),
            (&[0, 3, 0, 1, 0, 0, 0, 0], end(2, 0)),
            (&[0, 4, 0, 0, 0, 0, 0, 0], HeaderError::UnknownApi(4)),
            (&[0xff, 0xff, 0, 0, 0, 0, 0, 0], HeaderError::UnknownApi(-1)),
            // Advertised, but not there.
            (
                &[0, 0, 0, 2, 0, 0, 0, 0],
                HeaderError::UnknownVersion { api: ApiKey::Produce, version: 2 },
            ),
            (
                &[0, 3, 0, 14, 0, 0, 0, 0],
                HeaderError::UnknownVersion { api: ApiKey::Metadata, version: 14 },
            ),
            (
                &[0, 18, 0, 99, 0, 0, 1, 2],
                HeaderError::UnknownApiVersions { version: 99, correlation_id: 258 },
            ),
            (
                &[0, 18, 0xff, 0xff, 0, 0, 1, 2],
                HeaderError::UnknownApiVersions { version: -1, correlation_id: 258 },
            ),
        ] {
            assert_eq!(header(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for &api in ApiKey::ALL {
            for version in api.spec().min..=api.spec().max {
                let sent = expected(api, version, Some("me"));
                let mut writer = Writer::new();
                sent.put(&mut writer);
                let bytes = writer.finish().expect("short").into_bytes();
                assert_eq!(header(&bytes), Ok((sent, 0)));

                let mut writer = Writer::new();
                put_response_header(api, version, 7, &mut writer);
                let mut reader = Reader::new(writer.finish().expect("short").into_bytes());
                assert_eq!(get_response_header(api, version, &mut reader), Ok(7));
                assert_eq!(reader.finish(), Ok(()));
            }
        }
    }

    #[test]
    fn a_million_tagged_fields_are_refused_early() {
        let mut writer = Writer::new();
        expected(ApiKey::Metadata, 12, None).put(&mut writer);
        let mut bytes = writer.finish().expect("short").into_bytes().to_vec();
        bytes.pop();
        bytes.extend_from_slice(&[0xc0, 0x84, 0x3d]);
        bytes.resize(bytes.len() + 2_000_000, 0);
        assert_eq!(header(&bytes), Err(HeaderError::Malformed(DecodeError::Tags)));
    }
}
