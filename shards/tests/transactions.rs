//! Idempotent producers and transactions: what is stored once though it was sent twice, what is refused, what readers of
//! committed records see, and that a restart changes none of it.

mod common;

use common::driver::Driver;
use common::kafka::values;
use common::{Disk, MemDisk, Rng};
use ringmail_kafka::batch::{Batch, BatchHead, Batches, Marker, Outcome};
use ringmail_shards::config::{LogConfig, ShardConfig, Timestamps};
use ringmail_shards::format::footer::Trailer;
use ringmail_shards::shard::{
    Aborted, Acks, Answer, AppendError, Appended, Event, Isolation, LogId, Origin, Payload, ReadData, Token,
};
use std::collections::{BTreeMap, BTreeSet};

fn config() -> ShardConfig {
    ShardConfig {
        segment_bytes: 256 << 10,
        write_bytes: 16 << 10,
        tail_cache_bytes: 32 << 10,
        max_batch_bytes: 100 << 10,
        ..ShardConfig::default()
    }
}

fn open() -> Driver {
    let mut driver = Driver::open(config(), MemDisk::default());
    driver.put_logs([1, 2]);
    driver
}

/// Kills the process, or closes the log in good order, and starts again.
fn restart(mut driver: Driver, kill: bool) -> Driver {
    if !kill {
        driver.close();
    }
    let mut driver = driver.reopen();
    driver.put_logs([1, 2]);
    driver
}

/// What a producer sends.
#[derive(Debug, Clone, Copy)]
struct Sender {
    id: i64,
    epoch: i16,
    transactional: bool,
}

impl Sender {
    fn batch(self, sequence: i32, records: usize) -> Vec<u8> {
        let head = BatchHead {
            producer_id: self.id,
            producer_epoch: self.epoch,
            base_sequence: sequence,
            transactional: self.transactional,
            ..BatchHead::default()
        };
        values(head, 1, &vec![&b"value"[..]; records])
    }
}

const IDEMPOTENT: Sender = Sender { id: 7, epoch: 0, transactional: false };
const TRANSACTIONAL: Sender = Sender { id: 8, epoch: 0, transactional: true };

fn send(driver: &mut Driver, sender: Sender, sequence: i32, records: usize) -> Result<u64, AppendError> {
    send_to(driver, 1, sender, sequence, records).map(|appended| appended.base_offset)
}

fn send_to(
    driver: &mut Driver,
    log: LogId,
    sender: Sender,
    sequence: i32,
    records: usize,
) -> Result<Appended, AppendError> {
    let token = driver.token();
    let batch = sender.batch(sequence, records);
    let payload = Payload::Kafka(&batch[..], Origin::Client { produce_version: 12 });
    let appended = driver.shard.append(log, payload, Acks::Synced, token)?;
    driver.settle();
    assert!(driver.events.contains(&Event::Appended { token, appended }), "it is told");
    Ok(appended)
}

fn marker(sender: Sender, outcome: Outcome) -> Marker {
    Marker { producer_id: sender.id, producer_epoch: sender.epoch, coordinator_epoch: 0, outcome }
}

fn end(driver: &mut Driver, sender: Sender, outcome: Outcome) -> Result<u64, AppendError> {
    let token = driver.token();
    let appended = driver.shard.append_marker(1, marker(sender, outcome), token)?;
    driver.settle();
    assert!(driver.is_acknowledged(token));
    Ok(appended.base_offset)
}

fn read(driver: &mut Driver, offset: u64, isolation: Isolation) -> ReadData {
    let token = driver.token();
    if let Answer::Now(result) = driver.shard.read(1, offset, 1 << 20, isolation, token) {
        return result.expect("readable");
    }
    driver.settle();
    let found = driver.events.iter().rev().find_map(|event| match event {
        Event::Read { token: of, result } if *of == token => Some(result.clone()),
        _ => None,
    });
    found.expect("it was answered").expect("readable")
}

