//! A disk that differs from an image in a few places: cheap to make, so that a million can be made.

use crate::common::{Disk, Rng};
use bytes::Bytes;
use ringmail_shards::io::{ExistingFile, FileId, IoDone, IoId, IoOp, IoResult};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What files hold.
pub type Image = BTreeMap<FileId, Arc<Vec<u8>>>;

/// Shares what files hold.
pub fn shared(files: BTreeMap<FileId, Vec<u8>>) -> Image {
    files.into_iter().map(|(file, bytes)| (file, Arc::new(bytes))).collect()
}

/// Other bytes at a place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    pub file: FileId,
    pub at: usize,
    pub bytes: Bytes,
}

impl Patch {
    pub fn new(file: FileId, at: usize, bytes: impl Into<Bytes>) -> Self {
        Self { file, at, bytes: bytes.into() }
    }

    pub fn range(&self) -> Range<usize> {
        self.at..self.at + self.bytes.len()
    }
}

#[derive(Debug, Clone, Default)]
struct File {
    image: Arc<Vec<u8>>,
    bytes: usize,
    patches: Vec<(usize, Bytes)>,
}

impl File {
    fn patch(&mut self, at: usize, bytes: Bytes) {
        self.bytes = self.bytes.max(at + bytes.len());
        self.patches.push((at, bytes));
    }

    fn read(&self, from: usize, to: usize) -> Vec<u8> {
        let to = to.min(self.bytes);
        let from = from.min(to);
        let held = self.image.len().min(self.bytes);
        let mut bytes = self.image[from.min(held)..to.min(held)].to_vec();
        bytes.resize(to - from, 0);
        for (at, patch) in &self.patches {
            let (first, last) = (from.max(*at), to.min(at + patch.len()));
            if first < last {
                bytes[first - from..last - from].copy_from_slice(&patch[first - at..last - at]);
            }
        }
        bytes
    }
}

/// The disk. Operations complete in the order in which they were submitted.
#[derive(Debug, Clone, Default)]
pub struct PatchedDisk {
    files: BTreeMap<FileId, File>,
    outstanding: std::collections::VecDeque<(IoId, IoOp)>,
    pub removed: Vec<FileId>,
    /// Where the shard wrote to files of the image.
    pub written: Vec<(FileId, Range<usize>)>,
}

impl PatchedDisk {
    pub fn new(image: &Image, patches: &[Patch]) -> Self {
        let file = |(&id, image): (&FileId, &Arc<Vec<u8>>)| {
            (id, File { bytes: image.len(), image: image.clone(), patches: Vec::new() })
        };
        let mut disk = Self { files: image.iter().map(file).collect(), ..Self::default() };
        patches.iter().for_each(|patch| disk.patch(patch));
        disk
    }

    /// Changes bytes behind the shard's back.
    pub fn patch(&mut self, patch: &Patch) {
        self.file(patch.file).patch(patch.at, patch.bytes.clone());
    }

    /// Takes back the last change of a file.
    pub fn unpatch(&mut self, file: FileId) {
        self.file(file).patches.pop().expect("it was changed");
    }

    fn file(&mut self, file: FileId) -> &mut File {
        self.files.get_mut(&file).expect("the file exists")
    }

    fn execute(&mut self, op: IoOp) -> IoDone {
        match op {
            IoOp::Create { file, bytes } => {
                let fresh = File { bytes: bytes as usize, ..File::default() };
                assert!(self.files.insert(file, fresh).is_none(), "{file:?} is created twice");
            }
            IoOp::Remove { file } => {
                self.files.remove(&file);
                self.removed.push(file);
            }
            IoOp::Write { file, position, data, .. } => self.write(file, position as usize, data),
            IoOp::Zero { file, position, length } => {
                self.write(file, position as usize, vec![0; length as usize].into());
            }
            IoOp::Sync { .. } => {}
            IoOp::Read { file, position, length } => {
                let from = position as usize;
                return IoDone::Data(self.file(file).read(from, from + length).into());
            }
        }
        IoDone::Ok
    }

    fn write(&mut self, file: FileId, at: usize, data: Bytes) {
        self.written.push((file, at..at + data.len()));
        self.file(file).patch(at, data);
    }
}

impl Disk for PatchedDisk {
    fn files(&self) -> Vec<ExistingFile> {
        self.files.iter().map(|(&file, f)| ExistingFile { file, bytes: f.bytes as u64 }).collect()
    }

    fn submit(&mut self, id: IoId, op: IoOp) {
        self.outstanding.push_back((id, op));
    }

    fn complete_one(&mut self, _: &mut Rng) -> Option<(IoId, IoResult)> {
        let (id, op) = self.outstanding.pop_front()?;
        Some((id, Ok(self.execute(op))))
    }

    fn kill(&mut self) {
        self.outstanding.clear();
    }
}
