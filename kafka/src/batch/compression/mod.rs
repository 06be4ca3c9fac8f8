//! The four codecs, each writing what Kafka's own clients write, and reading what any client does. Decompression stops
//! at a limit: what a few bytes claim to hold is never believed beforehand.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::io::{self, Read};

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum Compression {
    /// As they are.
    #[default]
    None = 0,
    /// gzip.
    Gzip = 1,
    /// Snappy, in the frames of xerial's Java library; blocks without frames are read, too.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// Zstandard.
    Zstd = 4,
}

/// Why records do not decompress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// The bytes are not of the codec.
    #[error("the records are not what {0} writes")]
    Malformed(&'static str),
    /// They hold more than is taken.
    #[error("the records are over {0} bytes when decompressed")]
    TooLarge(usize),
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of these attribute bits.
    pub fn from_bits(bits: u8) -> Option<Self> {
        Self::ALL.get(usize::from(bits)).copied()
    }

    /// The name in configurations, as of `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Appends the compressed form of `raw` to `out`.
    pub fn compress(self, raw: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(raw),
            Self::Gzip => gzip::compress(raw, out),
            Self::Snappy => snappy::compress(raw, out),
            Self::Lz4 => lz4::compress(raw, out),
            Self::Zstd => zstd::compress(raw, out),
        }
    }

    /// Appends what `stored` stands for to `out`: `limit` bytes at most.
    ///
    /// # Errors
    /// See [`DecompressError`]; `out` may have some of it.
    pub fn decompress(self, stored: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        match self {
            Self::None if stored.len() > limit => Err(DecompressError::TooLarge(limit)),
            Self::None => {
                out.extend_from_slice(stored);
                Ok(())
            }
            Self::Gzip => gzip::decompress(stored, limit, out),
            Self::Snappy => snappy::decompress(stored, limit, out),
            Self::Lz4 => lz4::decompress(stored, limit, out),
            Self::Zstd => zstd::decompress(stored, limit, out),
        }
    }
}

/// Appends what `reader` gives, `limit` bytes at most; memory is taken as bytes really come.
fn read_bounded(
    reader: io::Result<impl Read>,
    codec: &'static str,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let malformed = |_| DecompressError::Malformed(codec);
    let read = reader.map_err(malformed)?.take(limit as u64 + 1).read_to_end(out).map_err(malformed)?;
    if read > limit { Err(DecompressError::TooLarge(limit)) } else { Ok(()) }
}
