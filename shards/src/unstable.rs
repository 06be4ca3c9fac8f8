//! The transactions of a log: which are open, and which were aborted.

use crate::api::Aborted;
use crate::format::states::AbortedState;
use std::collections::BTreeMap;

/// Open transactions hold up readers of committed records; aborted ones are told to them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unstable {
    /// The offsets at which transactions have begun that have not ended for all readers, and the marker's of those that have
    /// ended, until that is durable.
    begun: BTreeMap<u64, Option<u64>>,
    /// In the order of their markers.
    aborted: Vec<AbortedState>,
}

impl Unstable {
    pub fn new(open: impl Iterator<Item = u64>, aborted: Vec<AbortedState>) -> Self {
        Self { begun: open.map(|first| (first, None)).collect(), aborted }
    }

    pub fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.aborted.is_empty()
    }

    pub fn aborted(&self) -> &[AbortedState] {
        &self.aborted
    }

    /// A transaction has begun at this offset.
    pub fn begun(&mut self, first: u64) {
        self.begun.insert(first, None);
    }

    /// The transaction of `producer_id` that has begun at `first` has ended by a marker at `last`.
    pub fn ended(&mut self, producer_id: i64, first: u64, last: u64, commit: bool) {
        self.begun.insert(first, Some(last));
        if !commit {
            let mut open = self.begun.iter().filter(|(_, marker)| marker.is_none());
            let stable = open.next().map_or(last + 1, |(first, _)| *first);
            self.aborted.push(AbortedState { producer_id, first, last, stable });
        }
    }

    /// All before this offset is durable.
    pub fn durable_to(&mut self, high_watermark: u64) {
        if !self.begun.is_empty() {
            self.begun.retain(|_, marker| marker.is_none_or(|marker| marker >= high_watermark));
        }
    }

    /// The offset from which on readers of committed records have to wait, if there is one.
    pub fn first(&self) -> Option<u64> {
        self.begun.first_key_value().map(|(first, _)| *first)
    }

    /// Aborted transactions with records at offsets from `from` on and before `until`, in the order of their first offsets.
    pub fn aborted_in(&self, from: u64, until: u64) -> Vec<Aborted> {
        let behind = self.aborted.partition_point(|a| a.last < from);
        let mut found = Vec::new();
        for aborted in &self.aborted[behind..] {
            if aborted.first < until {
                let AbortedState { producer_id, first, last, .. } = *aborted;
                found.push(Aborted { producer_id, first_offset: first, last_offset: last });
            }
            // All that ended later has begun later.
            if aborted.stable >= until {
                break;
            }
        }
        found.sort_unstable_by_key(|a| a.first_offset);
        found
    }

    /// The log begins at `start` now.
    pub fn trim(&mut self, start: u64) {
        let gone = self.aborted.partition_point(|a| a.last < start);
        self.aborted.drain(..gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(unstable: &Unstable, from: u64, until: u64) -> Vec<(i64, u64)> {
        unstable.aborted_in(from, until).iter().map(|a| (a.producer_id, a.first_offset)).collect()
    }

    #[test]
    fn aborted_transactions_that_overlap_are_found_whatever_ended_first() {
        let mut unstable = Unstable::default();
        [0, 5, 10, 30].into_iter().for_each(|first| unstable.begun(first));
        unstable.ended(1, 5, 8, false);
        unstable.ended(2, 10, 15, true);
        unstable.ended(3, 0, 20, false);
        unstable.ended(4, 30, 40, false);
        assert_eq!(found(&unstable, 0, 50), [(3, 0), (1, 5), (4, 30)]);
        assert_eq!(found(&unstable, 9, 12), [(3, 0)], "it lasts from before to behind");
        assert_eq!(found(&unstable, 0, 3), [(3, 0)], "though another one ended before");
        assert_eq!(found(&unstable, 21, 30), []);
        assert_eq!(found(&unstable, 40, 41), [(4, 30)], "its marker");
        unstable.trim(9);
        assert_eq!(found(&unstable, 0, 50), [(3, 0), (4, 30)]);
    }

    #[test]
    fn a_transaction_holds_readers_up_until_its_marker_is_durable() {
        let mut unstable = Unstable::default();
        unstable.begun(3);
        unstable.begun(7);
        unstable.ended(1, 3, 9, true);
        unstable.durable_to(9);
        assert_eq!(unstable.first(), Some(3));
        unstable.durable_to(10);
        assert_eq!(unstable.first(), Some(7));
    }
}
