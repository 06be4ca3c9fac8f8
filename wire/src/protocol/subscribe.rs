//! Subscriptions: the broker pushes batches of a partition as far as the client has given credit.

use super::LogId;
use super::codec::{DecodeError, Message, Reader, Writer};

/// `subscription: u32, log: u64, offset: u64, credit: u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// The id that pushes will carry; chosen by the client, unique on the connection.
    pub subscription: u32,
    /// The partition's log.
    pub log: LogId,
    /// Where to begin; a batch that holds this offset comes whole.
    pub offset: u64,
    /// Bytes of batches that may be pushed before more credit is given. A push is sent while there is any
    /// credit left, and may overdraw it by less than one batch.
    pub credit: u32,
}

impl Message<'_> for SubscribeRequest {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.subscription);
        w.u64(self.log);
        w.u64(self.offset);
        w.u32(self.credit);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            subscription: r.u32("subscription")?,
            log: r.u64("log")?,
            offset: r.u64("offset")?,
            credit: r.u32("credit")?,
        })
    }
}

/// `log_start: u64, high_watermark: u64`, as they were when the subscription began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeResponse {
    /// The first offset that can be read.
    pub log_start: u64,
    /// The offset after the last one that can be read.
    pub high_watermark: u64,
}

impl Message<'_> for SubscribeResponse {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.log_start);
        w.u64(self.high_watermark);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { log_start: r.u64("log_start")?, high_watermark: r.u64("high_watermark")? })
    }
}

/// `subscription: u32, bytes: u32`. Has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditRequest {
    /// Which.
    pub subscription: u32,
    /// Bytes to add; credit is capped at `u32::MAX`.
    pub bytes: u32,
}

impl Message<'_> for CreditRequest {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.subscription);
        w.u32(self.bytes);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { subscription: r.u32("subscription")?, bytes: r.u32("bytes")? })
    }
}

/// `subscription: u32`. The answer is empty; no push of this subscription follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsubscribeRequest {
    /// Which.
    pub subscription: u32,
}

impl Message<'_> for UnsubscribeRequest {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.subscription);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { subscription: r.u32("subscription")? })
    }
}

/// What stands before the batches of a push: `high_watermark: u64`. A push whose code is not 0 has an
/// error body instead, and ends the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushHeader {
    /// The offset after the last one that can be read.
    pub high_watermark: u64,
}

impl PushHeader {
    /// Bytes of this header.
    pub const BYTES: usize = 8;
}

impl Message<'_> for PushHeader {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.high_watermark);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { high_watermark: r.u64("high_watermark")? })
    }
}
