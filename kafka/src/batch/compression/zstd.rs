//! Zstandard frames.

use std::io::Write;

use zstd::stream::{Decoder, Encoder};

use super::{DecompressError, read_bounded};

const LEVEL: i32 = 3;
/// The largest window that is taken, as a power of 2 in bytes: that of the highest level (zstd's own limit, too). Pages of
/// it that are not written take no memory.
const WINDOW_LOG: u32 = 27;

pub(super) fn compress(raw: &[u8], out: &mut Vec<u8>) {
    let write = |encoder: Encoder<'_, _>| -> std::io::Result<()> {
        let mut encoder = encoder;
        encoder.write_all(raw)?;
        encoder.finish().map(drop)
    };
    Encoder::new(out, LEVEL).and_then(write).expect("zstd compresses any input into memory");
}

pub(super) fn decompress(stored: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    let decoder = Decoder::with_buffer(stored).and_then(|mut decoder| {
        decoder.window_log_max(WINDOW_LOG)?;
        Ok(decoder)
    });
    read_bounded(decoder, "zstd", limit, out)
}
