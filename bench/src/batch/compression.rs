//! The compressions of record batches: what Kafka's attribute bits name, and nothing that bytes from a broker could blow up.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// A batch that unpacks to more than this is taken for malformed, bytes.
const UNPACKED_MAX: u64 = 256 << 20;
/// Begins a stream in the framing that Kafka's Java clients wrap around snappy.
const XERIAL_MAGIC: [u8; 16] =
    [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// Bytes per snappy block, as the Java clients have it.
const XERIAL_BLOCK: usize = 32 << 10;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in xerial framing.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl Codec {
    /// The lowest bits of a batch's attributes.
    pub fn bits(self) -> u8 {
        self as u8
    }

    /// The compression that attributes name; `None` if Kafka knows none of that number.
    pub fn from_bits(attributes: u8) -> Option<Self> {
        match attributes & 7 {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Compresses encoded records.
    pub fn pack(self, records: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(records.to_vec()),
            Self::Gzip => {
                let level = flate2::Compression::default();
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
                packer.write_all(records)?;
                packer.finish()
            }
            Self::Snappy => {
                let mut out = XERIAL_MAGIC.to_vec();
                let mut packer = snap::raw::Encoder::new();
                for block in records.chunks(XERIAL_BLOCK) {
                    let packed = packer.compress_vec(block).map_err(io::Error::other)?;
                    out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
                    out.extend_from_slice(&packed);
                }
                Ok(out)
            }
            Self::Lz4 => {
                let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
                packer.write_all(records)?;
                packer.finish().map_err(io::Error::other)
            }
            Self::Zstd => zstd::bulk::compress(records, 3),
        }
    }

    /// Unpacks records.
    pub fn unpack(self, packed: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(packed.to_vec()),
            Self::Gzip => bounded(flate2::read::MultiGzDecoder::new(packed)),
            Self::Snappy => unpack_snappy(packed),
            Self::Lz4 => bounded(lz4_flex::frame::FrameDecoder::new(packed)),
            Self::Zstd => bounded(zstd::stream::read::Decoder::new(packed)?),
        }
    }
}

fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(UNPACKED_MAX + 1).read_to_end(&mut out)?;
    if out.len() as u64 > UNPACKED_MAX {
        return Err(io::Error::other("the batch unpacks to more than any batch may hold"));
    }
    Ok(out)
}

fn unpack_snappy(packed: &[u8]) -> io::Result<Vec<u8>> {
    let unpack = |block: &[u8]| {
        let length = snap::raw::decompress_len(block).map_err(io::Error::other)?;
        if length as u64 > UNPACKED_MAX {
            return Err(io::Error::other("a block unpacks to more than any batch may hold"));
        }
        snap::raw::Decoder::new().decompress_vec(block).map_err(io::Error::other)
    };
    // The framing has versions in its last eight bytes, which readers ignore.
    if !packed.starts_with(&XERIAL_MAGIC[..8]) {
        return unpack(packed);
    }
    let mut rest = packed.get(XERIAL_MAGIC.len()..).unwrap_or_default();
    let mut out = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let block = behind.get(..length).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.extend(unpack(block)?);
        rest = &behind[length..];
        if out.len() as u64 > UNPACKED_MAX {
            return Err(io::Error::other("the batch unpacks to more than any batch may hold"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    proptest! {
        #[test]
        fn what_is_packed_unpacks(bytes in proptest::collection::vec(0_u8..8, 0..100_000)) {
            for codec in ALL {
                let packed = codec.pack(&bytes).expect("packs");
                prop_assert_eq!(codec.unpack(&packed).expect("unpacks"), &bytes[..]);
                prop_assert_eq!(Codec::from_bits(codec.bits()), Some(codec));
            }
        }

        #[test]
        fn noise_is_refused_and_nothing_worse(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for codec in ALL {
                codec.unpack(&bytes).ok();
            }
        }
    }
}
