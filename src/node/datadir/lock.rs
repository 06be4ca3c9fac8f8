//! The lock on a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

use super::{DataDirError, failed};

/// Characters for the number of a process.
const PROCESS_CHARS: usize = 20;

/// Held until it is dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the data directory `data`, which is the file at `path`.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] if another process holds it, [`DataDirError::Io`] if the file cannot be made.
    pub(super) fn take(data: &Path, path: &Path) -> Result<Self, DataDirError> {
        let options = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = options.map_err(failed("write", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::InUse { path: data.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", path)(source)),
        }
        note_process(&mut file).map_err(failed("write", path))?;
        Ok(Self { _file: file })
    }
}

/// Writes down whose lock this is, of one length, over what an earlier process wrote: so a full disk has room for it.
fn note_process(file: &mut File) -> io::Result<()> {
    match file.write_all(format!("{:<PROCESS_CHARS$}\n", std::process::id()).as_bytes()) {
        // It is for the words of an error alone.
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Ok(()),
        result => result,
    }
}

/// The process that holds the lock, in the words of its file.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(32).read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(process)) => format!("the broker with process id {process}"),
        _ => "another broker".to_owned(),
    }
}
