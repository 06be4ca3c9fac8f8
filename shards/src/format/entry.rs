//! Entries: one batch, or one control record, of one log.
//!
//! ```text
//! offset  size  field
//!      0     4  crc             CRC-32C of bytes 4..64 and of the payload's first `unsummed` bytes
//!      4     4  payload_bytes
//!      8     8  log
//!     16     8  base_offset
//!     24     4  record_count    the offsets that it takes
//!     28     1  kind            1 records, 2 log start, 3 dropped, 4 lost
//!     29     1  codec           0 none, 1 ringmail, 2 kafka
//!     30     2  flags           bit 0: relocated by the cleaner; 1: of a transaction; 2: control; 3: the marker of a commit
//!     32     8  max_timestamp
//!     40     8  producer_id     -1 for none
//!     48     2  producer_epoch
//!     50     2  reserved
//!     52     4  sequence        of the first record; in a control batch the epoch of the coordinator
//!     56     4  payload_crc     CRC-32C of the payload but its first `unsummed` bytes
//!     60     4  reserved
//! ```
//!
//! then the payload, padded with zeros to a multiple of 8. Batches carry a CRC of their own that leaves
//! out their first bytes (the base offset among them); the entry repeats it, so that storing a batch
//! computes no second checksum over its body.

use super::{MAX_NUMBER, align_up, field, put};
use crate::canary::{self, Canary};
use ringmail_kafka::batch as kafka;
use ringmail_wire::crc::crc32c;

/// Bytes of an entry's header.
pub const ENTRY_HEADER_BYTES: usize = 64;
/// The most bytes at a payload's start that its own CRC leaves out.
pub(crate) const MAX_UNSUMMED: usize = 24;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryKind {
    /// A batch of records.
    Records = 1,
    /// The log begins at `base_offset` now.
    LogStart = 2,
    /// The log is deleted.
    Dropped = 3,
    /// The records at these offsets are lost, and a repair has given them up: readers go on behind them.
    Lost = 4,
}

impl EntryKind {
    /// Whether it has offsets of its own, which nothing else has.
    pub fn has_offsets(self) -> bool {
        matches!(self, Self::Records | Self::Lost)
    }
}

/// What the payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PayloadCodec {
    /// There is none.
    None = 0,
    /// A [`ringmail_wire::batch`].
    Ringmail = 1,
    /// A Kafka v2 record batch.
    Kafka = 2,
}

impl PayloadCodec {
    /// Bytes at the payload's start that its own CRC leaves out.
    pub fn unsummed(self) -> usize {
        match self {
            Self::None => 0,
            Self::Ringmail => ringmail_wire::batch::CRC_START,
            // Base offset, length, leader epoch, magic and CRC.
            Self::Kafka => kafka::CRC_START,
        }
    }

    /// Writes the base offset into the first bytes of a payload, and into Kafka's the leader epoch, which is always 0: of what
    /// readers have seen nothing is ever taken back, so there is nothing to tell apart.
    pub(crate) fn set_base_offset(self, payload_start: &mut [u8], base_offset: u64) {
        match self {
            Self::None => {}
            Self::Ringmail => ringmail_wire::batch::set_base_offset(payload_start, base_offset),
            Self::Kafka => {
                kafka::set_base_offset(payload_start, base_offset as i64);
                kafka::set_leader_epoch(payload_start, 0);
            }
        }
    }
}

/// The flag of an entry that the cleaner has copied here.
pub const FLAG_RELOCATED: u16 = 1;
/// The flag of a batch that belongs to a transaction, and of the marker that ends one.
pub const FLAG_TRANSACTIONAL: u16 = 1 << 1;
/// The flag of a batch that is a broker's note and not for consumers.
pub const FLAG_CONTROL: u16 = 1 << 2;
/// The flag of a marker that commits; without it a marker aborts.
pub const FLAG_COMMIT: u16 = 1 << 3;

/// By whom a batch was sent, if by an idempotent or transactional producer; or whose transaction a marker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryProducer {
    /// The producer.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of the first record; in a control batch the epoch of the coordinator.
    pub sequence: i32,
}

/// An entry's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHeader {
    /// The log it belongs to.
    pub log: u64,
    /// The offset of its first record.
    pub base_offset: u64,
    /// The offsets that it takes: as many as it has records, or had before it was compacted.
    pub record_count: u32,
    /// What it is.
    pub kind: EntryKind,
    /// What its payload is.
    pub codec: PayloadCodec,
    /// See [`FLAG_RELOCATED`] and those after it.
    pub flags: u16,
    /// The greatest timestamp of its records, milliseconds since the Unix epoch.
    pub max_timestamp: i64,
    /// Who has sent it, if that matters.
    pub producer: Option<EntryProducer>,
    /// Bytes of its payload.
    pub payload_bytes: u32,
    /// CRC-32C of the payload but its first [`PayloadCodec::unsummed`] bytes.
    pub payload_crc: u32,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It ends before its length says.
    #[error("the entry is cut short")]
    Truncated,
    /// Its header, or the start of its payload, is not what was written.
    #[error("the entry header's CRC is wrong")]
    HeaderCrc,
    /// Its payload is not what was written.
    #[error("the entry payload's CRC is wrong")]
    PayloadCrc,
    /// Its kind or codec means nothing in this version.
    #[error("the entry's kind {0} or codec {1} is unknown")]
    Unknown(u8, u8),
    /// No log has such offsets.
    #[error("the entry's offset {0} is out of range")]
    Offset(u64),
}

