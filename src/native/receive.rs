//! Memory for what connections send.
//!
//! A connection that sends nothing holds no buffer. One that does takes a buffer of the shard's for as long as it has bytes in
//! it; a few bytes of a request that has not come whole are put aside, so that slow clients cost little. All buffers together
//! have a budget.
//!
//! A connection that waits **parks** its bytes. While the budget is used up, parked bytes are moved into memory that just holds
//! them, and clients that keep the broker waiting for the rest of a request are given up: what nobody finishes is not to keep
//! others from being read.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::BytesMut;

use super::peak::Peak;
use crate::node::slab::Key;
use crate::runtime::task::Notify;

/// Bytes of an ordinary buffer: several batches of usual size, and still in the core's cache.
const BUFFER_BYTES: usize = 256 << 10;

/// Buffers up to this size have a quarter of the budget for themselves, so that requests of usual size get through beside
/// large ones that do not come whole.
const SMALL_BYTES: usize = 1 << 20;

/// Bytes that are worth giving back to the system.
pub(super) const MUCH_BYTES: usize = 16 << 20;

/// Free buffers that are kept.
const KEPT_BUFFERS: usize = 16;

/// Up to so many bytes of an incomplete request are put aside, and do not count.
const ASIDE_BYTES: usize = 4 << 10;

/// A buffer grows to so many times what is in it, if the request is that large: an announcement alone takes no memory.
const GROWTH: usize = 4;

/// A client that sends less than this in [`PACE_MS`] is given up if its memory is wanted.
const PACE_BYTES: usize = 64 << 10;

/// The time in which a client is to send [`PACE_BYTES`] of a request that it has begun, in milliseconds.
const PACE_MS: u64 = 1_000;

/// The buffers of one shard.
#[derive(Debug)]
pub struct Buffers {
    free: RefCell<Vec<BytesMut>>,
    /// Bytes of the buffers that are in use.
    used: Cell<usize>,
    /// Of them, bytes of small buffers.
    used_small: Cell<usize>,
    /// Of bytes in use.
    peak: Peak,
    budget: usize,
    /// Whether there is a buffer beyond the budget.
    exceeded: Cell<bool>,
    given_back: Notify,
    /// What connections that wait have received, the one first whose client is first to be given up.
    parked: RefCell<BTreeMap<Ticket, Parked>>,
    next_ticket: Cell<u64>,
}

/// A place in the order of what is parked: when the client is late, in milliseconds of the monotonic
/// clock, and a number that tells apart.
type Ticket = (u64, u64);

/// What a connection that waits has received.
#[derive(Debug)]
struct Parked {
    connection: Key,
    memory: Memory,
}

/// Memory of a connection.
#[derive(Debug, Default)]
struct Memory {
    bytes: BytesMut,
    /// Bytes that count against the budget; 0 if it is but a few that were put aside.
    counted: usize,
    /// Whether it is the one beyond the budget.
    exceeds: bool,
}

impl Buffers {
    /// None yet; all together may have `budget` bytes, and one buffer more.
    pub fn new(budget: usize) -> Self {
        Self {
            free: RefCell::default(),
            used: Cell::new(0),
            used_small: Cell::new(0),
            peak: Peak::new(MUCH_BYTES),
            budget,
            exceeded: Cell::new(false),
            given_back: Notify::new(),
            parked: RefCell::default(),
            next_ticket: Cell::new(0),
        }
    }

    /// Bytes of the buffers that are in use.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Whether `bytes` more are within the budget.
    fn has_room(&self, bytes: usize) -> bool {
        let small = self.budget / 4;
        if bytes > SMALL_BYTES {
            self.used.get() + bytes <= self.budget - small
        } else {
            self.used.get() + bytes <= self.budget || self.used_small.get() + bytes <= small
        }
    }

    /// Whether so much was given back by now that it is to go to the system.
    pub fn has_shrunk(&self) -> bool {
        self.peak.has_shrunk(self.used.get())
    }

    /// Notes that a buffer of `bytes` is in use.
    fn count(&self, bytes: usize) {
        self.used.set(self.used.get() + bytes);
        if bytes <= SMALL_BYTES {
            self.used_small.set(self.used_small.get() + bytes);
        }
        self.peak.note(self.used.get());
    }

    /// An empty buffer of at least `bytes`, if the budget allows it. One beyond it is always allowed, so that connections that
    /// each hold a small one and want a large one do not wait for each other.
    fn take(&self, bytes: usize) -> Option<Memory> {
        let exceeds = !self.has_room(bytes);
        if exceeds && self.exceeded.replace(true) {
            return None;
        }
        self.count(bytes);
        let free = if bytes == BUFFER_BYTES { self.free.borrow_mut().pop() } else { None };
        let buffer = free.unwrap_or_else(|| BytesMut::with_capacity(bytes));
        Some(Memory { bytes: buffer, counted: bytes, exceeds })
    }

