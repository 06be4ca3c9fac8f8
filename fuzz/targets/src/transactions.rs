//! The coordinator of transactions: a log that says anything, then any requests, of which each is answered once.

use ringmail_coordinator::machine::{Call, CallId, Effects, Machine, Now, Replayed, Topics};
use ringmail_coordinator::transactions::record::{decode_key, decode_value, encode_key, encode_value};
use ringmail_coordinator::transactions::{Settings, Transactions};
use ringmail_kafka::api::Api;
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::messages::Request;

const APIS: [Api; 6] = [
    Api::InitProducerId,
    Api::AddPartitionsToTxn,
    Api::AddOffsetsToTxn,
    Api::EndTxn,
    Api::DescribeTransactions,
    Api::ListTransactions,
];
/// A length that stands for no value.
const TOMBSTONE: usize = u16::MAX as usize;
/// More rounds than anything takes that is bound to end.
const MAX_ROUNDS: usize = 10_000;
/// No transaction may take longer, whatever a record says.
const LONGEST_MS: u64 = i32::MAX as u64;

/// All of it.
pub fn transactions(input: &[u8]) {
    if let Ok(id) = decode_key(input) {
        assert_eq!(encode_key(id), input, "a key has one form only, or compaction takes it for two");
    }
    if let Ok(stored) = decode_value(input) {
        assert_eq!(decode_value(&encode_value(&stored)), Ok(stored));
    }
    let mut host = Host::new();
    let mut rest = input;
    let records = take_byte(&mut rest).unwrap_or(0) % 16;
    for _ in 0..records {
        let Some((key, value)) = take_record(&mut rest) else { break };
        host.replay(key, value);
    }
    host.load();
    while let Some((api, version, body)) = take_request(&mut rest) {
        let Ok(request) = Request::decode(api, version, body) else { continue };
        host.ask(version, request);
        host.pass(u64::from(body.len() as u16) * 100);
    }
    host.pass(LONGEST_MS);
    assert_eq!(host.open, 0, "a request was not answered");
    for (id, stored) in host.machine.stored() {
        assert!(stored.state.is_idle(), "{id:?} is left in {stored:?}");
    }
    assert!(host.machine.snapshot().is_some());
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, after) = rest.split_first()?;
    *rest = after;
    Some(*byte)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    Some(usize::from(take_byte(rest)?) << 8 | usize::from(take_byte(rest)?))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (bytes, after) = rest.split_at(length.min(rest.len()));
    *rest = after;
    bytes
}

fn take_record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let (key, value) = (take_length(rest)?, take_length(rest)?);
    let key = take(rest, key);
    Some((key, (value != TOMBSTONE).then(|| take(rest, value))))
}

fn take_request<'a>(rest: &mut &'a [u8]) -> Option<(Api, i16, &'a [u8])> {
    let api = APIS[usize::from(take_byte(rest)?) % APIS.len()];
    let version = i16::from(take_byte(rest)? % 8);
    let length = take_length(rest)?;
    Some((api, version, take(rest, length)))
}

/// Every topic, with a few partitions.
struct AnyTopic;

impl Topics for AnyTopic {
    fn topic(&self, _: &str) -> Option<(Uuid, i32)> {
        Some((Uuid::ZERO, 8))
    }

    fn name(&self, _: Uuid) -> Option<&str> {
        None
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(std::iter::empty())
    }

    fn version(&self) -> u64 {
        0
    }
}

/// A host that does all at once.
struct Host {
    machine: Transactions,
    now: Now,
    /// How many requests are not answered.
    open: usize,
    calls: u64,
    producer_ids: i64,
}

impl Host {
    fn new() -> Self {
        Self {
            machine: Transactions::new(Settings::default()),
            now: Now { clock_ms: 1, wall_ms: 1_700_000_000_000 },
            open: 0,
            calls: 0,
            producer_ids: 1 << 40,
        }
    }

    fn replay(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.machine.replay(Replayed { offset: 0, timestamp_ms: 0, producer: None, key, value });
    }

    fn load(&mut self) {
        let mut effects = Effects::default();
        self.machine.loaded(1, self.now, &mut effects);
        self.carry_out(effects);
    }

    fn ask(&mut self, version: i16, request: Request<'_>) {
        self.calls += 1;
        self.open += 1;
        let (id, random) = (CallId(self.calls), Uuid::ZERO);
        let call = Call { id, version, client_id: "", client_host: "", random, request };
        let mut effects = Effects::default();
        self.machine.request(call, &AnyTopic, self.now, &mut effects);
        self.carry_out(effects);
    }

    fn pass(&mut self, ms: u64) {
        let end_ms = self.now.clock_ms + ms;
        for round in 0.. {
            assert!(round < MAX_ROUNDS, "something is due again and again");
            let deadline_ms = self.machine.next_deadline().unwrap_or(u64::MAX);
            let next_ms = deadline_ms.clamp(self.now.clock_ms, end_ms);
            self.now.wall_ms += (next_ms - self.now.clock_ms) as i64;
            self.now.clock_ms = next_ms;
            if deadline_ms > end_ms {
                return;
            }
            let mut effects = Effects::default();
            self.machine.tick(&AnyTopic, self.now, &mut effects);
            self.carry_out(effects);
        }
    }

    fn carry_out(&mut self, mut effects: Effects) {
        for round in 0.. {
            assert!(round < MAX_ROUNDS, "there is no end to what is to be done");
            let answers = effects.answers.len();
            self.open = self.open.checked_sub(answers).expect("a request is answered once");
            let mut more = Effects::default();
            for write in &effects.writes {
                write.records.iter().for_each(|record| self.replay(&record.key, record.value.as_deref()));
                self.machine.written(write.tag, Ok(()), &AnyTopic, self.now, &mut more);
            }
            for tag in &effects.producer_ids {
                self.producer_ids += 1;
                self.machine.producer_id(*tag, Ok(self.producer_ids), &AnyTopic, self.now, &mut more);
            }
            for markers in &effects.markers {
                for (topic, partition) in &markers.partitions {
                    self.machine.marked(markers.tag, topic, *partition, self.now, &mut more);
                }
            }
            if more == Effects::default() {
                return;
            }
            effects = more;
        }
    }
}
