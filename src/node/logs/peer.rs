//! What other shards ask of this one, and what they answer.

use bytes::Bytes;
use ringmail_kafka::batch::Marker;
use ringmail_shards::api::{Answer, LogState, Payload, ReadError};
use ringmail_wire::protocol::{Acks, LogId};

use super::{Caller, Engine, Logs, Message, Outcome, Question, ShardId, Watcher};
use crate::coordinators::Errand;
use crate::node::slab::Key;

/// A change to a log that another shard asked for while there was no room.
#[derive(Debug)]
pub(super) struct Held {
    caller: Caller,
    change: LogChange,
}

#[derive(Debug)]
enum LogChange {
    Append { log: LogId, payload: Payload<Bytes>, acks: Acks },
    Marker { log: LogId, marker: Marker },
    DeleteRecords { log: LogId, before: u64 },
}

impl Logs {
    /// Takes a question about a log that this shard owns.
    pub fn question(&mut self, shard: ShardId, request: u64, question: Question) {
        let caller = Caller::Peer { shard, request };
        let outcome = match question {
            Question::Append { log, payload, acks } => {
                return self.change_when_room(caller, LogChange::Append { log, payload, acks });
            }
            Question::Marker { log, marker } => {
                return self.change_when_room(caller, LogChange::Marker { log, marker });
            }
            Question::DeleteRecords { log, before } => {
                return self.change_when_room(caller, LogChange::DeleteRecords { log, before });
            }
            Question::Read { log, offset, max_bytes, isolation } => {
                let begin =
                    |engine: &mut Engine, token| engine.read(log, offset, max_bytes, isolation, token);
                now(self.wait_for(caller, begin)).map(Outcome::Read)
            }
            Question::OffsetForTime { log, time, isolation } => {
                let begin = |engine: &mut Engine, token| engine.offset_for_time(log, time, isolation, token);
                now(self.wait_for(caller, begin)).map(Outcome::Offset)
            }
            Question::Coordinate(question) => {
                return self.errands.push_back((caller, Errand::Ask(question)));
            }
            Question::State { log } => Some(Outcome::State(self.state_here(log))),
            Question::Producers { log } => Some(Outcome::Producers(self.producers_here(log))),
        };
        if let Some(outcome) = outcome {
            self.answer(shard, request, outcome);
        }
    }

    /// Changes keep their order: once one is held, so are those after it.
    fn change_when_room(&mut self, caller: Caller, change: LogChange) {
        if self.held.is_empty() && self.room(self.shard) > 0 {
            self.change(caller, change);
        } else {
            self.held.push_back(Held { caller, change });
        }
    }

    /// Makes the changes that were held, as far as there is room. Senders have windows, so there are never many.
    pub fn release_held(&mut self) {
        while self.room(self.shard) > 0 {
            let Some(Held { caller, change }) = self.held.pop_front() else { return };
            self.change(caller, change);
        }
    }

    fn change(&mut self, caller: Caller, change: LogChange) {
        let begun = match change {
            LogChange::Append { log, payload, acks } => {
                let begun = self.append_here(log, borrow(&payload), acks, caller);
                if let (Ok(appended), Acks::None) = (&begun, acks) {
                    self.ended.push_back((caller, Outcome::Appended(Ok(*appended))));
                }
                begun.map(drop)
            }
            LogChange::Marker { log, marker } => self.append_marker_here(log, marker, caller),
            LogChange::DeleteRecords { log, before } => self.delete_records_here(log, before, caller),
        };
        if let Err(error) = begun {
            self.ended.push_back((caller, Outcome::Appended(Err(error))));
        }
    }

    /// Sends the answer to a question of another shard.
    pub(super) fn answer(&mut self, shard: ShardId, request: u64, outcome: Outcome) {
        self.links[usize::from(shard)].send(Message::Answer { request, outcome });
    }

    /// Takes the answer to a question of this shard.
    pub fn answered(&mut self, request: u64, outcome: Outcome) {
        let Some(asked) = self.asked.remove(Key::from_u64(request)) else {
            debug_assert!(false, "every question is answered once");
            return;
        };
        self.links[usize::from(asked.shard)].answered(asked.bytes);
        self.ended.push_back((asked.caller, outcome));
    }

    /// Another shard wants to hear when a log of this one advances.
    pub fn watched_by(&mut self, shard: ShardId, log: LogId, high_watermark: u64, last_stable: u64) {
        let known = LogState { log_start: 0, high_watermark, last_stable, end: high_watermark, bytes: 0 };
        self.watch(log, known, Watcher::Peer(shard));
    }

    /// Takes what was sent to `shard` since the last time; empty if there is nothing.
    pub fn take_mail(&mut self, shard: ShardId) -> Vec<Message> {
        self.links[usize::from(shard)].take()
    }

    /// Takes back what could not be sent yet.
    pub fn put_mail_back(&mut self, shard: ShardId, mail: Vec<Message>) {
        self.links[usize::from(shard)].put_back(mail);
    }

    /// Whether something is to be sent to `shard`.
    pub fn has_mail(&self, shard: ShardId) -> bool {
        self.links[usize::from(shard)].has_mail()
    }
}

fn borrow(payload: &Payload<Bytes>) -> Payload<&[u8]> {
    match payload {
        Payload::Ringmail(batch) => Payload::Ringmail(batch),
        Payload::Kafka(batch, origin) => Payload::Kafka(batch, *origin),
    }
}

/// The answer, unless it comes later by an event.
fn now<T>(answer: Answer<T>) -> Option<Result<T, ReadError>> {
    match answer {
        Answer::Now(result) => Some(result),
        Answer::Later => None,
    }
}
