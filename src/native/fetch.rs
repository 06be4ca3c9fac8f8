//! Fetch: a long poll over several partitions.
//!
//! A fetch **gathers**: it reads its partitions in order, several at once as far as their limits together allow. If that is
//! enough, or it may not wait, it is answered. Otherwise it lets go of what it has read, and **waits**: each partition is
//! watched, and as they advance what is new is counted, until there is enough to gather once more and answer.

use std::cmp::Reverse;

use ringmail_shards::api::{Answer, Isolation, LogState, ReadData, ReadError};
use ringmail_wire::protocol::{
    ErrorCode, FRAME_HEADER_BYTES, FetchPartition, FetchRequest, FetchedPartitionHeader, FrameHeader, LogId,
    Message, PROTOCOL_VERSION, Writer,
};

use super::error::Fault;
use super::requests::Request;
use super::session::Blocked;
use super::sessions::{Sessions, session_of};
use super::waiter::{Reply, Waiter};
use crate::gateway::Output;
use crate::node::logs::{Caller, Logs, Watcher};
use crate::node::slab::Key;

/// Fetches of one connection that may be under way; one more is refused.
const FETCHES_PER_CONNECTION: usize = 1_024;

/// Bytes that a fetch takes beside its partitions.
const FETCH_BYTES: usize = 256;

/// Bytes of fetches on one shard past which each connection may have the same share of so many.
const FETCHING_LIMIT: usize = 64 << 20;

/// Deadlines that are kept though nothing is due at them any more.
const OLD_DEADLINES: usize = 1_024;

/// Bytes of the count that stands before the partitions of an answer.
const COUNT_BYTES: usize = 4;

/// What a fetch is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its connection has to take some output first.
    Blocked {
        /// Whether it is answered in any case once it has gathered.
        last: bool,
    },
    /// It reads.
    Gathering {
        /// Whether it is answered in any case.
        last: bool,
    },
    /// It waits for partitions to advance.
    Waiting,
}

/// A fetch that is not answered yet.
#[derive(Debug)]
pub(super) struct Fetch {
    reply: Reply,
    parts: Vec<Part>,
    min_bytes: usize,
    max_bytes: usize,
    /// Bytes that it may gather this time: fewer than `max_bytes` if memory is short.
    allowed: usize,
    deadline_ms: u64,
    /// Whether it may wait at all.
    may_wait: bool,
    stage: Stage,
    /// The part that is read next.
    next: usize,
    /// Parts that are being read, and the bytes set aside for them.
    outstanding: usize,
    reserved: usize,
    /// Bytes that were gathered, or counted while waiting.
    bytes: usize,
    failed: bool,
    /// Whether no more fits into the answer.
    full: bool,
    /// Whether its deadline is in the list of deadlines.
    scheduled: bool,
}

/// One partition of it.
#[derive(Debug)]
struct Part {
    log: LogId,
    offset: u64,
    max_bytes: usize,
    /// Bytes set aside while it is being read.
    reserved: usize,
    /// What was gathered.
    result: Option<Result<ReadData, ReadError>>,
    /// What is known of the log.
    state: Option<LogState>,
    /// While waiting: up to where bytes were counted.
    counted_to: u64,
}

impl Part {
    fn new(partition: &FetchPartition) -> Self {
        Self {
            log: partition.log,
            offset: partition.offset,
            max_bytes: partition.max_bytes as usize,
            reserved: 0,
            result: None,
            state: None,
            counted_to: partition.offset,
        }
    }

    /// Where to read on, and how many bytes more this part may have.
    fn rest(&self) -> (u64, usize) {
        match &self.result {
            Some(Ok(data)) => (data.next_offset, self.max_bytes.saturating_sub(data.bytes)),
            _ => (self.offset, self.max_bytes),
        }
    }

    /// Whether there was more than the last read gave.
    fn has_more(&self) -> bool {
        let more = |data: &ReadData| data.bytes > 0 && data.next_offset < data.state.high_watermark;
        matches!(&self.result, Some(Ok(data)) if more(data)) && self.rest().1 > 0
    }
}

