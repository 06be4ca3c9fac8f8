//! What carries requests between shards: first in, first out between each two, with delays.

use crate::rng::Rng;

/// Once in so many messages the way is congested.
const CONGESTED: u64 = 60;

#[derive(Debug)]
pub(super) struct Mesh {
    shards: usize,
    /// When the last message arrives, for each pair, in microseconds.
    last_us: Vec<u64>,
}

impl Mesh {
    pub fn new(shards: usize) -> Self {
        Self { shards, last_us: vec![0; shards * shards] }
    }

    /// How long a message takes that is sent now, in microseconds: it does not overtake those before it.
    pub fn delay(&mut self, from: usize, to: usize, now_us: u64, rng: &mut Rng) -> u64 {
        if from == to {
            return 0;
        }
        let usual = 1 + rng.below(20);
        let delay = if rng.one_in(CONGESTED) { usual + rng.below(5000) } else { usual };
        let last = &mut self.last_us[from * self.shards + to];
        *last = (*last).max(now_us + delay);
        *last - now_us
    }
}
