//! From the bytes of a read to its batches.

use crate::damage::Damage;
use crate::format::entry::{ENTRY_HEADER_BYTES, EntryHeader, EntryKind, PayloadCodec};
use crate::format::frame::{FoundEntry, resume};
use crate::reads::{Piece, PlannedRun};
use bytes::{Bytes, BytesMut};
use ringmail_kafka::batch as kafka;
use ringmail_wire::batch::Batch;

/// Batches below this size are copied together; larger ones are handed out where they are.
const COPY_BELOW: usize = 4096;

/// What of the entries is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub log: u64,
    pub from: u64,
    pub until: u64,
    pub max_bytes: usize,
}

/// Batches, in order and without a gap, as far as they are whole.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub pieces: Vec<Bytes>,
    pub bytes: usize,
    pub next_offset: u64,
    /// Whether batches of Kafka are among them.
    pub kafka: bool,
    pub damage: Option<Damage>,
}

/// Cuts pieces into batches.
pub(crate) fn batches(pieces: &[Piece], limits: Limits) -> Assembled {
    let mut out = Assembled {
        pieces: Vec::with_capacity(16),
        bytes: 0,
        next_offset: limits.from,
        kafka: false,
        damage: None,
    };
    let mut small = BytesMut::new();
    let walked = walk(pieces, limits, |entry, data, at| {
        let bytes = entry.payload_bytes as usize;
        if out.bytes > 0 && out.bytes + bytes > limits.max_bytes {
            return false;
        }
        let payload = at + ENTRY_HEADER_BYTES..at + ENTRY_HEADER_BYTES + bytes;
        if bytes < COPY_BELOW {
            small.extend_from_slice(&data[payload]);
        } else {
            if !small.is_empty() {
                out.pieces.push(small.split().freeze());
            }
            out.pieces.push(data.slice(payload));
        }
        out.bytes += bytes;
        out.kafka |= entry.codec == PayloadCodec::Kafka;
        out.next_offset = entry.end_offset();
        true
    });
    if !small.is_empty() {
        out.pieces.push(small.freeze());
    }
    out.damage = walked.err();
    out
}

/// The offset and the timestamp of the first record with this timestamp or a later one.
pub(crate) fn find_time(
    pieces: &[Piece],
    limits: Limits,
    timestamp: i64,
) -> (Option<(u64, i64)>, Option<Damage>) {
    let mut found = None;
    let walked = walk(pieces, limits, |entry, data, at| {
        if entry.max_timestamp < timestamp {
            return true;
        }
        let payload = &data[at + ENTRY_HEADER_BYTES..at + ENTRY_HEADER_BYTES + entry.payload_bytes as usize];
        found = first_record(entry, payload, timestamp, limits.from);
        found.is_none()
    });
    (found, walked.err())
}

/// The first record of an entry, from offset `from` on, with this timestamp or a later one. What made the entry a candidate
/// may stand before the log's start.
fn first_record(entry: &EntryHeader, payload: &[u8], timestamp: i64, from: u64) -> Option<(u64, i64)> {
    match entry.codec {
        PayloadCodec::None => None,
        PayloadCodec::Ringmail => {
            let skipped = from.saturating_sub(entry.base_offset);
            let (within, timestamp) = Batch::parse(payload).ok()?.first_at_or_after(timestamp, skipped)?;
            Some((entry.base_offset + within, timestamp))
        }
        PayloadCodec::Kafka => {
            let batch = kafka::Batch::parse(payload).ok()?;
            let mut scratch = Vec::new();
            let Ok(open) = batch.open(&mut scratch, kafka::MAX_RECORDS_BYTES) else {
                // Producers may send what does not decompress: who seeks to its time is to find the batch.
                return Some((entry.base_offset.max(from), entry.max_timestamp));
            };
            let mut records = open.records().map_while(Result::ok);
            let found = records.find(|r| r.offset as u64 >= from && r.timestamp >= timestamp)?;
            Some((found.offset as u64, found.timestamp))
        }
    }
}

