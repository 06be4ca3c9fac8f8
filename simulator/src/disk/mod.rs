//! A disk in memory that does all that a disk may do, at the worst time.
//!
//! [`Disk::submit`] takes an operation and says how long it takes; whoever drives the disk calls [`Disk::complete`] when
//! that time has come. Several operations are under way at once, and end in any order. What is written can be read at
//! once, but is durable only once a sync that was submitted after the write's end has ended. Until then a power cut keeps
//! any of its sectors ([`Disk::cut_power`]); the death of the process ([`Disk::kill`]) loses only what is under way.
//!
//! [`Faults`] are what a disk may do by its contract, and change at any time. [`Lies`] are beyond it.

mod faults;
mod file;
mod stats;

pub use faults::{Faults, Lie, Lies, Speed};
pub use stats::DiskStats;

use crate::rng::Rng;
use bytes::Bytes;
use file::SimFile;
use ringmail_shards::io::{BLOCK_BYTES, ExistingFile, FileId, IoDone, IoError, IoId, IoOp, IoResult};
use std::collections::BTreeMap;

/// The unit in which writes are torn, in bytes.
pub const SECTOR_BYTES: usize = 512;

/// Names an operation under way, over all starts of whoever uses the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An operation under way.
#[derive(Debug)]
struct InFlight {
    id: IoId,
    op: IoOp,
    /// Writes that had ended by then are made durable by it.
    submitted: u64,
}

/// The disk.
#[derive(Debug)]
pub struct Disk {
    /// What goes wrong from now on.
    pub faults: Faults,
    /// Bytes that all files together may have.
    pub capacity: u64,
    /// Breaches of the disk's contract, as they happened.
    pub lied: Vec<Lie>,
    /// Figures.
    pub stats: DiskStats,
    files: BTreeMap<FileId, SimFile>,
    in_flight: BTreeMap<Ticket, InFlight>,
    next_ticket: u64,
    /// Counts submissions and ends, to tell what came before what.
    order: u64,
    rng: Rng,
}

impl Disk {
    /// An empty disk of unlimited size, without faults.
    pub fn new(rng: Rng) -> Self {
        Self {
            faults: Faults::default(),
            capacity: u64::MAX,
            lied: Vec::new(),
            stats: DiskStats::default(),
            files: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            next_ticket: 0,
            order: 0,
            rng,
        }
    }

    /// The files, for whoever starts on the disk. Nothing may be under way.
    pub fn files(&mut self) -> Vec<ExistingFile> {
        assert!(self.in_flight.is_empty(), "kill() or cut_power() comes before a start");
        self.files.iter().map(|(&file, f)| ExistingFile { file, bytes: f.len() as u64 }).collect()
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.files.values().map(|f| f.len() as u64).sum()
    }

    /// How many files there are.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Whether there is such a file.
    pub fn has_file(&self, file: FileId) -> bool {
        self.files.contains_key(&file)
    }

    /// What a read of all of a file would give.
    pub fn contents(&self, file: FileId) -> Option<&[u8]> {
        self.files.get(&file).map(SimFile::seen)
    }

    /// Operations under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Takes an operation. It is to be completed under the ticket after so many microseconds.
    pub fn submit(&mut self, id: IoId, op: IoOp) -> (Ticket, u64) {
        check_alignment(&op);
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.order += 1;
        let (delay, held_up) = self.faults.speed.draw(&op, &mut self.rng);
        self.stats.slow += u64::from(held_up);
        self.in_flight.insert(ticket, InFlight { id, op, submitted: self.order });
        (ticket, delay)
    }

    /// Ends an operation; `None` if a crash has ended it before.
    pub fn complete(&mut self, ticket: Ticket) -> Option<(IoId, IoResult)> {
        let InFlight { id, op, submitted } = self.in_flight.remove(&ticket)?;
        self.order += 1;
        let result = match self.fault_of(&op) {
            Some(error) => {
                self.fail(op, &error);
                Err(error)
            }
            None => self.execute(op, submitted),
        };
        Some((id, result))
    }

