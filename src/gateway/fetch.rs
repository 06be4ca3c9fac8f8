//! Fetches: a long poll over several partitions, whatever the protocol that asks.
//!
//! A fetch **gathers**: it reads its partitions in order, several at once as far as their limits together allow. If that is
//! enough, or it may not wait, it is [finished](Finished), and its protocol answers it. Otherwise it lets go of what it has read,
//! and **waits**: each partition is watched, and as they advance what is new is counted, until there is enough to gather once
//! more and answer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ringmail_shards::api::{Answer, Isolation, LogState, ReadData, ReadError};
use ringmail_wire::protocol::LogId;

use super::connections::Connections;
use crate::node::logs::{Caller, Logs, Watcher};
use crate::node::slab::{Key, Slab};

/// Bytes that a fetch takes beside its partitions.
const FETCH_BYTES: usize = 256;

/// Bytes of fetches on one shard past which each connection may have the same share of so many.
const FETCHING_LIMIT: usize = 64 << 20;

/// Deadlines that are kept though nothing is due at them any more.
const OLD_DEADLINES: usize = 1_024;

/// What a protocol knows of a fetch: where its answer goes, and who is told what it waits for.
pub trait Asker: std::fmt::Debug {
    /// The connection that it came by.
    fn connection(&self) -> Key;

    /// Bytes that the request counts for until it is answered.
    fn bytes(&self) -> u32;

    /// Who is told of the end of a read for part `part`.
    fn reader(fetch: Key, part: u32) -> Caller;

    /// Who is told of the end of a read for part `part` that only counts.
    fn counter(fetch: Key, part: u32) -> Caller;

    /// Who is told that part `part` has advanced.
    fn watcher(fetch: Key, part: u32) -> Watcher;

