//! Load: when the next request goes, what it holds, and what is recorded of its answer.

mod batches;
mod content;
mod latency;
mod meter;
mod pace;
mod window;

pub use batches::Batches;
pub use content::Content;
pub use latency::Latencies;
pub use meter::Meter;
pub use pace::{ClosedLoop, OpenLoop};
pub use window::{Phase, Window};
