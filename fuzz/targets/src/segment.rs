//! Segment files: any bytes as what a shard finds at its start, as they are and with their checksums put right.

use std::collections::BTreeMap;

use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::format::entry::{ENTRY_HEADER_BYTES, chain_crc};
use ringmail_shards::format::footer::TRAILER_BYTES;
use ringmail_shards::format::frame::FRAME_HEADER_BYTES;
use ringmail_shards::io::{BLOCK_BYTES, ExistingFile, FileId, IoDone, IoOp, IoResult};
use ringmail_shards::shard::{Acks, Event, Shard, Token};
use ringmail_wire::batch::{BatchBuilder, Compression};
use ringmail_wire::crc::crc32c;

use crate::footer::sign_trailer;

/// Bytes of input that a block of the file begins with; the rest of it is zero.
const BYTES_PER_BLOCK: usize = 256;
/// Bytes of the last block that are the end of the input: its start, and a trailer at its end.
const END_BYTES: usize = 192;
const SEGMENT_BYTES: u64 = 64 << 10;
/// Operations that a start, all reads and a stop take at most.
const MAX_OPERATIONS: usize = 20_000;

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
    let mut disk = Disk { files: BTreeMap::new(), operations: 0 };
    let mut shard = Shard::open(settings(), &[], 1000);
    disk.run(&mut shard);
    shard.put_log(7, LogConfig::KEEP);
    for k in 0..frames {
        let mut builder = BatchBuilder::new(1000, Compression::None);
        builder.push(1000 + k, None, Some(b"value"), &[]).expect("it fits");
        let mut batch = Vec::new();
        builder.finish_into(&mut batch);
        shard.append(7, &batch, Acks::Synced, Token(0)).expect("the shard is open");
        disk.run(&mut shard);
    }
    let segment =
        disk.files.into_values().find(|file| file.starts_with(b"RMSEGMNT")).expect("frames are in one");
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

fn sign_block(block: &mut [u8]) {
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

/// Starts a shard over the file, reads all that it finds, and stops it.
fn start(file: &[u8]) {
    let mut disk = Disk { files: BTreeMap::from([(FileId(3), file.to_vec())]), operations: 0 };
    let existing = ExistingFile { file: FileId(3), bytes: file.len() as u64 };
    let mut shard = Shard::open(settings(), &[existing], 1000);
    let fenced = disk.run(&mut shard).iter().any(|event| matches!(event, Event::Fenced { .. }));
    assert!(shard.is_ready() || fenced, "recovery ends");
    if !shard.is_ready() {
        return;
    }
    for log in shard.logs() {
        let state = shard.log_state(log).expect("it was listed");
        assert!(state.log_start <= state.high_watermark || state.high_watermark == state.end);
        for offset in (state.log_start..=state.high_watermark).take(20) {
            let _ = shard.read(log, offset, 8 << 10, Token(1));
            disk.run(&mut shard);
        }
        let _ = shard.offset_for_time(log, 0, Token(2));
        disk.run(&mut shard);
    }
    shard.tick(5000);
    disk.run(&mut shard);
    shard.close();
    disk.run(&mut shard);
    assert!(shard.is_closed());
}

fn settings() -> ShardConfig {
    ShardConfig {
        segment_bytes: SEGMENT_BYTES,
        write_bytes: 8 << 10,
        tail_cache_bytes: 16 << 10,
        max_batch_bytes: 16 << 10,
        read_bytes: 16 << 10,
        ..ShardConfig::default()
    }
}

/// A disk in memory that carries out operations at once, and refuses none.
struct Disk {
    files: BTreeMap<FileId, Vec<u8>>,
    operations: usize,
}

impl Disk {
    /// Carries out all operations; gives what happened.
    fn run(&mut self, shard: &mut Shard) -> Vec<Event> {
        while let Some((id, op)) = shard.next_io() {
            self.operations += 1;
            assert!(self.operations < MAX_OPERATIONS, "the shard never rests");
            shard.complete(id, self.execute(op));
        }
        std::iter::from_fn(|| shard.next_event()).collect()
    }

    fn execute(&mut self, op: IoOp) -> IoResult {
        match op {
            IoOp::Create { file, bytes } => drop(self.files.insert(file, vec![0; bytes as usize])),
            IoOp::Remove { file } => drop(self.files.remove(&file)),
            IoOp::Write { file, position, data, .. } => self.write(file, position, &data),
            IoOp::Zero { file, position, length } => self.write(file, position, &vec![0; length as usize]),
            IoOp::Sync { .. } => {}
            IoOp::Read { file, position, length } => {
                let bytes = &self.files[&file];
                assert!(
                    length <= bytes.len().max(BLOCK_BYTES) * 2,
                    "a read of {length} bytes of {}",
                    bytes.len()
                );
                assert_eq!(
                    (position % BLOCK_BYTES as u64, length % BLOCK_BYTES),
                    (0, 0),
                    "reads are aligned"
                );
                let from = (position as usize).min(bytes.len());
                let to = (from + length).min(bytes.len());
                return Ok(IoDone::Data(bytes[from..to].to_vec().into()));
            }
        }
        Ok(IoDone::Ok)
    }

    fn write(&mut self, file: FileId, position: u64, data: &[u8]) {
        let bytes = self.files.get_mut(&file).expect("the file is there");
        let from = position as usize;
        assert!(from + data.len() <= 4 * SEGMENT_BYTES as usize, "a write far behind the end");
        bytes.resize(bytes.len().max(from + data.len()), 0);
        bytes[from..from + data.len()].copy_from_slice(data);
    }
}