/// The offsets of the records that a reader of committed records is given, by Kafka's rules for clients.
fn committed(driver: &mut Driver) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut next = driver.shard.log_state(1).expect("known").log_start;
    loop {
        let data = read(driver, next, Isolation::Committed);
        if data.pieces.is_empty() {
            assert_eq!(next, driver.shard.log_state(1).expect("known").last_stable);
            return seen;
        }
        let mut told = data.aborted.iter().peekable();
        let mut aborted = BTreeSet::new();
        for batch in data.pieces.iter().flat_map(|piece| Batches::new(piece)) {
            let batch = batch.expect("whole");
            while let Some(next) = told.next_if(|a| a.first_offset as i64 <= batch.last_offset()) {
                aborted.insert(next.producer_id);
            }
            let producer = batch.producer_id();
            if batch.is_control() {
                let marker = Marker::decode(&batch).expect("whole").expect("a marker");
                if marker.outcome == Outcome::Abort {
                    aborted.remove(&marker.producer_id);
                }
            } else if !(batch.is_transactional() && producer.is_some_and(|id| aborted.contains(&id))) {
                seen.extend(batch.base_offset() as u64..=batch.last_offset() as u64);
            }
        }
        next = data.next_offset;
    }
}

/// Enough of another log's to fill several segments.
fn fill_segments(driver: &mut Driver) {
    let before = driver.shard.stats().segments;
    while driver.shard.stats().segments < before + 3 {
        driver.append(2, &[&[1; 20_000]]).expect("open");
        driver.settle();
    }
}

#[test]
fn what_is_sent_twice_is_stored_once_and_answered_alike_after_restarts_too() {
    for (sealed, kill) in [(false, true), (true, true), (true, false), (false, false)] {
        let mut driver = open();
        for batch in 0..7 {
            assert_eq!(send(&mut driver, IDEMPOTENT, batch * 2, 2), Ok(batch as u64 * 2));
        }
        for round in 0..2 {
            for batch in 2..7 {
                let again = send(&mut driver, IDEMPOTENT, batch * 2, 2);
                assert_eq!(again, Ok(batch as u64 * 2), "round {round}, sealed {sealed}, kill {kill}");
            }
            let old = send(&mut driver, IDEMPOTENT, 2, 2);
            assert!(matches!(old, Err(AppendError::OutOfOrderSequence { expected: 14, .. })), "{old:?}");
            let state = driver.shard.log_state(1).expect("known");
            assert_eq!((state.end, state.high_watermark), (14, 14), "nothing was added");
            if sealed {
                fill_segments(&mut driver);
            }
            driver = restart(driver, kill);
        }
        assert_eq!(send(&mut driver, IDEMPOTENT, 14, 1), Ok(14));
    }
}

#[test]
fn a_duplicate_is_not_confirmed_before_its_original_is_durable() {
    for acks in [Acks::Written, Acks::Synced] {
        let mut driver = open();
        let batch = IDEMPOTENT.batch(0, 3);
        let payload = Payload::Kafka(&batch[..], Origin::Client { produce_version: 12 });
        let [first, second] = [driver.token(), driver.token()];
        let original = driver.shard.append(1, payload, acks, first).expect("open");
        let again = driver.shard.append(1, payload, acks, second).expect("a duplicate");
        assert_eq!(original, again);
        driver.pump();
        assert!(!driver.is_acknowledged(first) && !driver.is_acknowledged(second));
        driver.settle();
        assert!(driver.is_acknowledged(first) && driver.is_acknowledged(second));
        assert_eq!(driver.shard.log_state(1).expect("known").end, 3);
    }
}

#[test]
fn a_duplicate_is_answered_with_the_time_of_its_original() {
    let mut driver = open();
    driver.shard.put_log(1, LogConfig { timestamps: Timestamps::Append, ..LogConfig::KEEP });
    let original = send_to(&mut driver, 1, IDEMPOTENT, 0, 3).expect("open");
    driver.pass(5000);
    assert_eq!(send_to(&mut driver, 1, IDEMPOTENT, 0, 3), Ok(original));
}

#[test]
fn numbers_follow_one_another_and_wrap() {
    let mut driver = open();
    // Nothing is known of the producer: any number may be the first.
    let near_end = i32::MAX - 2;
    assert_eq!(send(&mut driver, IDEMPOTENT, near_end, 2), Ok(0));
    let gap = send(&mut driver, IDEMPOTENT, 0, 1);
    let expected = AppendError::OutOfOrderSequence { producer_id: 7, stated: 0, expected: i32::MAX };
    assert_eq!(gap, Err(expected));
    assert_eq!(send(&mut driver, IDEMPOTENT, i32::MAX, 4), Ok(2), "three of them behind the wrap");
    assert_eq!(send(&mut driver, IDEMPOTENT, i32::MAX, 4), Ok(2));
    assert_eq!(send(&mut driver, IDEMPOTENT, 3, 1), Ok(6));
    let overlap = send(&mut driver, IDEMPOTENT, 2, 2);
    assert!(matches!(overlap, Err(AppendError::OutOfOrderSequence { .. })), "{overlap:?}");
    assert_eq!(
        send_to(&mut driver, 2, IDEMPOTENT, 0, 1).map(|a| a.base_offset),
        Ok(0),
        "each log for itself"
    );
}

