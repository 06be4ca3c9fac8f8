//! gzip (RFC 1952).

use std::io::Write;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{DecompressError, read_bounded};

pub(super) fn compress(raw: &[u8], out: &mut Vec<u8>) {
    let mut encoder = GzEncoder::new(out, flate2::Compression::default());
    encoder.write_all(raw).and_then(|()| encoder.try_finish()).expect("writing to memory does not fail");
}

pub(super) fn decompress(stored: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    read_bounded(Ok(MultiGzDecoder::new(stored)), "gzip", limit, out)
}
