//! Keeps a fixed number of disk operations in flight through an io_uring, one after the other over a file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Instant;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::Tally;
use super::pages::Pages;
use crate::error::{Error, Result};
use crate::load::{Meter, Phase, Window};

/// What one operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A write.
    Write,
    /// A write and, once it is done, an fdatasync: the operation ends with the latter.
    WriteAndSync,
    /// A read.
    Read,
}

/// Operations of one kind over the first `span` bytes of a file, round and round.
pub struct Rounds<'a> {
    /// The file, opened with O_DIRECT, all of `span` written.
    pub file: &'a File,
    /// Bytes of the file that are used, a multiple of `block`.
    pub span: u64,
    /// Bytes of one operation, whole pages.
    pub block: usize,
    /// Operations in flight.
    pub depth: usize,
    /// What an operation is.
    pub operation: Operation,
}

/// An operation in flight: its buffer, and when it was started.
struct Slot {
    pages: Pages,
    started: Instant,
}

/// Marks the completion of a write that is followed by an fdatasync; the lower bits are the slot.
const FOLLOWED: u64 = 1 << 32;

impl Rounds<'_> {
    /// Runs until `window` has closed and everything in flight has ended.
    ///
    /// # Errors
    ///
    /// When io_uring is not available, or an operation fails.
    pub fn run(&self, window: Window) -> Result<Tally> {
        let mut ring = IoUring::new(self.entries()).map_err(Error::system("set up an io_uring"))?;
        let mut slots: Vec<Slot> = (0..self.depth)
            .map(|seed| Slot { pages: Pages::noise(self.block, seed as u64), started: Instant::now() })
            .collect();
        let mut meter = Meter::new(window);
        let mut next = 0;
        for (index, slot) in slots.iter_mut().enumerate() {
            self.start(&mut ring, slot, index, &mut next)?;
        }
        let mut in_flight = self.depth;
        let mut ended = Vec::with_capacity(self.depth);
        while in_flight > 0 {
            ring.submit_and_wait(1).map_err(Error::system("wait for the disk"))?;
            for completion in ring.completion() {
                ended.extend(self.ended(&completion)?);
            }
            let now = Instant::now();
            for index in ended.drain(..) {
                let slot = &mut slots[index];
                meter.count(now, slot.started, 1, self.block as u64);
                in_flight -= 1;
                if window.phase(now) != Phase::Over {
                    self.start(&mut ring, slot, index, &mut next)?;
                    in_flight += 1;
                }
            }
        }
        Ok(Tally { per_second: self.per_second(&meter), latencies: meter.latencies().clone() })
    }

    fn entries(&self) -> u32 {
        u32::try_from(self.depth * 2).expect("probes have small depths").next_power_of_two()
    }

    /// Bandwidth for large blocks, a rate for single pages.
    fn per_second(&self, meter: &Meter) -> f64 {
        if self.block > super::pages::PAGE { meter.bytes_per_s() } else { meter.records_per_s() }
    }

    fn start(&self, ring: &mut IoUring, slot: &mut Slot, index: usize, next: &mut u64) -> Result<()> {
        let offset = *next % self.span;
        *next += self.block as u64;
        slot.started = Instant::now();
        let file = types::Fd(self.file.as_raw_fd());
        let len = u32::try_from(slot.pages.len()).expect("a block is far below 4 GiB");
        let address = slot.pages.as_mut_ptr();
        let index = index as u64;
        let write = || opcode::Write::new(file, address, len).offset(offset).build();
        match self.operation {
            Operation::Write => push(ring, write().user_data(index)),
            Operation::Read => {
                push(ring, opcode::Read::new(file, address, len).offset(offset).build().user_data(index))
            }
            Operation::WriteAndSync => {
                push(ring, write().flags(squeue::Flags::IO_LINK).user_data(index | FOLLOWED))?;
                let sync = opcode::Fsync::new(file).flags(types::FsyncFlags::DATASYNC).build();
                push(ring, sync.user_data(index))
            }
        }
    }

    /// The slot whose operation has ended with this completion, if it has.
    fn ended(&self, completion: &cqueue::Entry) -> Result<Option<usize>> {
        let moves = self.operation != Operation::WriteAndSync || completion.user_data() & FOLLOWED != 0;
        let expected = if moves { self.block as i32 } else { 0 };
        match completion.result() {
            result if result == expected => {}
            result if result < 0 => {
                let source = io::Error::from_raw_os_error(-result);
                return Err(Error::System { action: "probe the disk", source });
            }
            _ => {
                return Err(Error::System {
                    action: "probe the disk",
                    source: io::ErrorKind::UnexpectedEof.into(),
                });
            }
        }
        let index = completion.user_data();
        Ok((index & FOLLOWED == 0).then_some(index as usize))
    }
}

fn push(ring: &mut IoUring, entry: squeue::Entry) -> Result<()> {
    // SAFETY: the buffer of the entry belongs to a slot that outlives the loop in `run`, which ends only when nothing is
    // in flight; an early return by an error drops the ring first, which waits for or cancels what is in flight.
    unsafe { ring.submission().push(&entry) }
        .map_err(|full| Error::System { action: "submit to an io_uring", source: io::Error::other(full) })
}
