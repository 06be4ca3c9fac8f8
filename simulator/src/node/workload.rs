//! What clients ask for.

use super::client::{Asked, Connection, Fetch, Flaw, Request, Subscription};
use super::draw::Episode;
use super::records::{Known, Records, Status};
use super::topics::{Change, Topics};
use crate::rng::Rng;
use ringmail_wire::protocol::{
    Acks, AlterTopicRequest, Api, ConfigEntry, CreateTopicRequest, CreditRequest, DeleteRecordsRequest,
    DeleteTopicRequest, DescribeTopicRequest, FetchPartition, FetchRequest, FrameHeader, HandshakeRequest,
    ListOffsetsQuery, ListOffsetsRequest, ListTopicsRequest, LogId, MetadataRequest, OffsetQuery,
    PROTOCOL_VERSION, SubscribeRequest, UnsubscribeRequest, features, put_frame, put_produce,
};

/// Bytes of records past which a partition gets no more.
const LOG_RECORDS: u64 = 3_000;

/// The state of the model, and the moment.
pub(super) struct Desk<'a> {
    pub episode: &'a Episode,
    pub records: &'a mut Records,
    pub topics: &'a mut Topics,
    pub rng: &'a mut Rng,
    pub now_us: u64,
    pub wall_ms: u64,
}

