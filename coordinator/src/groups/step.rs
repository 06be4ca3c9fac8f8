//! What a step of a group works with besides the group, and what is to be done once what it has written is stored.

use std::collections::BTreeMap;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::offsets::PartitionResult;

use super::classic::{Assignments, Replacement};
use super::settings::{Settings, WRITE_BYTES};
use crate::machine::{CallId, Effects, Now, Producer, Record, Write, WriteError};

/// What is to be done once a write was taken, or refused.
#[derive(Debug)]
pub(crate) enum Then {
    /// The request is answered; if it was refused, with an error in all places.
    Answer(CallId, Response<'static>),
    /// A group of the classic protocol has what its members are assigned.
    Assigned { group: String, assignments: Assignments },
    /// A static member of such a group has come back under another id.
    Replaced { group: String, replacement: Box<Replacement> },
    /// Further records of groups that are to be deleted.
    Deleting(super::delete::Deletion),
    /// A member of a group of the new protocol has been heard of.
    Heard(super::consumer::Heard),
    /// Such a group goes back to the classic protocol.
    Downgraded(String),
    /// Members of such a group have been taken out, as they were not heard of.
    Fenced(String),
}

/// What waits for writes, by their tags.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    last: u64,
    then: BTreeMap<u64, Then>,
}

impl Waiting {
    fn add(&mut self, then: Then) -> u64 {
        self.last += 1;
        self.then.insert(self.last, then);
        self.last
    }

    pub(crate) fn take(&mut self, tag: u64) -> Option<Then> {
        self.then.remove(&tag)
    }
}

/// What a step works with.
pub(crate) struct Step<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) now: Now,
    pub(crate) effects: &'a mut Effects,
    pub(crate) waiting: &'a mut Waiting,
}

impl Step<'_> {
    pub(crate) fn answer(&mut self, call: CallId, response: Response<'static>) {
        self.effects.answers.push((call, response));
    }

    /// Writes, and does something once that is stored.
    pub(crate) fn write(&mut self, records: Vec<Record>, then: Then) {
        let tag = self.waiting.add(then);
        self.effects.writes.push(Write { tag, records, producer: None });
    }

    /// Writes as part of a transaction.
    pub(crate) fn stage(&mut self, records: Vec<Record>, producer: Producer, then: Then) {
        let tag = self.waiting.add(then);
        self.effects.writes.push(Write { tag, records, producer: Some(producer) });
    }

    /// Writes what nobody waits for, and what need not be stored together.
    pub(crate) fn note(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut records = records.into_iter();
        loop {
            let batch = batch(&mut records);
            if batch.is_empty() {
                return;
            }
            self.effects.writes.push(Write { tag: 0, records: batch, producer: None });
        }
    }
}

/// As many records as one write takes: none if there are none.
pub(crate) fn batch(records: &mut impl Iterator<Item = Record>) -> Vec<Record> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while bytes < WRITE_BYTES {
        let Some(record) = records.next() else { break };
        bytes += record.key.len() + record.value.as_ref().map_or(0, Vec::len);
        batch.push(record);
    }
    batch
}

/// What a client is told of a write that was refused.
pub(crate) fn refusal(error: WriteError) -> ErrorCode {
    match error {
        WriteError::Unavailable => ErrorCode::CoordinatorNotAvailable,
        WriteError::TooLarge => ErrorCode::UnknownServerError,
        WriteError::Fenced => ErrorCode::InvalidProducerEpoch,
    }
}

/// Makes an answer one that says nothing was stored.
pub(crate) fn refuse(response: &mut Response<'static>, error: WriteError) {
    let code = match (error, &*response) {
        (WriteError::TooLarge, Response::OffsetCommit(_) | Response::TxnOffsetCommit(_)) => {
            ErrorCode::InvalidCommitOffsetSize
        }
        _ => refusal(error),
    } as i16;
    match response {
        Response::OffsetCommit(r) => refuse_all(r.topics.iter_mut().flat_map(|t| &mut t.partitions), code),
        Response::TxnOffsetCommit(r) => refuse_all(r.topics.iter_mut().flat_map(|t| &mut t.partitions), code),
        Response::OffsetDelete(r) => {
            r.error_code = code;
            r.topics.clear();
        }
        other => unreachable!("{:?} is not answered after a write", std::mem::discriminant(other)),
    }
}

/// What was wrong with a partition before stays so.
fn refuse_all<'a>(partitions: impl Iterator<Item = &'a mut PartitionResult>, code: i16) {
    partitions.filter(|p| p.error_code == ErrorCode::None as i16).for_each(|p| p.error_code = code);
}
