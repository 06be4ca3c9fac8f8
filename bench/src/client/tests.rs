//! The client side against a fake broker that errs on purpose.

use std::time::{Duration, Instant};

use super::fake::{self, Fault};
use super::{Admin, Consumer, Producer, Received, wait};
use crate::error::Result;
use crate::load::BatchCycle;

const BATCHES: u64 = 2000;

/// Sends batches to every partition in turn and waits for all acknowledgements; returns how many came.
fn produce(producer: &mut Producer, cycle: &BatchCycle) -> Result<u64> {
    let partitions = u64::from(producer.partitions());
    for sent in 0..BATCHES {
        let partition = (sent % partitions) as u32;
        let batch = cycle.get(partition, sent / partitions).clone();
        producer.send(partition, batch, cycle.records(), Instant::now());
    }
    let mut acknowledged = 0;
    while acknowledged < BATCHES {
        if !producer.exchange(|batch| acknowledged += u64::from(batch.records == cycle.records()))? {
            wait([producer.interest()], Duration::from_secs(1))?;
        }
    }
    Ok(acknowledged)
}

fn consume(consumer: &mut Consumer, cycle: &BatchCycle, partition: u32, end: u64) -> Result<()> {
    consumer.read_to(end, |Received { offset, batch }| cycle.check(partition, offset, &batch))
}

/// Creates a topic, fills it and reads one partition back.
fn round_trip(fault: Fault) -> Result<()> {
    let address = fake::start(fault);
    let cycle = BatchCycle::build(8, 32 << 10, 100);
    let mut admin = Admin::connect(address)?;
    let logs = admin.create_topic("t", 2, Some(1 << 20))?;
    let mut producer = Producer::connect(address, &logs)?;
    assert_eq!(produce(&mut producer, &cycle)?, BATCHES);
    let end = admin.end_offset(logs[1])?;
    assert_eq!((end, producer.next_offset(1)), (BATCHES / 2 * cycle.records(), end));
    consume(&mut Consumer::subscribe(address, logs[1], 0)?, &cycle, 1, end)?;
    let tail = end - 5 * cycle.records();
    consume(&mut Consumer::subscribe(address, logs[1], tail)?, &cycle, 1, end)
}

#[test]
fn everything_comes_back_also_past_the_credit() {
    round_trip(Fault::None).unwrap();
}

#[test]
fn a_wrong_offset_is_noticed() {
    let error = round_trip(Fault::WrongOffset).unwrap_err().to_string();
    assert!(error.contains("was stored at offset 1, not at 0"), "{error}");
}

#[test]
fn a_changed_byte_is_noticed() {
    let error = round_trip(Fault::Damage).unwrap_err().to_string();
    assert!(error.contains("does not hold what was sent"), "{error}");
}

#[test]
fn a_refusal_is_told_in_the_brokers_words() {
    let error = round_trip(Fault::Refuse).unwrap_err().to_string();
    assert!(error.contains("refuses a batch: no"), "{error}");
}

#[test]
fn a_topic_that_is_missing_is_an_error() {
    let mut admin = Admin::connect(fake::start(Fault::None)).unwrap();
    assert!(admin.logs("nothing").unwrap_err().to_string().contains("nothing"));
}
