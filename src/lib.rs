//! Ringmail broker.

pub mod cli;
pub mod config;
pub mod doctor;
pub mod logging;
pub mod native;
pub mod node;
pub mod offline;
pub mod runtime;