#[test]
fn a_newer_epoch_begins_at_zero_and_fences_the_older() {
    for kill in [true, false] {
        let mut driver = open();
        let newer = Sender { epoch: 1, ..IDEMPOTENT };
        send(&mut driver, IDEMPOTENT, 0, 1).expect("open");
        assert!(matches!(send(&mut driver, newer, 1, 1), Err(AppendError::OutOfOrderSequence { .. })));
        assert_eq!(send(&mut driver, newer, 0, 1), Ok(1), "it is no duplicate");
        driver = restart(driver, kill);
        let fenced = Err(AppendError::InvalidProducerEpoch { stated: 0, known: 1 });
        assert_eq!(send(&mut driver, IDEMPOTENT, 1, 1), fenced);
        assert_eq!(send(&mut driver, IDEMPOTENT, 0, 1), fenced, "though it would be a duplicate");
    }
}

#[test]
fn markers_fence_producers_and_older_coordinators() {
    let mut driver = open();
    send(&mut driver, TRANSACTIONAL, 0, 1).expect("open");
    let bumped = Sender { epoch: 1, ..TRANSACTIONAL };
    let newer = Marker { coordinator_epoch: 5, ..marker(bumped, Outcome::Abort) };
    let token = driver.token();
    driver.shard.append_marker(1, newer, token).expect("it ends the transaction");
    driver.settle();
    for kill in [true, false] {
        driver = restart(driver, kill);
        let late = send(&mut driver, TRANSACTIONAL, 1, 1);
        assert_eq!(late, Err(AppendError::InvalidProducerEpoch { stated: 0, known: 1 }));
        let late = end(&mut driver, TRANSACTIONAL, Outcome::Commit);
        assert_eq!(late, Err(AppendError::InvalidProducerEpoch { stated: 0, known: 1 }));
        let late = end(&mut driver, bumped, Outcome::Commit);
        assert_eq!(late, Err(AppendError::CoordinatorFenced { stated: 0, known: 5 }));
        let odd = send(&mut driver, bumped, 1, 1);
        assert!(matches!(odd, Err(AppendError::OutOfOrderSequence { expected: 0, .. })), "{odd:?}");
    }
    assert_eq!(send(&mut driver, bumped, 0, 1), Ok(2));
}

#[test]
fn what_is_sent_outside_an_open_transaction_is_refused() {
    let mut driver = open();
    send(&mut driver, TRANSACTIONAL, 0, 1).expect("open");
    let plain = Sender { transactional: false, ..TRANSACTIONAL };
    assert_eq!(send(&mut driver, plain, 1, 1), Err(AppendError::InvalidTransaction(8)));
    end(&mut driver, TRANSACTIONAL, Outcome::Commit).expect("open");
    assert_eq!(send(&mut driver, plain, 1, 1), Ok(2));
}

#[test]
fn readers_of_committed_records_wait_for_the_oldest_transaction() {
    let mut driver = open();
    let other = Sender { id: 9, ..TRANSACTIONAL };
    send(&mut driver, IDEMPOTENT, 0, 2).expect("open");
    send(&mut driver, TRANSACTIONAL, 0, 2).expect("open");
    send(&mut driver, other, 0, 2).expect("open");
    send(&mut driver, IDEMPOTENT, 2, 2).expect("open");
    assert_eq!(end(&mut driver, other, Outcome::Commit), Ok(8));
    for kill in [true, false] {
        let state = driver.shard.log_state(1).expect("known");
        assert_eq!((state.last_stable, state.high_watermark), (2, 9));
        assert_eq!(committed(&mut driver), [0, 1]);
        assert_eq!(read(&mut driver, 0, Isolation::Uncommitted).next_offset, 9);
        driver = restart(driver, kill);
    }
    driver.shard.watch(1);
    // A marker that is not durable yet changes nothing for readers.
    let token = driver.token();
    driver.shard.append_marker(1, marker(TRANSACTIONAL, Outcome::Abort), token).expect("open");
    assert_eq!(driver.shard.log_state(1).expect("known").last_stable, 2);
    driver.settle();
    assert!(driver.events.contains(&Event::Advanced { log: 1 }));
    let state = driver.shard.log_state(1).expect("known");
    assert_eq!((state.last_stable, state.high_watermark), (10, 10));
    for kill in [true, false] {
        assert_eq!(committed(&mut driver), [0, 1, 4, 5, 6, 7]);
        let aborted = Aborted { producer_id: 8, first_offset: 2, last_offset: 9 };
        assert_eq!(read(&mut driver, 3, Isolation::Committed).aborted, [aborted], "from within it");
        assert_eq!(read(&mut driver, 0, Isolation::Uncommitted).aborted, []);
        driver = restart(driver, kill);
    }
}

