//! All logs of the broker, as one shard sees them: its own through its engine, those of other shards through messages.
//!
//! Whoever calls does not see the difference. What ends later comes out of [`Logs::next_outcome`], with the [`Caller`] that
//! was given along. Nothing here waits, and nothing is dropped: where there is no room, an append is refused as
//! [`Refusal::Busy`] before anything was done, and the caller tries again once there is [`Logs::room`].

mod catalog;
mod coordination;
mod link;
mod peer;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::collections::VecDeque;

use bytes::Bytes;
use ringmail_kafka::batch::Marker;
use ringmail_shards::api::{
    Answer, AppendError, Appended, Event, Isolation, LogState, OffsetAtTime, Payload, ProducerInfo, ReadData,
    ReadError, TimeQuery, Token,
};
use ringmail_shards::shard::Shard as Engine;
use ringmail_shards::stats::ShardStats;
use ringmail_wire::protocol::{Acks, LogId};

use self::link::Link;
use self::peer::Held;
pub use self::watch::Watcher;
use self::watch::Watches;
use super::catalog::plan::Command;
use super::catalog::{Catalog, CatalogLimits, ShardId};
use super::cluster::ClusterId;
use super::message::{Message, Outcome, Question};
use super::slab::{Key, Slab};
use crate::coordinators::{self, Errand};
use crate::{kafka, native};

/// Bytes that a question counts for, beside its batch, while it waits for its answer.
const QUESTION_BYTES: usize = 256;

/// Who is told how something ended.
#[derive(Debug, Clone, Copy)]
pub enum Caller {
    /// A connection of the native protocol.
    Native(native::Waiter),
    /// A connection of Kafka's.
    Kafka(kafka::Waiter),
    /// Another shard.
    Peer {
        /// Which.
        shard: ShardId,
        /// Its number for the question.
        request: u64,
    },
    /// The keeper of the catalog.
    Keeper,
    /// The host of this shard's coordinators.
    Coordinator(coordinators::Waiter),
}

/// Why an append was not begun.
#[derive(Debug)]
pub enum Refusal {
    /// This shard, which owns the log, has too much to do; nothing is wrong with the request.
    Busy(ShardId),
    /// It can never be done, or not now.
    Error(AppendError),
}

/// What waits for logs and other shards, in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogsUsage {
    /// Callers that wait for the engine, or are not told yet.
    pub waiting: usize,
    /// Questions that other shards have not answered.
    pub asked: usize,
    /// The bytes that they count for.
    pub asked_bytes: usize,
    /// Changes of other shards that wait for room.
    pub held: usize,
    /// Fetches and subscriptions that wait for a log to advance.
    pub watchers: usize,
    /// Changes of the catalog that the keeper has not taken.
    pub commands: usize,
}

/// A question that another shard has not answered yet.
#[derive(Debug)]
struct Asked {
    caller: Caller,
    shard: ShardId,
    bytes: usize,
}

/// The logs.
#[derive(Debug)]
pub struct Logs {
    shard: ShardId,
    cluster: ClusterId,
    engine: Engine,
    catalog: Catalog,
    limits: CatalogLimits,
    /// Who waits for the engine; the key is the token.
    waiting: Slab<Caller>,
    /// What waits for other shards; the key is the number of the question.
    asked: Slab<Asked>,
    watches: Watches,
    links: Vec<Link>,
    /// Appends of other shards that came while there was no room.
    held: VecDeque<Held>,
    /// What has ended and is not the engine's to tell.
    ended: VecDeque<(Caller, Outcome)>,
    /// Bytes that the engine may have pending before appends are put off.
    pending_limit: usize,
    /// Changes of the catalog that are wanted, for the keeper on shard 0.
    commands: VecDeque<(Command, Caller)>,
    /// What the coordinators of this shard are to do.
    errands: VecDeque<(Caller, Errand)>,
    /// Topics that were deleted, of which coordinators have not been told.
    deleted_topics: Vec<(String, u64)>,
    /// How often the catalog has changed here.
    catalog_version: u64,
    /// Deleted logs of this shard that shard 0 does not know to be gone.
    dropping: Vec<LogId>,
    /// Whether the disk is full: then waiting for room is in vain, and the engine is to say so.
    full: bool,
    /// Whether a deletion may not have been stored: the engine had no room, takes no more writes, or is closing.
    drops_uncertain: bool,
    /// The wall clock at the last tick.
    wall_ms: u64,
}

