//! A disk in memory that completes operations in a random order, and forgets at a crash what was not synced.

#![allow(dead_code)]

pub mod driver;
pub mod kafka;

use bytes::Bytes;
use ringmail_shards::io::{ExistingFile, FileId, IoDone, IoError, IoId, IoOp, IoResult};
use std::collections::BTreeMap;

/// A small generator of pseudo-random numbers (xorshift64*), so that a seed is all there is to a run.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n.max(1)
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

/// What a shard can be driven over.
pub trait Disk {
    fn files(&self) -> Vec<ExistingFile>;

    /// Begins an operation.
    fn submit(&mut self, id: IoId, op: IoOp);

    /// Completes one of the outstanding operations.
    fn complete_one(&mut self, rng: &mut Rng) -> Option<(IoId, IoResult)>;

    /// What was under way when the process was killed is forgotten; what was written stays.
    fn kill(&mut self);
}

const SECTOR: usize = 512;

#[derive(Debug, Default, Clone)]
struct MemFile {
    durable: Vec<u8>,
    seen: Vec<u8>,
    unsynced: Vec<(usize, Bytes)>,
}

impl MemFile {
    fn sync(&mut self) {
        self.durable.clone_from(&self.seen);
        self.unsynced.clear();
    }

    fn write(&mut self, at: usize, data: &Bytes) {
        self.seen.resize(self.seen.len().max(at + data.len()), 0);
        self.seen[at..at + data.len()].copy_from_slice(data);
        self.unsynced.push((at, data.clone()));
    }
}

/// The disk.
#[derive(Debug, Default, Clone)]
pub struct MemDisk {
    files: BTreeMap<FileId, MemFile>,
    outstanding: Vec<(IoId, IoOp)>,
    /// Bytes that all files together may have.
    pub capacity: Option<usize>,
    /// Operations of which this holds fail.
    pub refuse: Option<fn(&IoOp) -> bool>,
    /// Operations for which there is no room.
    pub no_room: Option<fn(&IoOp) -> bool>,
    pub removed: Vec<FileId>,
    pub writes: u64,
    pub syncs: u64,
}

impl Disk for MemDisk {
    fn files(&self) -> Vec<ExistingFile> {
        self.files.iter().map(|(&file, f)| ExistingFile { file, bytes: f.seen.len() as u64 }).collect()
    }

    fn submit(&mut self, id: IoId, op: IoOp) {
        self.outstanding.push((id, op));
    }

    fn complete_one(&mut self, rng: &mut Rng) -> Option<(IoId, IoResult)> {
        if self.outstanding.is_empty() {
            return None;
        }
        let k = rng.below(self.outstanding.len());
        let (id, op) = self.outstanding.swap_remove(k);
        Some((id, self.execute(op)))
    }

    fn kill(&mut self) {
        self.outstanding.clear();
    }
}

impl MemDisk {
    /// The files that hold a segment, oldest first.
    pub fn segments(&self) -> Vec<FileId> {
        let holding = self.files.iter().filter(|(_, f)| f.seen.starts_with(b"RMSEGMNT"));
        let mut numbered: Vec<_> = holding.map(|(&file, f)| (f.seen[16..24].to_vec(), file)).collect();
        numbered.sort_by_key(|(number, _)| number.iter().rev().copied().collect::<Vec<u8>>());
        numbered.into_iter().map(|(_, file)| file).collect()
    }

    pub fn bytes(&mut self, file: FileId) -> &mut Vec<u8> {
        let f = self.files.get_mut(&file).expect("the file exists");
        f.sync();
        &mut f.seen
    }

    /// What all files hold.
    pub fn image(&self) -> BTreeMap<FileId, Vec<u8>> {
        self.files.iter().map(|(&file, f)| (file, f.seen.clone())).collect()
    }

    /// Puts a file there, as somebody else might.
    pub fn put(&mut self, file: FileId, bytes: Vec<u8>) {
        self.files.insert(file, MemFile { durable: bytes.clone(), seen: bytes, unsynced: Vec::new() });
    }

    pub fn take(&mut self, file: FileId) -> Vec<u8> {
        self.files.remove(&file).expect("the file exists").seen
    }

