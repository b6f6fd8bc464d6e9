//! Gives a batch another codec, for topics whose `compression.type` is not `producer`.

use bytes::Bytes;

use super::batch::BatchHeader;
use super::builder::seal;
use super::codec::{self, Codec, CodecError, CompressError};
use super::layout::{CODEC_MASK, HEADER_BYTES, PREFIX_BYTES};
use super::records::plain_records;

/// A batch could not be given another codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecompressError {
    /// Its records cannot be read.
    #[error(transparent)]
    Decompress(#[from] CodecError),
    /// Its records cannot be written.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// It would be larger than its format allows.
    #[error("record batch would be too large for its format")]
    TooLarge,
}

/// The same records as in `batch`, compressed with `codec`; the header stays but for codec, length
/// and checksum. At most `bound` bytes are decompressed. `header` must be that of `batch`.
pub fn recompress(
    batch: &[u8],
    header: &BatchHeader,
    codec: Codec,
    level: Option<i32>,
    bound: u64,
) -> Result<Bytes, RecompressError> {
    let plain = plain_records(header, batch, bound)?;
    let packed = codec::compress(codec, level, &plain)?;
    let mut out = Vec::with_capacity(HEADER_BYTES + packed.len());
    out.resize(HEADER_BYTES, 0);
    out.extend_from_slice(&packed);
    let mut header = *header;
    header.attributes = (header.attributes & !CODEC_MASK) | codec.id();
    header.batch_length =
        i32::try_from(out.len() - PREFIX_BYTES).map_err(|_| RecompressError::TooLarge)?;
    seal(&header, &mut out);
    Ok(out.into())
}
