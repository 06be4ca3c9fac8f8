//! A host as simple as can be: a log in memory, a clock that is moved by hand, and a disk that can be full.

use std::collections::BTreeMap;

use ringmail_coordinator::groups::{Groups, Settings};
use ringmail_coordinator::machine::{
    Call, CallId, Effects, Machine, Now, Producer, Record, Replayed, Topics, Write, WriteError,
};
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::{Request, Response};

pub const START_MS: i64 = 1_700_000_000_000;
pub const MINUTE: u64 = 60_000;
pub const DAY: u64 = 24 * 60 * MINUTE;

/// More steps than any test needs without the clock getting further.
const MAX_TICKS: usize = 200_000;

#[derive(Debug, Clone)]
enum Entry {
    Record { record: Record, timestamp_ms: i64, producer: Option<Producer> },
    Marker(Producer, bool),
}

#[derive(Debug, Default)]
pub struct Catalog {
    topics: BTreeMap<String, (Uuid, i32)>,
    last_id: u8,
}

impl Topics for Catalog {
    fn topic(&self, name: &str) -> Option<(Uuid, i32)> {
        self.topics.get(name).copied()
    }

    fn name(&self, id: Uuid) -> Option<&str> {
        self.topics.iter().find(|(_, (other, _))| *other == id).map(|(name, _)| name.as_str())
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.topics.keys().map(String::as_str))
    }

    fn version(&self) -> u64 {
        self.last_id.into()
    }
}

pub struct Host {
    machine: Groups,
    settings: Settings,
    log: Vec<Entry>,
    pub clock_ms: u64,
    pub topics: Catalog,
    /// Writes are refused with this.
    pub refuse: Option<WriteError>,
    versions: BTreeMap<CallId, i16>,
    answers: BTreeMap<CallId, Response<'static>>,
    calls: u64,
}

