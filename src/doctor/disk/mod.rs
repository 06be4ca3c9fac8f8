//! The disk under the data directory.

mod device;
mod mount;
mod space;

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::scratch::{AlignedBuffer, BLOCK, Scratch};
use super::{Check, sync_rate};
use crate::config::Config;

const DIRECTORY: &str = "data directory";
const DIRECT: &str = "O_DIRECT";

pub(super) fn checks(config: &Config) -> Vec<Check> {
    let directory = match existing(&config.node.data) {
        Ok(directory) => directory,
        Err(error) => {
            let finding = format!("{}: {error}", config.node.data.display());
            return vec![Check::bad(DIRECTORY, finding, "correct node.data (--data)")];
        }
    };
    let mut checks = mount::checks(&directory);
    checks.push(space::check(&directory, config));
    match Scratch::create(&directory) {
        Ok(scratch) => {
            checks.push(Check::good(DIRECTORY, format!("{} can be written to", directory.display())));
            checks.push(direct(&scratch));
            checks.push(sync_rate::check(&scratch));
        }
        Err(error) => checks.push(refused(&directory, &error)),
    }
    checks
}

/// The data directory, or the nearest directory above it that exists, by its absolute path.
fn existing(data: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(data)?;
    let nearest = absolute.ancestors().find(|directory| directory.exists());
    let nearest = nearest.unwrap_or(Path::new("/")).canonicalize()?;
    if nearest.is_dir() { Ok(nearest) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn refused(directory: &Path, error: &io::Error) -> Check {
    if error.raw_os_error() == Some(libc::EINVAL) {
        let finding = "this file system does not open files with it";
        return Check::bad(DIRECT, finding, "put the data directory on ext4 or XFS");
    }
    let finding = format!("cannot create a file in {}: {error}", directory.display());
    Check::bad(DIRECTORY, finding, "give the broker's user write access to it")
}

/// Writes a block past the page cache and reads it back.
fn direct(scratch: &Scratch) -> Check {
    let mut written = AlignedBuffer::new(BLOCK);
    for (index, byte) in written.iter_mut().enumerate() {
        *byte = index as u8;
    }
    let mut read = AlignedBuffer::new(BLOCK);
    let file = &scratch.plain;
    let outcome = file.write_all_at(&written, 0).and_then(|()| file.read_exact_at(&mut read, 0));
    match outcome {
        Ok(()) if *read == *written => Check::good(DIRECT, "a block was written and read back"),
        Ok(()) => Check::bad(
            DIRECT,
            "a block read back is not what was written",
            "do not use this disk: check its health",
        ),
        Err(error) => Check::bad(
            DIRECT,
            format!("reading and writing a block of {BLOCK} bytes failed: {error}"),
            "put the data directory on ext4 or XFS, on a device with blocks of at most 4 KiB",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_existing_directory_stands_for_one_that_is_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        assert_eq!(existing(&root.join("a/b")).unwrap(), root);
        std::fs::write(root.join("file"), "").unwrap();
        assert!(existing(&root.join("file")).is_err());
    }

    #[test]
    fn a_refusal_names_file_system_or_access() {
        let refused = |errno| refused(Path::new("/data"), &io::Error::from_raw_os_error(errno));
        assert_eq!(refused(libc::EINVAL).name, DIRECT);
        assert_eq!(refused(libc::EACCES).name, DIRECTORY);
    }
}
