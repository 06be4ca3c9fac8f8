//! The engine of one core: the shard log and the state machines on it. Sans-IO and without async.

#![forbid(unsafe_code)]

pub mod api;
mod append;
mod assembly;
mod buffers;
pub mod canary;
mod cleaner;
mod commit;
pub mod config;
pub mod damage;
pub mod format;
mod incoming;
mod index;
pub mod io;
mod map;
pub mod mend;
mod ops;
mod producers;
mod reads;
mod rebuild;
mod recovery;
pub mod salvage;
pub mod scan;
mod sections;
mod segments;
pub mod shard;
pub mod stats;
mod tail;
mod unstable;
mod upkeep;
