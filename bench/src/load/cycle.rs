//! BatchCycle that are built once and sent again and again, and the check of what comes back.
//!
//! Building records costs a client more than a broker that handles whole batches, so that a load generator on one core
//! would measure itself. What a consumer gets is still checked to the last byte: the batch at an offset is known.

use bytes::Bytes;
use ringmail_wire::batch::{Batch, BatchBuilder, Compression};

use super::Content;
use crate::error::{Error, Result};

/// Bytes at the start of a batch that the broker writes: the base offset.
const BROKER_WRITES: usize = 8;

/// A cycle of different batches of equal size. Partition `p` begins with the `p`-th, so that partitions differ.
#[derive(Clone, Debug)]
pub struct BatchCycle {
    cycle: Vec<Bytes>,
    records: u64,
}

impl BatchCycle {
    /// `count` batches of at most `batch_bytes`, each with as many records with values of `value_len` bytes as fit.
    ///
    /// # Panics
    ///
    /// When `count` is zero, or not even one record fits.
    pub fn build(count: usize, batch_bytes: usize, value_len: usize) -> Self {
        assert!(count > 0, "a cycle has batches");
        let content = Content::new(1, 0, value_len);
        // Of the present, or the retention of the topic would take the records away.
        let now = crate::load::now_ms();
        let mut builder = BatchBuilder::new(batch_bytes, Compression::None);
        let mut value = Vec::with_capacity(value_len);
        let mut number = 0;
        let mut cycle = Vec::with_capacity(count);
        let mut records = 0;
        for _ in 0..count {
            loop {
                value.clear();
                content.append(number, &mut value);
                if builder.push(now, None, Some(&value), &[]).is_err() {
                    break;
                }
                number += 1;
            }
            records = u64::from(builder.record_count());
            let mut bytes = Vec::with_capacity(builder.len_bytes());
            builder.finish_into(&mut bytes);
            cycle.push(Bytes::from(bytes));
        }
        Self { cycle, records }
    }

    /// Records in every batch.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of every batch.
    pub fn batch_bytes(&self) -> u64 {
        self.cycle[0].len() as u64
    }

    /// The batch that partition `partition` gets as its `number`-th.
    pub fn get(&self, partition: u32, number: u64) -> &Bytes {
        &self.cycle[((number + u64::from(partition)) % self.cycle.len() as u64) as usize]
    }

    /// Checks a batch that a consumer got: it must be the one that belongs at `offset` of `partition`, byte for byte.
    ///
    /// # Errors
    ///
    /// When it is another, with what is wrong.
    pub fn check(&self, partition: u32, offset: u64, batch: &Batch<'_>) -> Result<()> {
        let wrong =
            |what: String| Err(Error::Content(format!("partition {partition}, offset {offset}: {what}")));
        if batch.base_offset() != offset {
            return wrong(format!("the batch that came next starts at {}", batch.base_offset()));
        }
        if !offset.is_multiple_of(self.records) {
            return wrong(format!("batches of {} records start elsewhere", self.records));
        }
        let sent = self.get(partition, offset / self.records);
        if batch.as_bytes()[BROKER_WRITES..] != sent[BROKER_WRITES..] {
            return wrong("the batch does not hold what was sent".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ringmail_wire::batch::set_base_offset;

    use super::*;

    fn stored(batches: &BatchCycle, partition: u32, number: u64) -> Vec<u8> {
        let mut bytes = batches.get(partition, number).to_vec();
        set_base_offset(&mut bytes, number * batches.records());
        bytes
    }

    #[test]
    fn batches_are_full_and_valid() {
        let batches = BatchCycle::build(4, 64 << 10, 100);
        assert!(batches.batch_bytes() > (64 << 10) - 120 && batches.batch_bytes() <= 64 << 10);
        let batch = Batch::parse(batches.get(0, 0)).unwrap();
        batch.check().unwrap();
        assert_eq!(u64::from(batch.record_count()), batches.records());
    }

    #[test]
    fn only_the_right_batch_passes() {
        let batches = BatchCycle::build(4, 4096, 100);
        let offset = 6 * batches.records();
        let bytes = stored(&batches, 3, 6);
        batches.check(3, offset, &Batch::parse(&bytes).unwrap()).unwrap();
        assert!(batches.check(2, offset, &Batch::parse(&bytes).unwrap()).is_err(), "another partition");
        assert!(batches.check(3, offset + 1, &Batch::parse(&bytes).unwrap()).is_err(), "another offset");
        let gap = stored(&batches, 3, 7);
        assert!(batches.check(3, offset, &Batch::parse(&gap).unwrap()).is_err(), "a gap");
        let mut damaged = bytes;
        *damaged.last_mut().unwrap() ^= 1;
        assert!(batches.check(3, offset, &Batch::parse(&damaged).unwrap()).is_err(), "a changed byte");
    }
}
