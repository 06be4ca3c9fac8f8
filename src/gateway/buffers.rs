//! The budget of a shard's memory for what connections send.
//!
//! A connection that waits **parks** its bytes. While the budget is used up, parked bytes are moved into memory that just holds
//! them, and clients that keep the broker waiting for the rest of a request are given up: what nobody finishes is not to keep
//! others from being read. So are requests for which there is no memory for long, one for another: all of them hold what the
//! others lack.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use bytes::BytesMut;

use super::peak::Peak;
use crate::node::slab::Key;
use crate::runtime::task::Notify;

/// Bytes of an ordinary buffer: several batches of usual size, and still in the core's cache.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// Requests up to this size have a quarter of the budget for themselves, so that those of usual size get through beside large
/// ones that do not come whole.
const SMALL_BYTES: usize = 1 << 20;

/// Bytes that are worth giving back to the system.
pub(super) const MUCH_BYTES: usize = 16 << 20;

/// Free buffers that are kept.
const KEPT_BUFFERS: usize = 16;

/// The buffers of one shard.
#[derive(Debug)]
pub struct Buffers {
    free: RefCell<Vec<BytesMut>>,
    /// Bytes of the buffers that are in use.
    used: Cell<usize>,
    /// Of them, bytes of buffers for small requests.
    used_small: Cell<usize>,
    /// Of bytes in use.
    peak: Peak,
    budget: usize,
    /// Whether there is a buffer beyond the budget.
    exceeded: Cell<bool>,
    given_back: Notify,
    /// What connections that wait have received: in memory of which they need half at most, and in memory that just holds it.
    loose: RefCell<Parking>,
    tight: RefCell<Parking>,
    next_ticket: Cell<u64>,
}

/// What is parked, the one first whose client is first to be given up.
type Parking = BTreeMap<Ticket, Parked>;

/// A place in the order of what is parked: when the client is late, in milliseconds of the monotonic
/// clock, and a number that tells apart.
pub(super) type Ticket = (u64, u64);

/// What a connection that waits has received.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) connection: Key,
    pub(super) memory: Memory,
}

/// Memory of a connection.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) bytes: BytesMut,
    /// Bytes that count against the budget; 0 if it is but a few that were put aside.
    pub(super) counted: usize,
    /// Whether it was taken for a small request.
    is_small: bool,
    /// Whether it is the one beyond the budget.
    exceeds: bool,
}

impl Memory {
    /// A few bytes, which do not count.
    pub(super) fn aside(bytes: BytesMut) -> Self {
        Self { bytes, ..Self::default() }
    }
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
            loose: RefCell::default(),
            tight: RefCell::default(),
            next_ticket: Cell::new(0),
        }
    }

    /// Bytes of the buffers that are in use.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Whether there is a buffer beyond the budget.
    #[cfg(test)]
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.get()
    }

    /// Whether `bytes` more are within the budget, for a small request or another.
    fn has_room(&self, bytes: usize, is_small: bool) -> bool {
        let (used, small) = (self.used.get() + bytes, self.budget / 4);
        match is_small {
            true => used <= self.budget || self.used_small.get() + bytes <= small,
            false => used <= self.budget - small,
        }
    }

    /// Whether so much was given back by now that it is to go to the system.
    pub fn has_shrunk(&self) -> bool {
        self.peak.has_shrunk(self.used.get())
    }

    /// Notes that a buffer of `bytes` is in use.
    fn count(&self, bytes: usize, is_small: bool) {
        self.used.set(self.used.get() + bytes);
        if is_small {
            self.used_small.set(self.used_small.get() + bytes);
        }
        self.peak.note(self.used.get());
    }

    /// An empty buffer of `bytes` for a request of `frame` bytes, if the budget allows it. One beyond it is always allowed, so
    /// that connections that each hold a small one and want a large one do not wait for each other; it may be in the place of
    /// `old`, if that was it.
    pub(super) fn take(&self, bytes: usize, frame: usize, old: &mut Memory) -> Option<Memory> {
        let is_small = is_small(frame);
        let exceeds = !self.has_room(bytes, is_small);
        if exceeds && self.exceeded.replace(true) && !std::mem::take(&mut old.exceeds) {
            return None;
        }
        self.count(bytes, is_small);
        let free = if bytes == BUFFER_BYTES { self.free.borrow_mut().pop() } else { None };
        let buffer = free.unwrap_or_else(|| BytesMut::with_capacity(bytes));
        Some(Memory { bytes: buffer, counted: bytes, is_small, exceeds })
    }

    pub(super) fn give_back(&self, memory: Memory) {
        let Memory { mut bytes, counted, is_small, exceeds } = memory;
        if counted == 0 {
            return;
        }
        self.used.set(self.used.get() - counted);
        if is_small {
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

    /// Parks what a connection has received, whose client is late from `late_ms` on.
    pub(super) fn park(&self, late_ms: u64, parked: Parked) -> Ticket {
        let ticket = (late_ms, self.next_ticket.get());
        self.next_ticket.set(ticket.1 + 1);
        let is_loose = parked.memory.bytes.len() <= parked.memory.counted / 2;
        let parking = if is_loose { &self.loose } else { &self.tight };
        parking.borrow_mut().insert(ticket, parked);
        ticket
    }

    /// What was parked, unless its connection was given up.
    pub(super) fn unpark(&self, ticket: Ticket) -> Option<Parked> {
        let tight = self.tight.borrow_mut().remove(&ticket);
        tight.or_else(|| self.loose.borrow_mut().remove(&ticket))
    }

    /// Makes room for `bytes` of a request of `frame` bytes out of what is parked. Where moving it closer together is not
    /// enough, connections whose clients are late are given to `give_up`, which says whether it was the client's turn indeed;
    /// their bytes are gone then.
    pub(super) fn reclaim(
        &self,
        bytes: usize,
        frame: usize,
        now_ms: u64,
        mut give_up: impl FnMut(Key) -> bool,
    ) {
        let has_room = || self.has_room(bytes, is_small(frame));
        self.squeeze(has_room);
        let mut asked = (0, 0);
        while !has_room() {
            // From here on all that is parked is tight.
            let late = |tight: &Parking| {
                let (ticket, parked) = tight.range(asked..(now_ms, 0)).next()?;
                Some((*ticket, parked.connection))
            };
            let Some((ticket, connection)) = late(&self.tight.borrow()) else { return };
            asked = (ticket.0, ticket.1 + 1);
            if give_up(connection)
                && let Some(parked) = self.unpark(ticket)
            {
                self.give_back(parked.memory);
            }
        }
    }

    /// Moves parked bytes into memory that just holds them, until there is room.
    fn squeeze(&self, has_room: impl Fn() -> bool) {
        while !has_room() {
            let Some((ticket, mut parked)) = self.loose.borrow_mut().pop_first() else { return };
            let loose = std::mem::take(&mut parked.memory);
            let (counted, is_small) = (loose.bytes.len(), loose.is_small);
            self.count(counted, is_small);
            // Less of it is no less beyond the budget.
            let exceeds = loose.exceeds;
            parked.memory = Memory { bytes: BytesMut::from(&loose.bytes[..]), counted, is_small, exceeds };
            self.give_back(Memory { exceeds: false, ..loose });
            self.tight.borrow_mut().insert(ticket, parked);
        }
    }
}

/// Whether a request is small; not if its size is not known yet.
fn is_small(frame: usize) -> bool {
    (1..=SMALL_BYTES).contains(&frame)
}
