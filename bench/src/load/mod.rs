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

/// The time, in milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64)
}
