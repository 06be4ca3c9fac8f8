//! A host for the machine: a log in memory, a clock that is turned by hand, and things that happen late if a test wants so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ringmail_coordinator::machine::{
    Call, CallId, Effects, Machine, Markers, Now, Producer, Replayed, Topics, Write, WriteError,
};
use ringmail_coordinator::transactions::{GROUPS_TOPIC, Settings, State, Transaction, Transactions};
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::transactions::*;
use ringmail_kafka::messages::{Request, Response};

/// A time in 2023: clocks do not begin at 0.
pub const START_WALL_MS: i64 = 1_700_000_000_000;
const START_CLOCK_MS: u64 = 5_000;
/// What producers ask for if the test does not care.
pub const TIMEOUT_MS: i32 = 60_000;

/// Topics `a` and `b` of four partitions, and that of the groups.
pub struct Catalog;

impl Topics for Catalog {
    fn topic(&self, name: &str) -> Option<(Uuid, i32)> {
        let partitions = match name {
            "a" | "b" => 4,
            GROUPS_TOPIC | "__transaction_state" => 50,
            _ => return None,
        };
        Some((Uuid([name.len() as u8; 16]), partitions))
    }

    fn name(&self, _: Uuid) -> Option<&str> {
        None
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(["a", "b"].into_iter())
    }

    fn version(&self) -> u64 {
        1
    }
}

/// A marker that is to be written.
#[derive(Debug, Clone)]
pub struct Due {
    pub tag: u64,
    pub producer: Producer,
    pub commit: bool,
    pub partition: (String, i32),
}

/// What is done in the machine's order.
enum Step {
    Write(Write),
    Answer(CallId, Response<'static>),
    Spread(Markers),
}

/// What is held back until the test lets it go.
#[derive(Debug, Default, Clone, Copy)]
pub struct Hold {
    pub writes: bool,
    pub sync: bool,
    pub markers: bool,
    pub producer_ids: bool,
}

pub struct Host {
    pub machine: Transactions,
    pub settings: Settings,
    pub now: Now,
    pub hold: Hold,
    /// If set, writes are refused.
    pub refuse: Option<WriteError>,
    /// Key and value.
    pub log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// How many records are durable.
    pub durable: usize,
    untaken: VecDeque<Step>,
    pub wanted: VecDeque<u64>,
    pub due: Vec<Due>,
    /// The markers of each partition, in order.
    pub partitions: BTreeMap<(String, i32), Vec<(Producer, bool)>>,
    pub answers: BTreeMap<CallId, Response<'static>>,
    pub open: BTreeSet<CallId>,
    /// With the length that the log must have durably.
    answering: VecDeque<(usize, CallId, Response<'static>)>,
    spreading: VecDeque<(usize, Markers)>,
    last_call: u64,
    pub last_producer_id: i64,
    pub epoch: i32,
}

impl Host {
    pub fn new() -> Self {
        let settings = Settings::default();
        let mut host = Self {
            machine: Transactions::new(settings),
            settings,
            now: Now { clock_ms: START_CLOCK_MS, wall_ms: START_WALL_MS },
            hold: Hold::default(),
            refuse: None,
            log: Vec::new(),
            durable: 0,
            untaken: VecDeque::new(),
            wanted: VecDeque::new(),
            due: Vec::new(),
            partitions: BTreeMap::new(),
            answers: BTreeMap::new(),
            open: BTreeSet::new(),
            answering: VecDeque::new(),
            spreading: VecDeque::new(),
            last_call: 0,
            last_producer_id: 999,
            epoch: 0,
        };
        host.load();
        host
    }

    fn load(&mut self) {
        self.machine = Transactions::new(self.settings);
        for (offset, (key, value)) in self.log.iter().enumerate() {
            self.machine.replay(replayed(offset, key, value.as_deref()));
        }
        self.epoch += 1;
        let mut effects = Effects::default();
        self.machine.loaded(self.epoch, self.now, &mut effects);
        self.carry_out(effects);
    }

    /// Loses all that is not durable, and begins again.
    pub fn restart(&mut self) {
        self.log.truncate(self.durable);
        self.untaken.clear();
        self.wanted.clear();
        self.due.clear();
        self.answering.clear();
        self.spreading.clear();
        self.open.clear();
        self.load();
    }

    pub fn ask(&mut self, version: i16, request: Request<'static>) -> CallId {
        self.last_call += 1;
        let id = CallId(self.last_call);
        self.open.insert(id);
        let call =
            Call { id, version, client_id: "test", client_host: "/127.0.0.1", random: Uuid::ZERO, request };
        let mut effects = Effects::default();
        self.machine.request(call, &Catalog, self.now, &mut effects);
        self.carry_out(effects);
        id
    }

    fn carry_out(&mut self, effects: Effects) {
        self.wanted.extend(effects.producer_ids);
        self.untaken.extend(effects.writes.into_iter().map(Step::Write));
        self.untaken.extend(effects.answers.into_iter().map(|(call, response)| Step::Answer(call, response)));
        self.untaken.extend(effects.markers.into_iter().map(Step::Spread));
        self.take_others();
        if !self.hold.writes {
            while self.take_write() {}
        }
        if !self.hold.producer_ids {
            while self.give_producer_id(None) {}
        }
        if !self.hold.sync {
            self.sync(self.log.len());
        }
        if !self.hold.markers {
            while !self.due.is_empty() {
                self.mark(0);
            }
        }
    }

