//! Records that are all of one size and have no keys: a full batch of them is encoded, and any number of records from
//! its front makes a batch.

use std::cell::OnceCell;
use std::rc::Rc;

use super::HEADER_BYTES;
use super::crc::Shift;
use super::payload::{self, Chance};
use super::ready::{Ready, Run};
use super::record;
use super::stock::Recipe;

/// An encoded run of records.
pub struct Template {
    recipe: Recipe,
    records: Rc<[u8]>,
    size: usize,
    changing: usize,
    fronts: Vec<Front>,
}

/// The first records up to some number of them.
struct Front {
    /// Where the last one ends.
    end: usize,
    /// CRC of what stands behind the changing part.
    crc: u32,
    /// The batch that they make, once it has been asked for.
    ready: OnceCell<Rc<Ready>>,
}

impl Template {
    /// Encodes a full batch of values of `size` bytes.
    pub fn new(recipe: &Recipe, size: usize, chance: &mut Chance) -> Self {
        let mut run = Run::default();
        let mut fronts: Vec<Front> = Vec::new();
        let mut value = Vec::new();
        while run.count < recipe.batch_records.max(1) {
            let more = record::len(run.count as i32, None, size);
            if run.count > 0 && HEADER_BYTES + run.records.len() + more > recipe.batch_bytes {
                break;
            }
            value.clear();
            payload::fill(recipe.payload, size, chance, &mut value);
            run.push(None, &value, recipe.stamped());
            let (start, crc) =
                fronts.last().map_or((run.changing, 0), |front| (front.end, front.crc));
            let end = run.records.len();
            let crc = crc32c::crc32c_append(crc, &run.records[start..]);
            fronts.push(Front { end, crc, ready: OnceCell::new() });
        }
        let Run { records, changing, .. } = run;
        Self { recipe: recipe.clone(), records: records.into(), size, changing, fronts }
    }

    /// Records in a full batch; at least one.
    pub fn full(&self) -> usize {
        self.fronts.len()
    }

    /// The batch of the first `count` records.
    pub fn batch(&self, count: usize) -> Rc<Ready> {
        let front = &self.fronts[count - 1];
        let ready = front.ready.get_or_init(|| Rc::new(self.make(count, front)));
        Rc::clone(ready)
    }

    fn make(&self, count: usize, front: &Front) -> Ready {
        let value_bytes = (count * self.size) as u64;
        if self.recipe.compressed() {
            let records = self.records[..front.end].to_vec();
            return Ready::new(Run { records, count, value_bytes, changing: 0 }, self.recipe.codec);
        }
        Ready {
            bytes: Rc::clone(&self.records),
            changing: self.changing,
            end: front.end,
            count,
            value_bytes,
            crc: front.crc,
            shift: Shift::by(front.end - self.changing),
            codec: self.recipe.codec,
        }
    }
}
