//! What is found to be wrong.

use std::fmt;
use std::path::PathBuf;

/// Offsets of a log, from the first to the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// The log.
    pub log: u64,
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub end: u64,
}

/// A place where something is wrong. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, or the directory of the shard if no file has what should be there.
    pub path: PathBuf,
    /// In bytes from the start of the file.
    pub position: Option<u64>,
    /// The segment.
    pub segment: Option<u64>,
    /// The frame.
    pub frame: Option<u64>,
    /// What it concerns.
    pub offsets: Option<Offsets>,
    /// What is wrong.
    pub what: String,
    /// Whether the next start of a broker mends it by itself.
    pub by_start: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(position) = self.position {
            write!(f, ", byte {position}")?;
        }
        if let Some(segment) = self.segment {
            write!(f, ", segment {segment}")?;
        }
        if let Some(frame) = self.frame {
            write!(f, ", frame {frame}")?;
        }
        if let Some(Offsets { log, from, end }) = self.offsets {
            write!(f, ", log {log}")?;
            match end.saturating_sub(from) {
                0 | 1 => write!(f, ", offset {from}")?,
                _ => write!(f, ", offsets {from}-{}", end - 1)?,
            }
        }
        write!(f, ": {}", self.what)
    }
}
