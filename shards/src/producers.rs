//! What a log remembers of those who write to it with numbers: what they have sent last, so that what is sent twice is stored
//! once and nothing is missing between, and which transactions they have open.
//!
//! The rules are Kafka's. State changes when a batch is placed, not when it is durable: what is sent next is judged by it.

use crate::api::{AppendError, ProducerInfo};
use crate::format::entry::{EntryHeader, EntryProducer, FLAG_COMMIT, FLAG_CONTROL, FLAG_TRANSACTIONAL};
use crate::format::states::{LogStates, ProducerState, SentBatch};
use crate::map::Map;
use crate::unstable::Unstable;

/// So many of the last batches of a producer are known again: as many as Kafka's clients have under way at most.
pub(crate) const BATCHES_KEPT: usize = 5;
/// Producers that a log remembers; beyond, those that were silent longest are forgotten.
pub(crate) const PRODUCERS_PER_LOG: usize = 10_000;
/// Milliseconds after which a silent producer is forgotten: Kafka's default of `producer.id.expiration.ms`.
pub(crate) const PRODUCER_EXPIRY_MS: u64 = 24 * 60 * 60 * 1000;
/// No epoch that a producer can have.
const NO_EPOCH: i16 = -1;

/// What is to become of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is to be appended.
    New,
    /// It was: here.
    Duplicate(SentBatch),
}

/// The producers of a log, and its transactions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    by_id: Map<i64, ProducerState>,
    pub unstable: Unstable,
}

impl Producers {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.unstable.is_empty()
    }

    pub fn knows(&self, id: i64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Judges a batch that is to be appended.
    pub fn judge(&self, entry: &EntryHeader) -> Result<Verdict, AppendError> {
        let Some(batch) = entry.producer else { return Ok(Verdict::New) };
        check_epoch(batch, 0)?;
        // Of a producer that is not known, or not any more, any number may be the first.
        let Some(known) = self.by_id.get(&batch.id) else { return Ok(Verdict::New) };
        let last = last_sequence(batch.sequence, entry.record_count);
        let same = |sent: &&SentBatch| (sent.first, sent.last) == (batch.sequence, last);
        if batch.epoch == known.epoch
            && batch.sequence >= 0
            && let Some(sent) = known.sent.iter().find(same)
        {
            return Ok(Verdict::Duplicate(*sent));
        }
        check_epoch(batch, known.epoch)?;
        // What the broker itself writes for a producer has no numbers.
        if batch.sequence >= 0 {
            check_sequence(known, batch)?;
        }
        let transactional = entry.flags & FLAG_TRANSACTIONAL != 0;
        if known.transaction.is_some() && !transactional {
            return Err(AppendError::InvalidTransaction(batch.id));
        }
        Ok(Verdict::New)
    }

    /// Judges the marker of a transaction's end.
    pub fn judge_marker(&self, marker: EntryProducer) -> Result<(), AppendError> {
        check_epoch(marker, 0)?;
        let Some(known) = self.by_id.get(&marker.id) else { return Ok(()) };
        check_epoch(marker, known.epoch)?;
        if marker.sequence < known.coordinator_epoch {
            let (stated, known) = (marker.sequence, known.coordinator_epoch);
            return Err(AppendError::CoordinatorFenced { stated, known });
        }
        Ok(())
    }

    /// Takes an entry that was appended, or is found again by recovery. Whether a transaction was aborted by it.
    pub fn take(&mut self, entry: &EntryHeader, now_ms: u64) -> bool {
        let Some(batch) = entry.producer else { return false };
        let known = self.by_id.entry(batch.id).or_insert_with(|| ProducerState::new(batch.id, NO_EPOCH));
        known.used_ms = now_ms;
        if batch.epoch != known.epoch {
            known.epoch = batch.epoch;
            known.sent.clear();
        }
        if entry.flags & FLAG_CONTROL != 0 {
            known.coordinator_epoch = batch.sequence;
            let Some(first) = known.transaction.take() else { return false };
            let commit = entry.flags & FLAG_COMMIT != 0;
            self.unstable.ended(batch.id, first, entry.base_offset, commit);
            return !commit;
        }
        if batch.sequence >= 0 {
            if known.sent.len() >= BATCHES_KEPT {
                known.sent.remove(0);
            }
            known.sent.push(SentBatch {
                first: batch.sequence,
                last: last_sequence(batch.sequence, entry.record_count),
                base_offset: entry.base_offset,
                timestamp: entry.max_timestamp,
            });
        }
        if entry.flags & FLAG_TRANSACTIONAL != 0 && known.transaction.is_none() {
            known.transaction = Some(entry.base_offset);
            self.unstable.begun(entry.base_offset);
        }
        false
    }

    /// Forgets producers without an open transaction that come up to this one in the order of [`Self::silent`].
    pub fn forget(&mut self, until: (u64, i64)) {
        self.by_id.retain(|_, known| known.transaction.is_some() || (known.used_ms, known.id) > until);
    }

    /// Producers that may be forgotten: when they were last heard of, and who they are.
    pub fn silent(&self) -> impl Iterator<Item = (u64, i64)> {
        let silent = self.by_id.values().filter(|known| known.transaction.is_none());
        silent.map(|known| (known.used_ms, known.id))
    }

    /// All producers, in the order of their ids.
    pub fn infos(&self) -> Vec<ProducerInfo> {
        let mut infos: Vec<_> = self
            .by_id
            .values()
            .map(|known| ProducerInfo {
                producer_id: known.id,
                producer_epoch: known.epoch,
                last_sequence: known.sent.last().map(|sent| sent.last),
                last_timestamp: known.sent.last().map(|sent| sent.timestamp),
                coordinator_epoch: known.coordinator_epoch,
                transaction_start: known.transaction,
            })
            .collect();
        infos.sort_unstable_by_key(|info| info.producer_id);
        infos
    }

    /// What a footer is to say of them.
    pub fn states(&self, log: u64) -> LogStates {
        let mut producers: Vec<_> = self.by_id.values().cloned().collect();
        producers.sort_unstable_by_key(|known| known.id);
        LogStates { log, producers, aborted: self.unstable.aborted().to_vec() }
    }

    /// What a footer says of them.
    pub fn from_states(states: LogStates) -> Self {
        let unstable = Unstable::new(states.producers.iter().filter_map(|p| p.transaction), states.aborted);
        let by_id = states.producers.into_iter().map(|known| (known.id, known)).collect();
        Self { by_id, unstable }
    }
}

/// The number of the last of `count` records whose first has the number `first`. After `i32::MAX` comes 0.
fn last_sequence(first: i32, count: u32) -> i32 {
    first.wrapping_add(count.wrapping_sub(1) as i32) & i32::MAX
}

fn check_epoch(batch: EntryProducer, known: i16) -> Result<(), AppendError> {
    if batch.epoch < known {
        return Err(AppendError::InvalidProducerEpoch { stated: batch.epoch, known });
    }
    Ok(())
}

fn check_sequence(known: &ProducerState, batch: EntryProducer) -> Result<(), AppendError> {
    let expected = if batch.epoch == known.epoch {
        // After a marker alone nothing was sent in this epoch yet.
        known.sent.last().map_or(0, |sent| sent.last.wrapping_add(1) & i32::MAX)
    } else {
        0
    };
    if batch.sequence == expected {
        return Ok(());
    }
    Err(AppendError::OutOfOrderSequence { producer_id: batch.id, stated: batch.sequence, expected })
}
