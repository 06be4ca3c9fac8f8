//! Snappy. Kafka's Java clients put its blocks into the frames of the library of xerial.org: a magic, two versions, then for
//! each block its length (`i32`, big-endian) and its bytes. Other clients send one block without a frame.

use snap::raw::{Decoder, Encoder, decompress_len};

use super::DecompressError;

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// The magic, the version, and the oldest version that can read it.
const HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Bytes of records in one block, as the Java library has them.
const BLOCK_BYTES: usize = 32 << 10;
/// No byte of a block stands for more than 32 of the raw ones: a copy of 64 takes 3.
const MAX_RATIO: usize = 32;

const MALFORMED: DecompressError = DecompressError::Malformed("snappy");

pub(super) fn compress(raw: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER);
    let mut encoder = Encoder::new();
    for block in raw.chunks(BLOCK_BYTES) {
        let packed = encoder.compress_vec(block).expect("a block is far below snappy's limit of 4 GiB");
        out.extend_from_slice(&(packed.len() as i32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
}

pub(super) fn decompress(stored: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    let start = out.len();
    if !stored.starts_with(MAGIC) {
        return block(stored, start, limit, out);
    }
    let mut rest = stored.get(HEADER.len()..).ok_or(MALFORMED)?;
    while let Some((length, following)) = rest.split_first_chunk() {
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| MALFORMED)?;
        let (packed, following) = following.split_at_checked(length).ok_or(MALFORMED)?;
        block(packed, start, limit, out)?;
        rest = following;
    }
    if rest.is_empty() { Ok(()) } else { Err(MALFORMED) }
}

/// Appends one block; all from `start` on may have `limit` bytes.
fn block(packed: &[u8], start: usize, limit: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    let raw = decompress_len(packed).map_err(|_| MALFORMED)?;
    if raw > packed.len().saturating_mul(MAX_RATIO) {
        return Err(MALFORMED);
    }
    let at = out.len();
    if at - start + raw > limit {
        return Err(DecompressError::TooLarge(limit));
    }
    out.resize(at + raw, 0);
    Decoder::new().decompress(packed, &mut out[at..]).map_err(|_| MALFORMED)?;
    Ok(())
}
