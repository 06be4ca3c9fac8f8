//! Ringmail broker.

pub mod config;
pub mod logging;
pub mod runtime;
