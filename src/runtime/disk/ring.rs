//! A bounded `io_uring` that owns the memory which its operations use.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::{IoUring, squeue};

/// An `io_uring` whose operations each carry a job: what the kernel reads, writes or names while it works.
///
/// A job is out of reach from [`start`](Ring::start) until [`reap`](Ring::reap) hands it back, and dropping the ring
/// waits for the kernel to let go of all of them.
pub(super) struct Ring<T> {
    ring: IoUring,
    /// Operations that found the ring full.
    waiting: VecDeque<squeue::Entry>,
    /// The jobs by the number that travels through the kernel as `user_data`.
    jobs: Vec<Option<T>>,
    vacant: Vec<u32>,
    /// Operations in the submission queue or in the kernel. Never above `depth`, so completions cannot overflow.
    in_flight: usize,
    depth: usize,
}

impl<T> Ring<T> {
    /// A ring of at most `depth` operations in flight, which rings `eventfd` at completions.
    pub(super) fn new(depth: u32, eventfd: RawFd) -> io::Result<Self> {
        let ring = build(depth)?;
        ring.submitter().register_eventfd(eventfd)?;
        let depth = ring.params().sq_entries() as usize;
        Ok(Self { ring, waiting: VecDeque::new(), jobs: Vec::new(), vacant: Vec::new(), in_flight: 0, depth })
    }

    /// Operations that have not completed.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight
    }

    /// Whether there are operations which a [`flush`](Self::flush) would hand over.
    pub(super) fn has_room_for_waiting(&self) -> bool {
        !self.waiting.is_empty() && self.in_flight < self.depth
    }

    /// Queues an operation for the next [`flush`](Self::flush).
    ///
    /// # Safety
    /// What `entry` points to or names (memory, descriptors) is owned by `job`, is not moved when `job` is, and is
    /// used by nobody else until `job` comes back.
    pub(super) unsafe fn start(&mut self, job: T, entry: squeue::Entry) {
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.jobs.push(None);
            u32::try_from(self.jobs.len() - 1).expect("far fewer than 2^32 operations fit into memory")
        });
        self.jobs[number as usize] = Some(job);
        self.waiting.push_back(entry.user_data(u64::from(number)));
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
        let mut submission = self.ring.submission();
        while self.in_flight < self.depth
            && let Some(entry) = self.waiting.front()
        {
            // SAFETY: the promise made to `start`; the job is kept until its completion is reaped.
            if unsafe { submission.push(entry) }.is_err() {
                break;
            }
            self.waiting.pop_front();
            self.in_flight += 1;
        }
    }

    /// The next completion, if there is one: the job, and what the kernel says (negative: an error number).
    pub(super) fn reap(&mut self) -> Option<(T, i32)> {
        let completion = self.ring.completion().next()?;
        let number = u32::try_from(completion.user_data()).expect("user_data is the number of a job");
        let job = self.jobs[number as usize].take().expect("each operation completes once");
        self.vacant.push(number);
        self.in_flight -= 1;
        Some((job, completion.result()))
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // The kernel may still use the jobs' memory. What it has not been given is given up.
        self.waiting.clear();
        while self.in_flight > 0 {
            while self.reap().is_some() {}
            if self.in_flight == 0 {
                return;
            }
            if let Err(error) = self.ring.submit_and_wait(1)
                && !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
            {
                // Freeing memory that the kernel may write to would be worse than leaking it.
                tracing::error!(%error, fd = self.ring.as_raw_fd(), "waiting for the disk failed; its buffers are leaked");
                std::mem::forget(std::mem::take(&mut self.jobs));
                return;
            }
        }
    }
}

/// Completions of a ring with these flags wait for the thread's next system call instead of interrupting it;
/// a thread that sleeps is woken as ever. Kernels before 6.0 lack them.
fn build(depth: u32) -> io::Result<IoUring> {
    match IoUring::builder().setup_single_issuer().setup_coop_taskrun().build(depth) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(depth),
        built => built,
    }
}
