//! The Rust client of the Ringmail message broker.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod core;
