//! Segment files: any bytes as what a shard finds at its start, as they are and with their checksums put right.

use std::collections::BTreeMap;

use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::format::entry::{ENTRY_HEADER_BYTES, chain_crc};
use ringmail_shards::format::footer::TRAILER_BYTES;
use ringmail_shards::format::frame::FRAME_HEADER_BYTES;
use ringmail_shards::io::{BLOCK_BYTES, FileId};
use ringmail_shards::shard::{Acks, Answer, Event, Isolation, Payload, Shard, TimeQuery, Token};
use ringmail_wire::batch::{BatchBuilder, Compression};
use ringmail_wire::crc::crc32c;

use crate::disk::Disk;
use crate::footer::sign_trailer;

/// Bytes of input that a block of the file begins with; the rest of it is zero.
const BYTES_PER_BLOCK: usize = 256;
/// Bytes of the last block that are the end of the input: its start, and a trailer at its end.
const END_BYTES: usize = 192;
const SEGMENT_BYTES: u64 = 64 << 10;

/// All of it.
pub fn segment(input: &[u8]) {
    let file = spread(input);
    start(&file);
    let mut signed = file;
    signed.chunks_mut(BLOCK_BYTES).for_each(sign_block);
    start(&signed);
    sign_trailer(&mut signed);
    start(&signed);
}

/// An input that stands for a segment that a shard has written `frames` frames to.
pub fn written_segment(frames: i64) -> Vec<u8> {
    let mut disk = Disk::default();
    let mut shard = Shard::open(settings(), &[], 1000);
    disk.run(&mut shard);
    shard.put_log(7, LogConfig::KEEP);
    for k in 0..frames {
        let mut builder = BatchBuilder::new(1000, Compression::None);
        builder.push(1000 + k, None, Some(b"value"), &[]).expect("it fits");
        let mut batch = Vec::new();
        builder.finish_into(&mut batch);
        shard.append(7, Payload::Ringmail(&batch), Acks::Synced, Token(0)).expect("the shard is open");
        disk.run(&mut shard);
    }
    let segment = disk
        .into_files()
        .into_values()
        .find(|file| file.starts_with(b"RMSEGMNT"))
        .expect("frames are in one");
    let used = segment.chunks(BLOCK_BYTES).take(1 + frames as usize);
    let starts = used.flat_map(|block| block[..BYTES_PER_BLOCK].to_vec());
    starts.chain([0; END_BYTES]).collect()
}

/// A file that has the input at the starts of its blocks, and the end of the input at the end.
fn spread(input: &[u8]) -> Vec<u8> {
    let (starts, end) = input.split_at(input.len().saturating_sub(END_BYTES));
    let mut file = Vec::new();
    for start in starts.chunks(BYTES_PER_BLOCK) {
        file.extend_from_slice(start);
        file.resize(file.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    let (directory, trailer) = end.split_at(end.len().saturating_sub(TRAILER_BYTES));
    let last = file.len().max(BLOCK_BYTES);
    file.resize(last, 0);
    file.extend_from_slice(directory);
    file.resize(last + BLOCK_BYTES - trailer.len(), 0);
    file.extend_from_slice(trailer);
    file
}

/// Puts the checksums right of what a block begins with.
pub(crate) fn sign_block(block: &mut [u8]) {
    if block.starts_with(b"RMSEGMNT") {
        let crc = crc32c(&block[12..64]);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
    } else if block.starts_with(b"RMFR") {
        let chain = sign_entries(block);
        block[36..40].copy_from_slice(&chain.to_le_bytes());
        let crc = crc32c(&block[8..64]);
        block[4..8].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Puts the checksums of a frame's entries right; gives their chain.
fn sign_entries(frame: &mut [u8]) -> u32 {
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let (mut at, mut chain) = (FRAME_HEADER_BYTES, 0);
    for _ in 0..number(frame, 12) {
        let Some(entry) = frame.get_mut(at..).filter(|rest| rest.len() >= ENTRY_HEADER_BYTES) else { break };
        let payload_bytes = number(entry, 4) as usize;
        let Some(payload) = entry.get(ENTRY_HEADER_BYTES..ENTRY_HEADER_BYTES + payload_bytes) else { break };
        let unsummed = [0, 16, 21][usize::from(entry[29]) % 3];
        let Some((first, summed)) = payload.split_at_checked(unsummed) else { break };
        let (first, payload_crc) = (first.to_vec(), crc32c(summed));
        entry[56..60].copy_from_slice(&payload_crc.to_le_bytes());
        let crc = crc32c(&[&entry[4..ENTRY_HEADER_BYTES], &first].concat());
        entry[..4].copy_from_slice(&crc.to_le_bytes());
        chain = chain_crc(chain, crc);
        at += ENTRY_HEADER_BYTES + payload_bytes.next_multiple_of(8);
    }
    chain
}

fn start(file: &[u8]) {
    recover(BTreeMap::from([(FileId(3), file.to_vec())]));
}

/// Starts a shard over these files, reads all that it finds, and stops it.
pub(crate) fn recover(files: BTreeMap<FileId, Vec<u8>>) {
    let mut disk = Disk::new(files);
    let mut shard = Shard::open(settings(), &disk.existing(), 1000);
    let fenced = disk.run(&mut shard).iter().any(|event| matches!(event, Event::Fenced { .. }));
    assert!(shard.is_ready() || fenced, "recovery ends");
    if !shard.is_ready() {
        return;
    }
    for log in shard.logs() {
        let state = shard.log_state(log).expect("it was listed");
        assert!(state.log_start <= state.high_watermark || state.high_watermark == state.end);
        for offset in (state.log_start..=state.high_watermark).take(20) {
            if let Answer::Now(Ok(data)) = shard.read(log, offset, 8 << 10, Isolation::Uncommitted, Token(1))
            {
                assert!(data.bytes == 0 || data.next_offset > offset, "a read goes on");
            }
            disk.run(&mut shard);
        }
        let _ = shard.offset_for_time(log, TimeQuery::AtOrAfter(0), Isolation::Uncommitted, Token(2));
        disk.run(&mut shard);
    }
    shard.tick(5000);
    disk.run(&mut shard);
    shard.close();
    disk.run(&mut shard);
    assert!(shard.is_closed());
}

/// A shard so small that few bytes fill it.
pub(crate) fn settings() -> ShardConfig {
    ShardConfig {
        segment_bytes: SEGMENT_BYTES,
        write_bytes: 8 << 10,
        tail_cache_bytes: 16 << 10,
        max_batch_bytes: 16 << 10,
        read_bytes: 16 << 10,
        ..ShardConfig::default()
    }
}
