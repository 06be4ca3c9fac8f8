//! Repair: what is whole of damaged segments is put back, what is lost is given up, and the damaged files are moved aside.
//!
//! A shard is repaired in four steps.
//!
//! 1. The engine recovers all segments, as at every start of a broker: torn tails are cut off, footers are built again.
//! 2. The damaged files are searched for whole entries ([`ringmail_shards::salvage`]).
//! 3. The engine recovers once more, without the damaged files, and goes on from where it stood. Entries that fill what is
//!    missing now are stored anew, and what stays missing is given up, in a fresh segment ([`ringmail_shards::mend`]).
//! 4. Once all that is durable, the damaged files are moved to [`QUARANTINE`].
//!
//! Until step 4 the damaged files count, as originals go before copies; and each of them can be moved by itself. So a crash at
//! any moment leaves what was there or what is to be, and another run does the rest.

mod disk;
mod files;
mod names;
mod plan;
mod quarantine;
mod shard;
mod source;
mod triage;

use std::io;
use std::path::{Path, PathBuf};

use ringmail_shards::api::AppendError;
use ringmail_shards::format::FORMAT_VERSION;

use super::OfflineError;
use crate::node::datadir::{DataDir, DataDirError};

pub use files::{FileSystem, Files};
pub use names::Names;
pub use quarantine::QUARANTINE;
pub use shard::{Lifted, Moved, ShardRepair};

/// Why a repair cannot be done, or go on; what it has done so far does no harm.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A segment cannot be read.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// A file cannot be read, written or moved.
    #[error("cannot repair {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The engine can write no more.
    #[error("cannot repair {}: {reason}; run it again once that is mended", path.display())]
    Engine {
        /// The directory of the shard.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An entry cannot be stored.
    #[error("cannot store what was lifted: {0}")]
    Append(#[from] AppendError),
    /// A file changes while it is looked at.
    #[error("{} reads otherwise at byte {position} than a moment ago ({reason}): check the disk", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
        /// Where.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// Another version of Ringmail wrote it.
    #[error(
        "{} has format version {version}; this build repairs version {FORMAT_VERSION}: use the build that wrote it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
}

impl RepairError {
    /// The error of an operation on `path`.
    fn on(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// The outcome for a data directory.
#[derive(Debug, Default)]
pub struct Repaired {
    /// Of each shard.
    pub shards: Vec<ShardRepair>,
    /// What logs are called.
    pub names: Names,
}

/// Repairs the data directory at `data`, which no broker may use meanwhile; without `apply` it only says what would be done.
/// `progress` is told how many bytes were read.
///
/// # Errors
/// See [`RepairError`].
pub fn repair(
    data: &Path,
    apply: bool,
    files: &mut impl Files,
    mut progress: impl FnMut(u64),
) -> Result<Repaired, RepairError> {
    let data = DataDir::existing(data)?;
    let mut repaired = Repaired::default();
    for shard in 0..data.shards() {
        let (done, names) = shard::repair(&data.shard_path(shard), shard, apply, files, &mut progress)?;
        repaired.shards.push(done);
        repaired.names.add(names);
    }
    Ok(repaired)
}
