//! Received bytes, cut into frames. A frame's body is a slice of the buffer that it was received into.

use bytes::{Buf, Bytes, BytesMut};
use ringmail_wire::batch::MAX_HEAP_BYTES;
use ringmail_wire::protocol::{FRAME_HEADER_BYTES, FrameHeader};

use super::ProtocolError;

/// Bytes of room that a read is given.
pub const READ_BYTES: usize = 256 * 1024;
/// The largest frame that a client takes, in bytes: one batch with the largest heap there may be, and
/// room for its table.
pub const MAX_FRAME_BYTES: usize = MAX_HEAP_BYTES as usize + (64 << 20);

/// Room below which a read is not worth its call, in bytes.
const MIN_ROOM_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Inflow {
    buffer: BytesMut,
}

impl Inflow {
    /// The buffer, with room at its end. A frame that has begun gets room in steps that double, so a
    /// length that lies costs nothing, and its bytes are moved at most twice.
    pub fn buffer(&mut self) -> &mut BytesMut {
        let room = self.buffer.capacity() - self.buffer.len();
        let missing = self.missing_bytes();
        if room < missing.clamp(MIN_ROOM_BYTES, READ_BYTES) {
            let step = missing.min(self.buffer.len() * 2);
            self.buffer.reserve(step.max(READ_BYTES));
        }
        &mut self.buffer
    }

    /// Bytes that the frame at the front still lacks.
    fn missing_bytes(&self) -> usize {
        match FrameHeader::parse(&self.buffer) {
            Ok(Some(header)) => header.frame_bytes().saturating_sub(self.buffer.len()),
            _ => 0,
        }
    }

    /// Takes the next frame, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<(FrameHeader, Bytes)>, ProtocolError> {
        let Some(header) = FrameHeader::parse(&self.buffer)? else { return Ok(None) };
        if header.frame_bytes() > MAX_FRAME_BYTES {
            return Err(ProtocolError::FrameTooLarge(header.frame_bytes()));
        }
        if self.buffer.len() < header.frame_bytes() {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(header.frame_bytes()).freeze();
        frame.advance(FRAME_HEADER_BYTES);
        Ok(Some((header, frame)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(correlation: u32, body: &[u8]) -> Vec<u8> {
        let header = FrameHeader { body: body.len(), correlation, api: 1, version: 1, code: 0 };
        [&header.to_bytes()[..], body].concat()
    }

    #[test]
    fn a_frame_is_whole_wherever_the_bytes_are_split() {
        let stream = [frame(1, b"first"), frame(2, b""), frame(3, &[7; 300])].concat();
        for split in 0..=stream.len() {
            let mut inflow = Inflow::default();
            let mut frames = Vec::new();
            for part in [&stream[..split], &stream[split..]] {
                inflow.buffer().extend_from_slice(part);
                while let Some((header, body)) = inflow.next_frame().unwrap() {
                    frames.push((header.correlation, body.to_vec()));
                }
            }
            assert_eq!(frames, [(1, b"first".to_vec()), (2, vec![]), (3, vec![7; 300])], "split at {split}");
        }
    }

    #[test]
    fn a_length_that_lies_takes_no_memory() {
        let mut inflow = Inflow::default();
        let header = FrameHeader { body: MAX_FRAME_BYTES - 100, correlation: 0, api: 1, version: 1, code: 0 };
        inflow.buffer().extend_from_slice(&header.to_bytes());
        assert!(inflow.next_frame().unwrap().is_none());
        assert!(inflow.buffer().capacity() <= 2 * READ_BYTES);
    }

    #[test]
    fn a_frame_over_the_limit_or_below_its_header_is_refused() {
        let mut inflow = Inflow::default();
        let header = FrameHeader { body: MAX_FRAME_BYTES, correlation: 0, api: 1, version: 1, code: 0 };
        inflow.buffer().extend_from_slice(&header.to_bytes());
        assert!(matches!(inflow.next_frame(), Err(ProtocolError::FrameTooLarge(_))));

        let mut inflow = Inflow::default();
        inflow.buffer().extend_from_slice(b"\x03\0\0\0 HTTP/1.1");
        assert!(matches!(inflow.next_frame(), Err(ProtocolError::Frame(_))));
    }
}
