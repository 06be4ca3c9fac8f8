//! Why a broker does not start, or ends with an error. Each is one line that says what to do.

use std::io;
use std::path::PathBuf;

use super::datadir::DataDirError;
use crate::runtime::cores::RuntimeError;
use crate::runtime::net::BindError;

/// Why a broker does not start, or ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cores that were asked for cannot be had.
    #[error("{0}")]
    Cores(io::Error),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There are not enough ports for the shards that the data directory has.
    #[error(
        "the data directory has {shards} shards, and their ports from {first} on would go past 65535: \
         set {key} to a lower port, or to 0"
    )]
    Ports {
        /// The port of shard 0.
        first: u16,
        /// How many shards there are.
        shards: u16,
        /// The key of the configuration that says where they begin.
        key: &'static str,
    },
    /// The shards cannot run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(io::Error),
    /// A shard's disk cannot be used.
    #[error("cannot use the segments in {}: {source}", directory.display())]
    Disk {
        /// The shard's directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A shard's log cannot be recovered.
    #[error(
        "cannot recover the log of shard {shard} in {}: {reason}; nothing that is stored was changed: see to the cause, and start again",
        directory.display()
    )]
    Log {
        /// The shard.
        shard: u16,
        /// The shard's directory.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The catalog cannot be read.
    #[error(
        "the catalog of topics in shard-000 cannot be read: {reason}; nothing was changed: restore the data directory from a \
         backup, or start the version of Ringmail that wrote it"
    )]
    Catalog {
        /// What is wrong.
        reason: String,
    },
    /// A shard ended before its time.
    #[error("shard {0} ended unexpectedly: see the log, and restart the broker")]
    Ended(usize),
}
