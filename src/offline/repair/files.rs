//! What a repair does to files, one operation after another.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The operations that change something. Whatever is done between two of them is in memory alone: stopping before any of them
/// is what a crash does.
pub trait Files {
    /// Creates a file of this size; its name is durable.
    ///
    /// # Errors
    /// What the system says; so for all.
    fn create(&mut self, path: &Path, bytes: u64) -> io::Result<File>;
    /// Writes all of `data`, and makes it durable if `sync` is set.
    ///
    /// # Errors
    /// What the system says.
    fn write(&mut self, file: &File, position: u64, data: &[u8], sync: bool) -> io::Result<()>;
    /// Makes durable what was written.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self, file: &File) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// Creates a directory, if it is not there; its name is durable.
    ///
    /// # Errors
    /// What the system says.
    fn create_directory(&mut self, path: &Path) -> io::Result<()>;
    /// Moves a file to another directory; both names are durable.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
}

/// Access for the owner, reading for the group, as the broker has it.
const FILE_MODE: u32 = 0o640;

/// The file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Files for FileSystem {
    fn create(&mut self, path: &Path, bytes: u64) -> io::Result<File> {
        let options = File::options().read(true).write(true).create_new(true).mode(FILE_MODE).open(path);
        let file = options?;
        file.set_len(bytes)?;
        file.sync_all()?;
        sync_directory(path.parent())?;
        Ok(file)
    }

    fn write(&mut self, file: &File, position: u64, data: &[u8], sync: bool) -> io::Result<()> {
        file.write_all_at(data, position)?;
        if sync { file.sync_data() } else { Ok(()) }
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        sync_directory(path.parent())
    }

    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        sync_directory(path.parent())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        sync_directory(to.parent())?;
        sync_directory(from.parent())
    }
}

fn sync_directory(path: Option<&Path>) -> io::Result<()> {
    path.map_or(Ok(()), |path| File::open(path)?.sync_all())
}
