//! What a footer says of producers and transactions, so that start-up need not look at what they have sent.
//!
//! LEB128 numbers, for each log that has producers or aborted transactions, in the order of the logs:
//!
//! ```text
//! log
//! producers     how many, then for each: id, epoch (zigzag), coordinator epoch (zigzag), when it was last heard of, offset at
//!               which its open transaction begins plus 1 (0 for none), how many batches, then for each: first sequence number,
//!               last, base offset, timestamp (zigzag)
//! aborted       how many, then for each: producer id, first offset, offset of the marker, offset before which all was stable then
//! ```
//!
//! then the CRC-32C (u32) of a section that stands where they do.

use super::footer::section_crc;
use super::varint::{put_varint, take_varint, unzigzag, zigzag};
use super::{MAX_NUMBER, field};

/// The most bytes that a producer takes.
pub const MAX_PRODUCER_BYTES: usize = 9 + 3 + 5 + 10 + 10 + 1 + 5 * (5 + 5 + 9 + 10);
/// The most bytes that an aborted transaction takes.
pub const MAX_ABORTED_BYTES: usize = 4 * 9;
/// The most bytes that a log takes besides.
pub const MAX_LOG_BYTES: usize = 10 + 5 + 5;

/// A batch that a producer has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentBatch {
    /// The sequence number of its first record.
    pub first: i32,
    /// That of its last.
    pub last: i32,
    /// Its base offset.
    pub base_offset: u64,
    /// Its greatest timestamp, milliseconds since the Unix epoch.
    pub timestamp: i64,
}

/// A producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The epoch of the coordinator that ended its last transaction; -1 if there was none.
    pub coordinator_epoch: i32,
    /// When it was last heard of, milliseconds since the Unix epoch.
    pub used_ms: u64,
    /// The offset at which its open transaction begins.
    pub transaction: Option<u64>,
    /// Its last batches of this epoch, in order.
    pub sent: Vec<SentBatch>,
}

impl ProducerState {
    /// One that has sent nothing.
    pub fn new(id: i64, epoch: i16) -> Self {
        Self { id, epoch, coordinator_epoch: -1, used_ms: 0, transaction: None, sent: Vec::new() }
    }
}

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedState {
    /// Whose it was.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first: u64,
    /// That of its marker.
    pub last: u64,
    /// Transactions that ended later have begun at this offset or behind it.
    pub stable: u64,
}

/// What is said of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStates {
    /// Which.
    pub log: u64,
    /// Its producers, in the order of their ids.
    pub producers: Vec<ProducerState>,
    /// Transactions that were aborted, in the order of their markers.
    pub aborted: Vec<AbortedState>,
}

/// Appends what is said of a log.
pub fn put_states(out: &mut Vec<u8>, states: &LogStates) {
    put_varint(out, states.log);
    put_varint(out, states.producers.len() as u64);
    for producer in &states.producers {
        put_varint(out, producer.id as u64);
        put_varint(out, zigzag(producer.epoch.into()));
        put_varint(out, zigzag(producer.coordinator_epoch.into()));
        put_varint(out, producer.used_ms);
        put_varint(out, producer.transaction.map_or(0, |first| first + 1));
        put_varint(out, producer.sent.len() as u64);
        for sent in &producer.sent {
            put_varint(out, sent.first as u64);
            put_varint(out, sent.last as u64);
            put_varint(out, sent.base_offset);
            put_varint(out, zigzag(sent.timestamp));
        }
    }
    put_varint(out, states.aborted.len() as u64);
    for aborted in &states.aborted {
        put_varint(out, aborted.producer_id as u64);
        put_varint(out, aborted.first);
        put_varint(out, aborted.last);
        put_varint(out, aborted.stable);
    }
}

/// Reads what is said in the states of the footer of `segment`, which begin at `states_at`; `None` if they are broken.
pub fn parse_states(states: &[u8], segment: u64, states_at: u64) -> Option<Vec<LogStates>> {
    let (mut bytes, crc) = states.split_at_checked(states.len().checked_sub(4)?)?;
    if section_crc(bytes, segment, states_at as u32) != field!(crc, 0, u32) {
        return None;
    }
    let mut logs: Vec<LogStates> = Vec::new();
    while !bytes.is_empty() {
        let states = take_log(&mut bytes)?;
        // Each log is there once, and only if there is something to say.
        let follows = logs.last().is_none_or(|last| last.log < states.log);
        if !follows || states.producers.is_empty() && states.aborted.is_empty() {
            return None;
        }
        logs.push(states);
    }
    Some(logs)
}

fn take_log(bytes: &mut &[u8]) -> Option<LogStates> {
    let log = take_varint(bytes)?;
    // No memory is taken for what a count says: each thing that is counted takes bytes.
    let mut states = LogStates { log, producers: Vec::new(), aborted: Vec::new() };
    for _ in 0..take_varint(bytes)? {
        states.producers.push(take_producer(bytes)?);
    }
    for _ in 0..take_varint(bytes)? {
        states.aborted.push(AbortedState {
            producer_id: take_id(bytes)?,
            first: take_offset(bytes)?,
            last: take_offset(bytes)?,
            stable: take_offset(bytes)?,
        });
    }
    Some(states)
}

fn take_producer(bytes: &mut &[u8]) -> Option<ProducerState> {
    let mut producer = ProducerState {
        id: take_id(bytes)?,
        epoch: i16::try_from(unzigzag(take_varint(bytes)?)).ok()?,
        coordinator_epoch: i32::try_from(unzigzag(take_varint(bytes)?)).ok()?,
        used_ms: take_varint(bytes)?,
        transaction: take_offset(bytes)?.checked_sub(1),
        sent: Vec::new(),
    };
    for _ in 0..take_varint(bytes)? {
        producer.sent.push(SentBatch {
            first: i32::try_from(take_varint(bytes)?).ok()?,
            last: i32::try_from(take_varint(bytes)?).ok()?,
            base_offset: take_offset(bytes)?,
            timestamp: unzigzag(take_varint(bytes)?),
        });
    }
    Some(producer)
}

fn take_id(bytes: &mut &[u8]) -> Option<i64> {
    i64::try_from(take_varint(bytes)?).ok()
}

fn take_offset(bytes: &mut &[u8]) -> Option<u64> {
    take_varint(bytes).filter(|offset| *offset <= MAX_NUMBER)
}
