//! A bounded `io_uring` that owns the memory which its operations use.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::{IoUring, cqueue, squeue};

/// Marks, in `user_data`, the first operation of a pair.
const FIRST_OF_PAIR: u64 = 1 << 63;

/// What the kernel is given at once.
pub(super) enum Submission {
    /// One operation.
    One(squeue::Entry),
    /// Two, of which the second runs if the first succeeds in full (a short write does not).
    Pair(squeue::Entry, squeue::Entry),
}

/// How a submission ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// The result of the only operation, or of the second after the first succeeded.
    Last(i32),
    /// The first of a pair failed or fell short, with this result; the second did not run.
    First(i32),
}

/// An `io_uring` whose submissions each carry a job: what the kernel reads, writes or names while it works.
///
/// A job is out of reach from [`start`](Ring::start) until [`reap`](Ring::reap) hands it back, and dropping the ring
/// waits for the kernel to let go of all of them.
pub(super) struct Ring<T> {
    ring: IoUring,
    /// Submissions that found the ring full, or wait for a flush.
    waiting: VecDeque<Submission>,
    slots: Vec<Slot<T>>,
    vacant: Vec<u32>,
    /// Submissions in the submission queue or in the kernel.
    in_flight: usize,
    /// At most so many of them. Even if all are pairs, neither queue overflows.
    depth: usize,
}

/// A place for a job. Its number and age travel through the kernel as `user_data`.
struct Slot<T> {
    job: Option<T>,
    /// Grows with every job, so that the cancellation of a second operation is not taken for its successor's end.
    age: u32,
}

impl<T> Ring<T> {
    /// A ring of at most `depth` submissions in flight, which rings `eventfd` at completions.
    pub(super) fn new(depth: u32, eventfd: RawFd) -> io::Result<Self> {
        let ring = build(2 * depth)?;
        ring.submitter().register_eventfd(eventfd)?;
        let depth = depth as usize;
        Ok(Self {
            ring,
            waiting: VecDeque::new(),
            slots: Vec::new(),
            vacant: Vec::new(),
            in_flight: 0,
            depth,
        })
    }

    /// Submissions that have not completed.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight
    }

    /// Whether there are submissions which a [`flush`](Self::flush) would hand over.
    pub(super) fn has_room_for_waiting(&self) -> bool {
        !self.waiting.is_empty() && self.in_flight < self.depth
    }

    /// Queues a submission for the next [`flush`](Self::flush).
    ///
    /// # Safety
    /// What `submission` points to or names (memory, descriptors) is owned by `job`, is not moved when `job` is, and
    /// is used by nobody else until `job` comes back.
    pub(super) unsafe fn start(&mut self, job: T, submission: Submission) {
        let name = self.keep(job);
        self.waiting.push_back(match submission {
            Submission::One(entry) => Submission::One(entry.user_data(name)),
            Submission::Pair(first, second) => Submission::Pair(
                first
                    .user_data(name | FIRST_OF_PAIR)
                    .flags(squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS),
                second.user_data(name),
            ),
        });
    }

    /// Puts a job into a slot, and names it.
    fn keep(&mut self, job: T) -> u64 {
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot { job: None, age: 0 });
            u32::try_from(self.slots.len() - 1).expect("far fewer than 2^32 jobs fit into memory")
        });
        let slot = &mut self.slots[number as usize];
        slot.age = (slot.age + 1) & (u32::MAX >> 1);
        slot.job = Some(job);
        u64::from(slot.age) << 32 | u64::from(number)
    }

    /// Hands what is queued to the kernel, as far as the ring has room, in one system call.
    ///
    /// `Ok(false)` means that the kernel was short of resources: call again.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        loop {
            self.fill();
            if self.ring.submission().is_empty() {
                return Ok(true);
            }
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN | libc::EBUSY) => return Ok(false),
                    _ => return Err(error),
                },
            }
        }
    }

    fn fill(&mut self) {
        let mut queue = self.ring.submission();
        // A pair must not be torn apart by the end of the queue.
        while self.in_flight < self.depth
            && queue.capacity() - queue.len() >= 2
            && let Some(submission) = self.waiting.pop_front()
        {
            // SAFETY: the promise made to `start`; the job is kept until its completion is reaped.
            let pushed = unsafe {
                match submission {
                    Submission::One(entry) => queue.push(&entry),
                    Submission::Pair(first, second) => queue.push_multiple(&[first, second]),
                }
            };
            pushed.expect("there is room for two");
            self.in_flight += 1;
        }
    }

    /// The next completion, if there is one, and its job.
    pub(super) fn reap(&mut self) -> Option<(T, Completion)> {
        loop {
            let entry = self.ring.completion().next()?;
            if let Some(reaped) = self.take(&entry) {
                return Some(reaped);
            }
        }
    }

    fn take(&mut self, entry: &cqueue::Entry) -> Option<(T, Completion)> {
        let name = entry.user_data();
        let (number, age) = (name as u32, (name & !FIRST_OF_PAIR) >> 32);
        let slot = &mut self.slots[number as usize];
        if u64::from(slot.age) != age {
            return None;
        }
        // Absent if this is the second operation of a pair, and the slot has not been used since the first failed.
        let job = slot.job.take()?;
        self.vacant.push(number);
        self.in_flight -= 1;
        let first = name & FIRST_OF_PAIR != 0;
        Some((job, if first { Completion::First(entry.result()) } else { Completion::Last(entry.result()) }))
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // The kernel may still use the jobs' memory. What it has not been given is given up.
        self.waiting.clear();
        loop {
            while self.reap().is_some() {}
            if self.in_flight == 0 {
                return;
            }
            if let Err(error) = self.ring.submit_and_wait(1)
                && !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
            {
                // Freeing memory that the kernel may write to would be worse than leaking it.
                tracing::error!(%error, fd = self.ring.as_raw_fd(), "waiting for the disk failed; its buffers are leaked");
                std::mem::forget(std::mem::take(&mut self.slots));
                return;
            }
        }
    }
}

