//! The disk of one shard: a directory of segment files, read and written past the page cache.
//!
//! [`Disk`] drives a sans-IO engine: operations go in with a number of the caller's choice, and come out with that
//! number when they are complete, in any order. Nothing here blocks or awaits, but for [`Disk::ready`].
//!
//! ```text
//! loop {
//!     while let Some((id, result)) = disk.poll() { engine.completed(id, result) }
//!     for (id, op) in engine.outputs() { disk.submit(id, op) }
//!     disk.flush()?;
//!     disk.ready().await;
//! }
//! ```

mod buffer;
mod ring;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use self::buffer::AlignedBuffer;
use self::ring::{Completion, Ring};
use self::work::{OpenFile, Outcome, Step, Work};
use super::bell::Bell;

/// Unit of direct I/O, in bytes: memory, positions and lengths are multiples of it.
pub const BLOCK: usize = 4096;

/// Operations in the kernel at most; more are queued.
const RING_DEPTH: u32 = 128;

/// Number of a segment file in its shard's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

impl FileId {
    /// The name of the file in its directory.
    pub fn name(self) -> String {
        format!("{:016x}.seg", self.0)
    }

    /// The number in a name that [`name`](Self::name) makes.
    pub fn from_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 16)?;
        let id = Self(u64::from_str_radix(digits, 16).ok()?);
        (id.name() == name).then_some(id)
    }

    fn c_name(self) -> CString {
        CString::new(self.name()).expect("hexadecimal digits contain no zero byte")
    }
}

/// An operation on the files of a shard. Positions and lengths are in bytes.
///
/// Operations run side by side, in no order; one that needs another waits for its completion.
#[derive(Debug)]
pub enum IoOp {
    /// Creates and opens a file of `bytes` bytes that are allocated but not written (they read as zeros). Complete
    /// when both the file and its name are durable. Fails with `AlreadyExists`; leaves nothing behind on failure.
    Create {
        /// The new file.
        file: FileId,
        /// Its length.
        bytes: u64,
    },
    /// Opens an existing file, or fails with `NotFound`.
    Open {
        /// The file.
        file: FileId,
    },
    /// Renames a file durably, open or not; if it is open, it stays so under the new number. Fails with
    /// `AlreadyExists` if the new name is taken.
    Rename {
        /// The number it had.
        from: FileId,
        /// The number it gets.
        to: FileId,
    },
    /// Closes and deletes a file durably, after the operations that are running on it.
    Remove {
        /// The file, open or not.
        file: FileId,
    },
    /// Writes all of `data`, which is aligned to [`BLOCK`] in address, length and position.
    Write {
        /// An open file.
        file: FileId,
        /// Where to write to.
        position: u64,
        /// What to write.
        data: Bytes,
        /// Whether completion means durable: the data, and that of all writes to the file that had completed when
        /// this one was submitted.
        dsync: bool,
    },
    /// Writes zeros, 1 MiB at a time.
    Zero {
        /// An open file.
        file: FileId,
        /// Where to write to.
        position: u64,
        /// How many.
        length: u64,
    },
    /// Makes all completed writes to the file durable (`fdatasync`).
    Sync {
        /// An open file.
        file: FileId,
    },
    /// Reads into fresh memory; gives fewer bytes where the file ends.
    Read {
        /// An open file.
        file: FileId,
        /// Where to read from.
        position: u64,
        /// How many bytes.
        length: usize,
    },
}

/// What a completed operation gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoDone {
    /// Nothing but the knowledge that it is done.
    Ok,
    /// The bytes of a [`Read`](IoOp::Read); their memory is aligned to [`BLOCK`].
    Data(Bytes),
}

/// The files of one shard. Belongs to one executor thread.
///
/// Dropping it waits for what the kernel is working on, and gives up what it has not been given yet.
pub struct Disk {
    /// Before the directory and the files, so that it is dropped before them.
    ring: Ring<Job>,
    bell: Bell,
    directory: OwnedFd,
    files: HashMap<FileId, OpenFile>,
    /// Removals that wait for the last operation on their file.
    removals: Vec<(u64, FileId, OpenFile)>,
    /// Operations that ended without the kernel.
    ended: VecDeque<(u64, io::Result<IoDone>)>,
    /// What went wrong while flushing where nobody could be told.
    flush_error: Option<io::Error>,
}

/// What is to be done about a new operation.
enum Prepared {
    Ready(Work),
    /// It waits for others.
    Parked,
    /// It is complete.
    Nothing,
}

/// An operation in the ring.
struct Job {
    id: u64,
    work: Work,
}

