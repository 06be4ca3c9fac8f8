//! A group, its log, and clients that follow the protocol. Time passes only when a test says so.

use std::collections::BTreeMap;

use ringmail_coordinator::consumer::Partitions;
use ringmail_coordinator::groups::{Groups, Settings};
use ringmail_coordinator::machine::{
    Call, CallId, Effects, Machine, Now, Record, Replayed, Topics, Write, WriteError,
};
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::consumer_groups::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ringmail_kafka::messages::group_admin::{ConsumerGroupDescribeRequest, DescribedConsumerGroup};
use ringmail_kafka::messages::{Request, Response};

/// The topics of a broker.
#[derive(Debug, Clone, Default)]
pub struct FakeTopics {
    topics: BTreeMap<String, (Uuid, i32)>,
    version: u64,
}

impl FakeTopics {
    pub fn create(&mut self, name: &str, partitions: i32) -> Uuid {
        self.version += 1;
        let id = Uuid(u128::from(self.version).to_be_bytes());
        self.topics.insert(name.to_owned(), (id, partitions));
        id
    }

    pub fn grow(&mut self, name: &str, partitions: i32) {
        self.version += 1;
        self.topics.get_mut(name).expect("a topic").1 = partitions;
    }

    pub fn delete(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(name);
    }

    pub fn partitions(&self, name: &str) -> Partitions {
        self.topic(name)
            .into_iter()
            .flat_map(|(id, count)| (0..count).map(move |number| (id, number)))
            .collect()
    }
}

impl Topics for FakeTopics {
    fn topic(&self, name: &str) -> Option<(Uuid, i32)> {
        self.topics.get(name).copied()
    }

    fn name(&self, id: Uuid) -> Option<&str> {
        self.topics.iter().find(|(_, topic)| topic.0 == id).map(|(name, _)| name.as_str())
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.topics.keys().map(String::as_str))
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// The host of a coordinator.
pub struct Host {
    pub groups: Groups,
    pub topics: FakeTopics,
    pub log: Vec<Record>,
    pub clock_ms: u64,
    /// Whether writes are refused, as with a full disk.
    pub full: bool,
    settings: Settings,
    calls: u64,
    answers: Vec<(CallId, Response<'static>)>,
}

pub type Answer = ConsumerGroupHeartbeatResponse<'static>;
pub type Heartbeat = ConsumerGroupHeartbeatRequest<'static>;
pub type Group = DescribedConsumerGroup<'static>;

impl Host {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let mut host = Self {
            groups: Groups::new(settings),
            topics: FakeTopics::default(),
            log: Vec::new(),
            clock_ms: 1_000,
            full: false,
            settings,
            calls: 0,
            answers: Vec::new(),
        };
        host.act(|groups, _, now, effects| groups.loaded(1, now, effects));
        host
    }

    /// Does something, and carries out what follows from it.
    fn act(&mut self, act: impl FnOnce(&mut Groups, &FakeTopics, Now, &mut Effects)) {
        let now = Now { clock_ms: self.clock_ms, wall_ms: 1_700_000_000_000 + self.clock_ms as i64 };
        let mut effects = Effects::default();
        act(&mut self.groups, &self.topics, now, &mut effects);
        while !effects.writes.is_empty() {
            for write in std::mem::take(&mut effects.writes) {
                let result = if self.full { Err(WriteError::Unavailable) } else { Ok(()) };
                if result.is_ok() {
                    for record in write.records {
                        self.log.push(record);
                        replay(&mut self.groups, &self.log, self.log.len() - 1);
                    }
                }
                self.groups.written(write.tag, result, &self.topics, now, &mut effects);
            }
        }
        self.answers.append(&mut effects.answers);
    }

    /// Sends a request, and does not wait for its answer.
    pub fn ask(&mut self, version: i16, request: Request<'_>) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        let random = Uuid(u128::from(self.calls).to_be_bytes());
        let call = Call { id, version, client_id: "client", client_host: "/127.0.0.1", random, request };
        self.act(|groups, topics, now, effects| groups.request(call, topics, now, effects));
        id
    }

    /// The answer to a request, if there is one by now.
    pub fn answer(&mut self, id: CallId) -> Option<Response<'static>> {
        let at = self.answers.iter().position(|(call, _)| *call == id)?;
        Some(self.answers.swap_remove(at).1)
    }

