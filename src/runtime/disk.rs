//! The disk of one shard: a directory of segment files, read and written past the page cache.
//!
//! [`Disk`] carries out what the engine asks for ([`IoOp`]): operations go in with a number of the engine's choice, and
//! come out with that number when they are complete, in any order. Nothing here blocks or awaits, but for
//! [`Disk::open`] and [`Disk::ready`].
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
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

use ringmail_shards::io::{BLOCK_BYTES, ExistingFile, FileId, IoDone, IoError, IoId, IoOp, IoResult};

use self::buffer::AlignedBuffer;
use self::ring::{Completion, Ring};
use self::work::{OpenFile, Outcome, Step, Work};
use super::bell::Bell;
use super::memory::Pool;

/// Operations in the kernel at most; more are queued.
const RING_DEPTH: u32 = 128;

/// Memory for large reads that is kept for the next ones, in bytes. Reads beyond it allocate their own.
const READ_MEMORY: usize = 32 << 20;

/// The name of a file in its shard's directory.
pub fn file_name(file: FileId) -> String {
    format!("{:016x}.seg", file.0)
}

/// The file of a name that [`file_name`] makes.
pub fn file_id(name: &str) -> Option<FileId> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 16)?;
    let file = FileId(u64::from_str_radix(digits, 16).ok()?);
    (file_name(file) == name).then_some(file)
}

/// The files of one shard. Belongs to one executor thread.
///
/// Dropping it waits for what the kernel is working on, and gives up what it has not been given yet.
pub struct Disk {
    /// Before the directory and the files, so that it is dropped before them.
    ring: Ring<Job>,
    bell: Bell,
    /// Memory for reads.
    buffers: Pool,
    directory: OwnedFd,
    files: HashMap<FileId, OpenFile>,
    /// Removals that wait for the last operation on their file.
    removals: Vec<(IoId, FileId, OpenFile)>,
    /// Operations that ended without the kernel.
    ended: VecDeque<(IoId, IoResult)>,
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
    id: IoId,
    work: Work,
}

impl Disk {
    /// Opens the segment files in `directory`, and tells which there are, in order. Blocks; for the start of a shard,
    /// on the executor that will use the disk.
    pub fn open(directory: &Path) -> io::Result<(Self, Vec<ExistingFile>)> {
        let bell = Bell::new()?;
        let mut disk = Self {
            ring: Ring::new(RING_DEPTH, bell.ringer().as_raw_fd())?,
            bell,
            buffers: Pool::new(READ_MEMORY),
            directory: File::open(directory)?.into(),
            files: HashMap::new(),
            removals: Vec::new(),
            ended: VecDeque::new(),
            flush_error: None,
        };
        let mut existing = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let Some(file) = entry.file_name().to_str().and_then(file_id) else { continue };
            let opened =
                File::options().read(true).write(true).custom_flags(libc::O_DIRECT).open(entry.path())?;
            existing.push(ExistingFile { file, bytes: opened.metadata()?.len() });
            disk.files.insert(file, Rc::new(opened.into()));
        }
        existing.sort_unstable_by_key(|existing| existing.file);
        Ok((disk, existing))
    }

    /// Queues an operation until [`flush`](Self::flush). `id` comes back with its completion.
    pub fn submit(&mut self, id: IoId, op: IoOp) {
        match self.prepare(id, op) {
            Ok(Prepared::Ready(work)) => self.start(Job { id, work }),
            Ok(Prepared::Parked) => {}
            Ok(Prepared::Nothing) => self.end(id, Ok(IoDone::Ok)),
            Err(error) => self.end(id, Err(reported(&error))),
        }
    }

    /// Completes an operation without the kernel.
    fn end(&mut self, id: IoId, result: IoResult) {
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
    pub fn poll(&mut self) -> Option<(IoId, IoResult)> {
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

    fn prepare(&mut self, id: IoId, op: IoOp) -> io::Result<Prepared> {
        let work = match op {
            IoOp::Create { file, bytes } => Work::CreateFile { file, name: c_name(file), bytes },
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
                    buffer: AlignedBuffer::new(length, &mut self.buffers),
                }
            }
        };
        Ok(Prepared::Ready(work))
    }

    fn file(&self, file: FileId) -> io::Result<OpenFile> {
        let not_open = || {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no segment file {}", file_name(file)))
        };
        self.files.get(&file).cloned().ok_or_else(not_open)
    }

    fn remove(&mut self, id: IoId, file: FileId) -> Prepared {
        match self.files.remove(&file) {
            Some(open) if Rc::strong_count(&open) > 1 => {
                self.removals.push((id, file, open));
                Prepared::Parked
            }
            // Dropped first, as unlinking an open file would leave it to its closing to free the blocks: on this thread.
            _ => Prepared::Ready(Work::Remove { name: c_name(file) }),
        }
    }

    fn start(&mut self, job: Job) {
        let submission = job.work.submission(self.directory.as_raw_fd());
        // SAFETY: the submission refers to the directory, which outlives the ring, to static zeros, and else to heap memory
        // and descriptors that the work owns or shares as immutable; only the kernel writes to the buffer of a read.
        unsafe { self.ring.start(job, submission) }
    }

    fn advance(&mut self, job: Job, completion: Completion) -> Option<(IoId, IoResult)> {
        let id = job.id;
        match job.work.advance(completion) {
            Step::Next(work) => {
                self.start(Job { id, work });
                None
            }
            Step::Done(outcome) => {
                let outcome = outcome.map(|outcome| self.settle(outcome)).map_err(|error| reported(&error));
                self.start_idle_removals();
                Some((id, outcome))
            }
        }
    }

    fn settle(&mut self, outcome: Outcome) -> IoDone {
        match outcome {
            Outcome::Plain => {}
            Outcome::Data(data) => return IoDone::Data(data),
            Outcome::Created(file, open) => {
                self.files.insert(file, open);
            }
        }
        IoDone::Ok
    }

    fn start_idle_removals(&mut self) {
        let idle = self.removals.extract_if(.., |(_, _, open)| Rc::strong_count(open) == 1);
        for (id, file, open) in idle.collect::<Vec<_>>() {
            drop(open);
            self.start(Job { id, work: Work::Remove { name: c_name(file) } });
        }
    }
}

fn c_name(file: FileId) -> CString {
    CString::new(file_name(file)).expect("hexadecimal digits contain no zero byte")
}

/// An error as the engine takes it.
fn reported(error: &io::Error) -> IoError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => IoError::Full,
        _ => IoError::Failed(error.to_string()),
    }
}

fn aligned(values: &[u64]) -> io::Result<()> {
    if values.iter().all(|value| value.is_multiple_of(BLOCK_BYTES as u64)) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("direct I/O needs memory, positions and lengths in multiples of {BLOCK_BYTES} bytes"),
    ))
}
