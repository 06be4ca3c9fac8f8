//! InitProducerId: the next epoch of a producer, which fences those before it.

use std::sync::Arc;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::transactions::InitProducerIdRequest;

use super::answer::{Asker, refusal};
use super::state::{Ending, LAST_EPOCH, NO_EPOCH, NO_ID, State, Transaction};
use super::{Entry, MAX_TRANSACTIONAL_ID_BYTES, MAX_TRANSACTIONAL_IDS, Operation, Then, Transactions};
use crate::machine::{Effects, Now, Producer, WriteError};

/// What a producer id is wanted for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// A producer that begins.
    Init { asker: Asker, timeout_ms: i32, last_epoch: i16 },
    /// The end of the last transaction that the epochs of the old one allow.
    End { asker: Asker, commit: bool },
}

/// What becomes of a producer that begins anew.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It goes on as this one.
    Continue { producer: Producer, last_epoch: i16 },
    /// It gets a new producer id, as the epochs of the old one are used up.
    Rotate { last_epoch: i16 },
    /// The open transaction is aborted first.
    Fence,
}

impl Transactions {
    pub(super) fn init_producer_id(
        &mut self,
        asker: Asker,
        request: &InitProducerIdRequest<'_>,
        now: Now,
        effects: &mut Effects,
    ) {
        if let Err(code) = self.try_init(asker, request, now, effects) {
            asker.init_producer_id(Err(code), effects);
        }
    }

    fn try_init(
        &mut self,
        asker: Asker,
        request: &InitProducerIdRequest<'_>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let expected = match (request.producer_id, request.producer_epoch) {
            (NO_ID, NO_EPOCH) => None,
            (NO_ID, _) | (_, NO_EPOCH) => return Err(ErrorCode::InvalidRequest),
            (id, epoch) => Some(Producer { id, epoch }),
        };
        let id = request.transactional_id.as_deref().unwrap_or_default();
        if id.is_empty() || id.len() > MAX_TRANSACTIONAL_ID_BYTES {
            return Err(ErrorCode::InvalidRequest);
        }
        let timeout_ms = request.transaction_timeout_ms;
        if timeout_ms <= 0 || timeout_ms > self.settings.max_timeout_ms {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let Some((id, entry)) = self.ids.get_key_value(id) else {
            return self.create(id, asker, timeout_ms, effects);
        };
        let id = Arc::clone(id);
        let Some(stored) = entry.open() else { return Err(ErrorCode::ConcurrentTransactions) };
        match step(stored, expected)? {
            Step::Continue { producer, last_epoch } => {
                let next = stored.initialized(producer, last_epoch, timeout_ms, now.wall_ms);
                self.write(&id, &next, Then::Initialized(asker), effects);
            }
            Step::Rotate { last_epoch } => {
                self.want(&id, Wanted::Init { asker, timeout_ms, last_epoch }, effects);
            }
            Step::Fence => {
                let next = stored.prepared(Ending::FENCED, now.wall_ms);
                self.write(&id, &next, Then::Fenced(Some(asker)), effects);
            }
        }
        Ok(())
    }

    /// A transactional id that nothing is known of: whatever producer asks gets a new id.
    fn create(
        &mut self,
        id: &str,
        asker: Asker,
        timeout_ms: i32,
        effects: &mut Effects,
    ) -> Result<(), ErrorCode> {
        if self.ids.len() >= MAX_TRANSACTIONAL_IDS {
            return Err(ErrorCode::PolicyViolation);
        }
        let id: Arc<str> = id.into();
        self.ids.insert(Arc::clone(&id), Entry::default());
        self.want(&id, Wanted::Init { asker, timeout_ms, last_epoch: NO_EPOCH }, effects);
        Ok(())
    }

    fn want(&mut self, id: &Arc<str>, wanted: Wanted, effects: &mut Effects) {
        let tag = self.next_tag();
        self.entry(id).busy = true;
        self.operations.insert(tag, Operation::ProducerId { id: Arc::clone(id), wanted });
        effects.producer_ids.push(tag);
    }

    /// Asks for the producer id with which the producer goes on once the transaction has ended.
    pub(super) fn want_next_id(&mut self, id: &Arc<str>, asker: Asker, commit: bool, effects: &mut Effects) {
        self.want(id, Wanted::End { asker, commit }, effects);
    }

    /// The producer id that was wanted is there, or there is none.
    pub(super) fn have_producer_id(
        &mut self,
        id: &Arc<str>,
        wanted: Wanted,
        producer_id: Result<i64, WriteError>,
        now: Now,
        effects: &mut Effects,
    ) {
        self.entry(id).busy = false;
        let producer_id = match producer_id {
            Ok(producer_id) => producer_id,
            Err(error) => {
                match wanted {
                    Wanted::Init { asker, .. } => asker.init_producer_id(Err(refusal(error)), effects),
                    Wanted::End { asker, .. } => asker.end_txn(Err(refusal(error)), effects),
                }
                return self.release(id, now, effects);
            }
        };
        let stored = self.entry(id).stored.as_ref();
        match wanted {
            Wanted::Init { asker, timeout_ms, last_epoch } => {
                let producer = Producer { id: producer_id, epoch: 0 };
                let next = match stored {
                    Some(stored) => stored.initialized(producer, last_epoch, timeout_ms, now.wall_ms),
                    None => Transaction::created(producer_id, timeout_ms, now.wall_ms),
                };
                self.write(id, &next, Then::Initialized(asker), effects);
            }
            Wanted::End { asker, commit } => {
                let stored = stored.expect("only a stored transaction is ended");
                let ending = Ending { commit, bump: true, next_id: producer_id };
                let next = stored.prepared(ending, now.wall_ms);
                self.write(id, &next, Then::Ended(asker), effects);
            }
        }
    }
}

/// Decides how a producer goes on. One that says who it was (KIP-360) is fenced unless it is the newest one, or asks again
/// for the answer that made it so.
fn step(stored: &Transaction, expected: Option<Producer>) -> Result<Step, ErrorCode> {
    let current = stored.producer;
    if let Some(expected) = expected {
        let missed_answer = (expected.id == current.id
            || expected.id == stored.previous_id && expected.epoch >= LAST_EPOCH)
            && stored.last_epoch != NO_EPOCH
            && expected.epoch == stored.last_epoch;
        if expected != current {
            // Whoever began a transaction since then has the answer.
            return match missed_answer && stored.state.is_idle() {
                true => Ok(Step::Continue { producer: current, last_epoch: stored.last_epoch }),
                false => Err(ErrorCode::ProducerFenced),
            };
        }
    }
    if stored.state == State::Ongoing {
        return Ok(Step::Fence);
    }
    // Only a producer that says who it was can ask again.
    let last_epoch = if expected.is_some() { current.epoch } else { NO_EPOCH };
    if stored.is_exhausted() {
        return Ok(Step::Rotate { last_epoch });
    }
    Ok(Step::Continue { producer: Producer { epoch: current.epoch + 1, ..current }, last_epoch })
}
