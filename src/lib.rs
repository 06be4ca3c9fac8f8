//! Ringmail broker.

pub mod cli;
pub mod config;
pub mod coordinators;
pub mod doctor;
pub mod gateway;
pub mod kafka;
pub mod logging;
pub mod native;
pub mod node;
pub mod offline;
pub mod runtime;

/// What threads share memory by. The files that `models/` explores name it so, to be compiled there with loom's in its place.
mod sync {
    pub(crate) use std::sync::{Arc, Mutex, atomic};
}