impl Fetch {
    /// The part that is to be read now, if there is one: the next in turn while limits are not used up, or nothing was found
    /// yet; then, if that is not enough, those again that had more than was read at once.
    fn next_part(&mut self) -> Option<usize> {
        let set_aside = self.bytes + self.reserved;
        if self.next < self.parts.len() {
            let may_read = set_aside < self.allowed || (self.bytes == 0 && self.outstanding == 0);
            self.next += usize::from(may_read);
            return may_read.then(|| self.next - 1);
        }
        let wants_more = self.outstanding == 0 && self.bytes < self.min_bytes && !self.failed && !self.full;
        if wants_more { self.parts.iter().position(Part::has_more) } else { None }
    }

    /// Whether it is going to wait if what it gathers is not enough.
    fn waits_on(&self, now_ms: u64) -> bool {
        self.may_wait && now_ms < self.deadline_ms && self.stage != (Stage::Gathering { last: true })
    }

    /// Whether what was gathered is to be answered.
    fn is_enough(&self, now_ms: u64) -> bool {
        let no_more = self.failed || self.full || self.next < self.parts.len();
        self.bytes >= self.min_bytes.min(self.allowed) || no_more || !self.waits_on(now_ms)
    }

    fn take(&mut self, part: usize, result: Result<ReadData, ReadError>) {
        let part = &mut self.parts[part];
        match (&mut part.result, result) {
            (Some(Ok(data)), Ok(more)) if self.bytes + more.bytes <= self.allowed => {
                self.bytes += more.bytes;
                data.bytes += more.bytes;
                data.next_offset = more.next_offset;
                data.state = more.state;
                data.pieces.extend(more.pieces);
            }
            // What does not fit, and what cannot be read, is found again by the next fetch.
            (Some(Ok(_)), _) => self.full = true,
            (result, Ok(data)) => {
                // Up to its end the log was given up: the client is to know that it has come so far.
                self.full |= data.bytes == 0 && data.next_offset > part.offset;
                self.bytes += data.bytes;
                part.state = Some(data.state);
                *result = Some(Ok(data));
            }
            (result, Err(error)) => {
                self.failed = true;
                *result = Some(Err(error));
            }
        }
    }

    /// Begins anew.
    fn reset(&mut self, last: bool, allowed: usize) {
        self.allowed = allowed;
        self.stage = Stage::Gathering { last };
        (self.next, self.outstanding, self.reserved, self.bytes) = (0, 0, 0, 0);
        (self.failed, self.full) = (false, false);
        self.parts.iter_mut().for_each(|part| part.result = None);
    }

    /// Lets go of parts that would take the answer over its limit; never of the first batch.
    fn trim(&mut self) {
        let mut bytes = 0;
        for part in &mut self.parts {
            let Some(Ok(data)) = &part.result else { continue };
            if bytes > 0 && bytes + data.bytes > self.max_bytes {
                part.result = None;
            } else {
                bytes += data.bytes;
            }
        }
    }
}

