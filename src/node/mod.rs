//! The broker process: start-up, the data directory, the catalog, one shard per core, shutdown.

pub mod catalog;
pub mod datadir;
