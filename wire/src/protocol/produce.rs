//! Produce: one batch to one partition.

use super::LogId;
use super::codec::{DecodeError, Message, Reader, Writer};

/// When a produce request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Acks {
    /// Never: there is no answer, not even to a batch that is refused.
    None = 0,
    /// When the write has completed. Survives kill -9 of the broker, not a power cut.
    Written = 1,
    /// When fdatasync has completed after it. Survives a power cut.
    #[default]
    Synced = 2,
}

impl Acks {
    /// The level of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Written),
            2 => Some(Self::Synced),
            _ => None,
        }
    }
}

/// Bytes of a produce request's body before the batch.
pub const PRODUCE_PREFIX_BYTES: usize = 12;

/// `log: u64, acks: u8, reserved: [u8; 3]`, then the batch to the end of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceRequest<'a> {
    /// The partition's log, from metadata.
    pub log: LogId,
    /// When to answer.
    pub acks: Acks,
    /// One batch, not checked yet.
    pub batch: &'a [u8],
}

impl<'a> Message<'a> for ProduceRequest<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.log);
        w.bytes(&[self.acks as u8, 0, 0, 0]);
        w.bytes(self.batch);
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let log = r.u64("log")?;
        let acks = r.u8("acks")?;
        let acks = Acks::from_number(acks).ok_or(DecodeError::Value("acks", acks.into()))?;
        r.bytes("reserved", 3)?;
        Ok(Self { log, acks, batch: r.rest() })
    }
}

/// `base_offset: u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceResponse {
    /// The offset of the batch's first record.
    pub base_offset: u64,
}

impl Message<'_> for ProduceResponse {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.base_offset);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { base_offset: r.u64("base_offset")? })
    }
}
