//! A scratch file for trying out the disk, read and written past the page cache.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The unit that the broker reads and writes in, in bytes.
pub(super) const BLOCK: usize = 4_096;

/// A file without a name, opened twice with O_DIRECT. It is gone when it is closed.
pub(super) struct Scratch {
    /// Writes are in the device's cache, or on it, when they return.
    pub(super) plain: File,
    /// Writes are durable when they return (O_DSYNC).
    pub(super) dsync: File,
}

impl Scratch {
    /// Creates the file in `directory`.
    ///
    /// # Errors
    /// If the directory cannot be written to, or (`EINVAL`) if its file system has no O_DIRECT.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let path = directory.join(format!(".ringmail-doctor-{}", std::process::id()));
        let opened = Self::open(&path);
        match fs::remove_file(&path) {
            Err(error) if opened.is_ok() => Err(error),
            _ => opened,
        }
    }

    fn open(path: &Path) -> io::Result<Self> {
        let open = |create, flags| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(create).mode(0o600);
            options.custom_flags(libc::O_DIRECT | flags).open(path)
        };
        Ok(Self { plain: open(true, 0)?, dsync: open(false, libc::O_DSYNC)? })
    }
}

/// Zeroed memory aligned to [`BLOCK`], as O_DIRECT demands.
pub(super) struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    pub(super) fn new(length: usize) -> Self {
        let memory = vec![0; length + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK);
        Self { memory, start, length }
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.length]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_of_the_length_asked_for() {
        for length in [0, 1, BLOCK, 10 * BLOCK] {
            let buffer = AlignedBuffer::new(length);
            assert_eq!(buffer.as_ptr().addr() % BLOCK, 0);
            assert_eq!(buffer.len(), length);
        }
    }

    #[test]
    fn the_directory_is_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        // Whether there is O_DIRECT here does not matter.
        let _scratch = Scratch::create(directory.path());
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        assert!(Scratch::create(&directory.path().join("missing")).is_err());
    }
}