    fn give_back(&self, memory: Memory) {
        let Memory { mut bytes, counted, exceeds } = memory;
        if counted == 0 {
            return;
        }
        self.used.set(self.used.get() - counted);
        if counted <= SMALL_BYTES {
            self.used_small.set(self.used_small.get() - counted);
        }
        if exceeds {
            self.exceeded.set(false);
        }
        if counted == BUFFER_BYTES && self.free.borrow().len() < KEPT_BUFFERS {
            bytes.clear();
            self.free.borrow_mut().push(bytes);
        }
        // All look again: the first in line may want more than another.
        self.given_back.notify_all();
    }

    /// Ends when memory was given back.
    pub(super) async fn given_back(&self) {
        self.given_back.notified().await;
    }

    /// Makes room for `bytes` out of what is parked. Where moving it closer together is not enough, connections whose clients
    /// are late are given to `give_up`, which says whether it was the client's turn indeed; their bytes are gone then.
    fn reclaim(&self, bytes: usize, now_ms: u64, mut give_up: impl FnMut(Key) -> bool) {
        self.squeeze(bytes);
        let late: Vec<Ticket> =
            self.parked.borrow().range(..(now_ms, 0)).map(|(ticket, _)| *ticket).collect();
        for ticket in late {
            if self.has_room(bytes) {
                return;
            }
            let connection = self.parked.borrow().get(&ticket).map(|parked| parked.connection);
            if connection.is_some_and(&mut give_up)
                && let Some(parked) = self.parked.borrow_mut().remove(&ticket)
            {
                self.give_back(parked.memory);
            }
        }
    }

    /// Moves parked bytes into memory that just holds them, until there is room for `bytes`.
    fn squeeze(&self, bytes: usize) {
        for parked in self.parked.borrow_mut().values_mut() {
            if self.has_room(bytes) {
                return;
            }
            let held = parked.memory.bytes.len();
            if held <= parked.memory.counted / 2 {
                self.count(held);
                // Less of it is no less beyond the budget.
                let exceeds = std::mem::take(&mut parked.memory.exceeds);
                let exact =
                    Memory { bytes: BytesMut::from(&parked.memory.bytes[..]), counted: held, exceeds };
                self.give_back(std::mem::replace(&mut parked.memory, exact));
            }
        }
    }
}

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
}

impl ReceiveBuffer {
    /// The buffer of a connection that has sent nothing.
    pub(super) fn new(buffers: Rc<Buffers>, connection: Key) -> Self {
        Self { buffers, connection, memory: Memory::default(), done: 0, frame: 0, ticket: None, pace: None }
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
        if self.memory.counted == 0 {
            return;
        }
        if self.received().len() <= ASIDE_BYTES {
            self.replace(Memory { bytes: BytesMut::from(self.received()), counted: 0, exceeds: false });
            return;
        }
        self.compact();
        let held = self.memory.bytes.len();
        let keeps_up = |(_, before): &(u64, usize)| held < before + PACE_BYTES;
        let (since, _) = *self.pace.insert(self.pace.filter(keeps_up).unwrap_or((now_ms, held)));
        let number = self.buffers.next_ticket.get();
        self.buffers.next_ticket.set(number + 1);
        let ticket = (since + PACE_MS, number);
        let parked = Parked { connection: self.connection, memory: std::mem::take(&mut self.memory) };
        self.buffers.parked.borrow_mut().insert(ticket, parked);
        self.ticket = Some(ticket);
    }

    /// Takes the bytes back; `false` if the connection was given up, and they are gone.
    pub(super) fn unpark(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else { return true };
        match self.buffers.parked.borrow_mut().remove(&ticket) {
            Some(parked) => {
                self.memory = parked.memory;
                true
            }
            None => false,
        }
    }

    /// Whether there is room to receive to, behind what is there; if not, somebody has to give memory back first.
    pub(super) fn make_room(&mut self) -> bool {
        let Some(wanted) = self.wanted() else {
            self.compact();
            return true;
        };
        let Some(mut larger) = self.buffers.take(wanted) else { return false };
        larger.bytes.extend_from_slice(self.received());
        self.replace(larger);
        true
    }

