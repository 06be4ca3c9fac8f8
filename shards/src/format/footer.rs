//! The footer of a sealed segment: what is in it, found without reading it.
//!
//! ```text
//! sections    one per row: the runs of one extent, LEB128 numbers, then their CRC-32C (u32)
//! padding
//! states      what is known of producers and transactions ([`super::states`]), up to a multiple of 4 KiB
//! directory   rows of 56 bytes, in the order of log and base offset
//! snapshot    32 bytes per log of the shard, as it stood when the segment was closed
//! padding
//! trailer     64 bytes, the last of the file
//! ```
//!
//! A **run** is a piece of a frame that holds entries of a log, at most [`RUN_BYTES`] long if it holds more than
//! one; entries of other logs may stand between them. An **extent** is a range of offsets of one log in one segment.

use super::varint::{put_varint, take_varint, unzigzag, zigzag};
use super::{FORMAT_VERSION, MAX_NUMBER, align_up, field, put};
use crate::io::BLOCK_BYTES;
use ringmail_wire::crc::crc32c;

/// Bytes past which a run is not made longer.
pub const RUN_BYTES: u32 = 64 << 10;
/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 64;
/// Bytes of a row.
pub const ROW_BYTES: usize = 56;
/// Bytes of a log's snapshot.
pub const SNAPSHOT_BYTES: usize = 32;
/// The most bytes that a run takes in a section.
pub const MAX_RUN_BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"RMFOOTER";
const ROW_RELOCATED: u32 = 1;
const ROW_LOST: u32 = 2;
const SNAPSHOT_DROPPED: u64 = 1;
/// Positions are stored in units of 8 bytes.
const POSITION_UNIT: u64 = 8;

/// A piece of a frame with entries of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where it begins, in units of 8 bytes from the start of the file.
    position: u32,
    /// Its length.
    pub bytes: u32,
    /// Its first offset, from the extent's base.
    pub offset_delta: u32,
    /// Its records.
    pub records: u32,
    /// The greatest timestamp in it.
    pub max_timestamp: i64,
}

impl Run {
    /// A run of one entry.
    pub fn new(position: u64, bytes: u32, offset_delta: u32, records: u32, max_timestamp: i64) -> Self {
        let position = u32::try_from(position / POSITION_UNIT).expect("segments are below 32 GiB");
        Self { position, bytes, offset_delta, records, max_timestamp }
    }

    /// Where it begins, in bytes from the start of the file.
    pub fn position(&self) -> u64 {
        u64::from(self.position) * POSITION_UNIT
    }

    /// Where it ends, in bytes from the start of the file.
    pub fn end(&self) -> u64 {
        self.position() + u64::from(self.bytes)
    }
}

/// A row of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The log.
    pub log: u64,
    /// The first offset.
    pub base: u64,
    /// The offset after the last.
    pub end: u64,
    /// The greatest timestamp.
    pub max_timestamp: i64,
    /// Bytes of its entries.
    pub bytes: u64,
    /// Where its section begins, in bytes from the footer's start.
    pub section_at: u32,
    /// Bytes of its section.
    pub section_bytes: u32,
    /// Whether the cleaner copied it here.
    pub relocated: bool,
    /// Whether its records are lost, and given up.
    pub lost: bool,
}

/// How a log stood when the segment was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSnapshot {
    /// The log.
    pub log: u64,
    /// Its first offset.
    pub start: u64,
    /// Its next offset.
    pub end: u64,
    /// Whether it was deleted, though segments may still hold entries of it.
    pub dropped: bool,
}

/// An extent to be described by a footer.
#[derive(Debug, Clone)]
pub struct FooterExtent<'a> {
    /// Its row; where its section stands is filled in.
    pub row: Row,
    /// Its runs.
    pub runs: &'a [Run],
}

/// The last bytes of a sealed segment's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// The shard.
    pub shard: u16,
    /// The segment.
    pub segment: u64,
    /// Bytes of the footer, trailer included; a multiple of 4 KiB.
    pub footer_bytes: u64,
    /// Bytes of directory, snapshot, padding and trailer: what start-up reads.
    pub directory_bytes: u64,
    /// Rows in the directory.
    pub rows: u32,
    /// Logs in the snapshot.
    pub snapshots: u32,
    /// Bytes of the states, which end where the directory begins; 0 if there are none.
    pub states_bytes: u32,
    /// The number of the segment's last frame.
    pub last_frame: u64,
    directory_crc: u32,
}

/// A footer that is to be written: first the sections, and once they are durable the directory. So a footer that
/// start-up finds whole has all its sections.
#[derive(Debug)]
pub struct Footer {
    /// Sections and states, a multiple of 4 KiB.
    pub sections: Vec<u8>,
    /// Directory, snapshot and trailer, a multiple of 4 KiB, which end where the file ends.
    pub directory: Vec<u8>,
    /// The rows of the directory.
    pub rows: Vec<Row>,
}

