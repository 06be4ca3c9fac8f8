//! The accumulator, with a clock that stands still until it is set.

use std::cell::Cell;

use ringmail_wire::batch::Batch;

use super::*;

struct TestClock {
    start: Instant,
    ms: Cell<u64>,
}

impl TestClock {
    fn new() -> Self {
        Self { start: Instant::now(), ms: Cell::new(0) }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }
}

impl Clock for TestClock {
    fn instant(&self) -> Instant {
        self.at(self.ms.get())
    }

    fn now_ms(&self) -> i64 {
        self.ms.get() as i64
    }

    /// The tick is 4 ms.
    fn coarse_ms(&self) -> i64 {
        self.now_ms() / 4 * 4
    }
}

const LIMITS: Limits = Limits {
    batch_bytes: 1000,
    max_batch_bytes: 5000,
    buffer_bytes: 10_000,
    linger: Duration::from_millis(10),
    compression: Compression::None,
};

fn push(accumulator: &mut Accumulator, partition: u32, value: &[u8], clock: &TestClock) -> Pushed {
    accumulator.push(partition, &Record::new(value), clock).unwrap()
}

/// Takes what is ready: partition, number of the first record, timestamps.
fn drain(accumulator: &mut Accumulator) -> Vec<(u32, u64, Vec<i64>)> {
    let mut batches = Vec::new();
    while let Some(partition) = accumulator.next_ready() {
        let mut sealed = accumulator.take(partition).unwrap();
        let mut bytes = Vec::new();
        sealed.builder.finish_into(&mut bytes);
        let mut scratch = Vec::new();
        let batch = Batch::parse(&bytes).unwrap();
        let times = batch.open(&mut scratch).unwrap().iter().map(|r| r.timestamp).collect();
        batches.push((partition, sealed.first_sequence, times));
        accumulator.release(sealed.bytes);
        accumulator.recycle(sealed);
    }
    batches
}

#[test]
fn a_full_batch_is_sealed_by_the_next_record() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    let mut sealed = 0;
    for n in 0..20 {
        let pushed = push(&mut accumulator, 0, &[0; 100], &clock);
        assert_eq!(pushed.sequence, n);
        assert_eq!(pushed.opened, n % 7 == 0, "{n}");
        sealed += u32::from(pushed.sealed);
    }
    assert_eq!(sealed, 2);
    let firsts: Vec<u64> = drain(&mut accumulator).into_iter().map(|(_, first, _)| first).collect();
    assert_eq!(firsts, [0, 7]);
    accumulator.seal_all();
    assert_eq!(drain(&mut accumulator).len(), 1);
    assert_eq!(accumulator.buffered_bytes(), 0);
}

#[test]
fn an_open_batch_is_due_after_the_linger_time() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 2);
    push(&mut accumulator, 1, b"a", &clock);
    clock.ms.set(5);
    push(&mut accumulator, 0, b"b", &clock);
    assert_eq!(accumulator.next_due(), Some(clock.at(10)));
    accumulator.seal_due(Some(clock.at(9)));
    assert_eq!(drain(&mut accumulator), []);
    accumulator.seal_due(Some(clock.at(10)));
    assert_eq!(drain(&mut accumulator), [(1, 0, vec![0])]);
    assert_eq!(accumulator.next_due(), Some(clock.at(15)));
    accumulator.seal_due(None);
    assert_eq!(drain(&mut accumulator), [(0, 0, vec![5])]);
    assert_eq!(accumulator.next_due(), None);
}

#[test]
fn a_batch_that_was_sealed_is_not_due_in_place_of_the_next() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    push(&mut accumulator, 0, b"a", &clock);
    accumulator.seal(0);
    clock.ms.set(5);
    push(&mut accumulator, 0, b"b", &clock);
    accumulator.seal_due(Some(clock.at(12)));
    assert_eq!(drain(&mut accumulator).len(), 1);
    accumulator.seal_due(Some(clock.at(15)));
    assert_eq!(drain(&mut accumulator), [(0, 1, vec![5])]);
}

#[test]
fn partitions_take_turns() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 3);
    for partition in [0, 0, 0, 1, 2, 2] {
        push(&mut accumulator, partition, b"x", &clock);
        accumulator.seal(partition);
    }
    let turns: Vec<u32> = drain(&mut accumulator).into_iter().map(|(partition, ..)| partition).collect();
    assert_eq!(turns, [0, 1, 2, 0, 2, 0]);
}

#[test]
fn a_parked_partition_fills_its_batch_until_it_may_go() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    accumulator.park(0);
    push(&mut accumulator, 0, b"a", &clock);
    accumulator.seal_due(Some(clock.at(20)));
    clock.ms.set(30);
    push(&mut accumulator, 0, b"b", &clock);
    assert_eq!(drain(&mut accumulator), []);
    accumulator.unpark(0);
    assert_eq!(drain(&mut accumulator), [(0, 0, vec![0, 28])], "overdue, it goes at once");
}

