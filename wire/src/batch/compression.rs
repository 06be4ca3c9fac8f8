//! Compression of a batch's heap.

use super::BatchError;

/// How the heap of a batch is compressed. The table never is: the broker reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum Compression {
    /// As it is.
    #[default]
    None = 0,
    /// An LZ4 block (not a frame; the raw length stands in the batch header).
    Lz4 = 1,
    /// A Zstandard frame, level 3.
    Zstd = 2,
}

const ZSTD_LEVEL: i32 = 3;
/// No byte of an LZ4 block stands for more than 255 of the raw ones.
const LZ4_MAX_RATIO: usize = 255;
/// The shortest block of a Zstandard frame, and what a block stands for at most, in bytes (RFC 8878).
const ZSTD_MIN_BLOCK: usize = 4;
const ZSTD_MAX_BLOCK_RAW: usize = 128 << 10;

impl Compression {
    /// The codec of these attribute bits.
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Appends the compressed form of `raw` to `out`, or `raw` as it is if that is no larger; says which.
    pub(super) fn compress(self, raw: &[u8], out: &mut Vec<u8>) -> Self {
        let start = out.len();
        self.append_compressed(raw, out);
        if self == Self::None || out.len() - start < raw.len() {
            return self;
        }
        out.truncate(start);
        out.extend_from_slice(raw);
        Self::None
    }

    fn append_compressed(self, raw: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(raw),
            Self::Lz4 => {
                let start = out.len();
                out.resize(start + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
                let written = lz4_flex::block::compress_into(raw, &mut out[start..])
                    .expect("the buffer has lz4's maximum output size");
                out.truncate(start + written);
            }
            Self::Zstd => {
                let packed =
                    zstd::bulk::compress(raw, ZSTD_LEVEL).expect("zstd compresses any input into memory");
                out.extend_from_slice(&packed);
            }
        }
    }

    /// Replaces the content of `out` by the `raw_length` bytes that `stored` stands for.
    ///
    /// # Errors
    /// [`BatchError::Decompress`] if `stored` is not exactly that.
    pub(super) fn decompress(
        self,
        stored: &[u8],
        raw_length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), BatchError> {
        if !self.may_hold(stored, raw_length) {
            return Err(BatchError::Decompress);
        }
        out.clear();
        out.resize(raw_length, 0);
        let written = match self {
            Self::None => {
                out.copy_from_slice(stored);
                Some(stored.len())
            }
            Self::Lz4 => lz4_flex::block::decompress_into(stored, out).ok(),
            Self::Zstd => zstd::bulk::decompress_to_buffer(stored, out.as_mut_slice()).ok(),
        };
        if written == Some(raw_length) { Ok(()) } else { Err(BatchError::Decompress) }
    }

    /// Whether `stored` can stand for `raw_length` bytes at all, seen without taking memory for them.
    fn may_hold(self, stored: &[u8], raw_length: usize) -> bool {
        match self {
            Self::None => stored.len() == raw_length,
            Self::Lz4 => raw_length <= stored.len().saturating_mul(LZ4_MAX_RATIO),
            // What the frame states may be a lie, too.
            Self::Zstd => match zstd::zstd_safe::get_frame_content_size(stored) {
                Ok(stated) => {
                    let blocks = stored.len() / ZSTD_MIN_BLOCK;
                    let most = blocks.saturating_mul(ZSTD_MAX_BLOCK_RAW);
                    stated.is_none_or(|n| n == raw_length as u64) && raw_length <= most
                }
                Err(_) => false,
            },
        }
    }
}
