//! Damage: stored bytes that are not what was written.

use crate::io::FileId;

/// A damaged place. Nothing is deleted because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: FileId,
    /// The segment that the file holds, if that could be read.
    pub segment: Option<u64>,
    /// Where it begins, in bytes from the start of the file.
    pub position: u64,
    /// Bytes that are affected.
    pub bytes: u64,
    /// What is wrong.
    pub reason: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, position, bytes, reason, .. } = self;
        write!(f, "{:016x}.seg at byte {position}, {bytes} bytes: {reason}", file.0)
    }
}