/// Builds a footer. Extents are in the order of log and base offset; `states` are the numbers of [`super::states`].
pub fn build(
    shard: u16,
    segment: u64,
    last_frame: u64,
    extents: &[FooterExtent<'_>],
    snapshots: &[LogSnapshot],
    states: &[u8],
) -> Footer {
    let mut sections = Vec::new();
    let mut rows = Vec::with_capacity(extents.len());
    for extent in extents {
        let section_at = sections.len() as u32;
        put_section(&mut sections, extent.runs, segment, section_at);
        rows.push(Row { section_at, section_bytes: sections.len() as u32 - section_at, ..extent.row });
    }
    let states_bytes = put_states(&mut sections, states, segment);
    let mut directory = Vec::new();
    for row in &rows {
        put_row(&mut directory, row);
    }
    for snapshot in snapshots {
        put_snapshot(&mut directory, snapshot);
    }
    let directory_crc = crc32c(&directory);
    let directory_bytes = align_up(directory.len() + TRAILER_BYTES, BLOCK_BYTES);
    directory.resize(directory_bytes, 0);
    let trailer = Trailer {
        shard,
        segment,
        footer_bytes: (sections.len() + directory_bytes) as u64,
        directory_bytes: directory_bytes as u64,
        rows: rows.len() as u32,
        snapshots: snapshots.len() as u32,
        states_bytes,
        last_frame,
        directory_crc,
    };
    directory[directory_bytes - TRAILER_BYTES..].copy_from_slice(&trailer.to_bytes());
    Footer { sections, directory, rows }
}

impl Trailer {
    fn to_bytes(self) -> [u8; TRAILER_BYTES] {
        let mut b = [0; TRAILER_BYTES];
        b[..8].copy_from_slice(&MAGIC);
        put!(b, 12, FORMAT_VERSION);
        put!(b, 14, self.shard);
        put!(b, 16, self.segment);
        put!(b, 24, self.footer_bytes);
        put!(b, 32, self.directory_bytes);
        put!(b, 40, self.rows);
        put!(b, 44, self.snapshots);
        put!(b, 48, self.last_frame);
        put!(b, 56, self.directory_crc);
        put!(b, 60, self.states_bytes);
        let crc = crc32c(&b[12..]);
        put!(b, 8, crc);
        b
    }

    /// The trailer at the end of `bytes`, which end where the file ends; `None` if there is none, or it is broken.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let b: &[u8; TRAILER_BYTES] = bytes.last_chunk()?;
        let right =
            b[..8] == MAGIC && field!(b, 8, u32) == crc32c(&b[12..]) && field!(b, 12, u16) == FORMAT_VERSION;
        let trailer = right.then(|| Self {
            shard: field!(b, 14, u16),
            segment: field!(b, 16, u64),
            footer_bytes: field!(b, 24, u64),
            directory_bytes: field!(b, 32, u64),
            rows: field!(b, 40, u32),
            snapshots: field!(b, 44, u32),
            last_frame: field!(b, 48, u64),
            directory_crc: field!(b, 56, u32),
            states_bytes: field!(b, 60, u32),
        })?;
        let contents = u64::from(trailer.rows) * ROW_BYTES as u64
            + u64::from(trailer.snapshots) * SNAPSHOT_BYTES as u64
            + TRAILER_BYTES as u64;
        let rest = trailer.footer_bytes.checked_sub(trailer.directory_bytes);
        let fits = contents <= trailer.directory_bytes
            && rest.is_some_and(|rest| u64::from(trailer.states_bytes) <= rest);
        let blocks = |bytes: u64| bytes.is_multiple_of(BLOCK_BYTES as u64);
        let fits = fits && blocks(trailer.footer_bytes) && blocks(trailer.directory_bytes);
        let in_range = trailer.segment < MAX_NUMBER && trailer.last_frame < MAX_NUMBER;
        (fits && in_range).then_some(trailer)
    }

    /// Reads directory and snapshot from `bytes`, which end where the file ends; `None` if they are too few, or broken.
    pub fn directory(&self, bytes: &[u8]) -> Option<(Vec<Row>, Vec<LogSnapshot>)> {
        let start = bytes.len().checked_sub(self.directory_bytes as usize)?;
        let rows_bytes = self.rows as usize * ROW_BYTES;
        let whole = bytes.get(start..start + rows_bytes + self.snapshots as usize * SNAPSHOT_BYTES)?;
        if crc32c(whole) != self.directory_crc {
            return None;
        }
        let (rows, snapshots) = whole.split_at(rows_bytes);
        let rows: Vec<Row> = rows.chunks_exact(ROW_BYTES).map(take_row).collect();
        let snapshots: Vec<_> = snapshots.chunks_exact(SNAPSHOT_BYTES).map(take_snapshot).collect();
        let in_range = |start: u64, end: u64| start <= end && end < MAX_NUMBER;
        let right = rows.iter().all(|r| in_range(r.base, r.end) && self.has_section(r))
            && snapshots.iter().all(|s| in_range(s.start, s.end));
        right.then_some((rows, snapshots))
    }

    fn has_section(&self, row: &Row) -> bool {
        let end = u64::from(row.section_at) + u64::from(row.section_bytes);
        end <= self.states_at()
    }

    /// Where the states begin, in bytes from the start of the footer; if there are none, where the directory does.
    pub fn states_at(&self) -> u64 {
        self.footer_bytes - self.directory_bytes - u64::from(self.states_bytes)
    }
}

