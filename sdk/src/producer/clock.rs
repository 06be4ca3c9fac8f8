//! The clocks of the machine.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::core::accumulator::Clock;

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as i64)
    }

    /// The kernel's clock of the last tick, which costs a tenth of the exact one.
    #[cfg(target_os = "linux")]
    fn coarse_ms(&self) -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    }

    #[cfg(not(target_os = "linux"))]
    fn coarse_ms(&self) -> i64 {
        self.now_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_at_most_a_tick_late() {
        for _ in 0..1000 {
            let (coarse, now) = (SystemClock.coarse_ms(), SystemClock.now_ms());
            assert!((now - 20..=now).contains(&coarse), "{coarse} at {now}");
        }
    }
}
