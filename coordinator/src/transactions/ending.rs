//! EndTxn, and all that follows once the outcome is certain: markers into each partition, then the record that it is over.
//!
//! Markers can be written twice without harm: so after a restart those of a decided transaction are all sent again.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::transactions::EndTxnRequest;

use super::answer::Asker;
use super::state::{Ending, LAST_EPOCH, NO_ID, State, Transaction};
use super::{Then, Transactions};
use crate::machine::{Effects, Markers, Now, Producer};

/// The first version of EndTxn that gives the producer a new epoch (KIP-890).
const FIRST_BUMPING: i16 = 5;

/// What the end of a transaction comes to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It was ended before: this is a retry.
    Done,
    /// It is to be ended.
    End,
}

/// Partitions that have no marker yet.
#[derive(Debug)]
pub(super) struct Unmarked {
    id: Arc<str>,
    left: BTreeSet<(String, i32)>,
}

impl Transactions {
    pub(super) fn end_txn(
        &mut self,
        asker: Asker,
        request: &EndTxnRequest<'_>,
        now: Now,
        effects: &mut Effects,
    ) {
        if let Err(code) = self.try_end(asker, request, now, effects) {
            asker.end_txn(Err(code), effects);
        }
    }

    fn try_end(
        &mut self,
        asker: Asker,
        request: &EndTxnRequest<'_>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), ErrorCode> {
        if request.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let (id, entry) =
            self.ids.get_key_value(&*request.transactional_id).ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let id = Arc::clone(id);
        let stored = entry.open().ok_or(ErrorCode::ConcurrentTransactions)?;
        let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
        let (commit, bump) = (request.committed, asker.version >= FIRST_BUMPING);
        let step = match bump {
            true => bumping_step(stored, producer, commit),
            false => plain_step(stored, producer, commit),
        }?;
        match step {
            Step::Done => asker.end_txn(Ok(stored.producer), effects),
            Step::End if bump && stored.is_exhausted() => self.want_next_id(&id, asker, commit, effects),
            Step::End => {
                let next = stored.prepared(Ending { commit, bump, next_id: NO_ID }, now.wall_ms);
                self.write(&id, &next, Then::Ended(asker), effects);
            }
        }
        Ok(())
    }

    /// Has the markers of a decided transaction written.
    pub(super) fn spread(&mut self, id: &Arc<str>, now: Now, effects: &mut Effects) {
        self.disarm(id);
        let stored = self.entry(id).stored.as_ref().expect("a decided transaction is stored");
        assert!(stored.state.is_prepared(), "markers say what is decided");
        let partitions: Vec<(String, i32)> = stored
            .partitions
            .iter()
            .flat_map(|(topic, partitions)| partitions.iter().map(|partition| (topic.clone(), *partition)))
            .collect();
        if partitions.is_empty() {
            return self.complete(id, now, effects);
        }
        let (producer, commit) = (stored.producer, stored.state == State::PrepareCommit);
        let tag = self.next_tag();
        let left = partitions.iter().cloned().collect();
        self.unmarked.insert(tag, Unmarked { id: Arc::clone(id), left });
        let coordinator_epoch = self.epoch;
        effects.markers.push(Markers { tag, producer, coordinator_epoch, commit, partitions });
    }

    /// A partition has its marker, or will never need one.
    pub(super) fn have_marker(
        &mut self,
        tag: u64,
        topic: &str,
        partition: i32,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(unmarked) = self.unmarked.get_mut(&tag) else { return };
        unmarked.left.remove(&(topic.to_owned(), partition));
        if unmarked.left.is_empty() {
            let id = self.unmarked.remove(&tag).expect("it is there").id;
            self.complete(&id, now, effects);
        }
    }

    /// Stores that a transaction is over.
    pub(super) fn complete(&mut self, id: &Arc<str>, now: Now, effects: &mut Effects) {
        let entry = self.entry(id);
        assert!(!entry.busy, "nothing else is stored until a decided transaction is over");
        let next = entry.stored.as_ref().expect("a decided transaction is stored").completed(now.wall_ms);
        self.write(id, &next, Then::Completed, effects);
    }
}

/// The rules until version 4: the epoch stays the same, so an end that comes again is known by the state.
fn plain_step(stored: &Transaction, producer: Producer, commit: bool) -> Result<Step, ErrorCode> {
    if producer.id != stored.producer.id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    if producer.epoch != stored.producer.epoch || producer.epoch == i16::MAX {
        return Err(ErrorCode::ProducerFenced);
    }
    match (stored.state, commit) {
        (State::Ongoing, _) => Ok(Step::End),
        (State::CompleteCommit, true) | (State::CompleteAbort, false) => Ok(Step::Done),
        _ => Err(ErrorCode::InvalidTxnState),
    }
}

/// The rules from version 5 on: an end that comes again is known by the epoch before the newest. An abort is fine without a
/// transaction, too: then it only brings the next epoch.
fn bumping_step(stored: &Transaction, producer: Producer, commit: bool) -> Result<Step, ErrorCode> {
    let current = stored.producer;
    let bumped = stored.ends_bump
        && producer.id == current.id
        && producer.epoch.checked_add(1) == Some(current.epoch)
        && producer.epoch >= 0;
    let rotated = producer.id == stored.previous_id && producer.epoch == LAST_EPOCH && current.epoch == 0;
    if producer.id != current.id && !rotated {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    let newest = producer == current && producer.epoch != i16::MAX;
    let again = (bumped || rotated) && matches!(stored.state, State::CompleteCommit | State::CompleteAbort);
    match (stored.state, commit) {
        _ if !newest && !again => Err(ErrorCode::ProducerFenced),
        (State::CompleteCommit, true) | (State::CompleteAbort, false) if again => Ok(Step::Done),
        _ if again => Err(ErrorCode::InvalidTxnState),
        (State::Ongoing, _) | (_, false) => Ok(Step::End),
        (_, true) => Err(ErrorCode::InvalidTxnState),
    }
}
