//! Frames: one group commit each.
//!
//! ```text
//! offset  size  field
//!      0     4  magic           "RMFR"
//!      4     4  crc             CRC-32C of bytes 8..64
//!      8     2  version
//!     10     2  shard
//!     12     4  entries         how many
//!     16     8  segment
//!     24     8  number          counts up over all segments of the shard
//!     32     4  body_bytes      of the entries, padding of the frame left out
//!     36     4  entries_crc     the entries' CRCs, chained
//!     40     8  durable         the number up to which all frames were durable when this one was closed
//!     48     8  incarnation     as in the segment's header
//!     56     8  position        where it begins, in bytes from the start of the file
//! ```
//!
//! then the entries, padded with zeros to a multiple of 4 KiB. `durable` is what tells a torn tail from
//! damage: a frame that is broken, and that a later frame calls durable, was whole once.

use super::entry::{ENTRY_HEADER_BYTES, EntryError, EntryHeader, chain_crc};
use super::{FORMAT_VERSION, MAX_NUMBER, align_up, field, put};
use crate::io::BLOCK_BYTES;
use ringmail_wire::crc::crc32c;

/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 64;
/// Entries that are tried, after a broken one, as those that the rest begins with.
const RESUME_TRIES: usize = 64;
const MAGIC: u32 = u32::from_le_bytes(*b"RMFR");

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// The shard that wrote it.
    pub shard: u16,
    /// Entries in it.
    pub entries: u32,
    /// The segment it belongs to: a recycled file holds frames of older ones.
    pub segment: u64,
    /// Its number.
    pub number: u64,
    /// Bytes of its entries.
    pub body_bytes: u32,
    /// The entries' CRCs, chained.
    pub entries_crc: u32,
    /// All frames up to this number were durable when this one was closed.
    pub durable: u64,
    /// See [`super::segment::SegmentHeader::incarnation`].
    pub incarnation: u64,
    /// Where it begins, in bytes from the start of the file: a copy that stands elsewhere is none.
    pub position: u64,
}

impl FrameHeader {
    /// Bytes of the frame on disk.
    pub fn frame_bytes(&self) -> usize {
        align_up(FRAME_HEADER_BYTES + self.body_bytes as usize, BLOCK_BYTES)
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut b = [0; FRAME_HEADER_BYTES];
        put!(b, 0, MAGIC);
        put!(b, 8, FORMAT_VERSION);
        put!(b, 10, self.shard);
        put!(b, 12, self.entries);
        put!(b, 16, self.segment);
        put!(b, 24, self.number);
        put!(b, 32, self.body_bytes);
        put!(b, 36, self.entries_crc);
        put!(b, 40, self.durable);
        put!(b, 48, self.incarnation);
        put!(b, 56, self.position);
        let crc = crc32c(&b[8..]);
        put!(b, 4, crc);
        b
    }

    /// The header at the start of `bytes`; `None` if there is none, or it is broken.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let b: &[u8; FRAME_HEADER_BYTES] = bytes.first_chunk()?;
        let right = field!(b, 0, u32) == MAGIC
            && field!(b, 8, u16) == FORMAT_VERSION
            && field!(b, 4, u32) == crc32c(&b[8..])
            && field!(b, 16, u64) < MAX_NUMBER
            && field!(b, 24, u64) < MAX_NUMBER
            && field!(b, 40, u64) < MAX_NUMBER;
        right.then(|| Self {
            shard: field!(b, 10, u16),
            entries: field!(b, 12, u32),
            segment: field!(b, 16, u64),
            number: field!(b, 24, u64),
            body_bytes: field!(b, 32, u32),
            entries_crc: field!(b, 36, u32),
            durable: field!(b, 40, u64),
            incarnation: field!(b, 48, u64),
            position: field!(b, 56, u64),
        })
    }
}

/// An entry found in a frame: its header and where it begins, in bytes from the frame's start.
pub type FoundEntry = (EntryHeader, usize);

/// Finds the entries of a frame, and what is wrong with it, if anything is. An entry whose payload is broken is among
/// them: its place and its offsets are known. One whose header is broken is not, but those after it are.
pub fn walk(header: &FrameHeader, frame: &[u8]) -> (Vec<FoundEntry>, Option<EntryError>) {
    let mut found = Vec::with_capacity((header.entries as usize).min(frame.len() / ENTRY_HEADER_BYTES));
    let mut wrong = None;
    let mut chain = 0;
    let end = FRAME_HEADER_BYTES + header.body_bytes as usize;
    let bytes = &frame[..end.min(frame.len())];
    let mut at = FRAME_HEADER_BYTES;
    let mut left = header.entries as usize;
    while left > 0 {
        left -= 1;
        match EntryHeader::parse(bytes.get(at..).unwrap_or_default()) {
            Ok(entry) if at + entry.entry_bytes() > bytes.len() => {
                wrong = Some(EntryError::Truncated);
                break;
            }
            Ok(entry) => {
                wrong = wrong.or(entry.payload(&bytes[at..]).err());
                chain = chain_crc(chain, EntryHeader::stored_crc(&bytes[at..]));
                found.push((entry, at));
                at += entry.entry_bytes();
            }
            Err(error) => {
                wrong = Some(error);
                let Some(next) = resume(bytes, at, |rest| rest.len() == left) else { break };
                at = next;
            }
        }
    }
    let whole = chain == header.entries_crc && at == end;
    (found, wrong.or((!whole).then_some(EntryError::HeaderCrc)))
}

/// Where entries go on after one at `at` whose header is broken, and with it the way to the next. From there to the
/// end of `bytes` all headers are right, and `fits` agrees with what they are. It is to ask for enough that the
/// bytes of a payload are not taken for entries.
pub fn resume(bytes: &[u8], at: usize, fits: impl Fn(&[FoundEntry]) -> bool) -> Option<usize> {
    (at + ENTRY_HEADER_BYTES..bytes.len())
        .step_by(8)
        .filter(|&from| EntryHeader::parse(&bytes[from..]).is_ok())
        .take(RESUME_TRIES)
        .find(|&from| headers_from(bytes, from).is_some_and(|found| fits(&found)))
}

/// The entries from `at` on, if they end where `bytes` do.
fn headers_from(bytes: &[u8], mut at: usize) -> Option<Vec<FoundEntry>> {
    let mut found = Vec::new();
    while at < bytes.len() {
        let entry = EntryHeader::parse(&bytes[at..]).ok()?;
        found.push((entry, at));
        at += entry.entry_bytes();
    }
    (at == bytes.len()).then_some(found)
}
