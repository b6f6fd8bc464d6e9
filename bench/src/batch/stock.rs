//! What batches a producer takes its records from, and where in them it is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::compression::Codec;
use super::key::Key;
use super::mixed::{FULL, Mixed};
use super::payload::{Chance, Payload};
use super::ready::Ready;
use super::ring::Ring;
use super::size::SizeMix;
use super::stamp::STAMP_BYTES;
use super::template::Template;

/// Bytes in which encoded batches of mixed records are kept.
const KEPT_BYTES: usize = 256 << 20;
/// Values in a round of one partition's packed batches, at least: packing is dear, and each partition packs its own.
const PACKED_LAP: usize = 64;

/// What records are made from.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Value sizes.
    pub sizes: SizeMix,
    /// What the values hold.
    pub payload: Payload,
    /// A batch is full at this many bytes, header included (it always holds one record).
    pub batch_bytes: usize,
    /// A batch is full at this many records.
    pub batch_records: usize,
    /// Compression.
    pub codec: Codec,
    /// Seed of sizes and values.
    pub seed: u64,
}

impl Recipe {
    /// Whether the batches carry stamps.
    pub fn stamped(&self) -> bool {
        self.sizes.smallest() >= STAMP_BYTES && !self.compressed()
    }

    /// Whether they are compressed.
    pub fn compressed(&self) -> bool {
        self.codec != Codec::None
    }

    /// About how many records fill a batch.
    fn full(&self) -> usize {
        let mean = self.sizes.mean().max(1.0) as usize;
        (self.batch_bytes / mean).clamp(1, self.batch_records.max(1))
    }

    /// The stock of records without keys.
    pub fn stock(&self) -> Rc<Stock> {
        let mut chance = Chance::new(self.seed);
        Rc::new(match self.sizes {
            SizeMix::Fixed(size) => Stock::Same(Template::new(self, size, &mut chance)),
            _ => {
                let ring = Rc::new(self.ring(&mut chance));
                let room = Rc::new(Cell::new(KEPT_BYTES));
                Stock::Mixed(Mixed::new(self, &ring, Vec::new(), ring.len(), &room))
            }
        })
    }

    /// The stocks of partitions whose records have these keys, in turn.
    pub fn keyed(&self, keys: Vec<Vec<Key>>) -> Vec<Rc<Stock>> {
        let ring = Rc::new(self.ring(&mut Chance::new(self.seed)));
        let room = Rc::new(Cell::new(KEPT_BYTES));
        let lap = match self.codec {
            Codec::None => ring.len(),
            _ => (ring.len() / keys.len().max(1)).max(PACKED_LAP),
        };
        keys.into_iter()
            .map(|keys| Rc::new(Stock::Mixed(Mixed::new(self, &ring, keys, lap, &room))))
            .collect()
    }

    fn ring(&self, chance: &mut Chance) -> Ring {
        Ring::new(&self.sizes, self.payload, self.full(), chance)
    }
}

/// Encoded batches; producers share them.
pub enum Stock {
    /// Of records that are all alike.
    Same(Template),
    /// Of others.
    Mixed(Mixed),
}

/// One producer's way through a stock.
pub struct Hand {
    stock: Rc<Stock>,
    /// Where the next batch is, by round.
    places: BTreeMap<usize, usize>,
    full: usize,
    chance: Chance,
}

impl Hand {
    /// Begins where chance will have it.
    pub fn new(stock: &Rc<Stock>, chance: Chance) -> Self {
        let mut hand = Self { stock: Rc::clone(stock), places: BTreeMap::new(), full: 1, chance };
        hand.full = match &*hand.stock {
            Stock::Same(template) => template.full(),
            Stock::Mixed(mixed) => {
                let place = mixed.begin(FULL, &mut hand.chance);
                hand.places.insert(FULL, place);
                mixed.count(FULL, place)
            }
        };
        hand
    }

    /// Records of the next full batch.
    pub fn full(&self) -> usize {
        self.full
    }

