//! Records that a program sends one by one through the SDK's `Producer`, on a runtime of one thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ringmail_sdk::{Client, DeliveredBatch, OnDelivery, Producer, ProducerConfig, Record};
use ringmail_wire::batch::{BATCH_HEADER_BYTES, SLOT_BYTES};

use super::closed::{ClosedProducer, RECYCLE, RECYCLE_FILL};
use super::context::{Context, Measured, Measurement};
use super::produce::{BATCH_BYTES, CYCLE, IN_FLIGHT};
use crate::broker::Broker;
use crate::client::Admin;
use crate::error::{Error, Result};
use crate::limits::Limit;
use crate::load::{BatchCycle, Content, Meter, Phase};
use crate::report::Outcome;

const TOPIC: &str = "bench";
const VALUE_BYTES: usize = 100;
/// Different values before they repeat.
const VALUES: u64 = 4096;
/// Every so many records the clock is read, and one record's latency followed.
const SAMPLED: u64 = 128;
const LIMITS: [Limit; 2] = [Limit::DiskWrite, Limit::EchoBandwidth];

pub fn produce_each_100b(ctx: &Context) -> Result<Outcome> {
    let cycle = BatchCycle::build(CYCLE, BATCH_BYTES, VALUE_BYTES);
    let bracket = ctx.bracket(&LIMITS)?;
    let broker = ctx.fresh_broker()?;
    ClosedProducer::create(&broker, "fill", 1, RECYCLE, &cycle, IN_FLIGHT)?.fill(RECYCLE_FILL)?;
    let log = Admin::connect(broker.address())?.create_topic(TOPIC, 1, RECYCLE)?[0];
    let (measured, sent) = send_records(ctx, &broker)?;
    let end = Admin::connect(broker.address())?.end_offset(log)?;
    if end != sent {
        return Err(Error::Content(format!("{sent} records were delivered, but the log ends at {end}")));
    }

    let mut outcome = Outcome::new("produce-each-100b");
    measured.report(&mut outcome, "sent to delivered");
    broker.stop()?;
    outcome.limits = bracket.close()?;
    outcome.compare(outcome.figures.bytes_per_s, &LIMITS);
    outcome.add("value_bytes_per_s", outcome.figures.records_per_s * VALUE_BYTES as f64);
    Ok(outcome)
}

/// Sends until the window has closed and all is delivered; says how many records that were.
fn send_records(ctx: &Context, broker: &Broker) -> Result<(Measured, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::system("start a runtime"))?;
    let window = ctx.window();
    let deliveries = Arc::new(Mutex::new(Deliveries::new(Meter::new(window))));
    let told = Arc::clone(&deliveries);
    let on_delivery = OnDelivery::new(move |batch| locked(&told).take(batch));
    let mut measurement = Measurement::new(broker, window);
    let sent = runtime.block_on(async {
        let client = Client::connect(&broker.address().to_string()).await.map_err(failed)?;
        let config = ProducerConfig { on_delivery: Some(on_delivery), ..ProducerConfig::default() };
        let producer = client.producer_with(TOPIC, config).await.map_err(failed)?;
        let sent = send_until_over(&producer, &mut measurement, &deliveries).await?;
        producer.flush().await.map_err(failed)?;
        Ok(sent)
    })?;
    let mut deliveries = locked(&deliveries);
    if let Some(wrong) = deliveries.wrong.take() {
        return Err(Error::Content(wrong));
    }
    measurement.meter = deliveries.meter.clone();
    Ok((measurement.finish(), sent))
}

async fn send_until_over(
    producer: &Producer,
    measurement: &mut Measurement<'_>,
    deliveries: &Mutex<Deliveries>,
) -> Result<u64> {
    let values = values();
    let mut sent = 0;
    loop {
        let now = Instant::now();
        if measurement.phase(now)? == Phase::Over {
            return Ok(sent);
        }
        locked(deliveries).sampled.push_back((sent, now));
        for _ in 0..SAMPLED {
            let value = &values[(sent % VALUES) as usize * VALUE_BYTES..][..VALUE_BYTES];
            producer.send_wait(Record::new(value)).await.map_err(failed)?;
            sent += 1;
        }
    }
}

/// All values, one after the other.
fn values() -> Vec<u8> {
    let content = Content::new(1, 0, VALUE_BYTES);
    let mut values = Vec::with_capacity(VALUES as usize * VALUE_BYTES);
    (0..VALUES).for_each(|number| content.append(number, &mut values));
    values
}

/// What the producer was told of its batches.
struct Deliveries {
    meter: Meter,
    /// Number of a record, and when it was sent.
    sampled: VecDeque<(u64, Instant)>,
    /// The first delivery that was not as it should be.
    wrong: Option<String>,
}

impl Deliveries {
    fn new(meter: Meter) -> Self {
        Self { meter, sampled: VecDeque::new(), wrong: None }
    }

    /// The only producer of a new partition must get its own sequence as offsets.
    fn take(&mut self, batch: &DeliveredBatch) {
        let now = Instant::now();
        match &batch.result {
            Ok(offset) if *offset == batch.first_sequence => {}
            Ok(offset) => {
                let text = format!("record {} was stored at offset {offset}", batch.first_sequence);
                self.wrong.get_or_insert(text);
            }
            Err(error) => {
                self.wrong.get_or_insert_with(|| error.to_string());
            }
        }
        let records = u64::from(batch.records);
        let bytes = BATCH_HEADER_BYTES as u64 + records * (SLOT_BYTES + VALUE_BYTES) as u64;
        self.meter.add(now, records, bytes);
        let end = batch.first_sequence + records;
        while let Some((_, since)) = self.sampled.pop_front_if(|(number, _)| *number < end) {
            self.meter.time(now, since);
        }
    }
}

/// One thread holds it at a time, and none panics while it does.
fn locked(deliveries: &Mutex<Deliveries>) -> std::sync::MutexGuard<'_, Deliveries> {
    deliveries.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: ringmail_sdk::Error) -> Error {
    Error::Client(format!("failed: {error}"))
}