    /// Takes what stands before the first write.
    fn take_others(&mut self) {
        let length = self.log.len();
        while let Some(step) = self.untaken.pop_front_if(|step| !matches!(step, Step::Write(_))) {
            match step {
                Step::Answer(call, response) => self.answering.push_back((length, call, response)),
                Step::Spread(markers) => self.spreading.push_back((length, markers)),
                Step::Write(_) => unreachable!("it stays"),
            }
        }
    }

    /// Takes the first write that is held back, or refuses it.
    pub fn take_write(&mut self) -> bool {
        let Some(Step::Write(write)) = self.untaken.pop_front() else { return false };
        assert_eq!(write.producer, None, "this log has no transactional records");
        let result = match self.refuse {
            Some(error) => Err(error),
            None => Ok(()),
        };
        if result.is_ok() {
            for record in write.records {
                self.machine.replay(replayed(self.log.len(), &record.key, record.value.as_deref()));
                self.log.push((record.key, record.value));
            }
        }
        let mut effects = Effects::default();
        self.machine.written(write.tag, result, &Catalog, self.now, &mut effects);
        self.take_others();
        self.carry_out(effects);
        true
    }

    /// Gives a producer id that is asked for, or none.
    pub fn give_producer_id(&mut self, error: Option<WriteError>) -> bool {
        let Some(tag) = self.wanted.pop_front() else { return false };
        let id = match error {
            Some(error) => Err(error),
            None => {
                self.last_producer_id += 1;
                Ok(self.last_producer_id)
            }
        };
        let mut effects = Effects::default();
        self.machine.producer_id(tag, id, &Catalog, self.now, &mut effects);
        self.carry_out(effects);
        true
    }

    /// Makes the log durable up to this length, and sends what waits for it.
    pub fn sync(&mut self, length: usize) {
        self.durable = self.durable.max(length.min(self.log.len()));
        while let Some((_, call, response)) =
            self.answering.pop_front_if(|(length, ..)| *length <= self.durable)
        {
            assert!(self.open.remove(&call), "{call:?} is answered twice, or was never asked");
            self.answers.insert(call, response);
        }
        while let Some((_, markers)) = self.spreading.pop_front_if(|(length, _)| *length <= self.durable) {
            assert_eq!(markers.coordinator_epoch, self.epoch);
            for partition in markers.partitions {
                let Markers { tag, producer, commit, .. } = markers;
                self.due.push(Due { tag, producer, commit, partition });
            }
        }
    }

    /// Writes the marker at this place of the list.
    pub fn mark(&mut self, index: usize) {
        let due = self.write_marker(index);
        self.due.remove(index);
        let (topic, partition) = &due.partition;
        let mut effects = Effects::default();
        self.machine.marked(due.tag, topic, *partition, self.now, &mut effects);
        self.carry_out(effects);
    }

    /// Writes it, without the coordinator hearing of that.
    pub fn write_marker(&mut self, index: usize) -> Due {
        let due = self.due[index].clone();
        self.partitions.entry(due.partition.clone()).or_default().push((due.producer, due.commit));
        due
    }

    /// Lets all go that was held back.
    pub fn release(&mut self) {
        self.hold = Hold::default();
        self.carry_out(Effects::default());
        self.sync(self.log.len());
        while !self.due.is_empty() {
            self.mark(0);
        }
    }

    /// Lets time pass, with a tick whenever the machine has asked for one.
    pub fn pass(&mut self, ms: u64) {
        let end_ms = self.now.clock_ms + ms;
        while let Some(deadline) = self.machine.next_deadline().filter(|deadline| *deadline <= end_ms) {
            self.advance_to(deadline.max(self.now.clock_ms));
            self.tick();
            let next = self.machine.next_deadline();
            assert!(next.is_none_or(|next| next > self.now.clock_ms), "a tick does what is due");
        }
        self.advance_to(end_ms);
    }

    fn advance_to(&mut self, clock_ms: u64) {
        let ms = clock_ms - self.now.clock_ms;
        self.now = Now { clock_ms, wall_ms: self.now.wall_ms + ms as i64 };
    }

    pub fn tick(&mut self) {
        let mut effects = Effects::default();
        self.machine.tick(&Catalog, self.now, &mut effects);
        self.carry_out(effects);
    }

    pub fn stored(&self, id: &str) -> Option<&Transaction> {
        self.machine.stored().find(|(stored, _)| *stored == id).map(|(_, transaction)| transaction)
    }

    pub fn state(&self, id: &str) -> State {
        self.stored(id).expect("it is stored").state
    }

