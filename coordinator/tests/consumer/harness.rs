//! A group, its log, and clients that follow the protocol. Time passes only when a test says so.

use std::collections::BTreeMap;

use ringmail_coordinator::consumer::{ConsumerGroup, Partitions, Refusal, Settings, decode};
use ringmail_coordinator::machine::{Call, CallId, Now, Record, Topics};
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Request;
use ringmail_kafka::messages::consumer_groups::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

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

/// The host of one group.
pub struct Host {
    pub group: ConsumerGroup,
    pub topics: FakeTopics,
    pub log: Vec<Record>,
    pub clock_ms: u64,
    /// Whether writes are refused, as with a full disk.
    pub full: bool,
    settings: Settings,
    calls: u64,
}

pub type Answer = ConsumerGroupHeartbeatResponse<'static>;
pub type Heartbeat = ConsumerGroupHeartbeatRequest<'static>;

impl Host {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self {
            group: ConsumerGroup::new("g", settings),
            topics: FakeTopics::default(),
            log: Vec::new(),
            clock_ms: 1_000,
            full: false,
            settings,
            calls: 0,
        }
    }

    pub fn now(&self) -> Now {
        Now { clock_ms: self.clock_ms, wall_ms: 1_700_000_000_000 + self.clock_ms as i64 }
    }

    /// Stores records and lets the group know.
    fn store(&mut self, records: Vec<Record>) {
        for record in records {
            let (name, change) = decode(&record.key, record.value.as_deref()).expect("a record of ours");
            assert_eq!(name, "g");
            self.group.apply(change);
            self.log.push(record);
        }
    }

    /// A heartbeat in this version.
    pub fn send(&mut self, version: i16, request: Heartbeat) -> Result<Answer, Refusal> {
        self.calls += 1;
        let (topics, now) = (self.topics.clone(), self.now());
        let call = Call {
            id: CallId(self.calls),
            version,
            client_id: "client",
            client_host: "/127.0.0.1",
            random: Uuid(u128::from(self.calls).to_be_bytes()),
            request: Request::ConsumerGroupHeartbeat(request.clone()),
        };
        let decision = self.group.heartbeat(&call, &request, &topics, now)?;
        if self.full && !decision.records.is_empty() {
            return Err(Refusal { code: ErrorCode::CoordinatorNotAvailable, message: String::new() });
        }
        self.store(decision.records);
        self.group.confirm(&decision.member, now);
        Ok(decision.answer)
    }

    /// Lets time pass, in steps of a second.
    pub fn pass(&mut self, ms: u64) {
        let until = self.clock_ms + ms;
        while self.clock_ms < until {
            self.clock_ms = (self.clock_ms + 1_000).min(until);
            if self.group.next_deadline().is_some_and(|due| due <= self.clock_ms) {
                let records = self.group.tick(self.now());
                if !self.full {
                    self.store(records);
                }
                let due = self.group.next_deadline();
                assert!(
                    due.is_none_or(|due| due > self.clock_ms),
                    "what was due stays due: the host would spin"
                );
            }
        }
    }

    /// The broker starts anew, from its log.
    pub fn restart(&mut self) {
        let again = self.replayed(&self.log);
        assert_eq!(again.state(), self.group.state(), "what is read back is what there was");
        let snapshot = self.replayed(&self.group.snapshot());
        assert_eq!(snapshot.state(), self.group.state(), "a snapshot says all there is to say");
        let compacted = self.replayed(&self.compacted());
        assert_eq!(
            compacted.state(),
            self.group.state(),
            "the newest record of each key says all there is to say"
        );
        self.group = again;
        self.group.loaded(self.now());
    }

    fn replayed(&self, records: &[Record]) -> ConsumerGroup {
        let mut group = ConsumerGroup::new("g", self.settings);
        for record in records {
            group.apply(decode(&record.key, record.value.as_deref()).expect("a record of ours").1);
        }
        group
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
        assert_eq!(self.group.state_name(), "Stable");
    }
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
    pub fn join(&mut self, host: &mut Host) -> Result<Answer, Refusal> {
        self.abandon();
        let answer = host.send(1, self.full())?;
        self.hear(&answer);
        Ok(answer)
    }

    /// Gives up what it was told to, says what it has, and hears what there is to hear.
    pub fn beat(&mut self, host: &mut Host) -> Result<Answer, Refusal> {
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
    pub fn ping(&mut self, host: &mut Host) -> Result<Answer, Refusal> {
        let answer = host.send(1, self.quiet())?;
        self.hear(&answer);
        Ok(answer)
    }

    pub fn leave(&mut self, host: &mut Host, epoch: i32) -> Result<Answer, Refusal> {
        let answer = host.send(1, Heartbeat { member_epoch: epoch, ..self.quiet() })?;
        self.abandon();
        Ok(answer)
    }
}

#[track_caller]
pub fn refused(result: Result<Answer, Refusal>, code: ErrorCode) {
    assert_eq!(result.expect_err("a refusal").code, code);
}