/// Appends the states so that they end with a block; gives their bytes. The block ends even if there are none.
fn put_states(sections: &mut Vec<u8>, states: &[u8], segment: u64) -> u32 {
    let bytes = if states.is_empty() { 0 } else { states.len() + 4 };
    let end = align_up(sections.len() + bytes, BLOCK_BYTES);
    sections.resize(end - bytes, 0);
    if bytes > 0 {
        let crc = section_crc(states, segment, sections.len() as u32);
        sections.extend_from_slice(states);
        sections.extend_from_slice(&crc.to_le_bytes());
    }
    bytes as u32
}

fn put_row(out: &mut Vec<u8>, row: &Row) {
    let mut b = [0; ROW_BYTES];
    put!(b, 0, row.log);
    put!(b, 8, row.base);
    put!(b, 16, row.end);
    put!(b, 24, row.max_timestamp);
    put!(b, 32, row.bytes);
    put!(b, 40, row.section_at);
    put!(b, 44, row.section_bytes);
    let flag = |set, flag| if set { flag } else { 0 };
    put!(b, 48, flag(row.relocated, ROW_RELOCATED) | flag(row.lost, ROW_LOST));
    out.extend_from_slice(&b);
}

fn take_row(b: &[u8]) -> Row {
    Row {
        log: field!(b, 0, u64),
        base: field!(b, 8, u64),
        end: field!(b, 16, u64),
        max_timestamp: field!(b, 24, i64),
        bytes: field!(b, 32, u64),
        section_at: field!(b, 40, u32),
        section_bytes: field!(b, 44, u32),
        relocated: field!(b, 48, u32) & ROW_RELOCATED != 0,
        lost: field!(b, 48, u32) & ROW_LOST != 0,
    }
}

fn put_snapshot(out: &mut Vec<u8>, s: &LogSnapshot) {
    let mut b = [0; SNAPSHOT_BYTES];
    put!(b, 0, s.log);
    put!(b, 8, s.start);
    put!(b, 16, s.end);
    put!(b, 24, if s.dropped { SNAPSHOT_DROPPED } else { 0 });
    out.extend_from_slice(&b);
}

fn take_snapshot(b: &[u8]) -> LogSnapshot {
    LogSnapshot {
        log: field!(b, 0, u64),
        start: field!(b, 8, u64),
        end: field!(b, 16, u64),
        dropped: field!(b, 24, u64) & SNAPSHOT_DROPPED != 0,
    }
}

fn put_section(out: &mut Vec<u8>, runs: &[Run], segment: u64, section_at: u32) {
    let start = out.len();
    let (mut position, mut offset, mut timestamp) = (0, 0, 0);
    for run in runs {
        put_varint(out, zigzag(i64::from(run.position) - position));
        put_varint(out, run.bytes.into());
        put_varint(out, u64::from(run.offset_delta - offset));
        put_varint(out, run.records.into());
        put_varint(out, zigzag(run.max_timestamp.wrapping_sub(timestamp)));
        (position, offset, timestamp) = (run.position.into(), run.offset_delta, run.max_timestamp);
    }
    let crc = section_crc(&out[start..], segment, section_at);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The CRC of a section with these numbers. It covers where the section belongs: one of another footer, at the same place and of
/// the same length, is to be no section of this one.
pub fn section_crc(numbers: &[u8], segment: u64, section_at: u32) -> u32 {
    let mut identity = [0; 16];
    put!(identity, 0, crc32c(numbers));
    put!(identity, 4, segment);
    put!(identity, 12, section_at);
    crc32c(&identity)
}

/// Reads the runs of the section that begins at `section_at` of the footer of `segment`; `None` if it is broken.
pub fn parse_section(section: &[u8], segment: u64, section_at: u32) -> Option<Vec<Run>> {
    let (mut bytes, crc) = section.split_at_checked(section.len().checked_sub(4)?)?;
    if section_crc(bytes, segment, section_at) != field!(crc, 0, u32) {
        return None;
    }
    let mut runs = Vec::new();
    let (mut position, mut offset, mut timestamp) = (0_i64, 0_u32, 0_i64);
    while !bytes.is_empty() {
        position = position.checked_add(unzigzag(take_varint(&mut bytes)?))?;
        let length = u32::try_from(take_varint(&mut bytes)?).ok()?;
        offset = offset.checked_add(u32::try_from(take_varint(&mut bytes)?).ok()?)?;
        let records = u32::try_from(take_varint(&mut bytes)?).ok()?;
        timestamp = timestamp.wrapping_add(unzigzag(take_varint(&mut bytes)?));
        runs.push(Run {
            position: u32::try_from(position).ok()?,
            bytes: length,
            offset_delta: offset,
            records,
            max_timestamp: timestamp,
        });
    }
    Some(runs)
}
