//! Memory for what a connection sends.
//!
//! A connection that sends nothing holds no buffer. One that does takes a buffer of the shard's for as long as it has bytes in
//! it; a few bytes of a request that has not come whole are put aside, so that slow clients cost little. All buffers together
//! have a [budget](super::buffers). Requests of a few bytes are received without it, too, so that they come through whatever
//! others do.

use std::rc::Rc;

use bytes::BytesMut;

use super::buffers::{BUFFER_BYTES, Buffers, Memory, Parked, Ticket};
use crate::node::slab::Key;

/// Up to so many bytes of an incomplete request are put aside, and do not count.
const ASIDE_BYTES: usize = 4 << 10;

/// A buffer grows to so many times what is in it, if the request is that large: an announcement alone takes no memory.
const GROWTH: usize = 4;

/// A client that sends less than this in [`PACE_MS`] is given up if its memory is wanted.
const PACE_BYTES: usize = 64 << 10;

/// The time in which a client is to send [`PACE_BYTES`] of a request that it has begun, in milliseconds.
const PACE_MS: u64 = 1_000;

/// A request that waits for memory for longer than this may be given up for another, in milliseconds.
const WAITING_MS: u64 = 10_000;

/// What one connection has sent and is not done with.
#[derive(Debug)]
pub(super) struct ReceiveBuffer {
    buffers: Rc<Buffers>,
    connection: Key,
    memory: Memory,
    /// Bytes at the front that are done with.
    done: usize,
    /// Bytes of the request that has begun to come; 0 if that is not known yet.
    frame: usize,
    /// Where the bytes are while they are parked.
    ticket: Option<Ticket>,
    /// When the client was last seen to keep up, in milliseconds of the monotonic clock, and how many bytes of its request there were then.
    pace: Option<(u64, usize)>,
    /// Since when there is no memory for the rest of its request, in milliseconds of the monotonic clock.
    waits_since: Option<u64>,
}

impl ReceiveBuffer {
    /// The buffer of a connection that has sent nothing.
    pub(super) fn new(buffers: Rc<Buffers>, connection: Key) -> Self {
        Self {
            buffers,
            connection,
            memory: Memory::default(),
            done: 0,
            frame: 0,
            ticket: None,
            pace: None,
            waits_since: None,
        }
    }

    /// What is not done with.
    pub(super) fn received(&self) -> &[u8] {
        &self.memory.bytes[self.done..]
    }

