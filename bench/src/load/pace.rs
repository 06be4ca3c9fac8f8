//! When the next request may go.
//!
//! A closed loop keeps a fixed amount in flight and so measures what can be carried. An open loop sends at a fixed rate
//! whatever the answers do, and counts latency from the moment at which a request was due: a server that stalls for a
//! second then shows a second, not one slow request ("coordinated omission").

use std::time::{Duration, Instant};

/// Keeps at most a fixed amount (of bytes or requests, as the caller counts) in flight.
#[derive(Clone, Copy, Debug)]
pub struct ClosedLoop {
    limit: u64,
    in_flight: u64,
}

impl ClosedLoop {
    /// At most `limit` in flight.
    pub fn new(limit: u64) -> Self {
        Self { limit, in_flight: 0 }
    }

    /// Takes `cost` if it fits. Something larger than the limit fits when nothing else is in flight.
    pub fn try_start(&mut self, cost: u64) -> bool {
        let fits = self.in_flight == 0 || self.in_flight + cost <= self.limit;
        if fits {
            self.in_flight += cost;
        }
        fits
    }

    /// Gives back what was taken.
    ///
    /// # Panics
    ///
    /// When more is given back than was taken: the caller has counted an answer twice.
    pub fn finish(&mut self, cost: u64) {
        self.in_flight = self.in_flight.checked_sub(cost).expect("no more is answered than was sent");
    }

    /// How much is in flight.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }
}

/// Sends at a fixed rate, on a schedule that does not move when answers are late.
#[derive(Clone, Copy, Debug)]
pub struct OpenLoop {
    start: Instant,
    per_second: u64,
    sent: u64,
}

impl OpenLoop {
    /// `per_second` requests a second, the first at `start`.
    ///
    /// # Panics
    ///
    /// When the rate is zero.
    pub fn new(start: Instant, per_second: u64) -> Self {
        assert!(per_second > 0, "an open loop needs a rate");
        Self { start, per_second, sent: 0 }
    }

    /// The moment at which the next request is due. Computed from the request's number, so that rounding never adds up.
    pub fn next_at(&self) -> Instant {
        let nanos = u128::from(self.sent) * 1_000_000_000 / u128::from(self.per_second);
        self.start + Duration::from_nanos(u64::try_from(nanos).expect("a run is shorter than 584 years"))
    }

    /// If a request is due at `now`, takes it and gives the moment at which it should have gone.
    pub fn try_start(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next_at();
        (due <= now).then(|| {
            self.sent += 1;
            due
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_loop_holds_its_limit() {
        let mut pace = ClosedLoop::new(100);
        assert!(pace.try_start(60) && pace.try_start(40));
        assert!(!pace.try_start(1));
        pace.finish(40);
        assert!(pace.try_start(30));
        assert_eq!(pace.in_flight(), 90);
    }

    #[test]
    fn what_is_larger_than_the_limit_goes_alone() {
        let mut pace = ClosedLoop::new(10);
        assert!(pace.try_start(50));
        assert!(!pace.try_start(1));
    }

    #[test]
    #[should_panic(expected = "no more is answered")]
    fn an_answer_too_many_is_noticed() {
        ClosedLoop::new(10).finish(1);
    }

    #[test]
    fn an_open_loop_keeps_its_schedule_through_a_stall() {
        let start = Instant::now();
        let mut pace = OpenLoop::new(start, 1000);
        assert_eq!(pace.try_start(start), Some(start));
        assert_eq!(pace.try_start(start), None);
        let late = start + Duration::from_millis(10);
        let due: Vec<_> = std::iter::from_fn(|| pace.try_start(late)).collect();
        assert_eq!(due.len(), 10);
        assert_eq!(due[0], start + Duration::from_millis(1));
        assert_eq!(pace.next_at(), start + Duration::from_millis(11));
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let start = Instant::now();
        let mut pace = OpenLoop::new(start, 3);
        let end = start + Duration::from_secs(1000);
        while pace.try_start(end).is_some() {}
        assert_eq!(pace.sent, 3001);
    }
}