    /// The process has died: what was under way may have happened whole, in part or not at all; the rest stays as it is.
    pub fn kill(&mut self) {
        for (_, InFlight { op, .. }) in std::mem::take(&mut self.in_flight) {
            self.interrupt(op);
        }
        // What a failed sync has left is decided by now: it is on the disk, or it is not.
        for file in self.files.values_mut() {
            file.settle_doomed(&mut self.rng);
        }
    }

    /// The power was cut: of what is not durable, any sectors are lost.
    pub fn cut_power(&mut self) {
        self.kill();
        for file in self.files.values_mut() {
            self.stats.lost_sectors += file.lose_unsynced(&mut self.rng);
        }
    }

    /// Changes one bit of what is stored, and gives where: file and byte.
    pub fn rot(&mut self) -> Option<(FileId, u64)> {
        let (file, length) = self.some_file(1)?;
        let (at, bits) = (self.rng.index(length), 1 << self.rng.below(8));
        self.file(file).flip(at, bits).then(|| {
            self.stats.rotten_bits += 1;
            self.lied.push(Lie { file, position: at as u64, bytes: 1, what: "bit rot" });
            (file, at as u64)
        })
    }

    fn fault_of(&mut self, op: &IoOp) -> Option<IoError> {
        let faults = &self.faults;
        let (chance, words) = match op {
            IoOp::Read { .. } => (faults.read_error, "injected read error"),
            IoOp::Write { .. } | IoOp::Zero { .. } => (faults.write_error, "injected write error"),
            IoOp::Sync { .. } => (faults.sync_error, "injected sync error"),
            IoOp::Create { .. } | IoOp::Remove { .. } => (faults.create_error, "injected directory error"),
        };
        let no_room = match op {
            IoOp::Create { bytes, .. } => faults.full || self.used_bytes() + bytes > self.capacity,
            IoOp::Write { .. } | IoOp::Zero { .. } => self.rng.one_in(faults.no_room),
            _ => false,
        };
        if no_room {
            return Some(IoError::Full);
        }
        if self.rng.one_in(chance) {
            return Some(IoError::Failed(words.into()));
        }
        None
    }

    /// What an operation that fails leaves behind.
    fn fail(&mut self, op: IoOp, error: &IoError) {
        if *error == IoError::Full {
            self.stats.refused += 1;
            return;
        }
        match op {
            IoOp::Write { file, dsync: true, position, data } if self.rng.one_in(2) => {
                // The write went well, and its sync has failed.
                self.stats.failed_syncs += 1;
                let order = self.order;
                let file = self.file(file);
                file.write(position as usize, data, order);
                file.doom(order);
            }
            IoOp::Sync { file } => {
                self.stats.failed_syncs += 1;
                let order = self.order;
                if let Some(file) = self.files.get_mut(&file) {
                    file.doom(order);
                }
            }
            IoOp::Write { .. } | IoOp::Zero { .. } => {
                self.stats.write_errors += 1;
                self.interrupt(op);
            }
            IoOp::Read { .. } => self.stats.read_errors += 1,
            IoOp::Create { .. } | IoOp::Remove { .. } => self.stats.directory_errors += 1,
        }
    }

    /// What an operation leaves behind that never ended.
    fn interrupt(&mut self, op: IoOp) {
        self.order += 1;
        match op {
            IoOp::Write { file, position, data, .. } => {
                let (order, mut rng) = (self.order, self.rng.fork());
                if let Some(file) = self.files.get_mut(&file) {
                    file.write_in_part(position as usize, &data, order, &mut rng);
                }
            }
            IoOp::Create { file, bytes } => {
                let blocks = bytes / BLOCK_BYTES as u64;
                let made = match self.rng.below(4) {
                    0 => return,
                    1 => 0,
                    2 => bytes,
                    _ => self.rng.between(2.min(blocks), blocks) * BLOCK_BYTES as u64,
                };
                self.files.insert(file, SimFile::new(made as usize));
            }
            IoOp::Remove { file } if self.rng.one_in(2) => {
                self.files.remove(&file);
            }
            _ => {}
        }
    }