#[test]
fn aborted_transactions_are_told_in_order_and_forgotten_with_what_was_deleted() {
    let mut driver = open();
    let senders = [0, 1, 2].map(|id| Sender { id, ..TRANSACTIONAL });
    senders.iter().for_each(|sender| _ = send(&mut driver, *sender, 0, 1).expect("open"));
    for sender in senders.iter().rev() {
        end(&mut driver, *sender, Outcome::Abort).expect("open");
    }
    let firsts = |data: ReadData| data.aborted.iter().map(|a| a.first_offset).collect::<Vec<_>>();
    for round in 0..3 {
        assert_eq!(firsts(read(&mut driver, 0, Isolation::Committed)), [0, 1, 2], "round {round}");
        assert!(committed(&mut driver).is_empty());
        fill_segments(&mut driver);
        driver = restart(driver, round == 0);
    }
    driver.shard.delete_records(1, 4, common::driver::ANY).expect("open");
    driver.settle();
    assert_eq!(firsts(read(&mut driver, 4, Isolation::Committed)), [0, 1]);
    driver = restart(driver, true);
    assert_eq!(firsts(read(&mut driver, 4, Isolation::Committed)), [0, 1]);
}

#[test]
fn producers_are_described_and_forgotten_after_a_day() {
    let mut driver = open();
    send(&mut driver, IDEMPOTENT, 4, 2).expect("open");
    send(&mut driver, TRANSACTIONAL, 0, 2).expect("open");
    let describe = |driver: &Driver| {
        let infos = driver.shard.producers(1).expect("known");
        infos.iter().map(|p| (p.producer_id, p.last_sequence, p.transaction_start)).collect::<Vec<_>>()
    };
    driver = restart(driver, false);
    assert_eq!(describe(&driver), [(7, Some(5), None), (8, Some(1), Some(2))]);
    assert_eq!(driver.shard.producers(2), Some(Vec::new()));
    assert_eq!(driver.shard.producers(9), None);
    driver.now += 25 * 60 * 60 * 1000;
    driver.pass(20_000);
    assert_eq!(describe(&driver), [(8, Some(1), Some(2))], "with a transaction that is open");
    assert_eq!(send(&mut driver, IDEMPOTENT, 0, 1), Ok(4), "any number may be the first again");
}

#[test]
fn many_producers_take_a_bounded_amount_of_memory() {
    let mut driver = open();
    for id in 0..3000 {
        driver.pass(10);
        send(&mut driver, Sender { id, ..IDEMPOTENT }, 0, 1).expect("open");
    }
    let most = config().segment_bytes as usize / 8 / ringmail_shards::format::states::MAX_PRODUCER_BYTES;
    for kill in [true, false] {
        let known = driver.shard.producers(1).expect("known");
        assert!((most / 2..=most).contains(&known.len()), "{} of {most}", known.len());
        assert_eq!(known.last().map(|p| p.producer_id), Some(2999), "the last are known");
        driver = restart(driver, kill);
    }
}

#[test]
fn states_that_are_damaged_are_made_up_for_by_a_scan() {
    let mut driver = open();
    for batch in 0..3 {
        send(&mut driver, IDEMPOTENT, batch, 1).expect("open");
        send(&mut driver, TRANSACTIONAL, batch, 1).expect("open");
        fill_segments(&mut driver);
    }
    end(&mut driver, TRANSACTIONAL, Outcome::Abort).expect("open");
    driver.close();
    let newest = driver.disk.segments().into_iter().filter_map(|file| {
        let bytes = driver.disk.bytes(file);
        let trailer = Trailer::parse(bytes)?;
        let at = bytes.len() as u64 - trailer.footer_bytes + trailer.states_at();
        (trailer.states_bytes > 0).then_some((trailer.segment, file, at))
    });
    let (_, file, at) = newest.max().expect("sealed segments");
    driver.disk.bytes(file)[at as usize] ^= 1;
    driver = restart(driver, true);
    assert_eq!(driver.damage().len(), 1, "{:?}", driver.damage());
    for batch in 0..3 {
        assert_eq!(send(&mut driver, IDEMPOTENT, batch, 1), Ok(batch as u64 * 2));
    }
    assert_eq!(committed(&mut driver), [0, 2, 4]);
    driver = restart(driver, false);
    assert_eq!(driver.damage().len(), 0, "the segment was sealed again");
    assert_eq!(committed(&mut driver), [0, 2, 4]);
}