    /// The markers of a partition.
    pub fn markers(&self, topic: &str, partition: i32) -> &[(Producer, bool)] {
        self.partitions.get(&(topic.to_owned(), partition)).map_or(&[], Vec::as_slice)
    }
}

/// Requests that are answered at once, and what they come to.
impl Host {
    fn answer(&mut self, call: CallId) -> Response<'static> {
        self.answers.remove(&call).unwrap_or_else(|| panic!("{call:?} is not answered"))
    }

    pub fn init(&mut self, id: &'static str) -> Result<Producer, ErrorCode> {
        self.init_as(5, id, TIMEOUT_MS, None)
    }

    pub fn init_as(
        &mut self,
        version: i16,
        id: &'static str,
        timeout_ms: i32,
        producer: Option<Producer>,
    ) -> Result<Producer, ErrorCode> {
        let call = self.ask(version, init_request(id, timeout_ms, producer));
        self.init_answer(call)
    }

    pub fn init_answer(&mut self, call: CallId) -> Result<Producer, ErrorCode> {
        let Response::InitProducerId(response) = self.answer(call) else { panic!("another answer") };
        outcome(response.error_code, response.producer_id, response.producer_epoch)
    }

    pub fn add(
        &mut self,
        id: &'static str,
        producer: Producer,
        partitions: &[(&'static str, i32)],
    ) -> ErrorCode {
        self.add_as(3, id, producer, partitions)
    }

    pub fn add_as(
        &mut self,
        version: i16,
        id: &'static str,
        producer: Producer,
        partitions: &[(&'static str, i32)],
    ) -> ErrorCode {
        let call = self.ask(version, add_request(version, id, producer, partitions, false));
        let mut codes = self.add_answer(call);
        codes.dedup();
        assert_eq!(codes.len(), 1, "they are added together or not at all");
        codes[0]
    }

    /// The error of each partition.
    pub fn add_answer(&mut self, call: CallId) -> Vec<ErrorCode> {
        let Response::AddPartitionsToTxn(response) = self.answer(call) else { panic!("another answer") };
        let transactions =
            response.results_by_transaction.into_iter().flat_map(|result| result.topic_results);
        let topics = response.results_by_topic.into_iter().chain(transactions);
        topics.flat_map(|topic| topic.partitions).map(|partition| code(partition.error_code)).collect()
    }

    pub fn add_offsets(
        &mut self,
        version: i16,
        id: &'static str,
        producer: Producer,
        group: &'static str,
    ) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: id.into(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            group_id: group.into(),
        };
        let call = self.ask(version, Request::AddOffsetsToTxn(request));
        self.offsets_answer(call)
    }

    pub fn offsets_answer(&mut self, call: CallId) -> ErrorCode {
        let Response::AddOffsetsToTxn(response) = self.answer(call) else { panic!("another answer") };
        code(response.error_code)
    }

    pub fn end(
        &mut self,
        version: i16,
        id: &'static str,
        producer: Producer,
        commit: bool,
    ) -> Result<Producer, ErrorCode> {
        let call = self.ask(version, end_request(id, producer, commit));
        self.end_answer(call)
    }

    pub fn end_answer(&mut self, call: CallId) -> Result<Producer, ErrorCode> {
        let Response::EndTxn(response) = self.answer(call) else { panic!("another answer") };
        outcome(response.error_code, response.producer_id, response.producer_epoch)
    }
}

pub fn init_request(id: &'static str, timeout_ms: i32, producer: Option<Producer>) -> Request<'static> {
    let producer = producer.unwrap_or(Producer { id: -1, epoch: -1 });
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: timeout_ms,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
    })
}

pub fn topics(partitions: &[(&'static str, i32)]) -> Vec<TxnTopic<'static>> {
    let topic = |(name, partition): &(&'static str, i32)| TxnTopic {
        name: (*name).into(),
        partitions: vec![*partition],
    };
    partitions.iter().map(topic).collect()
}

pub fn add_request(
    version: i16,
    id: &'static str,
    producer: Producer,
    partitions: &[(&'static str, i32)],
    verify_only: bool,
) -> Request<'static> {
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: id.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        verify_only,
        topics: topics(partitions),
    };
    Request::AddPartitionsToTxn(match version {
        4.. => AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() },
        _ => AddPartitionsToTxnRequest {
            transactional_id: transaction.transactional_id,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            topics: transaction.topics,
            ..Default::default()
        },
    })
}

pub fn end_request(id: &'static str, producer: Producer, commit: bool) -> Request<'static> {
    Request::EndTxn(EndTxnRequest {
        transactional_id: id.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        committed: commit,
    })
}

pub fn code(number: i16) -> ErrorCode {
    ErrorCode::from_number(number).expect("it is one of Kafka's")
}

fn outcome(error: i16, id: i64, epoch: i16) -> Result<Producer, ErrorCode> {
    match code(error) {
        ErrorCode::None => Ok(Producer { id, epoch }),
        error => {
            assert_eq!((id, epoch), (-1, -1), "an error comes without a producer");
            Err(error)
        }
    }
}

fn replayed<'a>(offset: usize, key: &'a [u8], value: Option<&'a [u8]>) -> Replayed<'a> {
    Replayed { offset: offset as u64, timestamp_ms: 0, producer: None, key, value }
}
