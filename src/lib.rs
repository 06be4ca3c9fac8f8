//! Ringmail broker.

pub mod config;
pub mod logging;