/// Model of one log: batches in order, with who has sent them.
#[derive(Debug, Default)]
struct Model {
    /// Next sequence number, and the first offset of an open transaction, by producer.
    producers: BTreeMap<i64, (i32, Option<u64>)>,
    aborted: BTreeSet<u64>,
    data: BTreeMap<u64, u64>,
    end: u64,
}

impl Model {
    fn committed(&self) -> Vec<u64> {
        let open = self.producers.values().filter_map(|(_, first)| *first).min();
        let until = open.unwrap_or(self.end);
        let seen = self.data.range(..until).filter(|(base, _)| !self.aborted.contains(base));
        seen.flat_map(|(base, end)| *base..*end).collect()
    }
}

#[test]
fn a_log_with_many_transactions_is_the_same_after_any_crash() {
    for seed in 1..30 {
        let mut rng = Rng::new(seed);
        let mut driver = open();
        let mut model = Model::default();
        for _ in 0..120 {
            let id = rng.below(4) as i64;
            let sender = Sender { id, epoch: 0, transactional: id < 3 };
            let (next, transaction) = model.producers.entry(id).or_insert((0, None));
            match rng.below(10) {
                0..5 => {
                    let records = 1 + rng.below(3);
                    let base = send(&mut driver, sender, *next, records).expect("open");
                    assert_eq!(base, model.end, "seed {seed}");
                    assert_eq!(send(&mut driver, sender, *next, records), Ok(base), "seed {seed}: again");
                    *next += records as i32;
                    if id < 3 {
                        transaction.get_or_insert(base);
                    }
                    model.end = base + records as u64;
                    model.data.insert(base, model.end);
                }
                5..8 if id < 3 => {
                    let outcome = if rng.chance(2) { Outcome::Abort } else { Outcome::Commit };
                    let at = end(&mut driver, sender, outcome).expect("open");
                    assert_eq!(at, model.end, "seed {seed}");
                    model.end += 1;
                    let first = transaction.take();
                    if let (Some(first), Outcome::Abort) = (first, outcome) {
                        let own = own_batches(&mut driver, id, first, at);
                        model.aborted.extend(own);
                    }
                }
                8 => fill_segments(&mut driver),
                _ => driver = restart(driver, rng.chance(2)),
            }
            if rng.chance(4) {
                assert_eq!(committed(&mut driver), model.committed(), "seed {seed}");
            }
        }
        driver = restart(driver, true);
        assert_eq!(committed(&mut driver), model.committed(), "seed {seed}");
    }
}

/// All stored batches, by what the log holds.
fn stored(driver: &mut Driver) -> Vec<Vec<u8>> {
    let (mut stored, mut next) = (Vec::new(), 0);
    while next < driver.shard.log_state(1).expect("known").high_watermark {
        let data = read(driver, next, Isolation::Uncommitted);
        let batches = data.pieces.iter().flat_map(|piece| Batches::new(piece));
        stored.extend(batches.map(|batch| batch.expect("whole").as_bytes().to_vec()));
        next = data.next_offset;
    }
    stored
}

/// What readers of committed records have to see, told from the stored batches alone.
fn committed_in(stored: &[Vec<u8>]) -> Vec<u64> {
    let mut open: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for bytes in stored {
        let batch = Batch::parse(bytes).expect("whole");
        let offsets = batch.base_offset() as u64..=batch.last_offset() as u64;
        let producer = batch.producer_id().expect("all have one");
        if batch.is_control() {
            let marker = Marker::decode(&batch).expect("whole").expect("a marker");
            let ended = open.remove(&producer).unwrap_or_default();
            seen.extend(ended.into_iter().filter(|_| marker.outcome == Outcome::Commit));
        } else if batch.is_transactional() {
            open.entry(producer).or_default().extend(offsets);
        } else {
            seen.extend(offsets);
        }
    }
    let stable = open.values().filter_map(|offsets| offsets.first()).min().copied();
    seen.into_iter().filter(|offset| stable.is_none_or(|stable| *offset < stable)).collect()
}

