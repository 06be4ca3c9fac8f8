//! A disk in memory, whose operations complete when they are told to.

use std::collections::BTreeMap;

use ringmail_shards::io::{BLOCK_BYTES, ExistingFile, FileId, IoDone, IoError, IoId, IoOp, IoResult};
use ringmail_shards::shard::{Event, Shard};

/// Operations that one input takes at most: past them, the engine never rests.
const MAX_OPERATIONS: usize = 50_000;

/// Bytes past which no file may grow.
const MAX_FILE_BYTES: usize = 1 << 20;

/// The disk.
#[derive(Debug, Default)]
pub struct Disk {
    files: BTreeMap<FileId, Vec<u8>>,
    outstanding: Vec<(IoId, IoOp)>,
    operations: usize,
}

impl Disk {
    /// A disk with these files.
    pub fn new(files: BTreeMap<FileId, Vec<u8>>) -> Self {
        Self { files, ..Self::default() }
    }

    /// What a shard finds at its start.
    pub fn existing(&self) -> Vec<ExistingFile> {
        self.files.iter().map(|(&file, bytes)| ExistingFile { file, bytes: bytes.len() as u64 }).collect()
    }

    /// Its files.
    pub fn into_files(self) -> BTreeMap<FileId, Vec<u8>> {
        self.files
    }

    /// Takes an operation.
    pub fn submit(&mut self, id: IoId, op: IoOp) {
        self.operations += 1;
        assert!(self.operations < MAX_OPERATIONS, "the shard never rests");
        self.outstanding.push((id, op));
    }

    /// Ends one of the outstanding operations, in vain if there is an error.
    pub fn end(&mut self, which: usize, error: Option<IoError>) -> Option<(IoId, IoResult)> {
        if self.outstanding.is_empty() {
            return None;
        }
        let (id, op) = self.outstanding.swap_remove(which % self.outstanding.len());
        let result = match error {
            Some(error) => Err(error),
            None => self.execute(op),
        };
        Some((id, result))
    }

    /// Carries out all operations of an engine, one after another; gives what happened.
    pub fn run(&mut self, shard: &mut Shard) -> Vec<Event> {
        loop {
            while let Some((id, op)) = shard.next_io() {
                self.submit(id, op);
            }
            let Some((id, result)) = self.end(0, None) else { break };
            shard.complete(id, result);
        }
        std::iter::from_fn(|| shard.next_event()).collect()
    }

    fn execute(&mut self, op: IoOp) -> IoResult {
        match op {
            IoOp::Create { file, bytes } => drop(self.files.insert(file, vec![0; bytes as usize])),
            IoOp::Remove { file } => drop(self.files.remove(&file)),
            IoOp::Write { file, position, data, .. } => self.write(file, position, &data),
            IoOp::Zero { file, position, length } => self.write(file, position, &vec![0; length as usize]),
            IoOp::Sync { .. } => {}
            IoOp::Read { file, position, length } => return Ok(self.read(file, position, length)),
        }
        Ok(IoDone::Ok)
    }

    fn read(&self, file: FileId, position: u64, length: usize) -> IoDone {
        let bytes = &self.files[&file];
        let most = bytes.len().max(BLOCK_BYTES) * 2;
        assert!(length <= most, "a read of {length} bytes of {}", bytes.len());
        let unaligned = (position % BLOCK_BYTES as u64, length % BLOCK_BYTES);
        assert_eq!(unaligned, (0, 0), "reads are aligned");
        let from = (position as usize).min(bytes.len());
        let to = (from + length).min(bytes.len());
        IoDone::Data(bytes[from..to].to_vec().into())
    }

    fn write(&mut self, file: FileId, position: u64, data: &[u8]) {
        let bytes = self.files.get_mut(&file).expect("the file is there");
        let from = position as usize;
        assert!(from + data.len() <= MAX_FILE_BYTES, "a write far behind the end");
        bytes.resize(bytes.len().max(from + data.len()), 0);
        bytes[from..from + data.len()].copy_from_slice(data);
    }
}