/// Completions of a ring with these flags wait for the thread's next system call instead of interrupting it;
/// a thread that sleeps is woken as ever. Kernels before 6.0 lack them.
fn build(entries: u32) -> io::Result<IoUring> {
    match IoUring::builder().setup_single_issuer().setup_coop_taskrun().build(entries) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(entries),
        built => built,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use io_uring::{opcode, types};

    use super::*;
    use crate::runtime::bell::Ringer;

    fn ring() -> (Ring<(OwnedFd, Vec<u8>)>, Ringer) {
        let eventfd = Ringer::new().unwrap();
        (Ring::new(4, eventfd.as_raw_fd()).unwrap(), eventfd)
    }

    fn start_pair(ring: &mut Ring<(OwnedFd, Vec<u8>)>, file: OwnedFd, length: usize) {
        let memory = vec![1; length];
        let fd = types::Fd(file.as_raw_fd());
        let write = opcode::Write::new(fd, memory.as_ptr(), length as u32).build();
        let pair = Submission::Pair(write, opcode::Nop::new().build());
        // SAFETY: the job owns the descriptor and the memory.
        unsafe { ring.start((file, memory), pair) };
    }

    fn wait<T>(ring: &mut Ring<T>) -> Completion {
        assert!(ring.flush().unwrap());
        for _ in 0..10_000 {
            if let Some((_, completion)) = ring.reap() {
                return completion;
            }
            ring.ring.submit_and_wait(1).unwrap();
        }
        panic!("no completion");
    }

    #[test]
    fn a_pair_completes_once() {
        let (mut ring, _eventfd) = ring();
        for _ in 0..20 {
            let null = File::options().write(true).open("/dev/null").unwrap();
            start_pair(&mut ring, null.into(), 10);
            assert_eq!(wait(&mut ring), Completion::Last(0));
            assert_eq!(ring.len(), 0);
        }
    }

    #[test]
    fn a_pair_whose_first_operation_fails_reports_that_and_not_the_second() {
        let (mut ring, _eventfd) = ring();
        for _ in 0..20 {
            let unwritable = File::open("/dev/null").unwrap();
            start_pair(&mut ring, unwritable.into(), 10);
            assert_eq!(wait(&mut ring), Completion::First(-libc::EBADF));
            assert_eq!(ring.len(), 0);

            let null = File::options().write(true).open("/dev/null").unwrap();
            start_pair(&mut ring, null.into(), 10);
            assert_eq!(wait(&mut ring), Completion::Last(0));
        }
    }

    #[test]
    fn a_short_write_keeps_the_second_operation_from_running() {
        let (mut ring, _eventfd) = ring();
        let (_reader, writer) = std::io::pipe().unwrap();
        let writer = OwnedFd::from(writer);
        // SAFETY: sets a flag of a descriptor that we own.
        assert_eq!(unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }, 0);
        start_pair(&mut ring, writer, 1 << 20);
        assert_eq!(wait(&mut ring), Completion::First(65_536));
    }
}
