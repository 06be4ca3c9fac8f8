//! The bodies of the fuzz targets: each takes any bytes, and panics only if the code under test is wrong.
//!
//! `fuzz_targets/` hands them to libFuzzer, which needs a nightly toolchain; the test `smoke` runs them over the
//! committed corpus and over seeded mutations of it on any.

#![forbid(unsafe_code)]

mod config;
mod footer;
mod frame;
mod native_messages;
mod record_batch;
mod segment;

pub use config::config;
pub use footer::footer;
pub use frame::frame;
pub use native_messages::{MESSAGES, Reading, native_messages};
pub use record_batch::record_batch;
pub use segment::{segment, written_segment};

/// A target: a function of bytes.
pub type Target = fn(&[u8]);

/// All targets, by the name of their corpus folder.
pub const TARGETS: &[(&str, Target)] = &[
    ("config", config),
    ("footer", footer),
    ("frame", frame),
    ("native_messages", native_messages),
    ("record_batch", record_batch),
    ("segment", segment),
];