    pub fn is_idle(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// Completes the first outstanding operation of which this holds.
    pub fn complete_first(&mut self, wanted: impl Fn(&IoOp) -> bool) -> Option<(IoId, IoResult)> {
        let k = self.outstanding.iter().position(|(_, op)| wanted(op))?;
        let (id, op) = self.outstanding.remove(k);
        Some((id, self.execute(op)))
    }

    /// Where the outstanding writes go, in the order in which they were asked for.
    pub fn writes_outstanding(&self) -> Vec<(FileId, u64)> {
        let write = |op: &IoOp| match op {
            IoOp::Write { file, position, .. } => Some((*file, *position)),
            _ => None,
        };
        self.outstanding.iter().filter_map(|(_, op)| write(op)).collect()
    }

    /// Power is lost, and with it all that was not synced.
    pub fn lose_unsynced(&mut self) {
        self.outstanding.clear();
        for f in self.files.values_mut() {
            f.unsynced.clear();
            f.seen.clone_from(&f.durable);
        }
    }

    fn execute(&mut self, op: IoOp) -> IoResult {
        if self.no_room.is_some_and(|no_room| no_room(&op)) {
            return Err(ringmail_shards::io::IoError::Full);
        }
        if self.refuse.is_some_and(|refuse| refuse(&op)) {
            return Err(IoError::Failed("injected".into()));
        }
        match op {
            IoOp::Create { file, bytes } => {
                let used: usize = self.files.values().map(|f| f.seen.len()).sum();
                if self.capacity.is_some_and(|c| used + bytes as usize > c) {
                    return Err(IoError::Full);
                }
                let zeros = vec![0; bytes as usize];
                let fresh = MemFile { durable: zeros.clone(), seen: zeros, unsynced: Vec::new() };
                assert!(self.files.insert(file, fresh).is_none(), "{file:?} is created twice");
            }
            IoOp::Remove { file } => {
                self.files.remove(&file);
                self.removed.push(file);
            }
            IoOp::Write { file, position, data, dsync } => {
                assert_eq!(data.as_ptr().align_offset(4096), 0, "memory is aligned");
                assert_eq!((data.len() % 4096, position % 4096), (0, 0), "blocks are whole");
                let f = self.files.get_mut(&file).expect("the file exists");
                f.write(position as usize, &data);
                self.writes += 1;
                if dsync {
                    f.sync();
                    self.syncs += 1;
                }
            }
            IoOp::Zero { file, position, length } => {
                let f = self.files.get_mut(&file).expect("the file exists");
                f.write(position as usize, &Bytes::from(vec![0; length as usize]));
            }
            IoOp::Sync { file } => {
                self.files.get_mut(&file).expect("the file exists").sync();
                self.syncs += 1;
            }
            IoOp::Read { file, position, length } => {
                let f = &self.files.get(&file).expect("the file exists").seen;
                let from = (position as usize).min(f.len());
                let to = (from + length).min(f.len());
                return Ok(IoDone::Data(Bytes::copy_from_slice(&f[from..to])));
            }
        }
        Ok(IoDone::Ok)
    }

    /// Power is lost: of what was not synced, any sectors may have reached the disk.
    pub fn crash(&mut self, rng: &mut Rng) {
        for (_, op) in std::mem::take(&mut self.outstanding) {
            match op {
                IoOp::Write { file, position, data, .. } => {
                    if let Some(f) = self.files.get_mut(&file) {
                        f.unsynced.push((position as usize, data));
                    }
                }
                IoOp::Create { .. } if rng.chance(2) => {
                    let _ = self.execute(op);
                }
                _ => {}
            }
        }
        for f in self.files.values_mut() {
            let style = rng.below(3);
            for (at, data) in std::mem::take(&mut f.unsynced) {
                for (k, sector) in data.chunks(SECTOR).enumerate() {
                    let keep = match style {
                        0 => false,
                        1 => rng.chance(2),
                        _ => true,
                    };
                    if keep {
                        let from = at + k * SECTOR;
                        f.durable.resize(f.durable.len().max(from + sector.len()), 0);
                        f.durable[from..from + sector.len()].copy_from_slice(sector);
                    }
                }
            }
            f.seen.clone_from(&f.durable);
        }
    }
}
