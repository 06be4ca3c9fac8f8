//! Segment files, looked into without a broker: nothing is written, and a broker that runs is not disturbed.
//!
//! What a broker that runs is writing is seen as a tail that is torn, and a segment that it uses again meanwhile is
//! noticed and left out.

mod files;
mod findings;
mod footer;
mod frame;
mod history;
pub mod repair;
mod segment;
mod verify;

pub use files::{OfflineError, SegmentPath, find};
pub use findings::{Finding, Offsets};
pub use segment::{OpenSegment, State};
pub use verify::{Report, Verifier};

#[cfg(test)]
mod tests;
