//! Time, and what happens when.
//!
//! Simulated time is a number of microseconds that moves from event to event: nothing waits for it. The wall clock is
//! that time plus an offset which jumps, as clocks do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The wall clock at the start, milliseconds since the Unix epoch: late enough for any jump back.
const START_MS: u64 = 1_700_000_000_000;

/// Events to come, each at its time; those of the same time in the order in which they were added.
#[derive(Debug)]
pub struct Schedule<E> {
    now_us: u64,
    added: u64,
    queue: BinaryHeap<Reverse<Entry<E>>>,
    clock_offset_ms: i64,
}

#[derive(Debug)]
struct Entry<E> {
    at: (u64, u64),
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl<E> Default for Schedule<E> {
    fn default() -> Self {
        Self { now_us: 0, added: 0, queue: BinaryHeap::new(), clock_offset_ms: 0 }
    }
}

impl<E> Schedule<E> {
    /// Microseconds since the start.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// The wall clock, milliseconds since the Unix epoch.
    pub fn wall_ms(&self) -> u64 {
        (START_MS + self.now_us / 1000).saturating_add_signed(self.clock_offset_ms)
    }

    /// The wall clock jumps by so many milliseconds, back if negative.
    pub fn jump(&mut self, ms: i64) {
        self.clock_offset_ms += ms;
    }

    /// Has `event` happen in `delay_us` microseconds.
    pub fn after(&mut self, delay_us: u64, event: E) {
        self.queue.push(Reverse(Entry { at: (self.now_us + delay_us, self.added), event }));
        self.added += 1;
    }

    /// The next event; it is its time now.
    pub fn pop(&mut self) -> Option<E> {
        let Reverse(entry) = self.queue.pop()?;
        self.now_us = entry.at.0;
        Some(entry.event)
    }

    /// Events to come.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is to come.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_their_times_and_else_as_they_were_added() {
        let mut schedule = Schedule::default();
        for (delay, name) in [(30, 'd'), (10, 'a'), (20, 'b'), (20, 'c')] {
            schedule.after(delay, name);
        }
        let mut order = Vec::new();
        while let Some(name) = schedule.pop() {
            order.push((schedule.now_us(), name));
        }
        assert_eq!(order, [(10, 'a'), (20, 'b'), (20, 'c'), (30, 'd')]);
    }

    #[test]
    fn the_wall_clock_jumps_and_time_does_not() {
        let mut schedule = Schedule::default();
        schedule.after(5000, ());
        let before = schedule.wall_ms();
        schedule.pop();
        schedule.jump(-600_000);
        assert_eq!((schedule.now_us(), schedule.wall_ms()), (5000, before + 5 - 600_000));
    }
}
