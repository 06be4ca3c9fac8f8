//! How transactions stand in the log: in Kafka's `TransactionLogKey` and `TransactionLogValue`, so that its tools can read
//! them.
//!
//! Version 1 of the value, which is what is written, has one tagged field that Kafka's does not have and passes over:
//! the epoch before the producer's own. Kafka forgets it in a restart, and then fences a producer that asks again for an
//! answer it missed.

use ringmail_kafka::codec::{DecodeError, Reader, Tags, Wire, Writer};

use super::state::{NO_EPOCH, NO_ID, Partitions, State, Transaction};
use crate::machine::{Producer, Record};

/// The only version of a key.
const KEY_VERSION: i16 = 0;
/// The version of a value that is written. Version 0 is read, too.
const VALUE_VERSION: i16 = 1;
/// The first version with tagged fields.
const FIRST_FLEXIBLE: i16 = 1;

const PREVIOUS_ID_TAG: u32 = 0;
const NEXT_ID_TAG: u32 = 1;
const CLIENT_VERSION_TAG: u32 = 2;
/// Far from the numbers that Kafka will use.
const LAST_EPOCH_TAG: u32 = 10_000;

/// The `transaction.version` from which on every end gives the producer a new epoch.
const BUMPING_VERSION: i16 = 2;

/// Why a record says nothing about a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Its form is another one.
    #[error("its version is {0}")]
    Version(i16),
    /// It is cut off, or a length in it is wrong.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It goes on where it should end.
    #[error("it goes on for {0} bytes behind its end")]
    Trailing(usize),
    /// A field has a value that is never stored.
    #[error("`{0}` is {1}")]
    Field(&'static str, i64),
}

/// The key of a transactional id.
pub fn encode_key(id: &str) -> Vec<u8> {
    let mut key = KEY_VERSION.to_be_bytes().to_vec();
    Writer::new(&mut key, KEY_VERSION, false).string(id);
    key
}

/// The transactional id of a key.
///
/// # Errors
/// See [`RecordError`].
pub fn decode_key(key: &[u8]) -> Result<&str, RecordError> {
    let mut r = Reader::new(key, KEY_VERSION, false);
    r.at_field("version");
    match r.i16()? {
        KEY_VERSION => {}
        version => return Err(RecordError::Version(version)),
    }
    r.at_field("transactional_id");
    let id = r.string()?;
    at_end(&r)?;
    Ok(id)
}

/// The value of a transaction.
pub fn encode_value(transaction: &Transaction) -> Vec<u8> {
    let mut value = VALUE_VERSION.to_be_bytes().to_vec();
    let mut w = Writer::new(&mut value, VALUE_VERSION, true);
    w.i64(transaction.producer.id);
    w.i16(transaction.producer.epoch);
    w.i32(transaction.timeout_ms);
    w.i8(transaction.state as i8);
    // Kafka has none here for a producer that only began.
    match transaction.state {
        State::Empty => w.length(None),
        _ => write_partitions(&mut w, &transaction.partitions),
    }
    w.i64(transaction.updated_ms);
    w.i64(transaction.started_ms);
    let mut tags = Tags::new();
    let mut tag = |w: &Writer<'_>, tag, value: i64| {
        if value != NO_ID {
            tags.put(w, tag, &value);
        }
    };
    tag(&w, PREVIOUS_ID_TAG, transaction.previous_id);
    tag(&w, NEXT_ID_TAG, transaction.next_id);
    if transaction.ends_bump {
        tags.put(&w, CLIENT_VERSION_TAG, &BUMPING_VERSION);
    }
    if transaction.last_epoch != NO_EPOCH {
        tags.put(&w, LAST_EPOCH_TAG, &transaction.last_epoch);
    }
    tags.finish(&mut w);
    value
}

fn write_partitions(w: &mut Writer<'_>, topics: &Partitions) {
    w.length(Some(topics.len()));
    for (topic, partitions) in topics {
        w.string(topic);
        w.length(Some(partitions.len()));
        partitions.iter().for_each(|partition| w.i32(*partition));
        w.no_tags();
    }
}

/// The transaction of a value.
///
/// # Errors
/// See [`RecordError`].
pub fn decode_value(value: &[u8]) -> Result<Transaction, RecordError> {
    let mut r = Reader::new(value, VALUE_VERSION, false);
    r.at_field("version");
    let version = r.i16()?;
    if !(0..=VALUE_VERSION).contains(&version) {
        return Err(RecordError::Version(version));
    }
    let mut r = Reader::new(r.rest(), version, version >= FIRST_FLEXIBLE);
    r.at_field("value");
    let producer =
        Producer { id: field("producer_id", r.i64()?)?, epoch: field("producer_epoch", r.i16()?)? };
    let timeout_ms = field("transaction_timeout_ms", r.i32()?)?;
    let status = r.i8()?;
    let state = State::from_number(status).ok_or(RecordError::Field("transaction_status", status.into()))?;
    let partitions = read_partitions(&mut r)?;
    let mut transaction = Transaction {
        producer,
        timeout_ms,
        state,
        partitions,
        updated_ms: r.i64()?,
        started_ms: r.i64()?,
        last_epoch: NO_EPOCH,
        previous_id: NO_ID,
        next_id: NO_ID,
        ends_bump: false,
    };
    r.tags(|tag, r| read_tag(&mut transaction, tag, r))?;
    at_end(&r)?;
    // These are ids of producers, or none.
    for (name, id) in
        [("previous_producer_id", transaction.previous_id), ("next_producer_id", transaction.next_id)]
    {
        if id < NO_ID {
            return Err(RecordError::Field(name, id));
        }
    }
    // A transaction that is not under way has none; so nothing else has to ask for the state first.
    if state.is_idle() {
        transaction.partitions.clear();
    }
    Ok(transaction)
}

fn read_tag(transaction: &mut Transaction, tag: u32, r: &mut Reader<'_>) -> Result<(), DecodeError> {
    match tag {
        PREVIOUS_ID_TAG => transaction.previous_id = r.i64()?,
        NEXT_ID_TAG => transaction.next_id = r.i64()?,
        CLIENT_VERSION_TAG => transaction.ends_bump = r.i16()? >= BUMPING_VERSION,
        LAST_EPOCH_TAG => transaction.last_epoch = r.i16()?,
        _ => {}
    }
    Ok(())
}

fn read_partitions(r: &mut Reader<'_>) -> Result<Partitions, RecordError> {
    let mut topics = Partitions::new();
    r.at_field("transaction_partitions");
    for _ in 0..r.nullable_count()?.unwrap_or(0) {
        let topic = r.string()?.to_owned();
        let partitions = topics.entry(topic).or_default();
        for partition in Vec::<i32>::read(r)? {
            partitions.insert(field("partition_ids", partition)?);
        }
        r.skip_tags()?;
    }
    Ok(topics)
}

/// A number that is never negative.
fn field<T: Copy + Into<i64>>(name: &'static str, value: T) -> Result<T, RecordError> {
    let number: i64 = value.into();
    if number < 0 { Err(RecordError::Field(name, number)) } else { Ok(value) }
}

fn at_end(r: &Reader<'_>) -> Result<(), RecordError> {
    match r.rest().len() {
        0 => Ok(()),
        length => Err(RecordError::Trailing(length)),
    }
}

/// The record of a transaction, or the tombstone of a transactional id.
pub(super) fn record(id: &str, transaction: Option<&Transaction>) -> Record {
    Record { key: encode_key(id), value: transaction.map(encode_value) }
}