impl Logs {
    /// The logs as shard `shard` sees them. `engine` has recovered.
    pub fn new(
        cluster: ClusterId,
        shard: ShardId,
        limits: CatalogLimits,
        engine: Engine,
        in_flight_limit: usize,
    ) -> Self {
        let shards = limits.shards;
        Self {
            limits,
            shard,
            cluster,
            engine,
            catalog: Catalog::default(),
            waiting: Slab::default(),
            asked: Slab::default(),
            watches: Watches::default(),
            links: (0..shards).map(|_| Link::new(in_flight_limit / usize::from(shards))).collect(),
            held: VecDeque::new(),
            ended: VecDeque::new(),
            pending_limit: in_flight_limit / 2,
            commands: VecDeque::new(),
            errands: VecDeque::new(),
            deleted_topics: Vec::new(),
            catalog_version: 0,
            dropping: Vec::new(),
            full: false,
            drops_uncertain: false,
            wall_ms: 0,
        }
    }

    /// The number of this shard.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The identity of the cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// How many shards there are.
    pub fn shards(&self) -> ShardId {
        self.links.len() as ShardId
    }

    /// The engine, for whoever drives its disk.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Time passes; `wall_ms` is milliseconds since the Unix epoch.
    pub fn tick(&mut self, wall_ms: u64) {
        self.wall_ms = wall_ms;
        self.engine.tick(wall_ms);
    }

    /// The wall clock at the last tick.
    pub fn wall_ms(&self) -> u64 {
        self.wall_ms
    }

    /// Figures of this shard's own log.
    pub fn stats(&self) -> ShardStats {
        self.engine.stats()
    }

    /// What waits for logs and other shards.
    pub fn usage(&self) -> LogsUsage {
        LogsUsage {
            waiting: self.waiting.len() + self.ended.len(),
            asked: self.asked.len(),
            asked_bytes: self.links.iter().map(Link::unanswered).sum(),
            held: self.held.len(),
            watchers: self.watches.of_connections(),
            commands: self.commands.len(),
        }
    }

    /// The shard that owns a log.
    #[inline]
    fn owner(&self, log: LogId) -> Option<ShardId> {
        self.catalog.owner(log)
    }

    /// About how many bytes may be appended to logs of `shard` now.
    #[inline]
    pub fn room(&self, shard: ShardId) -> usize {
        if shard == self.shard {
            let room = self.pending_limit.saturating_sub(self.engine.pending_bytes());
            if self.full { self.pending_limit } else { room }
        } else {
            self.links[usize::from(shard)].room()
        }
    }

    /// Begins to append a batch; the bytes are copied. Without acknowledgement the caller may not be told of success.
    ///
    /// # Errors
    /// If the append was not begun; the caller is not told again.
    #[inline]
    pub fn append(
        &mut self,
        log: LogId,
        payload: Payload<&[u8]>,
        acks: Acks,
        caller: Caller,
    ) -> Result<(), Refusal> {
        let owner = self.owner(log).ok_or(Refusal::Error(AppendError::UnknownLog(log)))?;
        if self.room(owner) == 0 {
            return Err(Refusal::Busy(owner));
        }
        if owner == self.shard {
            return self.append_here(log, payload, acks, caller).map(drop).map_err(Refusal::Error);
        }
        let payload = payload.map(Bytes::copy_from_slice);
        let bytes = payload.batch().len();
        self.ask(owner, Question::Append { log, payload, acks }, bytes, caller);
        Ok(())
    }

    #[inline]
    fn append_here(
        &mut self,
        log: LogId,
        payload: Payload<&[u8]>,
        acks: Acks,
        caller: Caller,
    ) -> Result<Appended, AppendError> {
        if acks == Acks::None {
            return self.engine.append(log, payload, acks, Token(u64::MAX));
        }
        let key = self.waiting.insert(caller);
        let begun = self.engine.append(log, payload, acks, Token(key.to_u64()));
        if begun.is_err() {
            self.waiting.remove(key);
        }
        begun
    }

