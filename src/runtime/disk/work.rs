//! One operation of the disk as the sequence of ring operations that it takes.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use io_uring::{opcode, squeue, types};

use super::buffer::AlignedBuffer;
use super::ring::{Completion, Submission};
use crate::runtime::memory::{HUGE_PAGE, zeros};
use ringmail_shards::io::{BLOCK_BYTES, FileId};

/// Longest single write of zeros, in bytes: short enough not to hold up others.
const LONGEST_ZEROING: usize = 1 << 20;
const _: () = assert!(LONGEST_ZEROING <= HUGE_PAGE);

/// Longest single read or write handed to the kernel, in bytes; it would cut longer ones short itself.
const LONGEST_TRANSFER: usize = 1 << 30;

/// Access for the owner, reading for the group.
const FILE_MODE: libc::mode_t = 0o640;

/// An open file. Operations share it, and the last one to let go closes it.
pub(super) type OpenFile = Rc<OwnedFd>;

/// What one operation of the disk has left to do, and what it needs for that.
pub(super) enum Work {
    CreateFile {
        file: FileId,
        name: CString,
        bytes: u64,
    },
    Allocate {
        file: FileId,
        name: CString,
        bytes: u64,
        opened: OpenFile,
    },
    SyncCreated {
        file: FileId,
        name: CString,
        opened: OpenFile,
    },
    SyncCreatedName {
        file: FileId,
        name: CString,
        opened: OpenFile,
    },
    /// Takes back a file that could not be created whole.
    Undo {
        name: CString,
        error: io::Error,
    },
    Remove {
        name: CString,
    },
    SyncRemoved,
    Write {
        file: OpenFile,
        position: u64,
        data: Bytes,
        dsync: bool,
    },
    Zero {
        file: OpenFile,
        position: u64,
        length: u64,
    },
    Sync {
        file: OpenFile,
    },
    Read {
        file: OpenFile,
        position: u64,
        length: usize,
        buffer: AlignedBuffer,
    },
}

/// What follows a ring operation.
pub(super) enum Step {
    /// Another ring operation.
    Next(Work),
    /// The end.
    Done(io::Result<Outcome>),
}

/// What a finished operation leaves.
pub(super) enum Outcome {
    Plain,
    Data(Bytes),
    Created(FileId, OpenFile),
}

impl Work {
    /// The ring operation that is due. It refers to memory and descriptors which `self` owns outside of itself, and
    /// to `directory`.
    pub(super) fn submission(&self, directory: RawFd) -> Submission {
        match self {
            // Not RWF_DSYNC: it ends on a kernel thread of its own that is not scheduled while the core is busy, and
            // where the device offers writes that pass its cache, it would leave earlier writes behind in that cache.
            Self::Write { file, dsync: true, .. } => Submission::Pair(self.entry(directory), data_sync(file)),
            _ => Submission::One(self.entry(directory)),
        }
    }

    fn entry(&self, directory: RawFd) -> squeue::Entry {
        let directory = types::Fd(directory);
        match self {
            Self::CreateFile { name, .. } => opcode::OpenAt::new(directory, name.as_ptr())
                .flags(libc::O_RDWR | libc::O_DIRECT | libc::O_CLOEXEC | libc::O_CREAT | libc::O_EXCL)
                .mode(FILE_MODE)
                .build(),
            Self::Allocate { bytes, opened, .. } => opcode::Fallocate::new(fd(opened), *bytes).build(),
            Self::SyncCreated { opened, .. } => opcode::Fsync::new(fd(opened)).build(),
            Self::SyncCreatedName { .. } | Self::SyncRemoved => opcode::Fsync::new(directory).build(),
            Self::Undo { name, .. } | Self::Remove { name } => {
                opcode::UnlinkAt::new(directory, name.as_ptr()).build()
            }
            Self::Write { file, position, data, .. } => {
                opcode::Write::new(fd(file), data.as_ptr(), transfer(data.len())).offset(*position).build()
            }
            Self::Zero { file, position, length } => {
                let length = usize::try_from(*length).unwrap_or(usize::MAX).min(LONGEST_ZEROING);
                opcode::Write::new(fd(file), zeros().as_ptr(), transfer(length)).offset(*position).build()
            }
            Self::Sync { file } => data_sync(file),
            Self::Read { file, position, length, buffer } => {
                opcode::Read::new(fd(file), buffer.tail(), transfer(length - buffer.filled()))
                    .offset(position + buffer.filled() as u64)
                    .build()
            }
        }
    }