    /// So many bytes of it are done with.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.done += bytes;
        debug_assert!(self.done <= self.memory.bytes.len());
        if bytes > 0 {
            self.pace = None;
        }
    }

    /// The next request has so many bytes; 0 if that is not known yet.
    pub(super) fn expect_frame(&mut self, bytes: usize) {
        self.frame = bytes;
    }

    /// Lets go of the buffer while the connection waits, if there is little in it; else parks it.
    pub(super) fn park(&mut self, now_ms: u64) {
        let held = self.received().len();
        if held <= ASIDE_BYTES {
            if self.memory.bytes.capacity() > held {
                self.replace(Memory::aside(BytesMut::from(self.received())));
            }
            return;
        }
        let falls_behind = |(_, before): &(u64, usize)| held < before + PACE_BYTES;
        let (since, _) = *self.pace.insert(self.pace.filter(falls_behind).unwrap_or((now_ms, held)));
        self.park_until(since + PACE_MS);
    }

    /// Parks what there is while the connection waits for memory.
    pub(super) fn park_for_memory(&mut self, now_ms: u64) {
        // It is the broker that keeps the client waiting.
        self.pace = None;
        let since = *self.waits_since.get_or_insert(now_ms);
        if self.memory.counted > 0 {
            self.park_until(since + WAITING_MS);
        }
    }

    fn park_until(&mut self, late_ms: u64) {
        self.compact();
        let parked = Parked { connection: self.connection, memory: std::mem::take(&mut self.memory) };
        self.ticket = Some(self.buffers.park(late_ms, parked));
    }

    /// Takes the bytes back; `false` if the connection was given up, and they are gone.
    pub(super) fn unpark(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else { return true };
        let parked = self.buffers.unpark(ticket);
        let is_there = parked.is_some();
        self.memory = parked.map_or(Memory::default(), |parked| parked.memory);
        is_there
    }

    /// Whether there is room to receive to, behind what is there; if not, somebody has to give memory back first.
    pub(super) fn make_room(&mut self) -> bool {
        let Some(wanted) = self.wanted() else {
            self.compact();
            return true;
        };
        let larger = match self.buffers.take(wanted, self.frame, &mut self.memory) {
            // What may be put aside may be received without the budget.
            None if self.received().len() < ASIDE_BYTES => {
                Some(Memory::aside(BytesMut::with_capacity(ASIDE_BYTES)))
            }
            larger => larger,
        };
        let Some(mut larger) = larger else { return false };
        larger.bytes.extend_from_slice(self.received());
        self.replace(larger);
        self.waits_since = None;
        true
    }

    /// Takes from other connections what [`make_room`](Self::make_room) lacks; `give_up` ends a connection, unless it waits for
    /// the broker.
    pub(super) fn reclaim(&self, now_ms: u64, give_up: impl FnMut(Key) -> bool) {
        if let Some(wanted) = self.wanted() {
            self.buffers.reclaim(wanted, self.frame, now_ms, give_up);
        }
    }

    /// The size of a buffer that is to take the place of this, if one is.
    fn wanted(&self) -> Option<usize> {
        let (held, counted) = (self.received().len(), self.memory.counted);
        let grows = self.frame > counted && held > counted / 2;
        let wanted = self.frame.min(GROWTH * held).max(BUFFER_BYTES);
        (counted < BUFFER_BYTES || grows).then_some(wanted)
    }

    /// Where to receive to, once there is [room](Self::make_room).
    pub(super) fn room(&mut self) -> &mut BytesMut {
        &mut self.memory.bytes
    }

    /// Moves what is there to the front.
    fn compact(&mut self) {
        let held = self.received().len();
        let done = std::mem::take(&mut self.done);
        if done > 0 {
            self.memory.bytes.copy_within(done.., 0);
            self.memory.bytes.truncate(held);
        }
    }

    fn replace(&mut self, memory: Memory) {
        self.done = 0;
        self.buffers.give_back(std::mem::replace(&mut self.memory, memory));
    }
}