    /// What was read from `offset` on, as clients of the protocol can take it.
    ///
    /// # Errors
    /// As the read, and if they cannot.
    fn readable(result: Result<ReadData, ReadError>, offset: u64) -> Result<ReadData, ReadError> {
        let _ = offset;
        result
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Wanted<A> {
    /// By whom.
    pub asker: A,
    /// The partitions.
    pub parts: Vec<Part>,
    /// Up to where it reads.
    pub isolation: Isolation,
    /// Bytes that there are to be before it is answered, unless it waits for too long.
    pub min_bytes: usize,
    /// Bytes of the whole answer; one batch comes in any case.
    pub max_bytes: usize,
    /// How long it waits, in milliseconds; 0 if it may not.
    pub wait_ms: u64,
}

/// A fetch that is to be answered.
#[derive(Debug)]
pub struct Finished<A> {
    /// Who has asked.
    pub asker: A,
    /// The partitions, with what was found.
    pub parts: Vec<Part>,
}

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
struct Fetch<A> {
    asker: A,
    parts: Vec<Part>,
    isolation: Isolation,
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
pub struct Part {
    /// Its log.
    pub log: LogId,
    /// From where it is read.
    pub offset: u64,
    max_bytes: usize,
    /// Bytes set aside while it is being read.
    reserved: usize,
    /// What was gathered.
    pub result: Option<Result<ReadData, ReadError>>,
    /// What is known of the log.
    pub state: Option<LogState>,
    /// While waiting: up to where bytes were counted.
    counted_to: u64,
}

impl Part {
    /// Asks for a log from `offset` on, and at most `max_bytes` of it.
    pub fn new(log: LogId, offset: u64, max_bytes: usize) -> Self {
        Self { log, offset, max_bytes, reserved: 0, result: None, state: None, counted_to: offset }
    }

    /// Where to read on, and how many bytes more this part may have.
    fn rest(&self) -> (u64, usize) {
        match &self.result {
            Some(Ok(data)) => (data.next_offset, self.max_bytes.saturating_sub(data.bytes)),
            _ => (self.offset, self.max_bytes),
        }
    }

    /// Whether there was more than the last read gave.
    fn has_more(&self, isolation: Isolation) -> bool {
        let more = |data: &ReadData| data.bytes > 0 && data.next_offset < data.state.end_for(isolation);
        matches!(&self.result, Some(Ok(data)) if more(data)) && self.rest().1 > 0
    }
}

impl<A> Fetch<A> {
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
        let isolation = self.isolation;
        if wants_more { self.parts.iter().position(|part| part.has_more(isolation)) } else { None }
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

    fn take(&mut self, part: usize, result: Result<ReadData, ReadError>)
    where
        A: Asker,
    {
        let part = &mut self.parts[part];
        let result = A::readable(result, part.rest().0);
        match (&mut part.result, result) {
            (Some(Ok(data)), Ok(more)) if self.bytes + more.bytes <= self.allowed => {
                self.bytes += more.bytes;
                data.bytes += more.bytes;
                data.next_offset = more.next_offset;
                data.state = more.state;
                data.pieces.extend(more.pieces);
                // A transaction may have records in both.
                let known = data.aborted.len();
                let new = more.aborted.into_iter().filter(|aborted| !data.aborted[..known].contains(aborted));
                let new: Vec<_> = new.collect();
                data.aborted.extend(new);
            }
            // What does not fit, and what cannot be read, is found again by the next fetch.
            (Some(Ok(_)), _) => self.full = true,
            (result, Ok(data)) => {
                // Nothing of it is for the client, who is to know that it has come so far.
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

/// The fetches of one protocol that are not answered yet.
#[derive(Debug)]
pub struct Fetches<A> {
    slab: Slab<Fetch<A>>,
    /// When those that wait give up.
    deadlines: BinaryHeap<Reverse<(u64, Key)>>,
    /// Bytes that all of them count for.
    bytes: usize,
}

impl<A> Default for Fetches<A> {
    fn default() -> Self {
        Self { slab: Slab::default(), deadlines: BinaryHeap::new(), bytes: 0 }
    }
}

impl<A: Asker> Fetches<A> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// Bytes that they count for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a connection that counts for `own` bytes has its share of them.
    pub fn is_over_share(&self, own: usize, connections: &Connections) -> bool {
        connections.is_over_share(own, self.bytes, FETCHING_LIMIT)
    }

    /// Adds a fetch, which is to be [begun](Self::begin) then.
    pub fn add(&mut self, wanted: Wanted<A>, now_ms: u64) -> Key {
        let Wanted { asker, parts, isolation, min_bytes, max_bytes, wait_ms } = wanted;
        self.bytes += asker.bytes() as usize + FETCH_BYTES;
        self.slab.insert(Fetch {
            asker,
            parts,
            isolation,
            min_bytes: min_bytes.min(max_bytes),
            max_bytes,
            allowed: max_bytes,
            // The clock's milliseconds are whole: one more, or the wait could end too early.
            deadline_ms: now_ms + wait_ms + 1,
            may_wait: wait_ms > 0,
            stage: Stage::Blocked { last: false },
            next: 0,
            outstanding: 0,
            reserved: 0,
            bytes: 0,
            failed: false,
            full: false,
            scheduled: false,
        })
    }

    /// Begins to gather, or puts that off until the connection has taken some output.
    pub fn begin(&mut self, key: Key, connections: &mut Connections, logs: &mut Logs) -> Option<Finished<A>> {
        self.start_gathering(key, false, connections, logs)
    }

    fn start_gathering(
        &mut self,
        key: Key,
        last: bool,
        connections: &mut Connections,
        logs: &mut Logs,
    ) -> Option<Finished<A>> {
        let short = connections.is_short();
        let fetch = self.slab.get_mut(key)?;
        let connection = connections.get_mut(fetch.asker.connection())?;
        if !connection.takes_more(short) {
            fetch.stage = Stage::Blocked { last };
            connection.blocked = true;
            return None;
        }
        let allowed = connections.read_size(fetch.max_bytes);
        fetch.reset(last, allowed);
        connections.begin_reading(fetch.asker.connection(), allowed);
        self.gather(key, connections, logs)
    }

    /// Goes on, if the connection had to take some output first.
    pub fn unblock(
        &mut self,
        key: Key,
        connections: &mut Connections,
        logs: &mut Logs,
    ) -> Option<Finished<A>> {
        match self.slab.get(key)?.stage {
            Stage::Blocked { last } => self.start_gathering(key, last, connections, logs),
            _ => None,
        }
    }

    fn gather(&mut self, key: Key, connections: &mut Connections, logs: &mut Logs) -> Option<Finished<A>> {
        let now_ms = connections.now_ms();
        let fetch = self.slab.get_mut(key)?;
        while let Some(part) = fetch.next_part() {
            let left = fetch.allowed.saturating_sub(fetch.bytes + fetch.reserved);
            let log = fetch.parts[part].log;
            let (offset, rest) = fetch.parts[part].rest();
            let size = rest.min(left);
            let caller = A::reader(key, part as u32);
            // What goes on behind what was found or counted is asked of the owner: what else is known here may be older.
            let waiting = fetch.waits_on(now_ms) && fetch.parts[part].result.is_none();
            match logs.read(log, offset, size, fetch.isolation, waiting, caller) {
                Answer::Now(result) => fetch.take(part, result),
                Answer::Later => {
                    fetch.outstanding += 1;
                    fetch.reserved += size;
                    fetch.parts[part].reserved = size;
                }
            }
        }
        if fetch.outstanding > 0 {
            return None;
        }
        connections.end_reading(fetch.asker.connection(), fetch.allowed);
        if fetch.is_enough(now_ms) {
            return self.finish(key);
        }
        self.wait_for_more(key, connections, logs);
        None
    }

    fn wait_for_more(&mut self, key: Key, connections: &mut Connections, logs: &mut Logs) {
        let Some(fetch) = self.slab.get_mut(key) else { return };
        fetch.stage = Stage::Waiting;
        if !std::mem::replace(&mut fetch.scheduled, true) {
            self.deadlines.push(Reverse((fetch.deadline_ms, key)));
        }
        for (index, part) in (0..).zip(&mut fetch.parts) {
            // What was read is let go: a few bytes would keep a large buffer in memory for as long as this waits.
            if let Some(Ok(data)) = part.result.take() {
                part.counted_to = data.next_offset;
            }
            if let Some(state) = part.state {
                logs.watch(part.log, state, A::watcher(key, index));
            }
        }
        connections.has_room(fetch.asker.connection());
    }

    fn waiting(&mut self, key: Key) -> Option<&mut Fetch<A>> {
        self.slab.get_mut(key).filter(|fetch| fetch.stage == Stage::Waiting)
    }

    /// Part `part` of a fetch that waits has advanced.
    pub fn advanced(
        &mut self,
        key: Key,
        part: u32,
        connections: &mut Connections,
        logs: &mut Logs,
    ) -> Option<Finished<A>> {
        let fetch = self.waiting(key)?;
        if fetch.min_bytes <= 1 {
            return self.gather_again(key, false, connections, logs);
        }
        let Part { log, counted_to, .. } = fetch.parts[part as usize];
        let missing = fetch.min_bytes.saturating_sub(fetch.bytes);
        let caller = A::counter(key, part);
        match logs.read(log, counted_to, missing, fetch.isolation, true, caller) {
            Answer::Now(result) => self.counted(key, part, result, connections, logs),
            Answer::Later => None,
        }
    }

    /// Counts what is new in part `part` of a fetch that waits.
    pub fn counted(
        &mut self,
        key: Key,
        part: u32,
        result: Result<ReadData, ReadError>,
        connections: &mut Connections,
        logs: &mut Logs,
    ) -> Option<Finished<A>> {
        let fetch = self.waiting(key)?;
        let Ok(data) = result else { return self.gather_again(key, true, connections, logs) };
        fetch.bytes += data.bytes;
        let isolation = fetch.isolation;
        let counted = &mut fetch.parts[part as usize];
        (counted.counted_to, counted.state) = (data.next_offset, Some(data.state));
        if fetch.bytes >= fetch.min_bytes {
            return self.gather_again(key, true, connections, logs);
        }
        // As far as it was counted: what lies behind is told at once.
        let state = match isolation {
            Isolation::Uncommitted => LogState { high_watermark: data.next_offset, ..data.state },
            Isolation::Committed => LogState { last_stable: data.next_offset, ..data.state },
        };
        logs.watch(counted.log, state, A::watcher(key, part));
        None
    }

    fn gather_again(
        &mut self,
        key: Key,
        last: bool,
        connections: &mut Connections,
        logs: &mut Logs,
    ) -> Option<Finished<A>> {
        self.unwatch(key, logs);
        self.start_gathering(key, last, connections, logs)
    }

    fn unwatch(&mut self, key: Key, logs: &mut Logs) {
        if let Some(fetch) = self.waiting(key) {
            for (index, part) in (0..).zip(&fetch.parts) {
                logs.unwatch(part.log, A::watcher(key, index));
            }
        }
    }

    /// A read for part `part` of a fetch has ended.
    pub fn read(
        &mut self,
        key: Key,
        part: u32,
        result: Result<ReadData, ReadError>,
        connections: &mut Connections,
        logs: &mut Logs,
    ) -> Option<Finished<A>> {
        let fetch = self.slab.get_mut(key)?;
        debug_assert!(matches!(fetch.stage, Stage::Gathering { .. }), "only what gathers reads");
        fetch.reserved -= std::mem::take(&mut fetch.parts[part as usize].reserved);
        fetch.outstanding -= 1;
        fetch.take(part as usize, result);
        self.gather(key, connections, logs)
    }

    /// When the next one gives up waiting, in milliseconds of the monotonic clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse((deadline_ms, _))| *deadline_ms)
    }

    /// A fetch whose deadline is past, and that deadline; to be told by [`timed_out`](Self::timed_out).
    pub fn next_due(&mut self, now_ms: u64) -> Option<(Key, u64)> {
        let Reverse((deadline_ms, key)) = self.deadlines.peek().copied().filter(|due| due.0.0 <= now_ms)?;
        self.deadlines.pop();
        Some((key, deadline_ms))
    }

    /// A deadline of a fetch is past.
    pub fn timed_out(
        &mut self,
        key: Key,
        deadline_ms: u64,
        connections: &mut Connections,
        logs: &mut Logs,
    ) -> Option<Finished<A>> {
        let fetch = self.waiting(key).filter(|fetch| fetch.deadline_ms == deadline_ms)?;
        if fetch.bytes == 0 {
            self.unwatch(key, logs);
            return self.finish(key);
        }
        self.gather_again(key, true, connections, logs)
    }

    /// Forgets deadlines of fetches that were answered before, once these are most of them.
    pub fn forget_old_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.slab.len() + OLD_DEADLINES {
            let fetches = &self.slab;
            self.deadlines.retain(|Reverse((_, key))| fetches.get(*key).is_some());
        }
    }

    /// A fetch may not wait any more.
    pub fn end_wait(
        &mut self,
        key: Key,
        connections: &mut Connections,
        logs: &mut Logs,
    ) -> Option<Finished<A>> {
        let fetch = self.slab.get_mut(key)?;
        fetch.may_wait = false;
        let deadline_ms = fetch.deadline_ms;
        self.timed_out(key, deadline_ms, connections, logs)
    }

    /// Forgets a fetch whose connection is gone.
    pub fn forget(&mut self, key: Key, logs: &mut Logs) {
        self.unwatch(key, logs);
        self.remove(key);
    }

    fn finish(&mut self, key: Key) -> Option<Finished<A>> {
        let mut fetch = self.remove(key)?;
        fetch.trim();
        let Fetch { asker, parts, .. } = fetch;
        Some(Finished { asker, parts })
    }

    fn remove(&mut self, key: Key) -> Option<Fetch<A>> {
        let fetch = self.slab.remove(key)?;
        self.bytes -= fetch.asker.bytes() as usize + FETCH_BYTES;
        Some(fetch)
    }
}
