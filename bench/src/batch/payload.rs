//! Values that look like what people send: lines of JSON from a seeded generator, or noise, or zeros.

/// What fills the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Payload {
    /// JSON events with repeated field names: compresses about as well as real events do.
    Json,
    /// Random bytes: does not compress.
    Random,
    /// Zero bytes: compresses to almost nothing.
    Zero,
}

/// A small seeded generator (splitmix64): the same seed gives the same payloads.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound` (0 if the bound is 0).
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// A number from 0 to 1, without 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

const STATES: [&str; 6] = ["created", "paid", "packed", "shipped", "delivered", "returned"];
const CITIES: [&str; 8] =
    ["Lisbon", "Oslo", "Nairobi", "Osaka", "Quito", "Toronto", "Wellington", "Zagreb"];

/// Appends `size` bytes of payload to `out`.
pub fn fill(payload: Payload, size: usize, chance: &mut Chance, out: &mut Vec<u8>) {
    let end = out.len() + size;
    match payload {
        Payload::Zero => {}
        Payload::Random => {
            while out.len() < end {
                out.extend_from_slice(&chance.next().to_be_bytes());
            }
        }
        Payload::Json => {
            while out.len() < end {
                let state = STATES[chance.below(STATES.len() as u64) as usize];
                let city = CITIES[chance.below(CITIES.len() as u64) as usize];
                let line = format!(
                    "{{\"order\":\"{:016x}\",\"customer\":{},\"state\":\"{state}\",\"city\":\"{city}\",\"amount\":{}.{:02}}}\n",
                    chance.next(),
                    chance.below(1_000_000),
                    chance.below(5_000),
                    chance.below(100),
                );
                out.extend_from_slice(line.as_bytes());
            }
        }
    }
    out.resize(end, 0);
}
