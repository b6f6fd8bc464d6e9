//! One target for each decoder: bytes that nobody has vouched for go in, and what must hold holds. The
//! same targets are run by `cargo test` for a moment, with blind mutations, and by `tools/fuzz/run` for as
//! long as one likes, guided by coverage.

mod files;
mod mutate;
mod records;
mod recovery;
mod wire;

pub use mutate::Mutator;

use allocation_counter::measure;

/// A decoder under test.
pub struct Target {
    /// Its name on the command line, and of its folder in the corpus.
    pub name: &'static str,
    /// Valid inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Decodes one input; panics where something does not hold.
    run: fn(&[u8]),
    /// Bytes that it may allocate for an input of so many.
    memory_max: fn(usize) -> usize,
}

/// Every decoder there is.
pub const TARGETS: &[Target] = &[
    wire::FRAMES,
    wire::REQUESTS,
    wire::ANSWERS,
    records::BATCHES,
    records::CODECS,
    files::SEGMENT,
    files::INDEX,
    files::JOURNAL,
    files::PRODUCER_SNAPSHOT,
    files::CHECKPOINTS,
    files::METADATA,
    files::GROUPS,
    recovery::PARTITION,
];

impl Target {
    /// The target of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Decodes one input, and counts what that allocates.
    ///
    /// # Panics
    /// Where something does not hold.
    pub fn check(&self, input: &[u8]) {
        let peak = measure(|| (self.run)(input)).bytes_max;
        let allowed = (self.memory_max)(input.len()) as u64;
        assert!(peak <= allowed, "{peak} bytes for an input of {}", input.len());
    }
}

/// Takes the first byte of an input, which says how the rest is to be used; 0 if there is none.
fn split_byte(input: &[u8]) -> (u8, &[u8]) {
    input.split_first().map_or((0, input), |(first, rest)| (*first, rest))
}