impl Sessions<'_> {
    pub(super) fn fetch(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let fetch = FetchRequest::from_body(request.body)?;
        self.check_partitions(fetch.partitions.len())?;
        let Some(session) = self.session(request.connection) else { return Ok(()) };
        if session.fetches.len() >= FETCHES_PER_CONNECTION {
            let words = format!(
                "{FETCHES_PER_CONNECTION} fetches of this connection wait already: wait for one of them"
            );
            return Err(Fault::new(ErrorCode::Overloaded, words));
        }
        let own = self.connections.get(request.connection).map_or(0, |connection| connection.in_flight);
        if self.connections.is_over_share(own, self.own.fetching, FETCHING_LIMIT) {
            let words = "the shard holds as many fetches that wait as it may, and this connection its share of them: wait for \
                         one of them";
            return Err(Fault::new(ErrorCode::Overloaded, words));
        }
        let mut reply = request.reply();
        reply.weigh(fetch.partitions.len());
        // A client that is gone is to be found out.
        let wait_ms = u64::from(fetch.max_wait_ms).min(self.own.settings.idle_timeout_ms);
        let max_bytes = (fetch.max_bytes as usize).min(self.own.settings.fetch_response);
        let key = self.own.fetches.insert(Fetch {
            reply,
            parts: fetch.partitions.iter().map(Part::new).collect(),
            min_bytes: (fetch.min_bytes as usize).min(max_bytes),
            max_bytes,
            allowed: max_bytes,
            // The clock's milliseconds are whole: one more, or the wait could end too early.
            deadline_ms: self.connections.now_ms() + wait_ms + 1,
            may_wait: fetch.max_wait_ms > 0 && !self.own.draining,
            stage: Stage::Blocked { last: false },
            next: 0,
            outstanding: 0,
            reserved: 0,
            bytes: 0,
            failed: false,
            full: false,
            scheduled: false,
        });
        self.own.fetching += reply.bytes as usize + FETCH_BYTES;
        if let Some(session) = self.session(request.connection) {
            session.fetches.push(key);
        }
        self.begin(&reply);
        self.start_gathering(key, false, logs);
        Ok(())
    }

    /// Begins to gather, or puts that off until the connection has taken some output.
    fn start_gathering(&mut self, key: Key, last: bool, logs: &mut Logs) {
        let short = self.connections.is_short();
        let Some(fetch) = self.own.fetches.get_mut(key) else { return };
        let Some(connection) = self.connections.get_mut(fetch.reply.connection) else { return };
        if !connection.takes_more(short) {
            fetch.stage = Stage::Blocked { last };
            connection.blocked = true;
            if let Some(session) = session_of(self.connections, fetch.reply.connection) {
                session.blocked.push(Blocked::Fetch(key));
            }
            return;
        }
        let (connection, max_bytes) = (fetch.reply.connection, fetch.max_bytes);
        let allowed = self.connections.read_size(max_bytes);
        if let Some(fetch) = self.own.fetches.get_mut(key) {
            fetch.reset(last, allowed);
        }
        self.connections.begin_reading(connection, allowed);
        self.gather(key, logs);
    }

    /// Goes on after the connection has taken some output.
    pub(super) fn unblock_fetch(&mut self, key: Key, logs: &mut Logs) {
        if let Some(Stage::Blocked { last }) = self.own.fetches.get(key).map(|fetch| fetch.stage) {
            self.start_gathering(key, last, logs);
        }
    }

    fn gather(&mut self, key: Key, logs: &mut Logs) {
        let now_ms = self.connections.now_ms();
        let Some(fetch) = self.own.fetches.get_mut(key) else { return };
        while let Some(part) = fetch.next_part() {
            let left = fetch.allowed.saturating_sub(fetch.bytes + fetch.reserved);
            let log = fetch.parts[part].log;
            let (offset, rest) = fetch.parts[part].rest();
            let size = rest.min(left);
            let caller = Caller::Native(Waiter::FetchRead { fetch: key, part: part as u32 });
            // What goes on behind what was found or counted is asked of the owner: what else is known here may be older.
            let waiting = fetch.waits_on(now_ms) && fetch.parts[part].result.is_none();
            match logs.read(log, offset, size, Isolation::Uncommitted, waiting, caller) {
                Answer::Now(result) => fetch.take(part, result),
                Answer::Later => {
                    fetch.outstanding += 1;
                    fetch.reserved += size;
                    fetch.parts[part].reserved = size;
                }
            }
        }
        if fetch.outstanding > 0 {
            return;
        }
        let is_enough = fetch.is_enough(now_ms);
        let (connection, allowed) = (fetch.reply.connection, fetch.allowed);
        self.connections.end_reading(connection, allowed);
        if is_enough {
            self.answer_fetch(key);
        } else {
            self.wait_for_more(key, logs);
        }
    }

    fn wait_for_more(&mut self, key: Key, logs: &mut Logs) {
        let Some(fetch) = self.own.fetches.get_mut(key) else { return };
        fetch.stage = Stage::Waiting;
        if !std::mem::replace(&mut fetch.scheduled, true) {
            self.own.deadlines.push(Reverse((fetch.deadline_ms, key)));
        }
        for (index, part) in (0..).zip(&mut fetch.parts) {
            // What was read is let go: a few bytes would keep a large buffer in memory for as long as this waits.
            if let Some(Ok(data)) = part.result.take() {
                part.counted_to = data.next_offset;
            }
            if let Some(state) = part.state {
                logs.watch(part.log, state, watcher(key, index));
            }
        }
        let connection = fetch.reply.connection;
        self.connections.has_room(connection);
    }

    /// Part `part` of a waiting fetch has advanced.
    pub(super) fn fetch_advanced(&mut self, key: Key, part: u32, logs: &mut Logs) {
        let Some(fetch) = self.own.fetches.get_mut(key).filter(|fetch| fetch.stage == Stage::Waiting) else {
            return;
        };
        if fetch.min_bytes <= 1 {
            return self.gather_again(key, false, logs);
        }
        let Part { log, counted_to, .. } = fetch.parts[part as usize];
        let missing = fetch.min_bytes.saturating_sub(fetch.bytes);
        let caller = Caller::Native(Waiter::FetchCount { fetch: key, part });
        if let Answer::Now(result) = logs.read(log, counted_to, missing, Isolation::Uncommitted, true, caller)
        {
            self.fetch_counted(key, part, result, logs);
        }
    }

    /// Counts what is new in part `part` of a waiting fetch.
    pub(super) fn fetch_counted(
        &mut self,
        key: Key,
        part: u32,
        result: Result<ReadData, ReadError>,
        logs: &mut Logs,
    ) {
        let Some(fetch) = self.own.fetches.get_mut(key).filter(|fetch| fetch.stage == Stage::Waiting) else {
            return;
        };
        let Ok(data) = result else { return self.gather_again(key, true, logs) };
        fetch.bytes += data.bytes;
        let counted = &mut fetch.parts[part as usize];
        (counted.counted_to, counted.state) = (data.next_offset, Some(data.state));
        if fetch.bytes >= fetch.min_bytes {
            self.gather_again(key, true, logs);
        } else {
            // As far as it was counted: what lies behind is told at once.
            let state = LogState { high_watermark: data.next_offset, ..data.state };
            let log = counted.log;
            logs.watch(log, state, watcher(key, part));
        }
    }

    fn gather_again(&mut self, key: Key, last: bool, logs: &mut Logs) {
        self.unwatch(key, logs);
        self.start_gathering(key, last, logs);
    }

    fn unwatch(&mut self, key: Key, logs: &mut Logs) {
        if let Some(fetch) = self.own.fetches.get(key).filter(|fetch| fetch.stage == Stage::Waiting) {
            for (index, part) in (0..).zip(&fetch.parts) {
                logs.unwatch(part.log, watcher(key, index));
            }
        }
    }

    /// A read for part `part` of a fetch has ended.
    pub(super) fn fetch_read(
        &mut self,
        key: Key,
        part: u32,
        result: Result<ReadData, ReadError>,
        logs: &mut Logs,
    ) {
        let Some(fetch) = self.own.fetches.get_mut(key) else { return };
        debug_assert!(matches!(fetch.stage, Stage::Gathering { .. }), "only what gathers reads");
        fetch.reserved -= std::mem::take(&mut fetch.parts[part as usize].reserved);
        fetch.outstanding -= 1;
        fetch.take(part as usize, result);
        self.gather(key, logs);
    }

    /// The deadline of a fetch is past.
    pub(super) fn fetch_timed_out(&mut self, key: Key, deadline_ms: u64, logs: &mut Logs) {
        let waits = |fetch: &&mut Fetch| fetch.stage == Stage::Waiting && fetch.deadline_ms == deadline_ms;
        let Some(fetch) = self.own.fetches.get_mut(key).filter(waits) else { return };
        if fetch.bytes == 0 {
            self.unwatch(key, logs);
            self.answer_fetch(key);
        } else {
            self.gather_again(key, true, logs);
        }
    }

    /// Forgets deadlines of fetches that were answered before, once these are most of them.
    pub(super) fn forget_old_deadlines(&mut self) {
        if self.own.deadlines.len() > 2 * self.own.fetches.len() + OLD_DEADLINES {
            let fetches = &self.own.fetches;
            self.own.deadlines.retain(|Reverse((_, key))| fetches.get(*key).is_some());
        }
    }

    /// Answers the fetches of a connection that wait.
    pub(super) fn end_waits(&mut self, connection: Key, logs: &mut Logs) {
        let Some(session) = self.session(connection) else { return };
        for key in session.fetches.clone() {
            if let Some(fetch) = self.own.fetches.get_mut(key) {
                fetch.may_wait = false;
                let deadline_ms = fetch.deadline_ms;
                self.fetch_timed_out(key, deadline_ms, logs);
            }
        }
    }

    /// Forgets the fetches of a connection that is gone.
    pub(super) fn forget_fetches(&mut self, connection: Key, logs: &mut Logs) {
        let Some(session) = self.session(connection) else { return };
        for key in std::mem::take(&mut session.fetches) {
            self.unwatch(key, logs);
            if let Some(fetch) = self.own.fetches.remove(key) {
                self.own.fetching -= fetch.reply.bytes as usize + FETCH_BYTES;
            }
        }
    }

    fn answer_fetch(&mut self, key: Key) {
        let Some(mut fetch) = self.own.fetches.remove(key) else { return };
        fetch.trim();
        let reply = fetch.reply;
        self.own.fetching -= reply.bytes as usize + FETCH_BYTES;
        if let Some(session) = self.session(reply.connection) {
            session.fetches.retain(|other| *other != key);
        }
        self.settle(&reply);
        self.connections.write(reply.connection, |output| put_answer(output, reply, fetch.parts));
        self.connections.has_room(reply.connection);
    }
}

