//! Warm-up, measuring window, end.

use std::time::{Duration, Instant};

/// Where a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Load runs, nothing counts yet.
    WarmUp,
    /// What happens now counts.
    Measuring,
    /// The window has closed.
    Over,
}

/// The span of time in which results count.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    opens: Instant,
    closes: Instant,
}

impl Window {
    /// Opens `warm_up` after `start` and stays open for `length`.
    pub fn new(start: Instant, warm_up: Duration, length: Duration) -> Self {
        let opens = start + warm_up;
        Self { opens, closes: opens + length }
    }

    /// Where `now` lies.
    pub fn phase(&self, now: Instant) -> Phase {
        if now < self.opens {
            Phase::WarmUp
        } else if now < self.closes {
            Phase::Measuring
        } else {
            Phase::Over
        }
    }

    /// The moment from which results count.
    pub fn opens(&self) -> Instant {
        self.opens
    }

    /// The same window, closed early if it is still open at `now`.
    pub fn cut(self, now: Instant) -> Self {
        Self { closes: self.closes.min(now.max(self.opens)), ..self }
    }

    /// How long the window is open.
    pub fn length(&self) -> Duration {
        self.closes - self.opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other() {
        let start = Instant::now();
        let window = Window::new(start, Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(window.phase(start), Phase::WarmUp);
        assert_eq!(window.phase(start + Duration::from_secs(1)), Phase::Measuring);
        assert_eq!(window.phase(start + Duration::from_millis(2999)), Phase::Measuring);
        assert_eq!(window.phase(start + Duration::from_secs(3)), Phase::Over);
        assert_eq!(window.length(), Duration::from_secs(2));
    }

    #[test]
    fn a_window_can_be_cut_but_not_stretched() {
        let start = Instant::now();
        let window = Window::new(start, Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(window.cut(start + Duration::from_secs(2)).length(), Duration::from_secs(1));
        assert_eq!(window.cut(start + Duration::from_secs(9)).length(), Duration::from_secs(2));
        assert_eq!(window.cut(start).length(), Duration::ZERO);
    }
}