impl Desk<'_> {
    /// Begins a connection; most by the rules.
    pub fn greet(&mut self, connection: &mut Connection, by_the_rules: bool) {
        let now_us = self.now_us;
        let mut hello =
            HandshakeRequest { min_version: 1, max_version: 1, features: features::ALL, client: "simulator" };
        if by_the_rules || !self.rng.one_in(100) {
            connection.ask(Api::Handshake, &hello, Request::Handshake { good: true }, now_us);
            return;
        }
        match self.rng.below(4) {
            0 => {
                hello.min_version = 9;
                connection.ask(Api::Handshake, &hello, Request::Handshake { good: false }, now_us);
                connection.may_end = Some("its version is not spoken");
            }
            1 => {
                connection.ask(Api::Ping, &(), Request::Nonsense, now_us);
                connection.may_end = Some("it did not introduce itself");
            }
            2 => {
                connection.out.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
                connection.may_end = Some("it speaks another protocol");
            }
            // It says nothing at all.
            _ => connection.may_end = Some("it did not introduce itself"),
        }
    }

    /// Makes one request, drawn from the mix of the episode.
    pub fn ask(&mut self, connection: &mut Connection) {
        let mix = self.episode.mix;
        let shares = [
            mix.produce,
            mix.fetch,
            mix.subscribe,
            mix.offsets,
            mix.delete,
            mix.look,
            mix.change,
            mix.misbehave,
        ];
        let mut drawn = self.rng.below(shares.iter().sum());
        let kind = shares.iter().position(|share| {
            let here = drawn < *share;
            drawn = drawn.wrapping_sub(*share);
            here
        });
        match kind.expect("a number below the sum falls to one") {
            0 => self.produce(connection),
            1 => self.fetch(connection),
            2 => self.subscriptions(connection),
            3 => self.offsets(connection),
            4 => self.delete_records(connection),
            5 => self.look(connection),
            6 => self.change(connection),
            _ => self.misbehave(connection),
        }
    }

    /// A log of some topic, now and then of one that is gone.
    fn any_log(&mut self) -> Option<LogId> {
        if !self.topics.graves.is_empty() && self.rng.one_in(50) {
            return Some(self.rng.pick(&self.topics.graves));
        }
        let topics = &self.topics.topics;
        let first = self.rng.index(topics.len());
        let topic = (0..topics.len()).map(|k| &topics[(first + k) % topics.len()]);
        let mut logs = topic.filter_map(|topic| topic.existing.as_ref()).map(|existing| &existing.logs);
        let logs = logs.find(|logs| !logs.is_empty())?;
        Some(self.rng.pick(logs).0)
    }

    fn produce(&mut self, connection: &mut Connection) {
        let Some(log) = self.any_log() else { return self.change(connection) };
        let known = self.records.log(log).known();
        if known.durable_end - known.start_durable > LOG_RECORDS {
            return self.delete(connection, log, known);
        }
        let acks = self.rng.pick(&[
            Acks::Synced,
            Acks::Synced,
            Acks::Synced,
            Acks::Synced,
            Acks::Written,
            Acks::Written,
            Acks::None,
        ]);
        let count = if self.rng.one_in(4) { self.rng.between(2, 9) } else { 1 };
        let values: Vec<usize> = (0..count).map(|_| self.value_bytes(count == 1)).collect();
        let before = connection.batches.get(&log).copied();
        let mut bytes = Vec::new();
        let mut batch = self.records.make((log, acks), &values, self.wall_ms as i64, before, &mut bytes);
        let flaw = self.rng.one_in(100).then(|| self.spoil(&mut bytes, &mut batch, (log, acks))).flatten();
        if flaw.is_none() {
            connection.batches.insert(log, batch);
        }
        let correlation = if acks == Acks::None {
            connection.correlation()
        } else {
            connection.expect(Api::Produce, Request::Produce { batch, flaw, known }, self.now_us)
        };
        put_produce(&mut connection.out, correlation, log, acks, bytes.len());
        connection.out.extend_from_slice(&bytes);
    }

    /// Appends one record, which is to be durable.
    pub fn write(&mut self, connection: &mut Connection, log: LogId) {
        let (known, mut bytes) = (self.records.log(log).known(), Vec::new());
        let before = connection.batches.get(&log).copied();
        let to = (log, Acks::Synced);
        let batch = self.records.make(to, &[10], self.wall_ms as i64, before, &mut bytes);
        connection.batches.insert(log, batch);
        let request = Request::Produce { batch, flaw: None, known };
        let correlation = connection.expect(Api::Produce, request, self.now_us);
        put_produce(&mut connection.out, correlation, log, Acks::Synced, bytes.len());
        connection.out.extend_from_slice(&bytes);
    }

    fn value_bytes(&mut self, may_be_large: bool) -> usize {
        let most = if may_be_large && self.rng.one_in(self.episode.large_value) {
            self.episode.large_bytes
        } else {
            120
        };
        self.rng.below(most) as usize
    }

    /// Makes a batch one that must be refused.
    fn spoil(&mut self, bytes: &mut Vec<u8>, batch: &mut usize, to: (LogId, Acks)) -> Option<Flaw> {
        match self.rng.below(3) {
            0 => {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                Some(Flaw::Crc)
            }
            1 => {
                bytes[16] ^= 1;
                Some(Flaw::Structure)
            }
            _ => {
                bytes.clear();
                *batch = self.records.make(to, &[260 << 10], self.wall_ms as i64, None, bytes);
                Some(Flaw::TooLarge)
            }
        }
    }

    fn fetch(&mut self, connection: &mut Connection) {
        let count = if self.rng.one_in(3) { self.rng.between(2, 4) } else { 1 };
        let mut parts: Vec<(LogId, u64, Known)> = Vec::new();
        for _ in 0..count {
            let Some(log) = self.any_log() else { break };
            if parts.iter().any(|part| part.0 == log) {
                continue;
            }
            let known = self.records.log(log).known();
            let offset = self.offset(known);
            parts.push((log, offset, known));
        }
        let waits = self.rng.one_in(3);
        let fetch = Fetch {
            parts,
            max_wait_ms: if waits { self.rng.pick(&[1, 50, 400, 2500]) } else { 0 },
            min_bytes: if waits { self.rng.pick(&[0, 1, 1, 1, 500, 20_000]) } else { 0 },
            max_bytes: self.rng.pick(&[1, 1000, 30_000, 1 << 20]),
            audit: false,
        };
        self.send_fetch(connection, fetch);
    }

    /// Mostly the end, where those are who wait; else somewhere, even outside.
    fn offset(&mut self, known: Known) -> u64 {
        let Known { start_durable, durable_end, .. } = known;
        match self.rng.below(20) {
            0 => durable_end + self.rng.below(5),
            1 => start_durable.saturating_sub(self.rng.below(3)),
            2..8 => self.rng.between(start_durable.min(durable_end), durable_end),
            _ => durable_end.saturating_sub(self.rng.below(12)).max(start_durable),
        }
    }

    pub fn send_fetch(&mut self, connection: &mut Connection, fetch: Fetch) {
        let part = |(log, offset, _): &(LogId, u64, Known)| FetchPartition {
            log: *log,
            offset: *offset,
            max_bytes: fetch.max_bytes,
        };
        let body = FetchRequest {
            max_wait_ms: fetch.max_wait_ms,
            min_bytes: fetch.min_bytes,
            max_bytes: fetch.max_bytes,
            partitions: fetch.parts.iter().map(part).collect(),
        };
        connection.ask(Api::Fetch, &body, Request::Fetch(fetch), self.now_us);
    }

    fn subscriptions(&mut self, connection: &mut Connection) {
        let some =
            (!connection.subscriptions.is_empty()).then(|| self.rng.index(connection.subscriptions.len()));
        let some = some.and_then(|k| connection.subscriptions.iter_mut().nth(k));
        match some {
            Some((&subscription, state)) if !self.rng.one_in(4) => {
                if self.rng.one_in(8) && state.started && !state.ending {
                    state.ending = true;
                    let request = Request::Unsubscribe { subscription };
                    connection.ask(
                        Api::Unsubscribe,
                        &UnsubscribeRequest { subscription },
                        request,
                        self.now_us,
                    );
                } else {
                    let bytes = self.rng.pick(&[1, 500, 20_000]);
                    self.grant(connection, subscription, bytes);
                }
            }
            _ => self.subscribe(connection),
        }
    }

    pub fn grant(&mut self, connection: &mut Connection, subscription: u32, bytes: u32) {
        if let Some(state) = connection.subscriptions.get_mut(&subscription) {
            state.credit += i64::from(bytes);
            let correlation = connection.correlation();
            let body = CreditRequest { subscription, bytes };
            put_frame(&mut connection.out, Api::Credit, correlation, 0, &body);
        }
    }

    fn subscribe(&mut self, connection: &mut Connection) {
        let Some(log) = self.any_log() else { return };
        let known = self.records.log(log).known();
        let (offset, credit) = (self.offset(known), self.rng.pick(&[0, 1, 3_000, 100_000]));
        let subscription = connection.correlation();
        let others = connection.subscriptions.len();
        let state = Subscription { log, offset, credit: credit.into(), started: false, ending: false };
        connection.subscriptions.insert(subscription, state);
        let body = SubscribeRequest { subscription, log, offset, credit };
        connection.ask(
            Api::Subscribe,
            &body,
            Request::Subscribe { subscription, known, others },
            self.now_us,
        );
    }

    fn offsets(&mut self, connection: &mut Connection) {
        let mut queries = Vec::new();
        let mut body = ListOffsetsRequest { queries: Vec::new() };
        for _ in 0..self.rng.below(4) {
            let Some(log) = self.any_log() else { return };
            let (asked, query) = match self.rng.below(3) {
                0 => (Asked::First, OffsetQuery::First),
                1 => (Asked::Last, OffsetQuery::Last),
                _ => (Asked::Time, OffsetQuery::Timestamp(self.wall_ms as i64 - self.rng.below(2000) as i64)),
            };
            queries.push((log, self.records.log(log).known(), asked));
            body.queries.push(ListOffsetsQuery { log, query });
        }
        connection.ask(Api::ListOffsets, &body, Request::Offsets { queries }, self.now_us);
    }

    fn delete_records(&mut self, connection: &mut Connection) {
        let Some(log) = self.any_log() else { return };
        let known = self.records.log(log).known();
        self.delete(connection, log, known);
    }

    fn delete(&mut self, connection: &mut Connection, log: LogId, known: Known) {
        let span = known.durable_end.saturating_sub(known.start_durable);
        let before = known.start_durable + self.rng.between(span / 2, span);
        let asked = &mut self.records.log(log).start_asked;
        *asked = (*asked).max(before);
        let request = Request::DeleteRecords { log, before, known };
        connection.ask(Api::DeleteRecords, &DeleteRecordsRequest { log, before }, request, self.now_us);
    }

    fn look(&mut self, connection: &mut Connection) {
        let now_us = self.now_us;
        match self.rng.below(4) {
            0 => self.metadata(connection, false),
            1 => {
                let request = Request::List { versions: self.topics.versions() };
                connection.ask(Api::ListTopics, &ListTopicsRequest, request, now_us);
            }
            2 => {
                let topic = self.rng.index(self.topics.topics.len());
                let state = &self.topics.topics[topic];
                let request = Request::Describe { topic, version: state.version };
                connection.ask(
                    Api::DescribeTopic,
                    &DescribeTopicRequest { name: &state.name },
                    request,
                    now_us,
                );
            }
            _ => _ = connection.ask(Api::Ping, &(), Request::Ping, now_us),
        }
    }

    pub fn metadata(&mut self, connection: &mut Connection, settled: bool) {
        let request = Request::Metadata { versions: self.topics.versions(), settled };
        connection.ask(Api::Metadata, &MetadataRequest { topics: Vec::new() }, request, self.now_us);
    }

    fn change(&mut self, connection: &mut Connection) {
        let topic = self.rng.index(self.topics.topics.len());
        let state = &self.topics.topics[topic];
        if state.change.is_some() {
            return self.metadata(connection, false);
        }
        if state.existing.as_ref().is_some_and(|existing| existing.logs.len() < existing.partitions as usize)
        {
            return self.metadata(connection, false);
        }
        let (now_us, name) = (self.now_us, state.name.clone());
        let request = Request::Change { topic };
        let more = self.rng.between(1, self.episode.partitions) as u32;
        let (bytes, ms) = (self.rng.pick(&["0", "20000", "300000"]), self.rng.pick(&["50", "3000", "-1"]));
        let mut config = Vec::new();
        if self.rng.one_in(3) {
            config.push(ConfigEntry { key: "retention.bytes", value: bytes });
            config.push(ConfigEntry { key: "retention.ms", value: ms });
        }
        match state.existing.as_ref().map(|existing| existing.partitions) {
            None => {
                self.topics.begin(
                    topic,
                    Change::Create { partitions: more },
                    !config.is_empty(),
                    self.records,
                );
                let body = CreateTopicRequest { partitions: more, name: &name, config };
                connection.ask(Api::CreateTopic, &body, request, now_us);
            }
            Some(present) if self.rng.one_in(2) && present < 20 => {
                let partitions = present + if config.is_empty() { more } else { 0 };
                self.topics.begin(topic, Change::Alter { partitions }, !config.is_empty(), self.records);
                let body = AlterTopicRequest { partitions, name: &name, config };
                connection.ask(Api::AlterTopic, &body, request, now_us);
            }
            Some(_) => {
                self.topics.begin(topic, Change::Delete, false, self.records);
                connection.ask(Api::DeleteTopic, &DeleteTopicRequest { name: &name }, request, now_us);
            }
        }
    }

    /// What clients should not do.
    fn misbehave(&mut self, connection: &mut Connection) {
        match self.rng.below(9) {
            // Half a frame, and nothing more.
            0 => {
                connection.out.extend_from_slice(&[200, 0, 0, 0, 1, 2]);
                connection.finished_us = Some(self.now_us);
            }
            1 => {
                connection.out.extend((0..64).map(|_| self.rng.number() as u8));
                connection.may_end = Some("it has sent garbage");
            }
            2 => connection.finished_us = Some(self.now_us),
            3 => connection.may_end = Some("reset"),
            4 => {
                let body = ListOffsetsRequest { queries: Vec::new() };
                // The handshake again, with the body of another request.
                connection.ask(Api::Handshake, &body, Request::Nonsense, self.now_us);
            }
            5 => _ = connection.ask(Api::Fetch, &(), Request::Nonsense, self.now_us),
            6 => {
                let correlation = connection.expect(Api::Ping, Request::Nonsense, self.now_us);
                let header =
                    FrameHeader { body: 0, correlation, api: 99, version: PROTOCOL_VERSION, code: 0 };
                connection.out.extend_from_slice(&header.to_bytes());
            }
            // It asks, and never takes an answer.
            7 => {
                for _ in 0..20 {
                    self.fetch(connection);
                }
                connection.never_reads = true;
                connection.may_end = Some("it does not read");
            }
            _ => {
                let subscription = u32::MAX;
                connection.ask(
                    Api::Unsubscribe,
                    &UnsubscribeRequest { subscription },
                    Request::Nonsense,
                    self.now_us,
                );
            }
        }
    }
}

/// Whether a log may be unknown to the broker.
pub(super) fn may_be_gone(then: Known, now: Known) -> bool {
    then.status != Status::Live || now.status != Status::Live
}
