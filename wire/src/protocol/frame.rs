//! Frames: how messages stand in the stream.

use super::codec::{Message, Writer};
use super::{Acks, Api, LogId, PRODUCE_PREFIX_BYTES};

/// The version of the protocol that this crate speaks.
pub const PROTOCOL_VERSION: u8 = 1;
/// Bytes of the header of every frame.
pub const FRAME_HEADER_BYTES: usize = 12;
const LENGTH_BYTES: usize = 4;

/// A frame whose length is less than the 8 bytes that follow it in every frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame states {length} bytes; every frame has at least 8: this is not Ringmail's protocol")]
pub struct FrameError {
    /// What it states.
    pub length: u32,
}

/// `length: u32` (of what follows it), `correlation: u32`, `api: u8`, `version: u8`, `code: u16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the body.
    pub body: usize,
    /// Chosen by the client, repeated in the answer; a subscription's id in a push.
    pub correlation: u32,
    /// The API's number.
    pub api: u8,
    /// The version of the API; the negotiated protocol version.
    pub version: u8,
    /// 0, or in a response the number of an [`super::ErrorCode`].
    pub code: u16,
}

impl FrameHeader {
    /// The header at the start of `bytes`; `None` while there are fewer than 12.
    ///
    /// # Errors
    /// [`FrameError`] if the length cannot hold the header: where the next frame begins is lost.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(h) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes([h[0], h[1], h[2], h[3]]);
        let body =
            (length as usize).checked_sub(FRAME_HEADER_BYTES - LENGTH_BYTES).ok_or(FrameError { length })?;
        Ok(Some(Self {
            body,
            correlation: u32::from_le_bytes([h[4], h[5], h[6], h[7]]),
            api: h[8],
            version: h[9],
            code: u16::from_le_bytes([h[10], h[11]]),
        }))
    }

    /// Bytes of header and body.
    pub fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.body
    }

    /// The header as it stands in the stream.
    ///
    /// # Panics
    /// If the body is over 4 GiB - 9.
    #[inline]
    pub fn to_bytes(self) -> [u8; FRAME_HEADER_BYTES] {
        let length = u32::try_from(self.body + FRAME_HEADER_BYTES - LENGTH_BYTES)
            .expect("frame limits are far below 4 GiB");
        let mut h = [0; FRAME_HEADER_BYTES];
        h[0..4].copy_from_slice(&length.to_le_bytes());
        h[4..8].copy_from_slice(&self.correlation.to_le_bytes());
        h[8] = self.api;
        h[9] = self.version;
        h[10..12].copy_from_slice(&self.code.to_le_bytes());
        h
    }
}

/// Appends a whole frame to `out`: `code` is 0 for requests and for answers that are not errors.
pub fn put_frame<'a>(out: &mut Vec<u8>, api: Api, correlation: u32, code: u16, body: &impl Message<'a>) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    body.encode(&mut Writer::new(out));
    let header = FrameHeader {
        body: out.len() - start - FRAME_HEADER_BYTES,
        correlation,
        api: api as u8,
        version: PROTOCOL_VERSION,
        code,
    };
    out[start..start + FRAME_HEADER_BYTES].copy_from_slice(&header.to_bytes());
}

/// Appends a produce request up to its batch, which is `batch_bytes` long and must follow in the stream:
/// so that a batch can be sent from where it is.
pub fn put_produce(out: &mut Vec<u8>, correlation: u32, log: LogId, acks: Acks, batch_bytes: usize) {
    let header = FrameHeader {
        body: PRODUCE_PREFIX_BYTES + batch_bytes,
        correlation,
        api: Api::Produce as u8,
        version: PROTOCOL_VERSION,
        code: 0,
    };
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(&log.to_le_bytes());
    out.extend_from_slice(&[acks as u8, 0, 0, 0]);
}
