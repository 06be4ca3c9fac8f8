//! How much is remembered of producers: no more than footers have room for, and not for longer than a day.

use crate::api::AppendError;
use crate::format::entry::{EntryHeader, FLAG_TRANSACTIONAL};
use crate::format::states::{LogStates, MAX_ABORTED_BYTES, MAX_LOG_BYTES, MAX_PRODUCER_BYTES, put_states};
use crate::producers::{PRODUCER_EXPIRY_MS, PRODUCERS_PER_LOG};
use crate::shard::Shard;

/// The share of a segment that the producers of all logs may take in its footer; aborted transactions may take as much.
const SEGMENT_SHARE: u64 = 8;
/// Milliseconds between looks for producers to forget.
const FORGET_EVERY_MS: u64 = 10_000;

/// How much is remembered on a shard; never less than there is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub producers: usize,
    pub aborted: usize,
}

impl Totals {
    /// The most bytes that a footer takes for it.
    pub fn states_bytes(self) -> usize {
        self.producers * (MAX_PRODUCER_BYTES + MAX_LOG_BYTES)
            + self.aborted * (MAX_ABORTED_BYTES + MAX_LOG_BYTES)
    }
}

impl Shard {
    /// What the footer of a segment is to say of producers and transactions.
    pub(crate) fn states(&self) -> Vec<u8> {
        let mut numbers = Vec::new();
        self.log_states().iter().for_each(|states| put_states(&mut numbers, states));
        numbers
    }

    /// What is known of producers and transactions, in the order of the logs.
    pub(crate) fn log_states(&self) -> Vec<LogStates> {
        let known = self.logs.iter().filter_map(|(&log, state)| Some((log, state.producers.as_ref()?)));
        let known = known.filter(|(_, producers)| !producers.is_empty());
        let mut states: Vec<_> = known.map(|(log, producers)| producers.states(log)).collect();
        states.sort_unstable_by_key(|states| states.log);
        states
    }

    /// Makes sure that what a batch brings can be remembered.
    pub(crate) fn make_room_for_producer(&mut self, entry: &EntryHeader) -> Result<(), AppendError> {
        let Some(producer) = entry.producer else { return Ok(()) };
        let own = self.logs.get_mut(&entry.log).and_then(|state| state.producers.as_mut());
        if own.as_ref().is_none_or(|producers| !producers.knows(producer.id)) {
            if let Some(full) = own.filter(|producers| producers.len() >= PRODUCERS_PER_LOG) {
                if let Some(until) = longest_silent(full.silent().collect(), full.len() / 4) {
                    full.forget(until);
                }
                if full.len() >= PRODUCERS_PER_LOG {
                    return Err(AppendError::TooManyProducers(full.len()));
                }
            }
            self.make_room_for_producers(1)?;
        }
        let limit = (self.config.segment_bytes / SEGMENT_SHARE) as usize / MAX_ABORTED_BYTES;
        if entry.flags & FLAG_TRANSACTIONAL != 0 && self.totals.aborted >= limit {
            self.count_producers();
            if self.totals.aborted >= limit {
                return Err(AppendError::TooManyAborted(self.totals.aborted));
            }
        }
        Ok(())
    }

    /// Forgets producers, of whichever logs, until so many more can be remembered.
    pub(crate) fn make_room_for_producers(&mut self, more: usize) -> Result<(), AppendError> {
        let limit = (self.config.segment_bytes / SEGMENT_SHARE) as usize / MAX_PRODUCER_BYTES;
        if self.totals.producers + more <= limit {
            return Ok(());
        }
        // A quarter at once, so that it is not to be done again soon.
        let excess = (self.totals.producers + more).saturating_sub(limit - limit / 4);
        let known = self.logs.values().filter_map(|state| state.producers.as_ref());
        if let Some(until) = longest_silent(known.flat_map(|p| p.silent()).collect(), excess) {
            let known = self.logs.values_mut().filter_map(|state| state.producers.as_mut());
            known.for_each(|producers| producers.forget(until));
        }
        self.count_producers();
        let producers = self.totals.producers;
        if producers + more <= limit { Ok(()) } else { Err(AppendError::TooManyProducers(producers)) }
    }

    /// Forgets, now and then, the producers that have been silent for too long.
    pub(super) fn forget_producers(&mut self) {
        if self.now_ms < self.upkeep.producers_at {
            return;
        }
        self.upkeep.producers_at = self.now_ms + FORGET_EVERY_MS;
        if let Some(until) = self.now_ms.checked_sub(PRODUCER_EXPIRY_MS) {
            for state in self.logs.values_mut() {
                if let Some(producers) = &mut state.producers {
                    producers.forget((until, i64::MAX));
                    if producers.is_empty() {
                        state.producers = None;
                    }
                }
            }
        }
        self.count_producers();
    }

    /// Counts anew what is remembered.
    pub(crate) fn count_producers(&mut self) {
        let known = self.logs.values().filter_map(|state| state.producers.as_ref());
        self.totals = known.fold(Totals::default(), |sum, producers| Totals {
            producers: sum.producers + producers.len(),
            aborted: sum.aborted + producers.unstable.aborted().len(),
        });
    }
}

/// The last of the first `count` in order, or of all there are.
fn longest_silent(mut silent: Vec<(u64, i64)>, count: usize) -> Option<(u64, i64)> {
    let last = count.min(silent.len()).checked_sub(1)?;
    Some(*silent.select_nth_unstable(last).1)
}
