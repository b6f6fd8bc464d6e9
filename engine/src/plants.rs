//! Faults that are planted, one at a time, to see whether the suite finds them: `if plant!(SkipCrc) { … }`
//! is where one is. Without the feature `plants` none can be chosen, and `plant!` is the word `false`.

#[cfg(feature = "plants")]
use std::cell::Cell;

/// Whether this fault is planted.
#[cfg(feature = "plants")]
macro_rules! plant {
    ($name:ident) => {
        $crate::plants::is_planted($crate::plants::Plant::$name)
    };
}

/// Whether this fault is planted: never.
#[cfg(not(feature = "plants"))]
macro_rules! plant {
    ($name:ident) => {
        false
    };
}

/// What is built without the feature has none.
#[cfg(not(feature = "plants"))]
const _: () = assert!(!plant!(AckBeforeFlush));

/// Makes the faults: each with its name on a command line.
#[cfg(feature = "plants")]
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal,)*) => {
        /// A fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Plant {
            $($(#[$doc])* $fault,)*
        }

        impl Plant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$fault),*];

            /// What it is called on a command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }
        }
    };
}

#[cfg(feature = "plants")]
faults! {
    /// A commit is acknowledged when it has been written.
    AckBeforeFlush = "ack-before-flush",
    /// A batch in a file is taken for valid whatever its checksum.
    SkipCrc = "skip-crc",
    /// Now and then a batch gets the offset of the record before it.
    ReuseOffset = "reuse-offset",
    /// A start does not read what producer snapshots say.
    ForgetProducerState = "forget-producer-state",
    /// A new segment's directory is not flushed.
    NoDirectoryFlush = "no-directory-flush",
    /// A journal file is read beyond its current life, and what it holds of segments that are gone is
    /// laid down again.
    ReplayOldJournalEntries = "replay-old-journal-entries",
    /// A flush of the journal that fails counts as done.
    IgnoreFailedFlush = "ignore-failed-flush",
    /// A coordinator that is loaded leaves out some of the offsets.
    LoseCommittedOffset = "lose-committed-offset",
    /// A log that goes on does so with zeros for what its last block held.
    DropLastPartialBlock = "drop-last-partial-block",
    /// Readers get records whatever leader epoch they know.
    DeliverAcrossLeaderEpochChange = "deliver-across-leader-epoch-change",
}

#[cfg(feature = "plants")]
thread_local! {
    static PLANTED: Cell<Option<Plant>> = const { Cell::new(None) };
}

/// Plants a fault in the shards that this thread simulates, instead of the one before.
#[cfg(feature = "plants")]
pub fn plant(plant: Option<Plant>) {
    PLANTED.set(plant);
}

/// What is planted in the shards that this thread simulates.
#[cfg(feature = "plants")]
#[must_use]
pub fn planted() -> Option<Plant> {
    PLANTED.get()
}

/// Whether this is the one that is planted.
#[cfg(feature = "plants")]
#[must_use]
pub fn is_planted(plant: Plant) -> bool {
    PLANTED.get() == Some(plant)
}