    /// Sends a request that is answered at once.
    pub fn call(&mut self, version: i16, request: Request<'_>) -> Response<'static> {
        let id = self.ask(version, request);
        self.answer(id).expect("an answer")
    }

    /// A heartbeat in this version.
    pub fn send(&mut self, version: i16, request: Heartbeat) -> Result<Answer, ErrorCode> {
        let Response::ConsumerGroupHeartbeat(answer) =
            self.call(version, Request::ConsumerGroupHeartbeat(request))
        else {
            panic!("another answer")
        };
        match ErrorCode::from_number(answer.error_code).expect("a code") {
            ErrorCode::None => Ok(answer),
            code => Err(code),
        }
    }

    pub fn describe(&mut self) -> Group {
        let request = ConsumerGroupDescribeRequest { group_ids: vec!["g".into()], ..Default::default() };
        let Response::ConsumerGroupDescribe(answer) = self.call(1, Request::ConsumerGroupDescribe(request))
        else {
            panic!("another answer")
        };
        answer.groups.into_iter().next().expect("a group")
    }

    pub fn state(&mut self) -> String {
        self.describe().group_state.into_owned()
    }

    pub fn members(&mut self) -> Vec<String> {
        self.describe().members.into_iter().map(|member| member.member_id.into_owned()).collect()
    }

    /// Lets time pass, in steps of a second.
    pub fn pass(&mut self, ms: u64) {
        let until = self.clock_ms + ms;
        while self.clock_ms < until {
            self.clock_ms = (self.clock_ms + 1_000).min(until);
            if self.groups.next_deadline().is_some_and(|due| due <= self.clock_ms) {
                self.act(|groups, topics, now, effects| groups.tick(topics, now, effects));
                let due = self.groups.next_deadline();
                assert!(
                    due.is_none_or(|due| due > self.clock_ms),
                    "what was due stays due: the host would spin"
                );
            }
        }
    }

    /// The broker starts anew, from its log.
    pub fn restart(&mut self) {
        let stored = self.stored();
        let again = self.replayed(&self.log);
        assert_eq!(again.snapshot(), Some(stored.clone()), "what is read back is what there was");
        let records: Vec<Record> = stored.iter().flat_map(|write| write.records.clone()).collect();
        let snapshot = self.replayed(&records);
        assert_eq!(snapshot.snapshot(), Some(stored.clone()), "a snapshot says all there is to say");
        let compacted = self.replayed(&self.compacted());
        assert_eq!(
            compacted.snapshot(),
            Some(stored),
            "the newest record of each key says all there is to say"
        );
        self.read_back();
    }

    /// The broker starts anew from its log, whatever is in it.
    pub fn read_back(&mut self) {
        self.groups = self.replayed(&self.log);
        self.act(|groups, _, now, effects| groups.loaded(2, now, effects));
    }

    /// What the coordinator has stored.
    pub fn stored(&self) -> Vec<Write> {
        self.groups.snapshot().expect("no transaction is open")
    }

    fn replayed(&self, records: &[Record]) -> Groups {
        let mut groups = Groups::new(self.settings);
        (0..records.len()).for_each(|at| replay(&mut groups, records, at));
        groups
    }

    /// The log as compaction leaves it: the newest record of each key, in the order they were stored.
    fn compacted(&self) -> Vec<Record> {
        let newest: BTreeMap<&[u8], usize> =
            self.log.iter().enumerate().map(|(at, record)| (&*record.key, at)).collect();
        let mut at: Vec<usize> = newest.into_values().collect();
        at.sort_unstable();
        at.into_iter().map(|at| self.log[at].clone()).collect()
    }

    /// Each client in turn says what it has and does what it is told, until nothing changes any more.
    pub fn settle(&mut self, clients: &mut [&mut Client]) {
        for _ in 0..20 {
            for client in clients.iter_mut() {
                client.beat(self).expect("a member that follows the protocol is not refused");
            }
            self.pass(1_000);
        }
        assert_eq!(self.state(), "Stable");
    }
}

fn replay(groups: &mut Groups, log: &[Record], at: usize) {
    let Record { key, value } = &log[at];
    let (timestamp_ms, producer) = (1_700_000_000_000, None);
    groups.replay(Replayed { offset: at as u64, timestamp_ms, producer, key, value: value.as_deref() });
}

pub fn list(partitions: &Partitions) -> Vec<TopicPartitions> {
    partitions
        .iter()
        .map(|&(topic_id, number)| TopicPartitions { topic_id, partitions: vec![number] })
        .collect()
}

pub fn set(lists: &[TopicPartitions]) -> Partitions {
    lists.iter().flat_map(|list| list.partitions.iter().map(|&number| (list.topic_id, number))).collect()
}

/// A client that follows the protocol.
#[derive(Debug, Clone)]
pub struct Client {
    pub id: String,
    pub instance: Option<String>,
    pub epoch: i32,
    pub names: Vec<String>,
    pub pattern: Option<String>,
    pub assignor: Option<String>,
    pub rebalance_timeout_ms: i32,
    /// What it was told to have.
    pub told: Partitions,
    /// What it has: all it was told, and what it has not given up yet.
    pub owned: Partitions,
    /// Whether it must say all there is to say, as it has missed an answer.
    pub resync: bool,
}

impl Client {
    pub fn new(id: &str, names: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            instance: None,
            epoch: 0,
            names: names.iter().map(|&name| name.to_owned()).collect(),
            pattern: None,
            assignor: None,
            rebalance_timeout_ms: 60_000,
            told: Partitions::new(),
            owned: Partitions::new(),
            resync: false,
        }
    }