fn watcher(fetch: Key, part: u32) -> Watcher {
    Watcher::Native(Waiter::FetchWatch { fetch, part })
}

fn put_answer(output: &mut Output, reply: Reply, parts: Vec<Part>) {
    let says_something = |part: &Part| match &part.result {
        Some(Ok(data)) => data.bytes > 0 || data.next_offset > part.offset,
        Some(Err(_)) => true,
        None => false,
    };
    let parts: Vec<Part> = parts.into_iter().filter(says_something).collect();
    let batches = |part: &Part| part.result.as_ref().map_or(0, |r| r.as_ref().map_or(0, |data| data.bytes));
    let bytes: usize = parts.iter().map(|part| FetchedPartitionHeader::BYTES + batches(part)).sum();
    let header = FrameHeader {
        body: COUNT_BYTES + bytes,
        correlation: reply.correlation,
        api: reply.api as u8,
        version: PROTOCOL_VERSION,
        code: 0,
    };
    output.copied().reserve(FRAME_HEADER_BYTES + COUNT_BYTES);
    output.copied().extend_from_slice(&header.to_bytes());
    Writer::new(output.copied()).u32(parts.len() as u32);
    parts.into_iter().for_each(|part| put_part(output, part));
}

fn put_part(output: &mut Output, part: Part) {
    let mut header =
        FetchedPartitionHeader { log: part.log, code: 0, high_watermark: 0, log_start: 0, bytes: 0 };
    match part.result {
        Some(Ok(data)) => {
            header.bytes = u32::try_from(data.bytes).expect("an answer is limited far below 4 GiB");
            (header.log_start, header.high_watermark) = (data.state.log_start, data.state.high_watermark);
            header.encode(&mut Writer::new(output.copied()));
            data.pieces.into_iter().for_each(|piece| output.piece(piece));
        }
        Some(Err(error)) => {
            if let ReadError::OutOfRange { log_start, high_watermark, .. } = error {
                (header.log_start, header.high_watermark) = (log_start, high_watermark);
            }
            header.code = Fault::from(error).code as u16;
            header.encode(&mut Writer::new(output.copied()));
        }
        None => {}
    }
}
