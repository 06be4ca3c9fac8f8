//! The broker process: start-up, the data directory, the catalog, one shard per core, shutdown.

mod boot;
pub mod catalog;
pub mod datadir;
pub mod error;
pub mod keeper;
pub mod logs;
pub mod message;
mod recovery;
pub mod shard;
pub mod slab;
pub mod start;