impl EntryHeader {
    /// The offset after its last record.
    pub fn end_offset(&self) -> u64 {
        self.base_offset + u64::from(self.record_count)
    }

    /// Bytes of the whole entry, padding included.
    pub fn entry_bytes(&self) -> usize {
        ENTRY_HEADER_BYTES + align_up(self.payload_bytes as usize, 8)
    }

    /// The header as it is stored before a payload that begins with `payload_start` (at least
    /// [`PayloadCodec::unsummed`] bytes of it).
    pub fn to_bytes(&self, payload_start: &[u8]) -> [u8; ENTRY_HEADER_BYTES] {
        let mut b = [0; ENTRY_HEADER_BYTES];
        put!(b, 4, self.payload_bytes);
        put!(b, 8, self.log);
        put!(b, 16, self.base_offset);
        put!(b, 24, self.record_count);
        b[28] = self.kind as u8;
        b[29] = self.codec as u8;
        put!(b, 30, self.flags);
        put!(b, 32, self.max_timestamp);
        let producer = self.producer.unwrap_or(EntryProducer { id: -1, epoch: 0, sequence: 0 });
        put!(b, 40, producer.id);
        put!(b, 48, producer.epoch);
        put!(b, 52, producer.sequence);
        put!(b, 56, self.payload_crc);
        let crc = header_crc(&b, &payload_start[..self.codec.unsummed()]);
        put!(b, 0, crc);
        b
    }

    /// The header at the start of `bytes`, once its CRC was found right.
    ///
    /// # Errors
    /// See [`EntryError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let b: &[u8; ENTRY_HEADER_BYTES] = bytes.first_chunk().ok_or(EntryError::Truncated)?;
        let unknown = EntryError::Unknown(b[28], b[29]);
        let kind = match b[28] {
            1 => Ok(EntryKind::Records),
            2 => Ok(EntryKind::LogStart),
            3 => Ok(EntryKind::Dropped),
            4 => Ok(EntryKind::Lost),
            _ => Err(unknown),
        };
        let codec = match b[29] {
            0 => Ok(PayloadCodec::None),
            1 => Ok(PayloadCodec::Ringmail),
            2 => Ok(PayloadCodec::Kafka),
            _ => Err(unknown),
        };
        let unsummed = codec.map_or(0, PayloadCodec::unsummed);
        let payload_start = bytes[ENTRY_HEADER_BYTES..].get(..unsummed).ok_or(EntryError::Truncated)?;
        if field!(b, 0, u32) != header_crc(b, payload_start) {
            return Err(EntryError::HeaderCrc);
        }
        let base_offset = field!(b, 16, u64);
        if base_offset >= MAX_NUMBER {
            return Err(EntryError::Offset(base_offset));
        }
        let producer =
            EntryProducer { id: field!(b, 40, i64), epoch: field!(b, 48, i16), sequence: field!(b, 52, i32) };
        Ok(Self {
            log: field!(b, 8, u64),
            base_offset,
            record_count: field!(b, 24, u32),
            kind: kind?,
            codec: codec?,
            flags: field!(b, 30, u16),
            max_timestamp: field!(b, 32, i64),
            producer: (producer.id >= 0).then_some(producer),
            payload_bytes: field!(b, 4, u32),
            payload_crc: field!(b, 56, u32),
        })
    }

    /// The CRC that the stored header states; frames chain it.
    pub fn stored_crc(bytes: &[u8]) -> u32 {
        field!(bytes, 0, u32)
    }

    /// Whether this is a copy that the cleaner made.
    pub fn is_relocated(&self) -> bool {
        self.flags & FLAG_RELOCATED != 0
    }

    /// The payload of the entry at the start of `bytes`, once its CRC was found right.
    ///
    /// # Errors
    /// See [`EntryError`].
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], EntryError> {
        let payload = bytes
            .get(ENTRY_HEADER_BYTES..ENTRY_HEADER_BYTES + self.payload_bytes as usize)
            .ok_or(EntryError::Truncated)?;
        let summed = payload.get(self.codec.unsummed()..).ok_or(EntryError::Truncated)?;
        let right = crc32c(summed) == self.payload_crc || canary::on(Canary::SkipCrc);
        if right { Ok(payload) } else { Err(EntryError::PayloadCrc) }
    }
}

fn header_crc(header: &[u8; ENTRY_HEADER_BYTES], payload_start: &[u8]) -> u32 {
    let mut summed = [0; ENTRY_HEADER_BYTES - 4 + MAX_UNSUMMED];
    let end = ENTRY_HEADER_BYTES - 4;
    summed[..end].copy_from_slice(&header[4..]);
    summed[end..end + payload_start.len()].copy_from_slice(payload_start);
    crc32c(&summed[..end + payload_start.len()])
}

/// Links an entry's CRC to those before it in the frame.
pub fn chain_crc(chain: u32, entry_crc: u32) -> u32 {
    let mut both = [0; 8];
    put!(both, 0, chain);
    put!(both, 4, entry_crc);
    crc32c(&both)
}