    /// Takes from other connections what [`make_room`](Self::make_room) lacks; `give_up` ends a connection, unless it waits for
    /// the broker.
    pub(super) fn reclaim(&self, now_ms: u64, give_up: impl FnMut(Key) -> bool) {
        if let Some(wanted) = self.wanted() {
            self.buffers.reclaim(wanted, now_ms, give_up);
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

    #[track_caller]
    fn receive(buffer: &mut ReceiveBuffer, bytes: &[u8]) {
        assert!(buffer.make_room());
        let capacity = buffer.room().capacity();
        buffer.room().extend_from_slice(bytes);
        assert_eq!(buffer.room().capacity(), capacity, "there was room");
    }

    /// Begins a request of `frame` bytes, and waits for the rest.
    fn begin(buffer: &mut ReceiveBuffer, frame: usize, bytes: usize, now_ms: u64) {
        receive(buffer, &vec![0; bytes]);
        buffer.expect_frame(frame);
        buffer.park(now_ms);
    }

    #[test]
    fn an_idle_connection_holds_nothing_and_an_incomplete_request_is_kept() {
        let buffers = Rc::new(Buffers::new(1 << 20));
        let mut buffer = buffer_of(&buffers, 0);
        receive(&mut buffer, b"whole|par");
        assert_eq!(buffers.used.get(), BUFFER_BYTES);
        buffer.consume(6);
        buffer.park(0);
        assert_eq!((buffer.received(), buffers.used.get()), (&b"par"[..], 0));
        assert!(buffer.unpark());
        receive(&mut buffer, b"tial");
        assert_eq!(buffer.received(), b"partial");
        buffer.consume(7);
        buffer.park(0);
        assert_eq!((buffer.memory.bytes.capacity(), buffers.used.get()), (0, 0));
    }

    #[test]
    fn a_large_request_gets_room_as_it_comes_and_an_ordinary_buffer_comes_back_after_it() {
        const FRAME: usize = 3 << 20;
        let buffers = Rc::new(Buffers::new(8 << 20));
        let mut buffer = buffer_of(&buffers, 0);
        begin(&mut buffer, FRAME, 100_000, 0);
        assert!(buffer.unpark());
        assert_eq!(buffers.used.get(), BUFFER_BYTES, "an announcement takes no memory");
        while buffer.received().len() < FRAME {
            assert!(buffer.make_room());
            let room = buffer.room();
            let spare = room.capacity() - room.len();
            assert!(spare > 0);
            room.extend_from_slice(&vec![1; spare.min(FRAME - room.len())]);
        }
        assert_eq!(buffers.used.get(), FRAME);
        assert_eq!((&buffer.received()[..100_000], buffer.received()[FRAME - 1]), (&[0; 100_000][..], 1));
        buffer.consume(FRAME);
        buffer.expect_frame(0);
        buffer.park(0);
        receive(&mut buffer, b"next");
        assert_eq!(buffers.used.get(), BUFFER_BYTES);
        drop(buffer);
        assert_eq!(buffers.used.get(), 0);
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
        let buffers = Rc::new(Buffers::new(BUFFER_BYTES));
        let mut slow: Vec<_> = (0..3).map(|number| buffer_of(&buffers, number)).collect();
        receive(&mut slow[0], &[0; 10_000]);
        receive(&mut slow[1], &[0; 10_000]);
        assert!(!slow[2].make_room());
        slow[1].consume(10_000);
        slow[1].park(0);
        assert!(slow[2].make_room());
        drop(slow);
        assert_eq!((buffers.used.get(), buffers.exceeded.get()), (0, false));
    }

    #[test]
    fn requests_that_nobody_finishes_keep_nobody_waiting() {
        let start = 1_000;
        let buffers = Rc::new(Buffers::new(4 * BUFFER_BYTES));
        let mut begun: Vec<_> = (0..40).map(|number| buffer_of(&buffers, number)).collect();
        for buffer in &mut begun {
            // The budget is used up by four ordinary buffers, but not by the bytes in them.
            if !buffer.make_room() {
                buffer.reclaim(start, |_| panic!("there is memory enough"));
            }
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
    fn the_late_are_given_up_for_the_others_unless_they_wait_for_the_broker() {
        let start = 1_000;
        let buffers = Rc::new(Buffers::new(4 * BUFFER_BYTES));
        let mut begun: Vec<_> = (0..5).map(|number| buffer_of(&buffers, number)).collect();
        for buffer in &mut begun {
            begin(buffer, 16 << 20, BUFFER_BYTES - 10, start);
        }
        let healthy = buffer_of(&buffers, 99);
        healthy.reclaim(start + PACE_MS / 2, |_| panic!("nobody is late"));
        // The last sends on, at more than the pace that is asked for; the first waits for the broker.
        assert!(begun[4].unpark());
        begun[4].room().extend_from_slice(&[0; 10]);
        assert!(!begun[4].make_room(), "the one beyond the budget is there already");
        begun[4].park(start);
        let later = start + 2 * PACE_MS;
        let mut asked = Vec::new();
        healthy.reclaim(later, |connection| {
            asked.push(connection.to_u64());
            connection.to_u64() > 0
        });
        assert_eq!(asked, [0, 1, 2]);
        let kept: Vec<_> = begun.iter_mut().map(ReceiveBuffer::unpark).collect();
        assert_eq!(kept, [true, false, false, true, true]);
    }
}