    /// Takes the result of what [`submission`](Self::submission) gave.
    pub(super) fn advance(self, completion: Completion) -> Step {
        match (self, completion) {
            (work, Completion::First(result) | Completion::Last(result)) if result == -libc::EINTR => {
                Step::Next(work)
            }
            (work, Completion::First(result) | Completion::Last(result)) if result < 0 => {
                work.failed(io::Error::from_raw_os_error(-result))
            }
            // The write was whole, or else this would be about the write.
            (Self::Write { dsync: true, .. }, Completion::Last(_)) => done(Outcome::Plain),
            (work, Completion::First(result) | Completion::Last(result)) => {
                work.succeeded(result.unsigned_abs() as usize)
            }
        }
    }

    fn succeeded(self, value: usize) -> Step {
        match self {
            Self::CreateFile { file, name, bytes } => {
                Step::Next(Self::Allocate { file, name, bytes, opened: adopt(value) })
            }
            Self::Allocate { file, name, opened, .. } => Step::Next(Self::SyncCreated { file, name, opened }),
            Self::SyncCreated { file, name, opened } => {
                Step::Next(Self::SyncCreatedName { file, name, opened })
            }
            Self::SyncCreatedName { file, opened, .. } => done(Outcome::Created(file, opened)),
            Self::Undo { error, .. } => Step::Done(Err(error)),
            Self::Remove { .. } => Step::Next(Self::SyncRemoved),
            Self::SyncRemoved | Self::Sync { .. } => done(Outcome::Plain),
            Self::Write { file, position, data, dsync } => written(file, position, data, dsync, value),
            Self::Zero { file, position, length } => zeroed(file, position, length, value as u64),
            Self::Read { file, position, length, buffer } => read(file, position, length, buffer, value),
        }
    }

    fn failed(self, error: io::Error) -> Step {
        match self {
            // The file must not be left behind half made. Its descriptor is closed first: were the last link to go
            // while it is open, closing it would free the blocks, on the executor.
            Self::Allocate { name, .. }
            | Self::SyncCreated { name, .. }
            | Self::SyncCreatedName { name, .. } => Step::Next(Self::Undo { name, error }),
            Self::Undo { error: first, .. } => Step::Done(Err(first)),
            // A file that could not be created was taken back already.
            Self::Remove { .. } if error.kind() == io::ErrorKind::NotFound => Step::Next(Self::SyncRemoved),
            _ => Step::Done(Err(error)),
        }
    }
}

fn written(file: OpenFile, position: u64, mut data: Bytes, dsync: bool, count: usize) -> Step {
    if count == 0 {
        return Step::Done(Err(io::ErrorKind::WriteZero.into()));
    }
    data.advance(count);
    if data.is_empty() {
        return done(Outcome::Plain);
    }
    Step::Next(Work::Write { file, position: position + count as u64, data, dsync })
}

fn zeroed(file: OpenFile, position: u64, length: u64, count: u64) -> Step {
    if count == 0 {
        return Step::Done(Err(io::ErrorKind::WriteZero.into()));
    }
    if count == length {
        return done(Outcome::Plain);
    }
    Step::Next(Work::Zero { file, position: position + count, length: length - count })
}

fn read(file: OpenFile, position: u64, length: usize, mut buffer: AlignedBuffer, count: usize) -> Step {
    // SAFETY: the kernel says that it filled `count` bytes at the tail.
    unsafe { buffer.advance(count) };
    // The file ends where the kernel stops inside of a block, or at once.
    let at_end = count == 0 || !count.is_multiple_of(BLOCK_BYTES);
    if at_end || buffer.filled() == length {
        return done(Outcome::Data(buffer.into_bytes()));
    }
    Step::Next(Work::Read { file, position, length, buffer })
}

fn done(outcome: Outcome) -> Step {
    Step::Done(Ok(outcome))
}

fn fd(file: &OpenFile) -> types::Fd {
    types::Fd(file.as_raw_fd())
}

fn data_sync(file: &OpenFile) -> squeue::Entry {
    opcode::Fsync::new(fd(file)).flags(types::FsyncFlags::DATASYNC).build()
}

fn adopt(descriptor: usize) -> OpenFile {
    let descriptor = RawFd::try_from(descriptor).expect("openat returns a descriptor");
    // SAFETY: the kernel has just opened it for us.
    Rc::new(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn transfer(length: usize) -> u32 {
    u32::try_from(length.min(LONGEST_TRANSFER)).expect("the longest transfer fits into 32 bits")
}
