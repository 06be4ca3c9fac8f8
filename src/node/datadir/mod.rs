//! The data directory: who may use it, what it holds, and that it is whole.
//!
//! ```text
//! DATA/ringmail.lock         held (flock) by the broker that uses the directory; its text names the process
//! DATA/ringmail.superblock   the format's version, the number of shards, the identities of the node and of the cluster
//! DATA/shard-000/            the segment files of shard 0
//! ```

mod lock;
mod superblock;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use lock::Lock;
use superblock::random_cluster;
pub use superblock::{FORMAT_VERSION, Superblock};

use super::cluster::ClusterId;

const LOCK: &str = "ringmail.lock";
const SUPERBLOCK: &str = "ringmail.superblock";
const SUPERBLOCK_DRAFT: &str = "ringmail.superblock.tmp";

/// What is at the root of every fresh ext4 file system.
const LOST_AND_FOUND: &str = "lost+found";

/// Why a data directory cannot be used. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The path is something else.
    #[error("{} is not a directory: give another with --data", .0.display())]
    NotADirectory(PathBuf),
    /// The system refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another broker uses it.
    #[error("{} is in use by {holder}: stop that broker first, or give another directory with --data", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, as far as it is known.
        holder: String,
    },
    /// It holds something else.
    #[error("{} holds {found} and no Ringmail data: give an empty or a new directory with --data", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// An entry that Ringmail did not make.
        found: String,
    },
    /// It holds nothing.
    #[error("{} is no data directory of Ringmail: it has no {SUPERBLOCK}", .0.display())]
    NoData(PathBuf),
    /// Segments are there, but not what describes them.
    #[error(
        "{} holds segments of Ringmail but no {SUPERBLOCK}: put that file back from a backup of the directory",
        .0.display()
    )]
    SuperblockMissing(PathBuf),
    /// What describes it cannot be trusted.
    #[error("{} is damaged ({reason}): put it back from a backup of the directory", path.display())]
    SuperblockDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A newer version of Ringmail wrote it.
    #[error(
        "{} has data format {found}, and this version of Ringmail reads up to {FORMAT_VERSION}: start it with the newer version",
        path.display()
    )]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A shard that should be there is not.
    #[error("{} is missing: put it back from where it was moved, or from a backup", .0.display())]
    ShardMissing(PathBuf),
}

/// A data directory that this process alone may use, until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    superblock: Superblock,
    fresh: bool,
    _lock: Lock,
}