/// What a producer has sent and knows no end of.
#[derive(Debug, Default)]
struct InFlight {
    next: i32,
    batches: Vec<(Token, i32, usize)>,
    marker: Option<(Token, Outcome)>,
}

#[test]
fn nothing_is_lost_doubled_or_told_wrongly_after_a_loss_of_power_at_any_moment() {
    for seed in 1..40 {
        let mut rng = Rng::new(seed);
        let mut driver = open();
        let mut senders: [InFlight; 3] = std::array::from_fn(|_| InFlight::default());
        let who = |k: usize| Sender { id: k as i64, epoch: 0, transactional: k > 0 };
        for round in 0..6 {
            if rng.chance(2) {
                fill_segments(&mut driver);
            }
            for _ in 0..30 {
                let k = rng.below(3);
                let sender = &mut senders[k];
                sender.batches.retain(|(token, ..)| !driver.is_acknowledged(*token));
                sender.marker = sender.marker.filter(|(token, _)| !driver.is_acknowledged(*token));
                if sender.marker.is_none() && sender.batches.len() < 5 {
                    let token = driver.token();
                    if k > 0 && sender.batches.is_empty() && rng.chance(3) {
                        let outcome = if rng.chance(2) { Outcome::Abort } else { Outcome::Commit };
                        driver.shard.append_marker(1, marker(who(k), outcome), token).expect("open");
                        sender.marker = Some((token, outcome));
                    } else {
                        let (sequence, records) = (sender.next, 1 + rng.below(3));
                        let batch = who(k).batch(sequence, records);
                        let payload = Payload::Kafka(&batch[..], Origin::Client { produce_version: 12 });
                        driver.shard.append(1, payload, Acks::Synced, token).expect("open");
                        sender.batches.push((token, sequence, records));
                        sender.next += records as i32;
                    }
                }
                for _ in 0..rng.below(3) {
                    driver.pump();
                    if let Some((id, result)) = driver.disk.complete_one(&mut rng) {
                        driver.shard.complete(id, result);
                    }
                }
            }
            driver.pump();
            for sender in &mut senders {
                sender.batches.retain(|(token, ..)| !driver.is_acknowledged(*token));
                sender.marker = sender.marker.filter(|(token, _)| !driver.is_acknowledged(*token));
            }
            driver.disk.crash(&mut rng);
            driver = restart(driver, true);
            for (k, sender) in senders.iter_mut().enumerate() {
                for (_, sequence, records) in std::mem::take(&mut sender.batches) {
                    let sent = send(&mut driver, who(k), sequence, records);
                    assert!(sent.is_ok(), "seed {seed}, round {round}: {sent:?}");
                }
                if let Some((_, outcome)) = sender.marker.take() {
                    end(&mut driver, who(k), outcome).expect("open");
                }
            }
            let stored = stored(&mut driver);
            assert_eq!(committed(&mut driver), committed_in(&stored), "seed {seed}, round {round}");
            for (k, sender) in senders.iter().enumerate() {
                let batches = stored.iter().map(|bytes| Batch::parse(bytes).expect("whole"));
                let own = batches.filter(|b| b.producer_id() == Some(k as i64) && !b.is_control());
                let end = own.fold(0, |next, batch| {
                    assert_eq!(batch.base_sequence(), next, "seed {seed}, round {round}: producer {k}");
                    batch.last_sequence() + 1
                });
                assert_eq!(end, sender.next, "seed {seed}, round {round}: producer {k}");
            }
        }
    }
}

/// The base offsets of a producer's batches in this range.
fn own_batches(driver: &mut Driver, id: i64, first: u64, end: u64) -> Vec<u64> {
    let (mut own, mut next) = (Vec::new(), first);
    while next < end {
        let data = read(driver, next, Isolation::Uncommitted);
        for batch in data.pieces.iter().flat_map(|piece| Batches::new(piece)) {
            let batch = batch.expect("whole");
            let base = batch.base_offset() as u64;
            if batch.producer_id() == Some(id) && !batch.is_control() && base < end {
                own.push(base);
            }
        }
        next = data.next_offset;
    }
    own
}