/// Gives the entries that are wanted to `each`, in order, until it returns `false`.
pub(crate) fn walk(
    pieces: &[Piece],
    limits: Limits,
    mut each: impl FnMut(&EntryHeader, &Bytes, usize) -> bool,
) -> Result<(), Damage> {
    let mut next = limits.from;
    for piece in pieces {
        for run in &piece.runs {
            // Between two runs only what is given up is missing.
            match walk_run(piece, run, limits, next.max(run.first), &mut each)? {
                Some(after) => next = after,
                None => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Goes through one run, from offset `next` on; gives the offset after it, or `None` if `each` wants no more.
fn walk_run(
    piece: &Piece,
    run: &PlannedRun,
    limits: Limits,
    mut next: u64,
    each: &mut impl FnMut(&EntryHeader, &Bytes, usize) -> bool,
) -> Result<Option<u64>, Damage> {
    let data = piece.data.as_ref().expect("a read is assembled once all its pieces are there");
    let start = (run.position - piece.position) as usize;
    let end = start + run.bytes as usize;
    let until = run.end.min(limits.until);
    let broken = |at: usize, reason: String| Damage {
        file: piece.file,
        segment: Some(piece.segment),
        position: piece.position + at as u64,
        bytes: (end - at) as u64,
        reason,
    };
    let bytes = data.get(..end).ok_or_else(|| broken(start, "the file ends before the entry".into()))?;
    // What stands where an entry should may be a copy of what belongs elsewhere, and lead past the entries that are here: if
    // nothing fits behind it, it is looked for once from the start.
    let mut from_start = Some(start);
    let mut resume_at = |at: usize, next: u64| {
        let rest = |found: &[FoundEntry]| holds_rest(found, limits.log, run.first, next, run.end);
        resume(bytes, at, rest).or_else(|| resume(bytes, from_start.take()?, rest))
    };
    let mut at = start;
    loop {
        if at >= end && next >= until {
            return Ok(Some(next));
        }
        if at >= end {
            at = resume_at(at, next).ok_or_else(|| broken(start, format!("offset {next} is missing")))?;
            continue;
        }
        let entry = match EntryHeader::parse(&bytes[at..]) {
            Ok(entry) => entry,
            Err(error) => {
                at = resume_at(at, next).ok_or_else(|| broken(at, error.to_string()))?;
                continue;
            }
        };
        // Between the entries of a run others may stand, of other logs or of other parts of this one.
        let of_run = is_of(&entry, limits.log) && entry.base_offset < until;
        if of_run && entry.end_offset() > next {
            if entry.base_offset > next {
                // It may be a copy of what belongs elsewhere.
                let missing = || broken(at, format!("offset {next} is missing"));
                at = resume_at(at, next).ok_or_else(missing)?;
                continue;
            }
            if piece.from_disk {
                entry.payload(&bytes[at..]).map_err(|e| broken(at, e.to_string()))?;
            }
            if !each(&entry, data, at) {
                return Ok(None);
            }
            next = entry.end_offset();
        }
        at += entry.entry_bytes();
    }
}

fn is_of(entry: &EntryHeader, log: u64) -> bool {
    entry.kind == EntryKind::Records && entry.log == log
}

/// Whether the entries of `log` among those found behind a broken one are all that a run holds from offset `next` on,
/// without a gap: what was broken is then of no concern.
fn holds_rest(found: &[FoundEntry], log: u64, first: u64, next: u64, end: u64) -> bool {
    let of_run = |e: &&EntryHeader| is_of(e, log) && (first..end).contains(&e.base_offset);
    let mut entries = found.iter().map(|(entry, _)| entry).filter(of_run);
    let Some(head) = entries.next() else { return next >= end };
    let last = entries.try_fold(head.end_offset(), |at, e| (e.base_offset == at).then_some(e.end_offset()));
    head.base_offset <= next && last == Some(end)
}
