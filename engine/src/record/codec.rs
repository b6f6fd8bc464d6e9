//! The four compression codecs of record batches, read as a stream with a bound on its output.

use std::io::{self, Read, Write};

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in the frames of the xerial library, or one bare block.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878 (KIP-110).
    Zstd,
}

impl Codec {
    /// The codec with this number in the attributes.
    #[must_use]
    pub const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The number of this codec in the attributes.
    #[must_use]
    pub const fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// Compressed bytes could not be read to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// They are not what the codec writes.
    #[error("compressed records cannot be decompressed")]
    Malformed,
    /// More came out than is allowed; the rest was not decompressed.
    #[error("compressed records are larger than {0} bytes when decompressed")]
    TooLarge(u64),
}

/// Begin of xerial's framing: its name, then two version numbers.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// A three-byte snappy copy yields at most 64 bytes, so no honest block grows more than this.
const SNAPPY_GROWTH_MAX: usize = 22;
/// Largest block of snappy: it is decompressed whole. Clients send blocks of 32 KiB, or a batch. Bytes.
const SNAPPY_BLOCK_BYTES_MAX: u64 = 64 * 1024 * 1024;
const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// The largest zstd window that Kafka's own reader accepts, as a power of two.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Bit of an LZ4 frame's flags: blocks do not refer to each other. Kafka reads no other frames.
const LZ4_INDEPENDENT_BIT: u8 = 0x20;
/// How much [`decompress`] makes room for at a time.
const GROW_BYTES: usize = 64 * 1024;

/// A stream of decompressed bytes that ends in an error instead of exceeding its bound.
pub struct Decompressor<'a> {
    source: Source<'a>,
    left: u64,
    bound: u64,
}