#[test]
fn an_overdue_batch_follows_the_sealed_ones_before_it() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    accumulator.park(0);
    push(&mut accumulator, 0, b"a", &clock);
    accumulator.seal(0);
    push(&mut accumulator, 0, b"b", &clock);
    accumulator.seal_due(Some(clock.at(20)));
    accumulator.unpark(0);
    assert_eq!(drain(&mut accumulator).len(), 2);
}

#[test]
fn timestamps_do_not_go_back_within_a_batch() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    for ms in [6, 7, 8, 13] {
        clock.ms.set(ms);
        push(&mut accumulator, 0, b"x", &clock);
    }
    accumulator.push(0, &Record::new(b"x").timestamp(-1), &clock).unwrap();
    accumulator.seal_all();
    assert_eq!(drain(&mut accumulator), [(0, 0, vec![6, 6, 8, 12, -1])]);
}

#[test]
fn timestamps_far_apart_are_in_batches_of_their_own() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    for time in [0, i64::from(i32::MAX), i64::from(i32::MAX) + 1] {
        accumulator.push(0, &Record::new(b"x").timestamp(time), &clock).unwrap();
    }
    accumulator.seal_all();
    let firsts: Vec<u64> = drain(&mut accumulator).into_iter().map(|(_, first, _)| first).collect();
    assert_eq!(firsts, [0, 2]);
    let apart = [Record::new(b"x").timestamp(0), Record::new(b"x").timestamp(i64::MAX)];
    assert_eq!(accumulator.push_batch(0, apart, &clock), Err(RefusedRecord::TimestampSpan));
}

#[test]
fn a_large_record_has_a_batch_of_its_own() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    push(&mut accumulator, 0, b"small", &clock);
    assert!(push(&mut accumulator, 0, &[0; 4000], &clock).sealed);
    push(&mut accumulator, 0, b"small", &clock);
    let firsts: Vec<u64> = drain(&mut accumulator).into_iter().map(|(_, first, _)| first).collect();
    assert_eq!(firsts, [0, 1]);
    let refused = accumulator.push(0, &Record::new(&[0; 5000]), &clock);
    assert_eq!(refused, Err(RefusedRecord::TooLarge { bytes: 5068, limit: 5000 }));
}

#[test]
fn the_buffer_is_bounded_and_room_comes_back() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 5);
    let mut taken = 0;
    while accumulator.push(taken % 5, &Record::new(&[0; 100]), &clock).is_ok() {
        taken += 1;
        assert!(accumulator.buffered_bytes() <= LIMITS.buffer_bytes);
    }
    assert!(taken > 70, "{taken}");
    let refused = accumulator.push(0, &Record::new(&[0; 100]), &clock);
    assert_eq!(refused, Err(RefusedRecord::BufferFull));
    let partition = accumulator.next_ready().unwrap();
    let sealed = accumulator.take(partition).unwrap();
    accumulator.release(sealed.bytes);
    push(&mut accumulator, 0, &[0; 100], &clock);
}

#[test]
fn a_batch_of_ones_own_is_taken_whole_or_not_at_all() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    push(&mut accumulator, 0, b"before", &clock);
    let records = [Record::new(&[0; 400]); 8];
    assert_eq!(accumulator.push_batch(0, records, &clock), Ok(Some(1)));
    assert_eq!(accumulator.next_sequence(0), 9);
    let before = accumulator.buffered_bytes();
    let records = [Record::new(&[0; 400]); 20];
    let refused = accumulator.push_batch(0, records, &clock);
    assert!(matches!(refused, Err(RefusedRecord::TooLarge { limit: 5000, .. })));
    assert_eq!(accumulator.push_batch(0, [], &clock), Ok(None));
    assert_eq!((accumulator.buffered_bytes(), accumulator.next_sequence(0)), (before, 9));
    let sizes: Vec<usize> = drain(&mut accumulator).into_iter().map(|(.., times)| times.len()).collect();
    assert_eq!(sizes, [1, 8]);
}

#[test]
fn old_batches_can_be_taken_from_a_parked_partition() {
    let clock = TestClock::new();
    let mut accumulator = Accumulator::new(LIMITS, 1);
    accumulator.park(0);
    push(&mut accumulator, 0, b"a", &clock);
    accumulator.seal(0);
    clock.ms.set(5);
    push(&mut accumulator, 0, b"b", &clock);
    assert_eq!(accumulator.take_older(0, clock.at(3)).unwrap().first_sequence, 0);
    assert!(accumulator.take_older(0, clock.at(3)).is_none());
    assert_eq!(accumulator.take_older(0, clock.at(6)).unwrap().first_sequence, 1);
}
