//! The batches of one partition that are on their way, in order; decides which of them are sent again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ringmail_wire::protocol::ErrorCode;

use crate::Error;
use crate::client::link::Outcome;

/// A finished batch that has been sent, or will be.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub bytes: Bytes,
    pub first_sequence: u64,
    pub records: u32,
    /// When its first record came.
    pub opened: Instant,
    /// Bytes of the producer's buffer that it holds.
    pub buffered: usize,
}

/// What became of one sending of a batch.
#[derive(Debug)]
enum Fate {
    OnItsWay,
    /// Stored at an offset, or failed for good.
    Certain(Result<u64, Error>),
    /// Nothing was stored; it may be sent again.
    NotStored(Error),
    /// Nobody knows.
    Unknown(Error),
}

#[derive(Debug)]
struct Sent {
    id: u64,
    batch: Batch,
    fate: Fate,
}

/// What may be done about batches that were not stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub retry_unknown: bool,
    pub reorder: bool,
}

/// What is to be done after answers have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// New batches may be sent.
    Go,
    /// New batches must wait until the answers to those on their way are in.
    Hold,
    /// The batches that are left must be sent again, before any new one.
    Resend,
}

/// The batches of one partition that were sent and are not settled yet, in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    sent: VecDeque<Sent>,
}

impl Lane {
    /// Adds a batch that is sent now under this id.
    pub fn push(&mut self, id: u64, batch: Batch) {
        self.sent.push_back(Sent { id, batch, fate: Fate::OnItsWay });
    }

    /// Adds a batch that has failed already.
    pub fn push_failed(&mut self, id: u64, batch: Batch, error: Error) {
        self.sent.push_back(Sent { id, batch, fate: Fate::Certain(Err(error)) });
    }

    /// Notes how the sending of `id` ended.
    pub fn answer(&mut self, id: u64, outcome: Outcome) {
        // Ids rise in the order of sending.
        let Ok(place) = self.sent.binary_search_by_key(&id, |sent| sent.id) else { return };
        self.sent[place].fate = match outcome {
            Outcome::Stored(offset) => Fate::Certain(Ok(offset)),
            Outcome::Sent => Fate::Certain(Err(Error::NotAcknowledged)),
            Outcome::Refused(error) if may_succeed_later(error.code) => Fate::NotStored(error.into()),
            Outcome::Refused(error) => Fate::Certain(Err(error.into())),
            Outcome::NotSent(error) => Fate::NotStored(error),
            Outcome::Unknown(error) => Fate::Unknown(error),
        };
    }

    /// Hands every batch whose end is certain to `done`, in order, and says what is to be done next.
    /// Batches opened before `too_old` are not sent again.
    pub fn settle(
        &mut self,
        policy: Policy,
        too_old: Option<Instant>,
        mut done: impl FnMut(Batch, Result<u64, Error>),
    ) -> Next {
        while let Some(Sent { fate: Fate::Certain(_), .. }) = self.sent.front() {
            if let Some(Sent { batch, fate: Fate::Certain(result), .. }) = self.sent.pop_front() {
                done(batch, result);
            }
        }
        if !self.sent.iter().any(|s| matches!(s.fate, Fate::NotStored(_) | Fate::Unknown(_))) {
            return Next::Go;
        }
        if self.sent.iter().any(|sent| matches!(sent.fate, Fate::OnItsWay)) {
            return Next::Hold;
        }
        self.decide(policy, too_old, done);
        if self.sent.is_empty() { Next::Go } else { Next::Resend }
    }

    /// All answers are in: keeps those that are to be sent again.
    fn decide(
        &mut self,
        policy: Policy,
        too_old: Option<Instant>,
        mut done: impl FnMut(Batch, Result<u64, Error>),
    ) {
        let last_stored = self.sent.iter().rposition(|sent| match sent.fate {
            Fate::Certain(Ok(_)) => true,
            Fate::Unknown(_) => !policy.retry_unknown,
            _ => false,
        });
        for (place, sent) in std::mem::take(&mut self.sent).into_iter().enumerate() {
            let passed_by = !policy.reorder && last_stored.is_some_and(|last| place < last);
            let is_too_old = too_old.is_some_and(|time| sent.batch.opened < time);
            let result = match sent.fate {
                Fate::Certain(result) => result,
                Fate::NotStored(error) if passed_by => Err(Error::OrderLost(Arc::new(error))),
                Fate::NotStored(error) if is_too_old => Err(error),
                Fate::Unknown(error) if is_too_old || !policy.retry_unknown => {
                    Err(Error::OutcomeUnknown(Arc::new(error)))
                }
                fate => {
                    self.sent.push_back(Sent { fate, ..sent });
                    continue;
                }
            };
            done(sent.batch, result);
        }
    }

    /// The batches that are to be sent again, in order; each is on its way under the id that `send` returns.
    pub fn resend(&mut self, mut send: impl FnMut(&Batch) -> u64) {
        for sent in &mut self.sent {
            sent.id = send(&sent.batch);
            sent.fate = Fate::OnItsWay;
        }
    }

    /// Gives up all batches, for one reason.
    pub fn give_up(&mut self, error: &Error, mut done: impl FnMut(Batch, Result<u64, Error>)) {
        for sent in self.sent.drain(..) {
            let result = match sent.fate {
                Fate::Certain(result) => result,
                Fate::NotStored(_) => Err(error.clone()),
                Fate::OnItsWay | Fate::Unknown(_) => Err(Error::OutcomeUnknown(Arc::new(error.clone()))),
            };
            done(sent.batch, result);
        }
    }
}

/// Codes that say that nothing was stored, and that another attempt may go better.
fn may_succeed_later(code: ErrorCode) -> bool {
    code.is_retriable() || code == ErrorCode::UnknownPartition
}
