//! The broker process: start-up, the data directory, the catalog, one shard per core, shutdown.
//!
//! What a shard does is in [`shard`] and the modules it is made of, none of which does I/O or knows the time; [`host`] is the
//! world that it does it in.

mod boot;
pub mod catalog;
pub mod cluster;
pub mod datadir;
pub mod error;
pub mod host;
pub mod keeper;
mod life;
pub mod logs;
pub mod message;
pub mod outside;
pub mod recovery;
pub mod settings;
pub mod shard;
pub mod slab;
pub mod start;
