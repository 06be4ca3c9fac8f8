//! Records that say who sent them, and where to: so that each can be told from every other, and from garbage.

use crate::support::rng::{Rng, mix};

const HEADER_BYTES: usize = 16;

/// One record of all that were ever sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    /// The producer, of which each has another number.
    pub session: u32,
    /// The record's number among those that this producer sent to the partition.
    pub sequence: u32,
}

impl Id {
    fn seed(self, partition: u32) -> u64 {
        mix((u64::from(self.session) << 32 | u64::from(self.sequence)) ^ mix(partition.into()))
    }

    /// Writes the record's value: mostly some hundred bytes, sometimes some thousand.
    pub fn write(self, partition: u32, value: &mut Vec<u8>) {
        let mut rng = Rng::new(self.seed(partition));
        let most = if rng.below(64) == 0 { 12_000 } else { 240 };
        let length = HEADER_BYTES + rng.below(most) as usize;
        value.clear();
        value.extend_from_slice(&self.session.to_le_bytes());
        value.extend_from_slice(&self.sequence.to_le_bytes());
        value.extend_from_slice(&partition.to_le_bytes());
        value.extend_from_slice(&(length as u32).to_le_bytes());
        while value.len() < length {
            value.extend_from_slice(&rng.next().to_le_bytes());
        }
        value.truncate(length);
    }

    /// Whose value this is; `None` if nobody sent it to this partition as it is.
    pub fn read(partition: u32, value: &[u8], scratch: &mut Vec<u8>) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(value.get(at..at + 4)?.try_into().ok()?));
        let id = Self { session: number(0)?, sequence: number(4)? };
        id.write(partition, scratch);
        (scratch == value).then_some(id)
    }
}
