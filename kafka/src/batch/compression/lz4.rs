//! LZ4 frames, of independent blocks of 64 KiB as Kafka's clients write them.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{DecompressError, read_bounded};

pub(super) fn compress(raw: &[u8], out: &mut Vec<u8>) {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(raw).expect("writing to memory does not fail");
    encoder.finish().expect("writing to memory does not fail");
}

pub(super) fn decompress(stored: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    read_bounded(Ok(FrameDecoder::new(stored)), "lz4", limit, out)
}