enum Source<'a> {
    Plain(&'a [u8]),
    Gzip(Box<flate2::read::MultiGzDecoder<&'a [u8]>>),
    Snappy(SnappyReader<'a>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<&'a [u8]>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, &'a [u8]>>),
}

impl<'a> Decompressor<'a> {
    /// Starts to read `compressed`; at most `bound` bytes will come out.
    pub fn new(codec: Codec, compressed: &'a [u8], bound: u64) -> Result<Self, CodecError> {
        let source = match codec {
            Codec::None => Source::Plain(compressed),
            Codec::Gzip => Source::Gzip(Box::new(flate2::read::MultiGzDecoder::new(compressed))),
            Codec::Snappy => Source::Snappy(SnappyReader::new(compressed, bound)?),
            Codec::Lz4 => Source::Lz4(Box::new(lz4_decoder(compressed)?)),
            Codec::Zstd => Source::Zstd(Box::new(zstd_decoder(compressed)?)),
        };
        Ok(Self { source, left: bound, bound })
    }

    /// Fills the front of `out` and says how much; 0 is the end.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, CodecError> {
        let count = match &mut self.source {
            Source::Plain(rest) => read_some(rest, out),
            Source::Gzip(decoder) => read_some(decoder.as_mut(), out),
            Source::Snappy(reader) => reader.read(out),
            Source::Lz4(decoder) => read_some(decoder.as_mut(), out),
            Source::Zstd(decoder) => read_some(decoder.as_mut(), out),
        }?;
        self.left = self.left.checked_sub(count as u64).ok_or(CodecError::TooLarge(self.bound))?;
        Ok(count)
    }
}

/// All of `compressed`, decompressed; memory grows with what really comes out.
pub fn decompress(codec: Codec, compressed: &[u8], bound: u64) -> Result<Vec<u8>, CodecError> {
    let mut stream = Decompressor::new(codec, compressed, bound)?;
    let mut out = Vec::new();
    let mut filled = 0;
    loop {
        if out.len() == filled {
            out.resize(filled + GROW_BYTES, 0);
        }
        match stream.read(&mut out[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    out.truncate(filled);
    Ok(out)
}

/// Compressing failed: the codec does not take the level, or has no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("records cannot be compressed with {0:?}")]
pub struct CompressError(pub Codec);

/// Compresses `plain` in the form that Kafka's clients write. `level` counts for gzip and zstd;
/// without one Kafka's defaults hold (gzip 6 as zlib has it, zstd 3).
pub fn compress(codec: Codec, level: Option<i32>, plain: &[u8]) -> Result<Vec<u8>, CompressError> {
    let failed = |_: io::Error| CompressError(codec);
    match codec {
        Codec::None => Ok(plain.to_vec()),
        Codec::Gzip => {
            let level = level.and_then(|l| u32::try_from(l).ok()).filter(|&l| l <= 9).unwrap_or(6);
            let out = Vec::with_capacity(plain.len() / 4);
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(level));
            encoder.write_all(plain).map_err(failed)?;
            encoder.finish().map_err(failed)
        }
        Codec::Snappy => compress_snappy(plain).ok_or(CompressError(codec)),
        Codec::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_mode(lz4_flex::frame::BlockMode::Independent)
                .block_size(lz4_flex::frame::BlockSize::Max64KB);
            let out = Vec::with_capacity(plain.len() / 4);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, out);
            encoder.write_all(plain).map_err(failed)?;
            encoder.finish().map_err(|_| CompressError(codec))
        }
        Codec::Zstd => zstd::bulk::compress(plain, level.unwrap_or(3)).map_err(failed),
    }
}

fn compress_snappy(plain: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(plain.len() / 2 + XERIAL_HEADER_BYTES);
    out.extend_from_slice(&XERIAL_MAGIC);
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(XERIAL_BLOCK_BYTES) {
        let packed = encoder.compress_vec(block).ok()?;
        out.extend_from_slice(&u32::try_from(packed.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Some(out)
}

fn read_some(reader: &mut impl Read, out: &mut [u8]) -> Result<usize, CodecError> {
    reader.read(out).map_err(|_| CodecError::Malformed)
}

fn lz4_decoder(compressed: &[u8]) -> Result<lz4_flex::frame::FrameDecoder<&[u8]>, CodecError> {
    // The decoder would also take the older frame formats, which Kafka refuses.
    let flags = *compressed.get(LZ4_MAGIC.len()).ok_or(CodecError::Malformed)?;
    if !compressed.starts_with(&LZ4_MAGIC) || flags & LZ4_INDEPENDENT_BIT == 0 {
        return Err(CodecError::Malformed);
    }
    Ok(lz4_flex::frame::FrameDecoder::new(compressed))
}

fn zstd_decoder(
    compressed: &[u8],
) -> Result<zstd::stream::read::Decoder<'static, &[u8]>, CodecError> {
    let mut decoder =
        zstd::stream::read::Decoder::with_buffer(compressed).map_err(|_| CodecError::Malformed)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| CodecError::Malformed)?;
    Ok(decoder)
}

/// Snappy as Kafka's clients send it: xerial's frames from Java, one bare block from C.
struct SnappyReader<'a> {
    rest: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    read: usize,
    block_max: u64,
}

impl<'a> SnappyReader<'a> {
    fn new(compressed: &'a [u8], bound: u64) -> Result<Self, CodecError> {
        let framed = compressed.starts_with(&XERIAL_MAGIC);
        let rest = if framed {
            compressed.get(XERIAL_HEADER_BYTES..).ok_or(CodecError::Malformed)?
        } else {
            compressed
        };
        let block_max = bound.min(SNAPPY_BLOCK_BYTES_MAX);
        Ok(Self { rest, framed, block: Vec::new(), read: 0, block_max })
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, CodecError> {
        while self.read == self.block.len() {
            let Some(packed) = self.next_packed()? else { return Ok(0) };
            let size = snap::raw::decompress_len(packed).map_err(|_| CodecError::Malformed)?;
            if size > packed.len().saturating_mul(SNAPPY_GROWTH_MAX) {
                return Err(CodecError::Malformed);
            }
            if size as u64 > self.block_max {
                return Err(CodecError::TooLarge(self.block_max));
            }
            self.block.resize(size, 0);
            snap::raw::Decoder::new()
                .decompress(packed, &mut self.block)
                .map_err(|_| CodecError::Malformed)?;
            self.read = 0;
        }
        let ready = self.block.get(self.read..).unwrap_or_default();
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]);
        self.read += count;
        Ok(count)
    }

    fn next_packed(&mut self) -> Result<Option<&'a [u8]>, CodecError> {
        // Streams may be joined: a further header stands where a block could.
        while self.framed && self.rest.starts_with(&XERIAL_MAGIC) {
            self.rest = self.rest.get(XERIAL_HEADER_BYTES..).ok_or(CodecError::Malformed)?;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        if !self.framed {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or(CodecError::Malformed)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let (packed, rest) =
            length.and_then(|l| rest.split_at_checked(l)).ok_or(CodecError::Malformed)?;
        self.rest = rest;
        Ok(Some(packed))
    }
}
