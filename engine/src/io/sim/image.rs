//! The bytes of a simulated file, kept by blocks that several images share.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use super::hash::mixed;
use crate::limits::BLOCK_BYTES;

/// What a power cut may tear a write into. Bytes.
pub const SECTOR_BYTES: usize = 512;

const BLOCK: u64 = BLOCK_BYTES as u64;

static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// One block, with its own [`Image::fingerprint`] once that is known; 0 stands for zeros.
#[derive(Debug, Clone)]
struct Block {
    bytes: [u8; BLOCK_BYTES],
    fingerprint: Cell<Option<u64>>,
}

impl Block {
    fn zeros() -> Rc<Self> {
        Rc::new(Self { bytes: [0; BLOCK_BYTES], fingerprint: Cell::new(Some(0)) })
    }

    /// The bytes, to be changed.
    fn bytes_mut(self: &mut Rc<Self>) -> &mut [u8; BLOCK_BYTES] {
        let block = Rc::make_mut(self);
        block.fingerprint.set(None);
        &mut block.bytes
    }

    fn fingerprint(&self) -> u64 {
        let known = self.fingerprint.get();
        let number = known.unwrap_or_else(|| {
            let (words, _) = self.bytes.as_chunks();
            words.iter().fold(0, |hash, word| mixed(hash, u64::from_be_bytes(*word)))
        });
        self.fingerprint.set(Some(number));
        number
    }
}

/// A length and the blocks that are not all zeros.
#[derive(Debug, Clone, Default)]
pub struct Image {
    len: u64,
    blocks: BTreeMap<u64, Rc<Block>>,
}

impl Image {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The end of the last block that is not all zeros, or was not once.
    #[must_use]
    pub fn written_end(&self) -> u64 {
        self.blocks.last_key_value().map_or(0, |(block, _)| ((block + 1) * BLOCK).min(self.len))
    }

    /// Sets the length; new bytes are zeros.
    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.blocks.split_off(&len.div_ceil(BLOCK));
            let inside = usize::try_from(len % BLOCK).unwrap_or_default();
            if let Some(last) = self.blocks.get_mut(&(len / BLOCK))
                && inside > 0
            {
                last.bytes_mut()[inside..].fill(0);
            }
        }
        self.len = len;
    }

    /// Makes the file at least `len` bytes long.
    pub fn extend_to(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    /// Writes, extending the file if need be.
    pub fn write(&mut self, position: u64, bytes: &[u8]) {
        self.extend_to(position + bytes.len() as u64);
        let (mut at, mut rest) = (position, bytes);
        while !rest.is_empty() {
            let start = usize::try_from(at % BLOCK).unwrap_or_default();
            let (part, behind) = rest.split_at(rest.len().min(BLOCK_BYTES - start));
            self.put(at, part);
            at += part.len() as u64;
            rest = behind;
        }
    }

    /// Writes within one block.
    fn put(&mut self, at: u64, part: &[u8]) {
        let start = usize::try_from(at % BLOCK).unwrap_or_default();
        let block = match self.blocks.entry(at / BLOCK) {
            Entry::Occupied(block) => block.into_mut(),
            // What is not there reads as zeros already.
            Entry::Vacant(_) if *part == ZEROS[..part.len()] => return,
            Entry::Vacant(vacant) => vacant.insert(Block::zeros()),
        };
        block.bytes_mut()[start..start + part.len()].copy_from_slice(part);
    }

    /// Writes only those sectors of the disk that `keep` says, in ascending order of their number;
    /// the length is as after the whole write.
    pub fn write_sectors(
        &mut self,
        position: u64,
        bytes: &[u8],
        mut keep: impl FnMut(u64) -> bool,
    ) {
        self.extend_to(position + bytes.len() as u64);
        let sector_bytes = SECTOR_BYTES as u64;
        let (mut at, mut rest) = (position, bytes);
        while !rest.is_empty() {
            let to_sector_end = sector_bytes - at % sector_bytes;
            let len = rest.len().min(usize::try_from(to_sector_end).unwrap_or_default());
            let (part, behind) = rest.split_at(len);
            if keep(at / sector_bytes) {
                self.put(at, part);
            }
            at += len as u64;
            rest = behind;
        }
    }

    /// The bytes from `position`, fewer than `len` if the file ends before.
    #[must_use]
    pub fn read(&self, position: u64, len: usize) -> Vec<u8> {
        let available = self.len.saturating_sub(position);
        let len = len.min(usize::try_from(available).unwrap_or(usize::MAX));
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = position + bytes.len() as u64;
            let start = usize::try_from(at % BLOCK).unwrap_or_default();
            let count = (len - bytes.len()).min(BLOCK_BYTES - start);
            match self.blocks.get(&(at / BLOCK)) {
                Some(block) => bytes.extend_from_slice(&block.bytes[start..start + count]),
                None => bytes.resize(bytes.len() + count, 0),
            }
        }
        bytes
    }

    /// A number that two images have in common only if programs find the same in both.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let blocks = self.blocks.iter().map(|(number, block)| (*number, block.fingerprint()));
        let written = blocks.filter(|(_, fingerprint)| *fingerprint != 0);
        let sizes = mixed(mixed(0, self.len), self.written_end());
        written.fold(sizes, |hash, (number, fingerprint)| mixed(mixed(hash, number), fingerprint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_a_vector_of_bytes() {
        let mut image = Image::default();
        let mut model = Vec::new();
        let mut prng = super::super::prng::Prng::new(3);
        for step in 0..500_u64 {
            let (at, len) = (prng.index(20_000), prng.index(9_000));
            match prng.below(4) {
                0 => {
                    image.set_len(at as u64);
                    model.resize(at, 0);
                }
                _ => {
                    let bytes = vec![step as u8; len];
                    image.write(at as u64, &bytes);
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].copy_from_slice(&bytes);
                }
            }
            assert_eq!(image.len(), model.len() as u64);
            let written_end = usize::try_from(image.written_end()).unwrap();
            assert!(model[written_end..].iter().all(|&byte| byte == 0));
            assert_eq!(image.read(0, 100_000), model);
            let from = prng.index(25_000);
            let expected = model.get(from..).unwrap_or_default();
            let expected = &expected[..expected.len().min(777)];
            assert_eq!(image.read(from as u64, 777), expected);
        }
    }

    #[test]
    fn a_fingerprint_is_that_of_what_is_read() {
        let mut image = Image::default();
        image.write(0, &[7; 10_000]);
        let (before, copy) = (image.fingerprint(), image.clone());
        image.write(5_000, &[8]);
        assert_ne!(image.fingerprint(), before);
        assert_eq!(copy.fingerprint(), before);
        image.write(5_000, &[7]);
        assert_eq!(image.fingerprint(), before);
        image.extend_to(10_001);
        assert_ne!(image.fingerprint(), before);
        // The same bytes elsewhere are something else.
        let at = |position| {
            let mut image = Image::default();
            image.extend_to(20_000);
            image.write(position, &[1]);
            image.write(16_384, &[1]);
            image.fingerprint()
        };
        let all = [at(0), at(1), at(8), at(4_096), at(8_192)];
        let distinct: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn a_torn_write_keeps_whole_sectors() {
        let mut image = Image::default();
        image.write_sectors(256, &[1; 2000], |sector| sector % 2 == 1);
        let bytes = image.read(0, 4096);
        assert_eq!(bytes.len(), 2256);
        let kept: Vec<_> = bytes.iter().map(|&b| b == 1).collect();
        for (i, kept) in kept.into_iter().enumerate() {
            assert_eq!(kept, (i / 512) % 2 == 1 && i >= 256, "{i}");
        }
    }
}
