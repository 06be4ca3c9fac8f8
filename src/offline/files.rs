//! Which files a path stands for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::runtime::disk::file_id;

/// A segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentPath {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// The directory of the shard, if all of its files were asked for: only then can it be told what is missing.
    pub shard: Option<PathBuf>,
}

/// Why files cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// There are no segments.
    #[error("{} holds no segment files: give a data directory, the directory of a shard, or .seg files", .0.display())]
    NoSegments(PathBuf),
    /// The system refuses.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OfflineError {
    /// The error of an operation on `path`.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }
}

/// The segment files of a data directory, of the directory of a shard, or a file itself, in the order of their names.
///
/// # Errors
/// If there are none, or the path cannot be read.
pub fn find(path: &Path) -> Result<Vec<SegmentPath>, OfflineError> {
    let is_file = fs::metadata(path).map_err(OfflineError::read(path))?.is_file();
    if is_file {
        return Ok(vec![segment_path(path, None)?]);
    }
    let mut files = files_of_shard(path)?;
    for entry in list(path)? {
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("shard-") && entry.is_dir() {
            files.extend(files_of_shard(&entry)?);
        }
    }
    if files.is_empty() { Err(OfflineError::NoSegments(path.to_owned())) } else { Ok(files) }
}

fn files_of_shard(shard: &Path) -> Result<Vec<SegmentPath>, OfflineError> {
    let name = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(file_id).is_some();
    list(shard)?.iter().filter(|path| name(path)).map(|path| segment_path(path, Some(shard))).collect()
}

fn segment_path(path: &Path, shard: Option<&Path>) -> Result<SegmentPath, OfflineError> {
    let bytes = fs::metadata(path).map_err(OfflineError::read(path))?.len();
    Ok(SegmentPath { path: path.to_owned(), bytes, shard: shard.map(Path::to_owned) })
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, OfflineError> {
    let entries = fs::read_dir(directory).map_err(OfflineError::read(directory))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(OfflineError::read(directory))?;
    paths.sort();
    Ok(paths)
}
