//! From the bytes of a read to its batches.

use crate::damage::Damage;
use crate::format::entry::{ENTRY_HEADER_BYTES, EntryHeader, EntryKind, PayloadCodec};
use crate::reads::Piece;
use bytes::{Bytes, BytesMut};
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
    pub damage: Option<Damage>,
}

/// Cuts pieces into batches.
pub(crate) fn batches(pieces: &[Piece], limits: Limits) -> Assembled {
    let mut out =
        Assembled { pieces: Vec::with_capacity(16), bytes: 0, next_offset: limits.from, damage: None };
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
        out.next_offset = entry.end_offset();
        true
    });
    if !small.is_empty() {
        out.pieces.push(small.freeze());
    }
    out.damage = walked.err();
    out
}

/// The offset of the first record with this timestamp or a later one.
pub(crate) fn find_time(pieces: &[Piece], limits: Limits, timestamp: i64) -> (Option<u64>, Option<Damage>) {
    let mut found = None;
    let walked = walk(pieces, limits, |entry, data, at| {
        if entry.max_timestamp < timestamp {
            return true;
        }
        let payload = &data[at + ENTRY_HEADER_BYTES..at + ENTRY_HEADER_BYTES + entry.payload_bytes as usize];
        found = Some(first_record_from(entry, payload, timestamp).max(limits.from));
        false
    });
    (found, walked.err())
}

fn first_record_from(entry: &EntryHeader, payload: &[u8], timestamp: i64) -> u64 {
    if entry.codec != PayloadCodec::Ringmail {
        return entry.base_offset;
    }
    let within = Batch::parse(payload).ok().and_then(|batch| batch.first_at_or_after(timestamp));
    entry.base_offset + within.unwrap_or(0)
}

/// Gives the entries that are wanted to `each`, in order, until it returns `false`.
pub(crate) fn walk(
    pieces: &[Piece],
    limits: Limits,
    mut each: impl FnMut(&EntryHeader, &Bytes, usize) -> bool,
) -> Result<(), Damage> {
    let mut next = limits.from;
    for piece in pieces {
        let data = piece.data.as_ref().expect("a read is assembled once all its pieces are there");
        for run in &piece.runs {
            let mut at = (run.position - piece.position) as usize;
            let end = at + run.bytes as usize;
            let broken = |at: usize, reason: String| Damage {
                file: piece.file,
                segment: Some(piece.segment),
                position: piece.position + at as u64,
                bytes: (end - at) as u64,
                reason,
            };
            while at < end {
                let bytes =
                    data.get(at..end).ok_or_else(|| broken(at, "the file ends before the entry".into()))?;
                let entry = EntryHeader::parse(bytes).map_err(|e| broken(at, e.to_string()))?;
                // Between the entries of a run others may stand, of other logs or of other parts of this one.
                let of_run = entry.kind == EntryKind::Records
                    && entry.log == limits.log
                    && entry.base_offset < run.end.min(limits.until);
                if of_run && entry.end_offset() > next {
                    if entry.base_offset > next {
                        return Err(broken(at, format!("offset {next} is missing")));
                    }
                    if piece.from_disk {
                        entry.payload(bytes).map_err(|e| broken(at, e.to_string()))?;
                    }
                    if !each(&entry, data, at) {
                        return Ok(());
                    }
                    next = entry.end_offset();
                }
                at += entry.entry_bytes();
            }
            if next < run.end.min(limits.until) {
                return Err(broken(
                    (run.position - piece.position) as usize,
                    format!("offset {next} is missing"),
                ));
            }
        }
    }
    Ok(())
}
