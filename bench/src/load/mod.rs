//! Load: when the next request goes, what it holds, and what is recorded of its answer.

mod content;
mod cycle;
mod latency;
mod meter;
mod pace;
mod window;

pub use content::Content;
pub use cycle::BatchCycle;
pub use latency::Latencies;
pub use meter::Meter;
pub use pace::{ClosedLoop, OpenLoop};
pub use window::{Phase, Window};
