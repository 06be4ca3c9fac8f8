//! What partitions are to hold: every batch that was ever sent, and where it was found.

use crate::check::{Check, ensure, violated};
use ringmail_wire::batch::{Batch, BatchBuilder, Batches, Compression};
use ringmail_wire::protocol::{Acks, LogId};
use std::collections::BTreeMap;

/// Bytes at the front of each value: the number of its batch.
const NUMBER_BYTES: usize = 8;

/// Steps that are taken to find a neighbour whose place is known.
const NEIGHBOURS: usize = 8;

/// A batch that a client has sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub log: LogId,
    pub acks: Acks,
    records: u32,
    crc: u32,
    /// Its base offset, once that is known: it can never be found elsewhere.
    base: Option<u64>,
    /// The broker has said that it is not stored.
    refused: bool,
    /// The batches before and after it, of the same connection to the same log.
    before: Option<usize>,
    after: Option<usize>,
}

/// Whether a log exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Live,
    /// Its deletion was asked for, and what came of that is not known.
    Doubtful,
    Gone,
}

/// A partition's log.
#[derive(Debug)]
pub(super) struct Log {
    pub shard: u16,
    pub status: Status,
    /// Which batch stands at which offset.
    places: BTreeMap<u64, usize>,
    /// What ends here or before was acknowledged as durable, or served.
    pub durable_end: u64,
    /// What ends here or before was acknowledged as written at least.
    pub written_end: u64,
    /// Records before this one are deleted for good.
    pub start_durable: u64,
    /// The start that was seen last.
    pub start: u64,
    /// The greatest start that was asked for.
    pub start_asked: u64,
    /// Whether its retention may delete what is old.
    pub retains: bool,
    /// When records up to which offset were known to be durable first; microseconds.
    known: Vec<(u64, u64)>,
}

/// What was known of a log when a request was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub status: Status,
    pub durable_end: u64,
    pub start_durable: u64,
}

impl Log {
    /// A log on this shard, and whether records may go by retention.
    pub fn new(shard: u16, retains: bool) -> Self {
        Self {
            shard,
            status: Status::Live,
            places: BTreeMap::new(),
            durable_end: 0,
            written_end: 0,
            start_durable: 0,
            start: 0,
            start_asked: 0,
            retains,
            known: Vec::new(),
        }
    }

    pub fn known(&self) -> Known {
        Known { status: self.status, durable_end: self.durable_end, start_durable: self.start_durable }
    }

    /// Records up to `end` are durable.
    pub fn is_durable(&mut self, end: u64, now_us: u64) {
        if end > self.durable_end {
            self.durable_end = end;
            self.known.push((now_us, end));
        }
    }

    /// When it was first known that there are durable records from `offset` on.
    pub fn known_since(&self, offset: u64) -> Option<u64> {
        let at = self.known.partition_point(|(_, end)| *end <= offset);
        self.known.get(at).map(|(at_us, _)| *at_us)
    }

    /// Whether the record at `offset` may be deleted by now.
    pub fn may_lack(&self, offset: u64) -> bool {
        offset < self.start_asked || self.retains
    }

    /// Its start is at `start`, as the broker says.
    pub fn starts_at(&mut self, log: LogId, start: u64) {
        ensure(start <= self.start_asked || self.retains, Check::Deleted, || {
            format!("log {log} begins at {start}: only {} was asked for", self.start_asked)
        });
        self.start = self.start.max(start);
    }
}

/// All logs and batches.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub logs: BTreeMap<LogId, Log>,
    sent: Vec<Sent>,
    scratch: Vec<u8>,
    /// Batches that were read.
    pub served: u64,
}

impl Records {
    pub fn log(&mut self, log: LogId) -> &mut Log {
        self.logs.get_mut(&log).expect("clients use logs that they have learned of")
    }

    pub fn sent(&self, number: usize) -> &Sent {
        &self.sent[number]
    }

    /// Makes a batch of values that say where they belong; its number, and its bytes.
    pub fn make(
        &mut self,
        to: (LogId, Acks),
        values: &[usize],
        now_ms: i64,
        before: Option<usize>,
        bytes: &mut Vec<u8>,
    ) -> usize {
        let number = self.sent.len();
        let mut builder = BatchBuilder::new(16 << 20, Compression::None);
        for (index, length) in values.iter().enumerate() {
            self.scratch.clear();
            self.scratch.extend_from_slice(&(number as u64).to_le_bytes());
            self.scratch.resize(NUMBER_BYTES + length, index as u8);
            builder
                .push(now_ms, None, Some(&self.scratch), &[])
                .expect("batches are far smaller than the limit");
        }
        builder.finish_into(bytes);
        let crc = Batch::parse(bytes).expect("it was built a moment ago").crc();
        if let Some(before) = before {
            self.sent[before].after = Some(number);
        }
        let (log, acks) = to;
        let (records, after) = (values.len() as u32, None);
        self.sent.push(Sent { log, acks, records, crc, base: None, refused: false, before, after });
        number
    }

    /// The broker has answered that the batch is stored at `base`.
    pub fn acknowledged(&mut self, number: usize, base: u64, now_us: u64) {
        let Sent { log, acks, records, .. } = self.sent[number];
        self.place(number, base);
        let end = base + u64::from(records);
        let log = self.log(log);
        log.written_end = log.written_end.max(end);
        if acks == Acks::Synced {
            log.is_durable(end, now_us);
        }
    }