    /// Begins to end a transaction in a log by a marker; the caller is told once that is durable, as of an append.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_marker(&mut self, log: LogId, marker: Marker, caller: Caller) -> Result<(), Refusal> {
        let owner = self.owner(log).ok_or(Refusal::Error(AppendError::UnknownLog(log)))?;
        if self.room(owner) == 0 {
            return Err(Refusal::Busy(owner));
        }
        if owner == self.shard {
            return self.append_marker_here(log, marker, caller).map_err(Refusal::Error);
        }
        self.ask(owner, Question::Marker { log, marker }, 0, caller);
        Ok(())
    }

    /// In the log of a coordinator it is the coordinator that appends it, as it has to know.
    fn append_marker_here(&mut self, log: LogId, marker: Marker, caller: Caller) -> Result<(), AppendError> {
        if self.catalog.is_internal(log) {
            self.errands.push_back((caller, Errand::Mark { log, marker }));
            return Ok(());
        }
        self.append_own_marker(log, marker, caller).map(drop)
    }

    /// Appends a marker to a log of this shard; the caller is told once it is durable.
    ///
    /// # Errors
    /// If that was not begun.
    pub fn append_own_marker(
        &mut self,
        log: LogId,
        marker: Marker,
        caller: Caller,
    ) -> Result<Appended, AppendError> {
        let key = self.waiting.insert(caller);
        let begun = self.engine.append_marker(log, marker, Token(key.to_u64()));
        if begun.is_err() {
            self.waiting.remove(key);
        }
        begun
    }

    /// Begins to move the start of a log.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn delete_records(&mut self, log: LogId, before: u64, caller: Caller) -> Result<(), Refusal> {
        let owner = self.owner(log).ok_or(Refusal::Error(AppendError::UnknownLog(log)))?;
        if self.room(owner) == 0 {
            return Err(Refusal::Busy(owner));
        }
        if owner == self.shard {
            return self.delete_records_here(log, before, caller).map_err(Refusal::Error);
        }
        self.ask(owner, Question::DeleteRecords { log, before }, 0, caller);
        Ok(())
    }

    fn delete_records_here(&mut self, log: LogId, before: u64, caller: Caller) -> Result<(), AppendError> {
        let key = self.waiting.insert(caller);
        let begun = self.engine.delete_records(log, before, Token(key.to_u64()));
        if begun.is_err() {
            self.waiting.remove(key);
        }
        begun.map(drop)
    }

    /// Reads batches from the one that holds `offset`: up to `max_bytes` of them, at least one, none at the end of what the
    /// reader may see. They are as they were appended, of Ringmail or of Kafka: what follows the first 16 bytes tells.
    ///
    /// With `waiting` the caller goes on to [`watch`](Self::watch) if there is nothing; then what the owner is going to say of
    /// its own accord is not asked for.
    pub fn read(
        &mut self,
        log: LogId,
        offset: u64,
        max_bytes: usize,
        isolation: Isolation,
        waiting: bool,
        caller: Caller,
    ) -> Answer<ReadData> {
        match self.owner(log) {
            None => Answer::Now(Err(ReadError::UnknownLog(log))),
            Some(owner) if owner == self.shard => {
                self.wait_for(caller, |engine, token| engine.read(log, offset, max_bytes, isolation, token))
            }
            Some(owner) => {
                if waiting && let Some(state) = self.watches.known_to_end_at(log, offset, isolation) {
                    let (pieces, aborted) = (Vec::new(), Vec::new());
                    let data =
                        ReadData { pieces, bytes: 0, next_offset: offset, aborted, kafka: false, state };
                    return Answer::Now(Ok(data));
                }
                self.ask(owner, Question::Read { log, offset, max_bytes, isolation }, 0, caller);
                Answer::Later
            }
        }
    }

    /// Searches a log by time, as far as the reader may see it.
    pub fn offset_for_time(
        &mut self,
        log: LogId,
        time: TimeQuery,
        isolation: Isolation,
        caller: Caller,
    ) -> Answer<OffsetAtTime> {
        match self.owner(log) {
            None => Answer::Now(Err(ReadError::UnknownLog(log))),
            Some(owner) if owner == self.shard => {
                self.wait_for(caller, |engine, token| engine.offset_for_time(log, time, isolation, token))
            }
            Some(owner) => {
                self.ask(owner, Question::OffsetForTime { log, time, isolation }, 0, caller);
                Answer::Later
            }
        }
    }

    /// Where a log stands.
    pub fn state(&mut self, log: LogId, caller: Caller) -> Answer<LogState> {
        match self.owner(log) {
            None => Answer::Now(Err(ReadError::UnknownLog(log))),
            Some(owner) if owner == self.shard => Answer::Now(self.state_here(log)),
            Some(owner) => {
                self.ask(owner, Question::State { log }, 0, caller);
                Answer::Later
            }
        }
    }

    /// What is known of the producers of a log, in the order of their ids.
    pub fn producers(&mut self, log: LogId, caller: Caller) -> Answer<Vec<ProducerInfo>> {
        match self.owner(log) {
            None => Answer::Now(Err(ReadError::UnknownLog(log))),
            Some(owner) if owner == self.shard => Answer::Now(self.producers_here(log)),
            Some(owner) => {
                self.ask(owner, Question::Producers { log }, 0, caller);
                Answer::Later
            }
        }
    }

    fn producers_here(&self, log: LogId) -> Result<Vec<ProducerInfo>, ReadError> {
        self.engine.producers(log).ok_or(ReadError::UnknownLog(log))
    }

    fn state_here(&self, log: LogId) -> Result<LogState, ReadError> {
        self.engine.log_state(log).ok_or(ReadError::UnknownLog(log))
    }

    fn wait_for<T>(
        &mut self,
        caller: Caller,
        begin: impl FnOnce(&mut Engine, Token) -> Answer<T>,
    ) -> Answer<T> {
        let key = self.waiting.insert(caller);
        let answer = begin(&mut self.engine, Token(key.to_u64()));
        if let Answer::Now(_) = answer {
            self.waiting.remove(key);
        }
        answer
    }

    fn ask(&mut self, shard: ShardId, question: Question, bytes: usize, caller: Caller) {
        self.ask_with(shard, bytes, caller, |request| Message::Ask { request, question });
    }

    fn ask_for_change(&mut self, command: Command, caller: Caller) {
        self.ask_with(0, 0, caller, |request| Message::Change { request, command });
    }

    fn ask_with(
        &mut self,
        shard: ShardId,
        bytes: usize,
        caller: Caller,
        message: impl FnOnce(u64) -> Message,
    ) {
        let bytes = bytes + QUESTION_BYTES;
        let request = self.asked.insert(Asked { caller, shard, bytes }).to_u64();
        self.links[usize::from(shard)].ask(message(request), bytes);
    }

    /// Something that has ended, with whom to tell. To be called until there is no more, after anything was put in.
    #[inline]
    pub fn next_outcome(&mut self) -> Option<(Caller, Outcome)> {
        loop {
            let (caller, outcome) = match self.ended.pop_front() {
                Some(ended) => ended,
                None => self.next_of_engine()?,
            };
            match caller {
                Caller::Peer { shard, request } => self.answer(shard, request, outcome),
                caller => return Some((caller, outcome)),
            }
        }
    }

    fn next_of_engine(&mut self) -> Option<(Caller, Outcome)> {
        loop {
            let (token, outcome) = match self.engine.next_event()? {
                Event::Appended { token, appended } => (token, Outcome::Appended(Ok(appended))),
                Event::AppendFailed { token, error } => (token, Outcome::Appended(Err(error))),
                Event::Read { token, result } => (token, Outcome::Read(result)),
                Event::OffsetFound { token, result } => (token, Outcome::Offset(result)),
                Event::Advanced { log } => {
                    self.advanced(log);
                    if let Some(ended) = self.ended.pop_front() {
                        return Some(ended);
                    }
                    continue;
                }
                event => {
                    self.report(&event);
                    continue;
                }
            };
            if let Some(caller) = self.waiting.remove(Key::from_u64(token.0)) {
                return Some((caller, outcome));
            }
        }
    }

    /// Tells the operator what the engine says of its disk.
    fn report(&mut self, event: &Event) {
        let shard = self.shard;
        if let Event::Full(full) = event {
            self.full = *full;
        }
        self.drops_uncertain |= matches!(event, Event::Fenced { .. } | Event::Full(true));
        match event {
            Event::Fenced { reason } => tracing::error!(
                shard,
                reason,
                "the log of this shard takes no more writes, and nothing that waited was confirmed; reads go on: check the disk, \
                 then restart the broker"
            ),
            Event::Damage(damage) => tracing::error!(
                shard,
                %damage,
                "stored bytes are damaged; reads of this range fail, everything else is served: restore it from a backup if you can"
            ),
            Event::Full(true) => tracing::error!(
                shard,
                "the disk is full: writes are refused, reads go on; free space or lower retention, and writes resume by themselves"
            ),
            Event::Full(false) => tracing::info!(shard, "the disk has room again: writes go on"),
            _ => {}
        }
    }
}
