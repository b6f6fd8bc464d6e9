//! Blind mutations from a seed: what is done to valid inputs where no coverage guides.

use millrace_engine::codec::Sampler;

/// Numbers at which lengths, counts and offsets break.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
];
/// No input grows beyond this. Bytes.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Most mutations of one input.
const STEPS_MAX: u64 = 6;

/// A source of mutated inputs; the same seed gives the same ones.
pub struct Mutator {
    dice: Sampler,
    inputs: Vec<Vec<u8>>,
}

impl Mutator {
    /// Mutates these inputs.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(seed: u64, inputs: Vec<Vec<u8>>) -> Self {
        assert!(!inputs.is_empty());
        Self { dice: Sampler::new(seed), inputs }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.dice.next() % bound.max(1) as u64) as usize
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut bytes = self.pick();
        for _ in 0..=self.dice.next() % STEPS_MAX {
            self.step(&mut bytes);
        }
        bytes.truncate(INPUT_BYTES_MAX);
        bytes
    }

    fn pick(&mut self) -> Vec<u8> {
        let at = self.below(self.inputs.len());
        self.inputs[at].clone()
    }

    fn step(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(32)).min(bytes.len());
        match self.dice.next() % 8 {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << (end % 8)),
            1 => {
                let value = self.dice.next() as u8;
                bytes.iter_mut().skip(at).take(1).for_each(|b| *b = value);
            }
            2 => self.put_edge(bytes, at),
            3 => bytes.truncate(at),
            4 if at < end => drop(bytes.drain(at..end)),
            5 if at < end => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => {
                let other = self.pick();
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let random: Vec<u8> = (0..=end % 16).map(|_| self.dice.next() as u8).collect();
                bytes.splice(at..at, random);
            }
        }
    }

    /// Overwrites 1, 2, 4 or 8 bytes with a number on or beside an edge.
    fn put_edge(&mut self, bytes: &mut [u8], at: usize) {
        let edge = EDGES[self.below(EDGES.len())];
        let beside = edge.wrapping_add(self.dice.next() % 3).wrapping_sub(1);
        let width = 1 << self.below(4);
        let number = beside.to_be_bytes();
        for (place, byte) in bytes.iter_mut().skip(at).zip(&number[8 - width..]) {
            *place = *byte;
        }
    }
}
