//! The batches of one partition that are on their way, in order; decides which of them are sent again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

    /// When the oldest batch was opened.
    pub fn oldest(&self) -> Option<Instant> {
        self.sent.front().map(|sent| sent.batch.opened)
    }

    /// Notes how the sending of `id` ended.
    pub fn answer(&mut self, id: u64, outcome: Outcome) {
        // Of a batch that was reported as too late already, nothing is here any more.
        // Answers mostly come in order: it is among the first.
        let Some(sent) = self.sent.iter_mut().find(|sent| sent.id == id) else { return };
        sent.fate = match outcome {
            Outcome::Stored(offset) => Fate::Certain(Ok(offset)),
            Outcome::Sent => Fate::Certain(Err(Error::NotAcknowledged)),
            Outcome::Refused(error) if may_succeed_later(error.code) => Fate::NotStored(error.into()),
            Outcome::Refused(error) => Fate::Certain(Err(error.into())),
            Outcome::NotSent(error) => Fate::NotStored(error),
            Outcome::Unknown(error) => Fate::Unknown(error),
        };
    }

    /// Hands every batch whose end is certain to `done`, in order, and says what is to be done next.
    /// Batches that were opened `timeout` ago or earlier have had their time: they fail, with an answer still to come, too.
    pub fn settle(
        &mut self,
        policy: Policy,
        timeout: Duration,
        mut done: impl FnMut(Batch, Result<u64, Error>),
    ) -> Next {
        self.expire(timeout);
        self.pop_certain(&mut done);
        if !self.sent.iter().any(|s| matches!(s.fate, Fate::NotStored(_) | Fate::Unknown(_))) {
            return Next::Go;
        }
        if self.sent.iter().any(|sent| matches!(sent.fate, Fate::OnItsWay)) {
            return Next::Hold;
        }
        self.decide(policy);
        self.pop_certain(&mut done);
        if self.sent.is_empty() { Next::Go } else { Next::Resend }
    }

    /// Hands over the batches at the front whose end is certain.
    fn pop_certain(&mut self, done: &mut impl FnMut(Batch, Result<u64, Error>)) {
        while let Some(sent) = self.sent.pop_front_if(|sent| matches!(sent.fate, Fate::Certain(_))) {
            if let Fate::Certain(result) = sent.fate {
                done(sent.batch, result);
            }
        }
    }

    /// Makes the failure of batches certain that were opened `timeout` ago.
    fn expire(&mut self, timeout: Duration) {
        let Some(too_old) = Instant::now().checked_sub(timeout) else { return };
        // Batches of a partition are opened in their order, so that the old ones stand first.
        for sent in self.sent.iter_mut().take_while(|sent| sent.batch.opened <= too_old) {
            let failure = match &sent.fate {
                Fate::Certain(_) => continue,
                Fate::NotStored(error) => error.clone(),
                Fate::Unknown(error) => Error::OutcomeUnknown(Arc::new(error.clone())),
                Fate::OnItsWay => {
                    let late = Error::Timeout { what: "the delivery", after: timeout };
                    Error::OutcomeUnknown(Arc::new(late))
                }
            };
            sent.fate = Fate::Certain(Err(failure));
        }
    }

    /// All answers are in: makes the failure of those certain that are not to be sent again.
    fn decide(&mut self, policy: Policy) {
        let last_stored = self.sent.iter().rposition(|sent| match sent.fate {
            Fate::Certain(Ok(_)) => true,
            Fate::Unknown(_) => !policy.retry_unknown,
            _ => false,
        });
        for (place, sent) in self.sent.iter_mut().enumerate() {
            let passed_by = !policy.reorder && last_stored.is_some_and(|last| place < last);
            let failure = match &sent.fate {
                Fate::NotStored(error) if passed_by => Error::OrderLost(Arc::new(error.clone())),
                Fate::Unknown(error) if !policy.retry_unknown => {
                    Error::OutcomeUnknown(Arc::new(error.clone()))
                }
                _ => continue,
            };
            sent.fate = Fate::Certain(Err(failure));
        }
    }

    /// The batches that are to be sent again, in order; each is on its way under the id that `send` returns.
    pub fn resend(&mut self, mut send: impl FnMut(&Batch) -> u64) {
        for sent in &mut self.sent {
            if matches!(sent.fate, Fate::NotStored(_) | Fate::Unknown(_)) {
                sent.id = send(&sent.batch);
                sent.fate = Fate::OnItsWay;
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::BrokerError;

    const STRICT: Policy = Policy { retry_unknown: false, reorder: false };

    /// A lane with batches 0, 1, 2, … of one record each, under the ids 0, 1, 2, ….
    fn lane(batches: u64) -> Lane {
        let mut lane = Lane::default();
        for n in 0..batches {
            let bytes = Bytes::from(vec![n as u8]);
            lane.push(n, Batch { bytes, first_sequence: n, records: 1, opened: Instant::now(), buffered: 1 });
        }
        lane
    }

    fn refused(code: ErrorCode) -> Outcome {
        Outcome::Refused(BrokerError { code, message: String::new() })
    }

    fn overloaded() -> Outcome {
        refused(ErrorCode::Overloaded)
    }

    fn lost() -> Outcome {
        Outcome::Unknown(Error::Closed)
    }

    /// Settles, and returns what comes next and the ends so far: an offset, or the start of the error's name.
    fn settle(lane: &mut Lane, policy: Policy) -> (Next, Vec<(u64, String)>) {
        let mut ends = Vec::new();
        let next = lane.settle(policy, Duration::MAX, |batch, result| {
            let end = match result {
                Ok(offset) => offset.to_string(),
                Err(error) => format!("{error:?}").split(['(', ' ']).next().unwrap().to_owned(),
            };
            ends.push((batch.first_sequence, end));
        });
        (next, ends)
    }

    fn ends<const N: usize>(expected: [(u64, &str); N]) -> Vec<(u64, String)> {
        expected.map(|(n, end)| (n, end.to_owned())).to_vec()
    }

    #[test]
    fn ends_are_told_in_order() {
        let mut lane = lane(3);
        lane.answer(1, Outcome::Stored(11));
        assert_eq!(settle(&mut lane, STRICT), (Next::Go, vec![]));
        lane.answer(0, Outcome::Stored(10));
        assert_eq!(settle(&mut lane, STRICT), (Next::Go, ends([(0, "10"), (1, "11")])));
        lane.answer(2, refused(ErrorCode::InvalidBatch));
        assert_eq!(settle(&mut lane, STRICT), (Next::Go, ends([(2, "Broker")])));
    }

    #[test]
    fn nothing_new_is_sent_until_all_answers_are_in() {
        let mut lane = lane(3);
        lane.answer(0, overloaded());
        assert_eq!(settle(&mut lane, STRICT), (Next::Hold, vec![]));
        lane.answer(2, overloaded());
        assert_eq!(settle(&mut lane, STRICT), (Next::Hold, vec![]));
        lane.answer(1, Outcome::NotSent(Error::Closed));
        assert_eq!(settle(&mut lane, STRICT), (Next::Resend, vec![]));
        let mut sent = Vec::new();
        lane.resend(|batch| {
            sent.push(batch.first_sequence);
            10 + batch.first_sequence
        });
        assert_eq!(sent, [0, 1, 2]);
        assert_eq!(settle(&mut lane, STRICT), (Next::Go, vec![]));
        (10..13).for_each(|id| lane.answer(id, Outcome::Stored(id)));
        assert_eq!(settle(&mut lane, STRICT), (Next::Go, ends([(0, "10"), (1, "11"), (2, "12")])));
    }

    #[test]
    fn a_refusal_for_good_does_not_overtake() {
        let mut lane = lane(2);
        lane.answer(0, overloaded());
        lane.answer(1, refused(ErrorCode::InvalidBatch));
        assert_eq!(settle(&mut lane, STRICT), (Next::Resend, vec![]));
        lane.resend(|_| 10);
        lane.answer(10, Outcome::Stored(5));
        assert_eq!(settle(&mut lane, STRICT), (Next::Go, ends([(0, "5"), (1, "Broker")])));
    }

    #[test]
    fn what_later_batches_have_passed_is_not_sent_again_unless_allowed() {
        let mut strict = lane(3);
        let mut free = lane(3);
        for lane in [&mut strict, &mut free] {
            lane.answer(0, overloaded());
            lane.answer(1, Outcome::Stored(5));
            lane.answer(2, overloaded());
        }
        assert_eq!(settle(&mut strict, STRICT), (Next::Resend, ends([(0, "OrderLost"), (1, "5")])));
        assert_eq!(settle(&mut free, Policy { reorder: true, ..STRICT }), (Next::Resend, vec![]));
        free.resend(|batch| 10 + batch.first_sequence);
        free.answer(12, Outcome::Stored(7));
        free.answer(10, Outcome::Stored(6));
        assert_eq!(settle(&mut free, STRICT), (Next::Go, ends([(0, "6"), (1, "5"), (2, "7")])));
    }

    #[test]
    fn an_unknown_outcome_is_not_repeated_unless_allowed() {
        let mut strict = lane(3);
        let mut free = lane(3);
        for lane in [&mut strict, &mut free] {
            lane.answer(0, overloaded());
            lane.answer(1, lost());
            lane.answer(2, Outcome::NotSent(Error::Closed));
        }
        let expected = ends([(0, "OrderLost"), (1, "OutcomeUnknown")]);
        assert_eq!(settle(&mut strict, STRICT), (Next::Resend, expected));
        assert_eq!(settle(&mut free, Policy { retry_unknown: true, ..STRICT }), (Next::Resend, vec![]));
        let mut sent = Vec::new();
        free.resend(|batch| {
            sent.push(batch.first_sequence);
            10
        });
        assert_eq!(sent, [0, 1, 2]);
    }

    #[test]
    fn old_batches_fail_instead_of_being_sent_again() {
        let mut lane = lane(2);
        lane.answer(0, overloaded());
        lane.answer(1, lost());
        let mut failures = Vec::new();
        let policy = Policy { retry_unknown: true, reorder: false };
        let next = lane.settle(policy, Duration::ZERO, |_, result| failures.push(result.unwrap_err()));
        assert_eq!(next, Next::Go);
        assert!(matches!(failures.as_slice(), [Error::Broker(_), Error::OutcomeUnknown(_)]));
    }
}