impl Host {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let mut host = Self {
            machine: Groups::new(settings),
            settings,
            log: Vec::new(),
            clock_ms: 1000,
            topics: Catalog::default(),
            refuse: None,
            versions: BTreeMap::new(),
            answers: BTreeMap::new(),
            calls: 0,
        };
        for name in ["a", "b", "orders"] {
            host.create_topic(name, 100);
        }
        host.load();
        host
    }

    pub fn now(&self) -> Now {
        Now { clock_ms: self.clock_ms, wall_ms: START_MS + self.clock_ms as i64 }
    }

    pub fn create_topic(&mut self, name: &str, partitions: i32) -> Uuid {
        self.topics.last_id += 1;
        let id = Uuid([self.topics.last_id; 16]);
        self.topics.topics.insert(name.to_owned(), (id, partitions));
        id
    }

    pub fn topic_id(&self, name: &str) -> Uuid {
        self.topics.topics[name].0
    }

    /// Deletes a topic, of which the machine hears, or not, as if it was not there at the time.
    pub fn delete_topic(&mut self, name: &str, is_told: bool) {
        let (id, _) = self.topics.topics.remove(name).expect("the topic is there");
        if is_told {
            let mut effects = Effects::default();
            self.machine.topic_deleted(name, id, self.now(), &mut effects);
            self.carry_out(effects);
        }
    }

    /// Asks, through the bytes that would go over the network.
    pub fn call(&mut self, version: i16, client_id: &str, request: &Request<'_>) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        let mut bytes = Vec::new();
        request.encode(version, &mut bytes);
        let request = Request::decode(request.api(), version, &bytes).expect("what was encoded can be read");
        let mut random = [0; 16];
        random[8..].copy_from_slice(&self.calls.to_be_bytes());
        let call = Call { id, version, client_id, client_host: "/127.0.0.1", random: Uuid(random), request };
        self.versions.insert(id, version);
        let mut effects = Effects::default();
        let now = self.now();
        self.machine.request(call, &self.topics, now, &mut effects);
        self.carry_out(effects);
        id
    }

    /// The answer, through the bytes that would go over the network; `None` if it has not come yet.
    pub fn answer(&mut self, call: CallId) -> Option<Response<'static>> {
        let answer = self.answers.remove(&call)?;
        let version = self.versions[&call];
        let mut bytes = Vec::new();
        answer.encode(version, &mut bytes);
        let api = match &answer {
            Response::JoinGroup(_) => ringmail_kafka::api::Api::JoinGroup,
            Response::SyncGroup(_) => ringmail_kafka::api::Api::SyncGroup,
            Response::Heartbeat(_) => ringmail_kafka::api::Api::Heartbeat,
            Response::LeaveGroup(_) => ringmail_kafka::api::Api::LeaveGroup,
            Response::OffsetCommit(_) => ringmail_kafka::api::Api::OffsetCommit,
            Response::OffsetFetch(_) => ringmail_kafka::api::Api::OffsetFetch,
            Response::OffsetDelete(_) => ringmail_kafka::api::Api::OffsetDelete,
            Response::TxnOffsetCommit(_) => ringmail_kafka::api::Api::TxnOffsetCommit,
            Response::ListGroups(_) => ringmail_kafka::api::Api::ListGroups,
            Response::DescribeGroups(_) => ringmail_kafka::api::Api::DescribeGroups,
            Response::DeleteGroups(_) => ringmail_kafka::api::Api::DeleteGroups,
            other => panic!("{other:?} is no answer of a coordinator of groups"),
        };
        let bytes: &'static [u8] = bytes.leak();
        Some(Response::decode(api, version, bytes).expect("what was encoded can be read"))
    }

    /// Asks what is answered at once.
    pub fn ask(&mut self, version: i16, request: &Request<'_>) -> Response<'static> {
        let call = self.call(version, "client", request);
        self.answer(call).expect("it is answered at once")
    }

    /// Does what a machine asks for, and what comes of it.
    fn carry_out(&mut self, effects: Effects) {
        for Write { tag, records, producer } in effects.writes {
            assert!(!records.is_empty(), "an empty write");
            let result = match self.refuse {
                Some(error) => Err(error),
                None => Ok(()),
            };
            if result.is_ok() {
                for record in records {
                    self.append(Entry::Record { record, timestamp_ms: self.now().wall_ms, producer });
                }
            }
            if tag != 0 {
                let mut effects = Effects::default();
                let now = self.now();
                self.machine.written(tag, result, &self.topics, now, &mut effects);
                self.carry_out(effects);
            }
        }
        for (call, answer) in effects.answers {
            assert!(self.versions.contains_key(&call), "an answer to a call that nobody made");
            let before = self.answers.insert(call, answer);
            assert!(before.is_none(), "{call:?} is answered twice");
        }
        assert!(effects.markers.is_empty() && effects.producer_ids.is_empty());
    }

    fn append(&mut self, entry: Entry) {
        self.log.push(entry);
        self.replay(self.log.len() - 1);
    }

    fn replay(&mut self, at: usize) {
        match &self.log[at] {
            Entry::Record { record, timestamp_ms, producer } => self.machine.replay(Replayed {
                offset: at as u64,
                timestamp_ms: *timestamp_ms,
                producer: *producer,
                key: &record.key,
                value: record.value.as_deref(),
            }),
            &Entry::Marker(producer, commit) => {
                let mut effects = Effects::default();
                let now = Now { clock_ms: self.clock_ms, wall_ms: START_MS + self.clock_ms as i64 };
                self.machine.replay_marker(producer, commit, now, &mut effects);
                self.carry_out(effects);
            }
        }
    }

    /// Ends a transaction.
    pub fn mark(&mut self, producer: Producer, commit: bool) {
        self.append(Entry::Marker(producer, commit));
    }

    /// Time passes, and what becomes due is done when it is.
    pub fn advance(&mut self, ms: u64) {
        let until = self.clock_ms + ms;
        for _ in 0..MAX_TICKS {
            let due = self.machine.next_deadline().filter(|&at| at <= until);
            self.clock_ms = due.unwrap_or(until).max(self.clock_ms);
            let mut effects = Effects::default();
            let now = self.now();
            self.machine.tick(&self.topics, now, &mut effects);
            self.carry_out(effects);
            if due.is_none() {
                return;
            }
        }
        panic!("something stays due, at {}", self.clock_ms);
    }

    fn load(&mut self) {
        (0..self.log.len()).for_each(|at| self.replay(at));
        let mut effects = Effects::default();
        let now = self.now();
        self.machine.loaded(1, now, &mut effects);
        self.carry_out(effects);
    }

    /// The broker stops and starts again; whoever waited gets no answer.
    pub fn restart(&mut self) {
        self.machine = Groups::new(self.settings);
        self.answers.clear();
        self.load();
    }

    /// Replaces the log by what says as much; whether that was possible.
    pub fn compact(&mut self) -> bool {
        let Some(writes) = self.machine.snapshot() else { return false };
        self.log.clear();
        let records = writes.into_iter().flat_map(|write| write.records);
        let timestamp_ms = self.now().wall_ms;
        self.log.extend(records.map(|record| Entry::Record { record, timestamp_ms, producer: None }));
        true
    }

    /// The records that were stored, in order.
    pub fn records(&self) -> Vec<Record> {
        let records = self.log.iter().filter_map(|entry| match entry {
            Entry::Record { record, .. } => Some(record.clone()),
            Entry::Marker(..) => None,
        });
        records.collect()
    }

    /// Puts a record into the log, as if it had been there.
    pub fn inject(&mut self, record: Record) {
        self.append(Entry::Record { record, timestamp_ms: START_MS, producer: None });
    }
}

/// The code of this number.
pub fn error(code: i16) -> ErrorCode {
    ErrorCode::from_number(code).expect("a code of Kafka's")
}