impl Disk {
    /// Opens the disk in `directory`, which must exist. Must be called on the executor that will use it.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let bell = Bell::new()?;
        Ok(Self {
            ring: Ring::new(RING_DEPTH, bell.ringer().as_raw_fd())?,
            bell,
            directory: File::open(directory)?.into(),
            files: HashMap::new(),
            removals: Vec::new(),
            ended: VecDeque::new(),
            flush_error: None,
        })
    }

    /// The segment files in `directory` with their lengths in bytes, by number. Blocks; for start-up.
    pub fn list(directory: &Path) -> io::Result<Vec<(FileId, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if let Some(id) = entry.file_name().to_str().and_then(FileId::from_name) {
                files.push((id, entry.metadata()?.len()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Queues an operation until [`flush`](Self::flush). `id` comes back with its completion.
    pub fn submit(&mut self, id: u64, op: IoOp) {
        match self.prepare(id, op) {
            Ok(Prepared::Ready(work)) => self.start(Job { id, work }),
            Ok(Prepared::Parked) => {}
            Ok(Prepared::Nothing) => self.end(id, Ok(IoDone::Ok)),
            Err(error) => self.end(id, Err(error)),
        }
    }

    /// Completes an operation without the kernel.
    fn end(&mut self, id: u64, result: io::Result<IoDone>) {
        self.ended.push_back((id, result));
        self.bell.ringer().ring();
    }

    /// Hands all queued operations to the kernel in one system call. An error means that the ring is unusable.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.flush_error.take() {
            return Err(error);
        }
        if !self.ring.flush()? {
            // The kernel is short of resources: come back, even if nothing completes.
            self.bell.ringer().ring();
        }
        Ok(())
    }

    /// The next completed operation, if there is one.
    pub fn poll(&mut self) -> Option<(u64, io::Result<IoDone>)> {
        if let Some(ended) = self.ended.pop_front() {
            return Some(ended);
        }
        while let Some((job, completion)) = self.ring.reap() {
            if let Some(ended) = self.advance(job, completion) {
                return Some(ended);
            }
        }
        // Further steps of operations, and such as found the ring full, must not depend on the caller's next flush.
        if self.ring.has_room_for_waiting()
            && let Err(error) = self.flush()
        {
            self.flush_error = Some(error);
            self.bell.ringer().ring();
        }
        None
    }

    /// Ends when operations may have completed since the last time it ended; it may do so for nothing. Borrows
    /// nothing, so that one long-lived task can wait while others submit.
    pub fn ready(&self) -> impl Future<Output = ()> + use<> {
        let bell = self.bell.clone();
        async move { bell.wait().await }
    }

    /// Operations that have not completed.
    pub fn in_flight(&self) -> usize {
        self.ring.len() + self.removals.len()
    }

    fn prepare(&mut self, id: u64, op: IoOp) -> io::Result<Prepared> {
        let work = match op {
            IoOp::Create { file, bytes } => Work::CreateFile { file, name: file.c_name(), bytes },
            IoOp::Open { file } => Work::Open { file, name: file.c_name() },
            IoOp::Rename { from, to } => Work::Rename { from, to, old: from.c_name(), new: to.c_name() },
            IoOp::Remove { file } => return Ok(self.remove(id, file)),
            IoOp::Write { file, position, data, dsync } => {
                if data.is_empty() {
                    return Ok(Prepared::Nothing);
                }
                aligned(&[data.as_ptr().addr() as u64, data.len() as u64, position])?;
                Work::Write { file: self.file(file)?, position, data, dsync }
            }
            IoOp::Zero { file, position, length } => {
                aligned(&[position, length])?;
                if length == 0 {
                    return Ok(Prepared::Nothing);
                }
                Work::Zero { file: self.file(file)?, position, length }
            }
            IoOp::Sync { file } => Work::Sync { file: self.file(file)? },
            IoOp::Read { file, position, length } => {
                aligned(&[position, length as u64])?;
                Work::Read {
                    file: self.file(file)?,
                    position,
                    length,
                    buffer: AlignedBuffer::with_capacity(length),
                }
            }
        };
        Ok(Prepared::Ready(work))
    }

    fn file(&self, file: FileId) -> io::Result<OpenFile> {
        let not_open =
            || io::Error::new(io::ErrorKind::NotFound, format!("segment file {} is not open", file.name()));
        self.files.get(&file).cloned().ok_or_else(not_open)
    }

    fn remove(&mut self, id: u64, file: FileId) -> Prepared {
        match self.files.remove(&file) {
            Some(open) if Rc::strong_count(&open) > 1 => {
                self.removals.push((id, file, open));
                Prepared::Parked
            }
            // Dropped first, as unlinking an open file would leave it to its closing to free the blocks: on this thread.
            _ => Prepared::Ready(Work::Remove { name: file.c_name() }),
        }
    }

    fn start(&mut self, job: Job) {
        let submission = job.work.submission(self.directory.as_raw_fd());
        // SAFETY: the submission refers to the directory, which outlives the ring, to static zeros, and else to heap memory
        // and descriptors that the work owns or shares as immutable; only the kernel writes to the buffer of a read.
        unsafe { self.ring.start(job, submission) }
    }

    fn advance(&mut self, job: Job, completion: Completion) -> Option<(u64, io::Result<IoDone>)> {
        let id = job.id;
        match job.work.advance(completion) {
            Step::Next(work) => {
                self.start(Job { id, work });
                None
            }
            Step::Done(outcome) => {
                let outcome = outcome.map(|outcome| self.settle(outcome));
                self.start_idle_removals();
                Some((id, outcome))
            }
        }
    }

    fn settle(&mut self, outcome: Outcome) -> IoDone {
        match outcome {
            Outcome::Plain => {}
            Outcome::Data(data) => return IoDone::Data(data),
            Outcome::Opened(file, open) => {
                self.files.insert(file, open);
            }
            Outcome::Renamed { from, to } => {
                if let Some(open) = self.files.remove(&from) {
                    self.files.insert(to, open);
                }
            }
        }
        IoDone::Ok
    }

    fn start_idle_removals(&mut self) {
        let idle = self.removals.extract_if(.., |(_, _, open)| Rc::strong_count(open) == 1);
        for (id, file, open) in idle.collect::<Vec<_>>() {
            drop(open);
            self.start(Job { id, work: Work::Remove { name: file.c_name() } });
        }
    }
}

fn aligned(values: &[u64]) -> io::Result<()> {
    if values.iter().all(|value| value.is_multiple_of(BLOCK as u64)) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("direct I/O needs memory, positions and lengths in multiples of {BLOCK} bytes"),
    ))
}
