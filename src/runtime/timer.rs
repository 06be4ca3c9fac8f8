//! Time: waiting for it, and telling it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_lite::future;

/// Waits for `duration`.
pub async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

/// Waits until `deadline`; not at all if it is past.
pub async fn sleep_until(deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        sleep(left).await;
    }
}

/// The result of `work`, or `None` if it takes longer than `limit`; `work` is dropped then.
///
/// Not for the completion of a [task](super::task): a task goes on.
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let expiry = async {
        sleep(limit).await;
        None
    };
    future::or(async { Some(work.await) }, expiry).await
}

/// Ticks at a fixed rate. Ticks that nobody waited for are skipped, and the rhythm is kept.
#[derive(Debug)]
pub struct Interval {
    next: Instant,
    period: Duration,
}

impl Interval {
    /// Ticks every `period`, which is not zero; for the first time after one period.
    pub fn new(period: Duration) -> Self {
        assert!(!period.is_zero(), "an interval of no length would never yield");
        Self { next: Instant::now() + period, period }
    }

    /// Waits for the next tick.
    pub async fn tick(&mut self) {
        sleep_until(self.next).await;
        let late = Instant::now().saturating_duration_since(self.next);
        let missed = u32::try_from(late.as_nanos() / self.period.as_nanos()).unwrap_or(u32::MAX);
        self.next += self.period.saturating_mul(missed) + self.period;
    }
}

/// Milliseconds since 1970 by the wall clock, which may jump; for timestamps of records.
pub fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// A clock that never jumps, in nanoseconds since it was started; for deadlines and latencies.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    origin: Instant,
}

impl Monotonic {
    /// Starts a clock at 0.
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Nanoseconds since the start.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use glommio::LocalExecutor;

    use super::*;

    #[test]
    fn an_interval_keeps_its_rhythm_and_skips_what_was_missed() {
        LocalExecutor::default().run(async {
            let start = Instant::now();
            let mut interval = Interval::new(Duration::from_millis(20));
            interval.tick().await;
            assert!(start.elapsed() >= Duration::from_millis(20));
            sleep(Duration::from_millis(50)).await;
            interval.tick().await;
            interval.tick().await;
            let ticks = start.elapsed().as_millis();
            assert!(ticks >= 80, "the ticks at 40 and 60 ms were one, the next is at 80 ms: {ticks} ms");
        });
    }

    #[test]
    fn a_timeout_gives_up_and_a_result_in_time_comes_through() {
        LocalExecutor::default().run(async {
            assert_eq!(timeout(Duration::from_millis(5), sleep(Duration::from_secs(60))).await, None);
            assert_eq!(timeout(Duration::from_secs(60), async { 7 }).await, Some(7));
        });
    }

    #[test]
    fn the_clocks_tell_the_time() {
        assert!(now_ms() > 1_700_000_000_000);
        let clock = Monotonic::start();
        assert!(clock.now_ns() <= clock.now_ns());
    }
}
