//! What the engine asks of a disk, and what it is told.
//!
//! The engine does no I/O. It hands out operations; a driver carries them out, in any order and several at
//! once, and reports each completion. An operation that must come after another is only handed out once
//! the other has completed.

use bytes::Bytes;

/// The unit of direct I/O: buffers, positions and lengths of reads and writes are multiples of it, in bytes.
pub const BLOCK_BYTES: usize = 4096;

/// A file in the shard's directory, named after this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// One operation, to be named at its completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoId(pub u64);

/// A file that was there at start-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExistingFile {
    /// Which.
    pub file: FileId,
    /// Its size in bytes.
    pub bytes: u64,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoOp {
    /// Create a file and allocate `bytes` for it; completes once the directory entry is durable too.
    Create {
        /// Which; there is none of that name.
        file: FileId,
        /// Its size.
        bytes: u64,
    },
    /// Remove a file.
    Remove {
        /// Which.
        file: FileId,
    },
    /// Write all of `data`. With `dsync` it is durable at completion (as after fdatasync), and so is
    /// everything of this file whose write had completed before.
    Write {
        /// Where.
        file: FileId,
        /// In bytes from the start of the file.
        position: u64,
        /// Aligned to [`BLOCK_BYTES`] in memory and in length.
        data: Bytes,
        /// Whether completion means durable.
        dsync: bool,
    },
    /// Overwrite a range with zeros.
    Zero {
        /// Where.
        file: FileId,
        /// In bytes from the start of the file.
        position: u64,
        /// In bytes.
        length: u64,
    },
    /// Make durable what has been written (fdatasync).
    Sync {
        /// Which file.
        file: FileId,
    },
    /// Read; gives fewer bytes only at the end of the file.
    Read {
        /// Where.
        file: FileId,
        /// In bytes from the start of the file.
        position: u64,
        /// In bytes.
        length: usize,
    },
}

/// What a completed operation gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoDone {
    /// It is done.
    Ok,
    /// What was read.
    Data(Bytes),
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IoError {
    /// No room (ENOSPC, EDQUOT).
    #[error("no space left on the device")]
    Full,
    /// Anything else, in the system's words.
    #[error("{0}")]
    Failed(String),
}

/// The completion of an operation.
pub type IoResult = Result<IoDone, IoError>;
