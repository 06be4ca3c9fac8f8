//! The disk of a shard that is being repaired: what the engine asks for is done at once. In a dry run what it writes is kept
//! in memory, over what the files hold.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ringmail_shards::api::Event;
use ringmail_shards::io::{BLOCK_BYTES, ExistingFile, FileId, IoDone, IoError, IoOp, IoResult};
use ringmail_shards::shard::Shard as Engine;

use super::RepairError;
use super::files::Files;
use crate::runtime::disk::file_name;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A file, and what a dry run has written to it.
struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
    written: BTreeMap<u64, Vec<u8>>,
}

/// The files of one shard.
pub(super) struct Disk<'a, F> {
    files: &'a mut F,
    directory: &'a Path,
    /// Whether nothing is to be changed.
    dry: bool,
    open: HashMap<FileId, Open>,
    next_name: u64,
}

impl<'a, F: Files> Disk<'a, F> {
    /// Over the files of `directory`; new ones are named from `next_name` on.
    pub fn new(directory: &'a Path, files: &'a mut F, dry: bool, next_name: u64) -> Self {
        Self { files, directory, dry, open: HashMap::new(), next_name }
    }

    /// Opens a file for the engine.
    pub fn open(&mut self, id: FileId, path: &Path) -> Result<(), RepairError> {
        let opened = File::options().read(true).write(!self.dry).open(path).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok(Open { path: path.to_owned(), file, bytes, written: BTreeMap::new() })
        });
        self.open.insert(id, opened.map_err(RepairError::on(path))?);
        Ok(())
    }

    /// Lets go of a file: the engine is not to know it any more.
    pub fn forget(&mut self, id: FileId) {
        self.open.remove(&id);
    }

    /// What a start of the engine is told.
    pub fn existing(&self) -> Vec<ExistingFile> {
        let mut files: Vec<_> =
            self.open.iter().map(|(file, open)| ExistingFile { file: *file, bytes: open.bytes }).collect();
        files.sort_unstable_by_key(|existing| existing.file);
        files
    }

    /// What changes files beside the engine.
    pub fn files(&mut self) -> &mut F {
        self.files
    }

    /// Does all that the engine wants done, and gives what it says meanwhile.
    ///
    /// # Errors
    /// If it can write no more.
    pub fn drive(&mut self, engine: &mut Engine) -> Result<Vec<Event>, RepairError> {
        while let Some((id, op)) = engine.next_io() {
            let done = self.execute(op);
            engine.complete(id, done);
        }
        let events: Vec<Event> = std::iter::from_fn(|| engine.next_event()).collect();
        let failed = events.iter().find_map(|event| match event {
            Event::Fenced { reason } => Some(reason.clone()),
            Event::Full(true) => Some("the disk is full".to_owned()),
            _ => None,
        });
        match failed {
            Some(reason) => Err(RepairError::Engine { path: self.directory.to_owned(), reason }),
            None => Ok(events),
        }
    }

    fn execute(&mut self, op: IoOp) -> IoResult {
        self.try_execute(op).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => IoError::Full,
            _ => IoError::Failed(error.to_string()),
        })
    }

    fn try_execute(&mut self, op: IoOp) -> io::Result<IoDone> {
        match op {
            IoOp::Read { file, position, length } => {
                return Ok(IoDone::Data(self.of(file)?.read(position, length)?.into()));
            }
            IoOp::Create { file, bytes } => self.create(file, bytes)?,
            IoOp::Write { file, position, data, dsync } => self.write(file, position, &data, dsync)?,
            IoOp::Zero { file, position, length } => {
                self.write(file, position, &Bytes::from(vec![0; length as usize]), false)?;
            }
            IoOp::Sync { file } if !self.dry => {
                let open = self.open.get(&file).ok_or_else(unknown)?;
                self.files.sync(&open.file)?;
            }
            IoOp::Remove { file } => {
                if let (Some(open), false) = (self.open.remove(&file), self.dry) {
                    self.files.remove(&open.path)?;
                }
            }
            IoOp::Sync { .. } => {}
        }
        Ok(IoDone::Ok)
    }

    fn of(&mut self, file: FileId) -> io::Result<&mut Open> {
        self.open.get_mut(&file).ok_or_else(unknown)
    }

    fn create(&mut self, file: FileId, bytes: u64) -> io::Result<()> {
        if self.dry {
            return Err(io::Error::other("a dry run creates nothing"));
        }
        // The engine does not know all files, and the name that it has in mind may be another's.
        let path = self.directory.join(file_name(FileId(self.next_name)));
        self.next_name += 1;
        let created = self.files.create(&path, bytes)?;
        self.open.insert(file, Open { path, file: created, bytes, written: BTreeMap::new() });
        Ok(())
    }

    fn write(&mut self, file: FileId, position: u64, data: &[u8], sync: bool) -> io::Result<()> {
        let dry = self.dry;
        let open = self.open.get_mut(&file).ok_or_else(unknown)?;
        open.bytes = open.bytes.max(position + data.len() as u64);
        if !dry {
            return self.files.write(&open.file, position, data, sync);
        }
        let blocks = data.chunks(BLOCK_BYTES).zip((position..).step_by(BLOCK_BYTES));
        open.written.extend(blocks.map(|(block, at)| (at, block.to_vec())));
        Ok(())
    }
}

impl Open {
    fn read(&self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        let length = (length as u64).min(self.bytes.saturating_sub(position)) as usize;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut bytes[filled..], position + filled as u64)? {
                // What a dry run has written may be beyond the end of the file.
                0 => break,
                read => filled += read,
            }
        }
        let end = position + length as u64;
        for (&at, block) in self.written.range(position.saturating_sub(BLOCK - 1)..end) {
            let from = at.saturating_sub(position) as usize;
            let skip = position.saturating_sub(at) as usize;
            let until = (at + block.len() as u64).min(end) - position;
            bytes[from..until as usize].copy_from_slice(&block[skip..skip + until as usize - from]);
        }
        Ok(bytes)
    }
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the engine asks for a file that it was not given")
}