    /// The next batch when so many records wait: of all of them or of those that fit.
    pub fn take(&mut self, waiting: usize) -> Rc<Ready> {
        match &*self.stock {
            Stock::Same(template) => template.batch(waiting.min(self.full)),
            Stock::Mixed(mixed) => {
                let round = if waiting >= self.full { FULL } else { waiting };
                let chance = &mut self.chance;
                let place = self.places.entry(round).or_insert_with(|| mixed.begin(round, chance));
                let ready = mixed.batch(round, *place);
                *place = mixed.behind(*place, ready.count);
                if round == FULL {
                    self.full = mixed.count(FULL, *place);
                }
                ready
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::HEADER_BYTES;
    use crate::batch::key;
    use crate::batch::ready::tests::{HEAD, whole};
    use crate::batch::record::Records;
    use crate::batch::stamp::Stamp;
    use crate::batch::walk::Batches;
    use proptest::prelude::*;

    fn recipe(sizes: SizeMix, batch_bytes: usize, codec: Codec, seed: u64) -> Recipe {
        let payload = Payload::Json;
        Recipe { sizes, payload, batch_bytes, batch_records: 5000, codec, seed }
    }

    /// Sizes of the values that really stand in a batch.
    fn sizes(ready: &Ready) -> Vec<usize> {
        let bytes = whole(ready);
        let found: Vec<_> = Batches::new(&bytes).collect();
        assert_eq!(found.len(), 1);
        let body = ready.codec.unpack(found[0].body()).expect("unpacks");
        Records::new(&body).map(|record| record.value.map_or(0, <[u8]>::len)).collect()
    }

    proptest! {
        #[test]
        fn every_batch_is_valid(
            (low, spread) in (0_usize..200, 0_usize..2000),
            batch_bytes in 0_usize..20_000,
            codec in 0_u8..5,
            keyed in any::<bool>(),
            waits in proptest::collection::vec(1_usize..60, 1..40),
        ) {
            let sizes = match spread % 2 {
                0 => SizeMix::Fixed(low),
                _ => SizeMix::Uniform(low, low + spread),
            };
            let codec = Codec::from_bits(codec).expect("known");
            let mut recipe = recipe(sizes, batch_bytes, codec, 5);
            recipe.batch_records = 50;
            let keys = vec![key::bytes(1), key::bytes(22)];
            let stock = if keyed { recipe.keyed(vec![keys.clone()]).remove(0) } else { recipe.stock() };
            prop_assert_eq!(recipe.stamped(), low >= STAMP_BYTES && codec == Codec::None);
            let mut hand = Hand::new(&stock, Chance::new(1));
            for waiting in waits {
                let full = hand.full();
                let ready = hand.take(waiting);
                prop_assert!(ready.count >= 1 && ready.count <= waiting.min(50));
                prop_assert!(waiting < full || ready.count == full);
                let bytes = whole(&ready);
                prop_assert_eq!(bytes.len(), ready.batch_bytes());
                let found: Vec<_> = Batches::new(&bytes).collect();
                prop_assert_eq!(found.len(), 1);
                prop_assert!(found[0].crc_holds());
                prop_assert_eq!(found[0].count(), ready.count as i32);
                let unpacked = codec.unpack(found[0].body()).expect("unpacks");
                prop_assert!(ready.count == 1 || HEADER_BYTES + unpacked.len() <= batch_bytes);
                let records: Vec<_> = Records::new(&unpacked).collect();
                prop_assert_eq!(records.len(), ready.count);
                let bytes: usize = records.iter().map(|r| r.value.map_or(0, <[u8]>::len)).sum();
                prop_assert_eq!(bytes as u64, ready.value_bytes);
                for record in records {
                    let right = record.key.map_or(!keyed, |key| keys.iter().any(|own| key == own));
                    prop_assert!(right);
                }
                let stamp = found[0].first_value().and_then(Stamp::decode);
                prop_assert_eq!(stamp, recipe.stamped().then_some(HEAD.stamp));
            }
        }
    }

    /// How many records wait when a batch is taken.
    type Waits = fn(&mut Chance) -> usize;

    #[test]
    fn what_is_sent_is_what_was_asked_for() {
        let waits: [(&str, Waits); 5] = [
            ("one", |_| 1),
            ("three", |_| 3),
            ("few", |chance| 1 + chance.below(30) as usize),
            ("many", |chance| 1 + chance.below(400) as usize),
            ("full", |_| usize::MAX),
        ];
        let mixes = ["100:70,1KiB:25,16KiB:5", "40:9,20000:1", "10..3000"];
        for mix in mixes.map(|mix| mix.parse::<SizeMix>().expect("a mix")) {
            for (batch_bytes, keyed) in [(16 << 10, false), (128 << 10, false), (16 << 10, true)] {
                for (name, waits) in waits {
                    for seed in 1..4 {
                        let recipe = recipe(mix.clone(), batch_bytes, Codec::None, seed);
                        let what =
                            format!("{mix} in {batch_bytes}, keyed: {keyed}, {name}, {seed}");
                        let keys = vec![vec![key::bytes(seed)]; 2];
                        let stocks = if keyed { recipe.keyed(keys) } else { vec![recipe.stock()] };
                        asked_for(&mix, &stocks, waits, &what);
                    }
                }
            }
        }
    }

    /// Takes batches and looks at the sizes in them.
    fn asked_for(mix: &SizeMix, stocks: &[Rc<Stock>], waits: Waits, what: &str) {
        let mut chance = Chance::new(7);
        let mut hands: Vec<Hand> = (0..6)
            .map(|index| Hand::new(&stocks[index % stocks.len()], Chance::new(index as u64)))
            .collect();
        let mut seen: BTreeMap<usize, u64> = BTreeMap::new();
        let (mut records, mut bytes) = (0_u64, 0_u64);
        while records < 25_000 {
            for hand in &mut hands {
                let ready = hand.take(waits(&mut chance));
                for size in sizes(&ready) {
                    *seen.entry(size).or_default() += 1;
                    (records, bytes) = (records + 1, bytes + size as u64);
                }
            }
        }
        let mean = bytes as f64 / records as f64;
        assert!((mean / mix.mean() - 1.0).abs() < 0.05, "{what}: {mean} for {}", mix.mean());
        if let SizeMix::Histogram(entries) = mix {
            let total: u64 = entries.iter().map(|entry| entry.1).sum();
            for (size, weight) in entries {
                let share = *weight as f64 / total as f64;
                let found = seen.get(size).copied().unwrap_or(0) as f64 / records as f64;
                assert!((found - share).abs() < 0.01, "{what}: {found} of {size}, not {share}");
            }
        }
    }

    #[test]
    fn batches_are_made_once() {
        let mix: SizeMix = "100:70,1KiB:25,16KiB:5".parse().expect("a mix");
        let stock = recipe(mix, 128 << 10, Codec::None, 1).stock();
        let mut hand = Hand::new(&stock, Chance::new(1));
        let mut round = |waiting| -> Vec<Rc<Ready>> {
            let mut records = 0;
            let mut batches = Vec::new();
            while records < 10_000 {
                batches.push(hand.take(waiting));
                records += batches.last().map_or(0, |ready| ready.count);
            }
            batches
        };
        for waiting in [1, 7, usize::MAX] {
            let (first, second) = (round(waiting), round(waiting));
            let again = |ready: &Rc<Ready>| first.iter().any(|early| Rc::ptr_eq(early, ready));
            assert!(second.iter().all(again), "{waiting}");
        }
    }
}
