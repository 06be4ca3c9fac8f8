//! One frame: its entries, their checksums and batches, and its padding.

use ringmail_shards::format::entry::{ENTRY_HEADER_BYTES, EntryHeader, EntryKind, PayloadCodec};
use ringmail_shards::format::frame::FRAME_HEADER_BYTES;
use ringmail_shards::scan::FoundFrame;
use ringmail_wire::batch::Batch;

use super::findings::Offsets;

/// Something wrong in a frame: where, from its start, with which entry, and what.
pub(super) type Flaw = (usize, Option<Offsets>, String);

/// The offsets of an entry.
pub(super) fn offsets(entry: &EntryHeader) -> Offsets {
    Offsets { log: entry.log, from: entry.base_offset, end: entry.end_offset() }
}

/// All that is wrong in a frame of which `data` are the bytes.
pub(super) fn flaws(frame: &FoundFrame, data: &[u8]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for (entry, at) in &frame.entries {
        let found = check_entry(entry, data.get(*at..).unwrap_or_default());
        flaws.extend(found.into_iter().map(|(within, what)| (at + within, Some(offsets(entry)), what)));
    }
    if let (Some(wrong), true) = (frame.wrong, flaws.is_empty()) {
        flaws.push((0, None, wrong.to_string()));
    }
    let missing = (frame.header.entries as usize).saturating_sub(frame.entries.len());
    if missing > 0 {
        flaws.push((0, None, format!("{missing} of {} entries are lost", frame.header.entries)));
    }
    let end = FRAME_HEADER_BYTES + frame.header.body_bytes as usize;
    if let Some(at) = not_zero(data, end, frame.header.frame_bytes()) {
        flaws.push((at, None, "the padding of the frame is not zero".to_owned()));
    }
    flaws
}

fn check_entry(entry: &EntryHeader, data: &[u8]) -> Vec<(usize, String)> {
    let payload = match entry.payload(data) {
        Ok(payload) => payload,
        Err(error) => return vec![(0, error.to_string())],
    };
    let mut flaws = Vec::new();
    let end = ENTRY_HEADER_BYTES + payload.len();
    if let Some(at) = not_zero(data, end, entry.entry_bytes()) {
        flaws.push((at, "the padding of the entry is not zero".to_owned()));
    }
    if entry.kind == EntryKind::Records && entry.codec == PayloadCodec::Ringmail {
        flaws.extend(check_batch(entry, payload).err().map(|what| (ENTRY_HEADER_BYTES, what)));
    }
    flaws
}

fn check_batch(entry: &EntryHeader, payload: &[u8]) -> Result<(), String> {
    let batch = Batch::parse(payload).map_err(|error| error.to_string())?;
    batch.check().map_err(|error| error.to_string())?;
    let told = (entry.base_offset, entry.record_count, entry.max_timestamp);
    let holds = (batch.base_offset(), batch.record_count(), batch.max_timestamp());
    if told == holds && batch.as_bytes().len() == payload.len() {
        return Ok(());
    }
    Err("the entry's header does not say what its batch holds".to_owned())
}

/// The first byte from `from` to `to` that is not zero.
pub(super) fn not_zero(data: &[u8], from: usize, to: usize) -> Option<usize> {
    let padding = data.get(from..to.min(data.len()))?;
    padding.iter().position(|byte| *byte != 0).map(|at| from + at)
}