impl DataDir {
    /// Takes hold of the directory at `path`. One that does not exist or is empty is set up with `shards` shards; one with
    /// fewer gets more; one with more keeps them.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn open(path: &Path, shards: u16) -> Result<Self, DataDirError> {
        create(path)?;
        let content = Content::read(path)?;
        if let (false, Some(found)) = (content.superblock, &content.foreign) {
            return Err(DataDirError::Foreign { path: path.to_owned(), found: found.clone() });
        }
        let lock = Lock::take(path, &path.join(LOCK))?;
        // Only now nobody else is setting it up.
        let content = Content::read(path)?;
        if content.superblock {
            let mut data = Self::resume(path, shards, lock)?;
            data.name_cluster()?;
            Ok(data)
        } else if content.segments {
            Err(DataDirError::SuperblockMissing(path.to_owned()))
        } else {
            Self::set_up(path, shards, lock)
        }
    }

    /// Takes hold of a directory that a broker has set up; nothing in it is changed.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn existing(path: &Path) -> Result<Self, DataDirError> {
        let content = Content::read(path)?;
        if !content.superblock {
            return Err(if content.segments {
                DataDirError::SuperblockMissing(path.to_owned())
            } else {
                DataDirError::NoData(path.to_owned())
            });
        }
        let lock = Lock::take(path, &path.join(LOCK))?;
        let shards = Superblock::load(path)?.shards;
        Self::resume(path, shards, lock)
    }

    fn set_up(path: &Path, shards: u16, lock: Lock) -> Result<Self, DataDirError> {
        let superblock = Superblock::new(shards).map_err(no_random_bytes)?;
        create_shards(path, 0..shards)?;
        superblock.store(path)?;
        Ok(Self { path: path.to_owned(), superblock, fresh: true, _lock: lock })
    }

    fn resume(path: &Path, shards: u16, lock: Lock) -> Result<Self, DataDirError> {
        let mut superblock = Superblock::load(path)?;
        let missing =
            (0..superblock.shards).map(|shard| shard_path(path, shard)).find(|shard| !shard.is_dir());
        if let Some(missing) = missing {
            return Err(DataDirError::ShardMissing(missing));
        }
        if superblock.shards < shards {
            // Directories first: one that the superblock does not know yet does no harm.
            create_shards(path, superblock.shards..shards)?;
            superblock.shards = shards;
            superblock.store(path)?;
        }
        Ok(Self { path: path.to_owned(), superblock, fresh: false, _lock: lock })
    }

    /// Gives the directory a cluster id, if it is older than those.
    fn name_cluster(&mut self) -> Result<(), DataDirError> {
        if self.superblock.cluster.is_none() {
            self.superblock.cluster = Some(random_cluster().map_err(no_random_bytes)?);
            self.superblock.store(&self.path)?;
        }
        Ok(())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was set up just now.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// How many shards have data here; all of them must run.
    pub fn shards(&self) -> u16 {
        self.superblock.shards
    }

    /// The identity of this node.
    pub fn node(&self) -> &str {
        &self.superblock.node
    }

    /// The identity of the cluster. There is none in a directory of an earlier version that was not [opened](Self::open) since.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.superblock.cluster
    }

    /// Where the segment files of `shard` are.
    pub fn shard_path(&self, shard: u16) -> PathBuf {
        shard_path(&self.path, shard)
    }
}

fn no_random_bytes(source: io::Error) -> DataDirError {
    DataDirError::Io { action: "read", path: "/dev/urandom".into(), source }
}

fn shard_path(data: &Path, shard: u16) -> PathBuf {
    data.join(format!("shard-{shard:03}"))
}

fn create(path: &Path) -> Result<(), DataDirError> {
    if path.exists() && !path.is_dir() {
        return Err(DataDirError::NotADirectory(path.to_owned()));
    }
    fs::create_dir_all(path).map_err(failed("create", path))
}

fn create_shards(path: &Path, shards: std::ops::Range<u16>) -> Result<(), DataDirError> {
    for shard in shards {
        let shard = shard_path(path, shard);
        fs::create_dir_all(&shard).map_err(failed("create", &shard))?;
    }
    sync_directory(path)
}

fn sync_directory(path: &Path) -> Result<(), DataDirError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(failed("sync", path))
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> DataDirError + use<'a> {
    move |source| DataDirError::Io { action, path: path.to_owned(), source }
}

/// What is in a directory.
#[derive(Debug, Default)]
struct Content {
    superblock: bool,
    segments: bool,
    /// The name of something that Ringmail did not make.
    foreign: Option<String>,
}

impl Content {
    fn read(path: &Path) -> Result<Self, DataDirError> {
        let mut content = Self::default();
        for entry in fs::read_dir(path).map_err(failed("read", path))? {
            let entry = entry.map_err(failed("read", path))?;
            let name = entry.file_name();
            if name == OsStr::new(SUPERBLOCK) {
                content.superblock = true;
            } else if is_shard(&name) {
                content.segments |= !is_empty(&entry.path());
            } else if ![LOCK, SUPERBLOCK_DRAFT, LOST_AND_FOUND].map(OsStr::new).contains(&name.as_os_str()) {
                content.foreign = Some(name.to_string_lossy().into_owned());
            }
        }
        Ok(content)
    }
}

fn is_shard(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix("shard-"));
    digits.is_some_and(|digits| digits.len() >= 3 && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// A directory that cannot be read counts as not empty: nothing may be set up over it.
fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests;
