//! Fetch: a long poll over several partitions; see [`crate::gateway::Fetches`].

use ringmail_shards::api::{Isolation, ReadData, ReadError};
use ringmail_wire::protocol::{
    ErrorCode, FRAME_HEADER_BYTES, FetchPartition, FetchRequest, FetchedPartitionHeader, FrameHeader,
    Message, PROTOCOL_VERSION, Writer,
};

use super::error::Fault;
use super::readable::readable;
use super::requests::Request;
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::gateway::{Asker, Finished, Output, Part, Wanted};
use crate::node::logs::{Caller, Logs, Watcher};
use crate::node::slab::Key;

/// Fetches of one connection that may be under way; one more is refused.
const FETCHES_PER_CONNECTION: usize = 1_024;

/// Bytes of the count that stands before the partitions of an answer.
const COUNT_BYTES: usize = 4;

impl Asker for Reply {
    fn connection(&self) -> Key {
        self.connection
    }

    fn bytes(&self) -> u32 {
        self.bytes
    }

    fn reader(fetch: Key, part: u32) -> Caller {
        Caller::Native(Waiter::FetchRead { fetch, part })
    }

    fn counter(fetch: Key, part: u32) -> Caller {
        Caller::Native(Waiter::FetchCount { fetch, part })
    }

    fn watcher(fetch: Key, part: u32) -> Watcher {
        Watcher::Native(Waiter::FetchWatch { fetch, part })
    }

    fn readable(result: Result<ReadData, ReadError>, offset: u64) -> Result<ReadData, ReadError> {
        readable(result, offset)
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
        if self.own.fetches.is_over_share(own, self.connections) {
            let words = "the shard holds as many fetches that wait as it may, and this connection its share of them: wait for \
                         one of them";
            return Err(Fault::new(ErrorCode::Overloaded, words));
        }
        let mut reply = request.reply();
        reply.weigh(fetch.partitions.len());
        // A client that is gone is to be found out.
        let wait_ms = u64::from(fetch.max_wait_ms).min(self.own.settings.idle_timeout_ms);
        let part = |wanted: &FetchPartition| Part::new(wanted.log, wanted.offset, wanted.max_bytes as usize);
        let wanted = Wanted {
            asker: reply,
            parts: fetch.partitions.iter().map(part).collect(),
            isolation: Isolation::Committed,
            min_bytes: fetch.min_bytes as usize,
            max_bytes: (fetch.max_bytes as usize).min(self.own.settings.fetch_response),
            wait_ms: if self.own.draining { 0 } else { wait_ms },
        };
        let key = self.own.fetches.add(wanted, self.connections.now_ms());
        if let Some(session) = self.session(request.connection) {
            session.fetches.push(key);
        }
        self.begin(&reply);
        let finished = self.own.fetches.begin(key, self.connections, logs);
        self.answer_fetch(key, finished);
        Ok(())
    }

    /// Goes on with fetches of a connection that has taken some output.
    pub(super) fn unblock_fetches(&mut self, connection: Key, logs: &mut Logs) {
        for key in self.fetches_of(connection) {
            let finished = self.own.fetches.unblock(key, self.connections, logs);
            self.answer_fetch(key, finished);
        }
    }

    pub(super) fn fetch_advanced(&mut self, key: Key, part: u32, logs: &mut Logs) {
        let finished = self.own.fetches.advanced(key, part, self.connections, logs);
        self.answer_fetch(key, finished);
    }

    pub(super) fn fetch_counted(
        &mut self,
        key: Key,
        part: u32,
        result: Result<ReadData, ReadError>,
        logs: &mut Logs,
    ) {
        let finished = self.own.fetches.counted(key, part, result, self.connections, logs);
        self.answer_fetch(key, finished);
    }

    pub(super) fn fetch_read(
        &mut self,
        key: Key,
        part: u32,
        result: Result<ReadData, ReadError>,
        logs: &mut Logs,
    ) {
        let finished = self.own.fetches.read(key, part, result, self.connections, logs);
        self.answer_fetch(key, finished);
    }

    /// Answers fetches that have waited long enough.
    pub(super) fn end_due_fetches(&mut self, logs: &mut Logs) {
        while let Some((key, deadline_ms)) = self.own.fetches.next_due(self.connections.now_ms()) {
            let finished = self.own.fetches.timed_out(key, deadline_ms, self.connections, logs);
            self.answer_fetch(key, finished);
        }
        self.own.fetches.forget_old_deadlines();
    }

    fn fetches_of(&mut self, connection: Key) -> Vec<Key> {
        self.session(connection).map_or(Vec::new(), |session| session.fetches.clone())
    }

    /// Answers the fetches of a connection that wait.
    pub(super) fn end_waits(&mut self, connection: Key, logs: &mut Logs) {
        for key in self.fetches_of(connection) {
            let finished = self.own.fetches.end_wait(key, self.connections, logs);
            self.answer_fetch(key, finished);
        }
    }

    /// Forgets the fetches of a connection that is gone.
    pub(super) fn forget_fetches(&mut self, connection: Key, logs: &mut Logs) {
        for key in self.fetches_of(connection) {
            self.own.fetches.forget(key, logs);
        }
        if let Some(session) = self.session(connection) {
            session.fetches.clear();
        }
    }

    fn answer_fetch(&mut self, key: Key, finished: Option<Finished<Reply>>) {
        let Some(Finished { asker: reply, parts }) = finished else { return };
        if let Some(session) = self.session(reply.connection) {
            session.fetches.retain(|other| *other != key);
        }
        self.settle(&reply);
        self.connections.write(reply.connection, |output| put_answer(output, reply, parts));
        self.connections.has_room(reply.connection);
    }
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
            let end = if data.bytes > 0 { data.state.last_stable } else { data.next_offset };
            (header.log_start, header.high_watermark) = (data.state.log_start, end);
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