    /// The broker has answered that the batch is not stored.
    pub fn refused(&mut self, number: usize) {
        let sent = &mut self.sent[number];
        ensure(sent.base.is_none(), Check::Phantom, || {
            format!("batch {number} was refused, and stands at {:?} of log {}", sent.base, sent.log)
        });
        sent.refused = true;
    }

    fn place(&mut self, number: usize, base: u64) {
        let sent = &mut self.sent[number];
        let log = sent.log;
        ensure(!sent.refused, Check::Phantom, || {
            format!("log {log}: batch {number} was refused, and stands at {base}")
        });
        if let Some(other) = sent.base {
            ensure(other == base, Check::Duplicated, || {
                format!("log {log}: batch {number} stands at {other} and at {base}")
            });
        }
        let is_new = sent.base.replace(base).is_none();
        let end = base + u64::from(sent.records);
        if is_new {
            self.check_order(number, base);
        }
        let places = &mut self.logs.get_mut(&log).expect("a batch is sent to a log that is known").places;
        if let Some((&at, &there)) = places.range(..end).next_back()
            && there != number
        {
            let there_end = at + u64::from(self.sent[there].records);
            ensure(there_end <= base, Check::Reordered, || {
                format!(
                    "log {log}: batch {number} stands at {base}..{end}, where batch {there} is, at {at}..{there_end}"
                )
            });
        }
        places.insert(base, number);
    }

    /// Batches of one connection to one log keep their order.
    fn check_order(&self, number: usize, base: u64) {
        let neighbour = |next: fn(&Sent) -> Option<usize>| {
            let mut at = next(&self.sent[number]);
            for _ in 0..NEIGHBOURS {
                let other = at?;
                if let Some(base) = self.sent[other].base {
                    return Some((other, base));
                }
                at = next(&self.sent[other]);
            }
            None
        };
        let words = |other: (usize, u64)| {
            format!("batch {number} stands at {base}, and batch {} at {}", other.0, other.1)
        };
        if let Some(before) = neighbour(|sent| sent.before) {
            ensure(before.1 < base, Check::Reordered, || words(before));
        }
        if let Some(after) = neighbour(|sent| sent.after) {
            ensure(after.1 > base, Check::Reordered, || words(after));
        }
    }

    /// Checks batches that a read from `offset` of a log gave; gives where to read on.
    pub fn served(&mut self, log: LogId, offset: u64, bytes: &[u8], now_us: u64) -> u64 {
        let mut next = offset;
        for (count, batch) in Batches::new(bytes).enumerate() {
            let parsed = batch.map_err(|error| error.to_string());
            let checked =
                parsed.and_then(|batch| batch.check().map(|()| batch).map_err(|error| error.to_string()));
            let batch = checked.unwrap_or_else(|error| {
                violated(Check::Phantom, format!("log {log} at {next}: what is served is no batch: {error}"))
            });
            let base = batch.base_offset();
            let end = base + u64::from(batch.record_count());
            let follows = if count == 0 { base <= next && end > next } else { base == next };
            ensure(follows, if base < next { Check::Duplicated } else { Check::Reordered }, || {
                format!("log {log}: a read from {offset} gives {base}..{end} where {next} is due")
            });
            let number = self.identify(log, &batch);
            self.place(number, base);
            next = end;
            self.served += 1;
        }
        self.log(log).is_durable(next, now_us);
        next
    }

    /// Which batch this is.
    fn identify(&mut self, log: LogId, batch: &Batch<'_>) -> usize {
        let base = batch.base_offset();
        let phantom =
            |words: String| -> ! { violated(Check::Phantom, format!("log {log} at {base}: {words}")) };
        let opened = batch.open(&mut self.scratch).unwrap_or_else(|error| phantom(error.to_string()));
        let record = opened.iter().next().expect("a batch has a record");
        let number = record.value.and_then(|value| value.first_chunk::<NUMBER_BYTES>());
        let number = number.map_or(usize::MAX, |bytes| u64::from_le_bytes(*bytes) as usize);
        let Some(sent) = self.sent.get(number) else { phantom("nobody has sent this batch".into()) };
        if sent.log != log {
            phantom(format!("batch {number} was sent to log {}", sent.log));
        }
        if (sent.crc, sent.records) != (batch.crc(), batch.record_count()) {
            phantom(format!("batch {number} has other bytes than were sent"));
        }
        number
    }

    /// The log of a shard was closed in order: all of it is durable.
    pub fn closed(&mut self, shard: u16) {
        for log in self.logs.values_mut().filter(|log| log.shard == shard) {
            log.durable_end = log.durable_end.max(log.written_end);
        }
    }

    /// The node has ended: what was neither acknowledged as durable nor served may be gone. `keeps_written` says of which
    /// shards the disks have what was written: their machine stayed up.
    pub fn ended(&mut self, keeps_written: impl Fn(u16) -> bool) {
        let sent = &self.sent;
        for log in self.logs.values_mut() {
            if !keeps_written(log.shard) {
                log.written_end = log.durable_end;
            }
            log.start = log.start_durable;
            let kept = log.durable_end.max(log.written_end);
            log.places.retain(|base, number| base + u64::from(sent[*number].records) <= kept);
            log.known.clear();
            log.known.push((0, log.durable_end));
        }
    }
}