    pub fn of_instance(id: &str, instance: &str, names: &[&str]) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::new(id, names) }
    }

    /// A request that says nothing new.
    pub fn quiet(&self) -> Heartbeat {
        Heartbeat {
            group_id: "g".into(),
            member_id: self.id.clone().into(),
            member_epoch: self.epoch,
            instance_id: self.instance.clone().map(Into::into),
            ..Default::default()
        }
    }

    /// A request that says all there is to say.
    pub fn full(&self) -> Heartbeat {
        Heartbeat {
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            subscribed_topic_names: Some(self.names.iter().cloned().map(Into::into).collect()),
            subscribed_topic_regex: self.pattern.clone().map(Into::into),
            server_assignor: self.assignor.clone().map(Into::into),
            topic_partitions: Some(list(&self.owned)),
            ..self.quiet()
        }
    }

    pub fn hear(&mut self, answer: &Answer) {
        self.epoch = answer.member_epoch;
        self.resync = false;
        if let Some(assignment) = &answer.assignment {
            self.told = set(&assignment.topic_partitions);
            // It takes what it is given at once, and gives up nothing before it says so.
            self.owned.extend(&self.told);
        }
    }

    /// It has given up what it was told to give up.
    pub fn give_up(&mut self) {
        self.owned = self.told.clone();
    }

    pub fn abandon(&mut self) {
        self.epoch = 0;
        self.told.clear();
        self.owned.clear();
    }

    /// Joins.
    pub fn join(&mut self, host: &mut Host) -> Result<Answer, ErrorCode> {
        self.abandon();
        let answer = host.send(1, self.full())?;
        self.hear(&answer);
        Ok(answer)
    }

    /// Gives up what it was told to, says what it has, and hears what there is to hear.
    pub fn beat(&mut self, host: &mut Host) -> Result<Answer, ErrorCode> {
        self.give_up();
        let request = if self.resync || self.epoch == 0 {
            self.full()
        } else {
            Heartbeat { topic_partitions: Some(list(&self.owned)), ..self.quiet() }
        };
        let answer = host.send(1, request)?;
        self.hear(&answer);
        Ok(answer)
    }

    /// Says that it is there.
    pub fn ping(&mut self, host: &mut Host) -> Result<Answer, ErrorCode> {
        let answer = host.send(1, self.quiet())?;
        self.hear(&answer);
        Ok(answer)
    }

    pub fn leave(&mut self, host: &mut Host, epoch: i32) -> Result<Answer, ErrorCode> {
        let answer = host.send(1, Heartbeat { member_epoch: epoch, ..self.quiet() })?;
        self.abandon();
        Ok(answer)
    }
}

#[track_caller]
pub fn refused(result: Result<Answer, ErrorCode>, code: ErrorCode) {
    assert_eq!(result.expect_err("a refusal"), code);
}