impl Drop for ReceiveBuffer {
    fn drop(&mut self) {
        self.unpark();
        self.buffers.give_back(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The buffer of connection `number`.
    fn buffer_of(buffers: &Rc<Buffers>, number: u64) -> ReceiveBuffer {
        ReceiveBuffer::new(Rc::clone(buffers), Key::from_u64(number))
    }

    /// Bytes of a large request.
    const FRAME: usize = 3 << 20;

    #[track_caller]
    fn receive(buffer: &mut ReceiveBuffer, bytes: &[u8]) {
        assert!(buffer.make_room());
        let capacity = buffer.room().capacity();
        buffer.room().extend_from_slice(bytes);
        assert_eq!(buffer.room().capacity(), capacity, "there was room");
    }

    /// Receives all of a large request that has begun.
    #[track_caller]
    fn receive_rest(buffer: &mut ReceiveBuffer) {
        while buffer.received().len() < FRAME {
            assert!(buffer.make_room());
            let room = buffer.room();
            let spare = room.capacity() - room.len();
            assert!(spare > 0);
            room.extend_from_slice(&vec![1; spare.min(FRAME - room.len())]);
        }
    }

    /// Begins a request of `frame` bytes, and waits for the rest.
    fn begin(buffer: &mut ReceiveBuffer, frame: usize, bytes: usize, now_ms: u64) {
        receive(buffer, &vec![0; bytes]);
        buffer.expect_frame(frame);
        buffer.park(now_ms);
    }

    /// Connections that have begun a large request each, and wait for memory: together they hold all that is for such, and one
    /// is beyond it.
    fn crowd(buffers: &Rc<Buffers>, now_ms: u64) -> Vec<ReceiveBuffer> {
        let mut crowd = Vec::new();
        while !buffers.is_exceeded() {
            let mut buffer = buffer_of(buffers, crowd.len() as u64);
            begin(&mut buffer, FRAME, BUFFER_BYTES - 10, now_ms);
            crowd.push(buffer);
        }
        crowd
    }

    #[test]
    fn an_idle_connection_holds_nothing_and_an_incomplete_request_is_kept() {
        let buffers = Rc::new(Buffers::new(1 << 20));
        let mut buffer = buffer_of(&buffers, 0);
        receive(&mut buffer, b"whole|par");
        assert_eq!(buffers.used(), BUFFER_BYTES);
        buffer.consume(6);
        buffer.park(0);
        assert_eq!((buffer.received(), buffers.used()), (&b"par"[..], 0));
        assert!(buffer.unpark());
        receive(&mut buffer, b"tial");
        assert_eq!(buffer.received(), b"partial");
        buffer.consume(7);
        buffer.park(0);
        assert_eq!((buffer.memory.bytes.capacity(), buffers.used()), (0, 0));
    }

    #[test]
    fn a_large_request_gets_room_as_it_comes_and_an_ordinary_buffer_comes_back_after_it() {
        let buffers = Rc::new(Buffers::new(8 << 20));
        let mut buffer = buffer_of(&buffers, 0);
        begin(&mut buffer, FRAME, 100_000, 0);
        assert!(buffer.unpark());
        assert_eq!(buffers.used(), BUFFER_BYTES, "an announcement takes no memory");
        receive_rest(&mut buffer);
        assert_eq!(buffers.used(), FRAME);
        assert_eq!((&buffer.received()[..100_000], buffer.received()[FRAME - 1]), (&[0; 100_000][..], 1));
        buffer.consume(FRAME);
        buffer.expect_frame(0);
        buffer.park(0);
        receive(&mut buffer, b"next");
        assert_eq!(buffers.used(), BUFFER_BYTES);
        drop(buffer);
        assert_eq!(buffers.used(), 0);
    }

    #[test]
    fn consumed_bytes_make_room_without_another_buffer() {
        let buffers = Rc::new(Buffers::new(1 << 20));
        let mut buffer = buffer_of(&buffers, 0);
        receive(&mut buffer, &[0; BUFFER_BYTES]);
        buffer.consume(BUFFER_BYTES - 10_000);
        assert!(buffer.make_room());
        assert_eq!((buffer.room().len(), buffer.room().capacity()), (10_000, BUFFER_BYTES));
    }

    #[test]
    fn past_the_budget_connections_wait_but_one_request_always_gets_through() {
        let buffers = Rc::new(Buffers::new(4 * BUFFER_BYTES));
        let mut crowd = crowd(&buffers, 0);
        assert!(crowd.iter_mut().all(ReceiveBuffer::unpark));
        // Each holds what the others lack; the one beyond the budget grows nevertheless.
        let (last, others) = crowd.split_last_mut().expect("there are some");
        assert!(others.iter_mut().all(|buffer| !buffer.make_room()));
        receive_rest(last);
        assert!(others.iter_mut().all(|buffer| !buffer.make_room()));
        last.consume(FRAME);
        last.expect_frame(0);
        last.park(0);
        receive_rest(&mut others[0]);
        drop(crowd);
        assert_eq!((buffers.used(), buffers.is_exceeded()), (0, false));
    }

    #[test]
    fn requests_of_a_few_bytes_come_through_when_the_budget_is_used_up() {
        let buffers = Rc::new(Buffers::new(4 * BUFFER_BYTES));
        let crowd = crowd(&buffers, 0);
        let used = buffers.used();
        let mut small = buffer_of(&buffers, 99);
        for _ in 0..3 {
            receive(&mut small, &[1; ASIDE_BYTES - 1]);
            small.park(0);
            receive(&mut small, &[2]);
            assert!(!small.make_room(), "more than a few bytes have to wait");
            assert_eq!((small.received().len(), small.received()[ASIDE_BYTES - 1]), (ASIDE_BYTES, 2));
            small.consume(ASIDE_BYTES);
            small.park(0);
            assert_eq!((small.memory.bytes.capacity(), buffers.used()), (0, used));
        }
        drop((crowd, small));
        assert_eq!((buffers.used(), buffers.is_exceeded()), (0, false));
    }

    #[test]
    fn requests_that_nobody_finishes_keep_nobody_waiting() {
        let start = 1_000;
        let buffers = Rc::new(Buffers::new(4 * BUFFER_BYTES));
        let mut begun: Vec<_> = (0..40).map(|number| buffer_of(&buffers, number)).collect();
        for buffer in &mut begun {
            // The budget is used up by four ordinary buffers, but not by the bytes in them.
            buffer.reclaim(start, |_| panic!("there is memory enough"));
            begin(buffer, 16 << 20, 10_000, start);
        }
        let mut healthy = buffer_of(&buffers, 99);
        healthy.reclaim(start, |_| panic!("there is memory enough"));
        receive(&mut healthy, &[0; BUFFER_BYTES]);
        for buffer in &mut begun {
            assert!(buffer.unpark());
            assert_eq!(buffer.received(), [0; 10_000]);
        }
    }

    #[test]
    fn small_requests_have_a_part_of_the_budget_for_themselves() {
        let buffers = Rc::new(Buffers::new(8 * BUFFER_BYTES));
        let _large = crowd(&buffers, 0);
        let mut small: Vec<_> = (0..3).map(|number| buffer_of(&buffers, 90 + number)).collect();
        for buffer in &mut small {
            // It is known to be small once its first bytes are there.
            receive(buffer, &[0; ASIDE_BYTES]);
            buffer.expect_frame(100_000);
        }
        let comes_through: Vec<_> = small.iter_mut().map(ReceiveBuffer::make_room).collect();
        assert_eq!(comes_through, [true, true, false]);
        small.remove(0);
        assert!(small[1].make_room());
    }

    #[test]
    fn the_late_are_given_up_for_the_others_unless_they_wait_for_the_broker() {
        let start = 1_000;
        let buffers = Rc::new(Buffers::new(4 * BUFFER_BYTES));
        let mut begun = crowd(&buffers, start);
        let mut healthy = buffer_of(&buffers, 99);
        healthy.expect_frame(FRAME);
        healthy.reclaim(start + PACE_MS / 2, |_| panic!("nobody is late"));
        // The last sends on, at more than the pace that is asked for; the first waits for the broker.
        let later = start + 2 * PACE_MS;
        let last = begun.len() - 1;
        assert!(begun[last].unpark());
        receive(&mut begun[last], &[0; PACE_BYTES]);
        begun[last].park(later);
        let mut asked = Vec::new();
        healthy.reclaim(later, |connection| {
            asked.push(connection.to_u64());
            false
        });
        assert_eq!(asked, [0, 1, 2]);
        healthy.reclaim(later, |connection| connection.to_u64() > 0);
        let kept: Vec<_> = begun.iter_mut().map(ReceiveBuffer::unpark).collect();
        assert_eq!(kept, [true, false, false, true]);
    }

    #[test]
    fn waiting_for_memory_makes_nobody_late_until_it_takes_long() {
        let start = 1_000;
        let buffers = Rc::new(Buffers::new(4 * BUFFER_BYTES));
        let mut crowd = crowd(&buffers, start);
        let mut healthy = buffer_of(&buffers, 99);
        healthy.expect_frame(FRAME);
        for now_ms in [start + PACE_MS / 2, start + WAITING_MS] {
            // Each looks again from time to time.
            for buffer in &mut crowd {
                assert!(buffer.unpark());
                buffer.park_for_memory(now_ms);
            }
            healthy.reclaim(now_ms + PACE_MS / 4, |_| panic!("it is the broker that is late"));
        }
        let mut asked = Vec::new();
        healthy.reclaim(start + PACE_MS / 2 + WAITING_MS + 1, |connection| {
            asked.push(connection.to_u64());
            true
        });
        assert_eq!(asked, [0, 1], "as many as are in the way");
        // Once there is memory, the client has its time again.
        let now_ms = start + 2 * WAITING_MS;
        let last = crowd.last_mut().expect("there are some");
        assert!(last.unpark() && last.make_room());
        last.park(now_ms);
        let mut asked = Vec::new();
        healthy.reclaim(now_ms, |connection| {
            asked.push(connection.to_u64());
            false
        });
        assert!(!asked.contains(&3), "{asked:?}");
    }
}