    fn execute(&mut self, op: IoOp, submitted: u64) -> IoResult {
        match op {
            IoOp::Create { file, bytes } => {
                let before = self.files.insert(file, SimFile::new(bytes as usize));
                assert!(before.is_none(), "{file:?} is created twice");
            }
            IoOp::Remove { file } => {
                if self.files.remove(&file).is_none() {
                    return Err(IoError::Failed("no such file".into()));
                }
            }
            IoOp::Write { file, position, data, dsync } => {
                self.stats.writes += 1;
                self.write(file, position, data, dsync, submitted);
            }
            IoOp::Zero { file, position, length } => {
                self.stats.writes += 1;
                let order = self.order;
                self.file(file).write(position as usize, zeros(length as usize), order);
            }
            IoOp::Sync { file } => {
                self.stats.syncs += 1;
                // A file that was removed meanwhile is still open.
                if let Some(file) = self.files.get_mut(&file) {
                    file.sync(submitted);
                }
            }
            IoOp::Read { file, position, length } => {
                self.stats.reads += 1;
                let bytes = self.file(file).seen();
                let from = (position as usize).min(bytes.len());
                let to = (from + length).min(bytes.len());
                return Ok(IoDone::Data(Bytes::copy_from_slice(&bytes[from..to])));
            }
        }
        Ok(IoDone::Ok)
    }

    fn write(&mut self, file: FileId, position: u64, data: Bytes, dsync: bool, submitted: u64) {
        let order = self.order;
        let (lies, at, bytes) = (self.faults.lies, position as usize, data.len() as u64);
        self.stats.syncs += u64::from(dsync);
        if self.rng.one_in(lies.lost_write) {
            self.stats.lost_writes += 1;
            self.lied.push(Lie { file, position, bytes, what: "lost write" });
            return;
        }
        if self.rng.one_in(lies.misdirected_write) {
            self.stats.misdirected_writes += 1;
            self.lied.push(Lie { file, position, bytes, what: "lost write" });
            let Some((file, position)) = self.elsewhere(data.len()) else { return };
            self.lied.push(Lie { file, position, bytes, what: "misdirected write" });
            let target = self.file(file);
            target.write(position as usize, data, order);
            target.sync(order);
            return;
        }
        let target = self.file(file);
        target.write(at, data, order);
        if dsync {
            target.sync_write(order, submitted);
        }
    }

    /// A place of `bytes` within some file, if one is large enough.
    fn elsewhere(&mut self, bytes: usize) -> Option<(FileId, u64)> {
        let (id, length) = self.some_file(bytes)?;
        let blocks = (length - bytes) / BLOCK_BYTES;
        Some((id, (self.rng.index(blocks + 1) * BLOCK_BYTES) as u64))
    }

    /// A file of so many bytes or more, and how many it has.
    fn some_file(&mut self, bytes: usize) -> Option<(FileId, usize)> {
        let large = self.files.iter().map(|(&id, file)| (id, file.len())).filter(|(_, len)| *len >= bytes);
        let large: Vec<_> = large.collect();
        large.get(self.rng.index(large.len())).copied()
    }

    fn file(&mut self, file: FileId) -> &mut SimFile {
        self.files.get_mut(&file).unwrap_or_else(|| panic!("there is no {file:?}"))
    }
}

/// Direct I/O takes whole blocks only.
fn check_alignment(op: &IoOp) {
    let whole = |n: u64| n.is_multiple_of(BLOCK_BYTES as u64);
    match op {
        IoOp::Write { position, data, .. } => {
            assert!(data.as_ptr().align_offset(BLOCK_BYTES) == 0, "memory of a write is not aligned");
            assert!(
                whole(*position) && whole(data.len() as u64),
                "a write is not of whole blocks: {position}"
            );
        }
        IoOp::Zero { position, length, .. } => assert!(whole(*position) && whole(*length), "{op:?}"),
        IoOp::Read { position, length, .. } => assert!(whole(*position) && whole(*length as u64), "{op:?}"),
        IoOp::Create { .. } | IoOp::Remove { .. } | IoOp::Sync { .. } => {}
    }
}

fn zeros(length: usize) -> Bytes {
    static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
    if length <= ZEROS.len() { Bytes::from_static(&ZEROS[..length]) } else { Bytes::from(vec![0; length]) }
}

#[cfg(test)]
mod tests;
