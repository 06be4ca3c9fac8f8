//! Memory for what connections send.
//!
//! A connection that sends nothing holds no buffer. One that does takes a buffer of the shard's for as long as it has bytes in
//! it; a few bytes of a request that has not come whole are put aside, so that slow clients cost little. All buffers together
//! have a budget.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::BytesMut;

use crate::runtime::task::Notify;

/// Bytes of an ordinary buffer: several batches of usual size, and still in the core's cache.
const BUFFER_BYTES: usize = 256 << 10;

/// Free buffers that are kept.
const KEPT_BUFFERS: usize = 16;

/// Up to so many bytes of an incomplete request are put aside.
const ASIDE_BYTES: usize = 4 << 10;

/// The buffers of one shard.
#[derive(Debug)]
pub struct Buffers {
    free: RefCell<Vec<BytesMut>>,
    /// Bytes of the buffers that are in use.
    used: Cell<usize>,
    /// Of them, buffers larger than ordinary ones.
    large: Cell<usize>,
    budget: usize,
    given_back: Notify,
}

impl Buffers {
    /// None yet; all together may have `budget` bytes.
    pub fn new(budget: usize) -> Self {
        Self {
            free: RefCell::default(),
            used: Cell::new(0),
            large: Cell::new(0),
            budget,
            given_back: Notify::new(),
        }
    }

    /// Bytes of the buffers that are in use.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// An empty buffer of at least `bytes`, as soon as the budget allows it. One large buffer is always allowed, so that
    /// connections that each hold a small one and want a large one do not wait for each other.
    async fn take(&self, bytes: usize) -> BytesMut {
        let bytes = bytes.max(BUFFER_BYTES);
        let is_large = bytes > BUFFER_BYTES;
        while self.used.get() + bytes > self.budget && !(is_large && self.large.get() == 0) {
            self.given_back.notified().await;
        }
        self.used.set(self.used.get() + bytes);
        if is_large {
            self.large.set(self.large.get() + 1);
            return BytesMut::with_capacity(bytes);
        }
        let free = self.free.borrow_mut().pop();
        free.unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
    }

    fn give_back(&self, mut buffer: BytesMut, bytes: usize) {
        self.used.set(self.used.get() - bytes);
        if bytes > BUFFER_BYTES {
            self.large.set(self.large.get() - 1);
        } else if self.free.borrow().len() < KEPT_BUFFERS {
            buffer.clear();
            self.free.borrow_mut().push(buffer);
        }
        // All look again: the first in line may want more than another.
        self.given_back.notify_all();
    }
}

/// What one connection has sent and is not done with.
#[derive(Debug)]
pub(super) struct ReceiveBuffer {
    buffers: Rc<Buffers>,
    buffer: BytesMut,
    /// Bytes of `buffer` that count against the budget; 0 if it is not one of the shard's.
    counted: usize,
    /// Bytes at the front that are done with.
    done: usize,
    /// Bytes of the request that has begun to come; 0 if that is not known yet.
    frame: usize,
}

impl ReceiveBuffer {
    pub(super) fn new(buffers: Rc<Buffers>) -> Self {
        Self { buffers, buffer: BytesMut::new(), counted: 0, done: 0, frame: 0 }
    }

    /// What is not done with.
    pub(super) fn received(&self) -> &[u8] {
        &self.buffer[self.done..]
    }

    /// So many bytes of it are done with.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.done += bytes;
        debug_assert!(self.done <= self.buffer.len());
    }

    /// The next request has so many bytes; 0 if that is not known yet.
    pub(super) fn expect_frame(&mut self, bytes: usize) {
        self.frame = bytes;
    }

    /// Lets go of the buffer if there is little in it.
    pub(super) fn release(&mut self) {
        let rest = self.buffer.len() - self.done;
        if self.counted == 0 || rest > ASIDE_BYTES {
            return;
        }
        let aside = BytesMut::from(self.received());
        self.done = 0;
        let buffer = std::mem::replace(&mut self.buffer, aside);
        self.buffers.give_back(buffer, std::mem::take(&mut self.counted));
    }

    /// Where to receive to: behind what is there, with room for the rest of the request.
    pub(super) async fn room(&mut self) -> &mut BytesMut {
        let rest = self.buffer.len() - self.done;
        if self.counted == 0 || self.frame > self.counted {
            let mut buffer = self.buffers.take(self.frame).await;
            buffer.extend_from_slice(self.received());
            let old = std::mem::replace(&mut self.buffer, buffer);
            let counted = std::mem::replace(&mut self.counted, self.frame.max(BUFFER_BYTES));
            self.done = 0;
            if counted > 0 {
                self.buffers.give_back(old, counted);
            }
        } else if self.done > 0 {
            self.buffer.copy_within(self.done.., 0);
            self.buffer.truncate(rest);
            self.done = 0;
        }
        &mut self.buffer
    }
}

impl Drop for ReceiveBuffer {
    fn drop(&mut self) {
        if self.counted > 0 {
            self.buffers.give_back(std::mem::take(&mut self.buffer), self.counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    async fn receive(buffer: &mut ReceiveBuffer, bytes: &[u8]) {
        buffer.room().await.extend_from_slice(bytes);
    }

    #[test]
    fn an_idle_connection_holds_nothing_and_an_incomplete_request_is_kept() {
        let buffers = Rc::new(Buffers::new(1 << 20));
        let mut buffer = ReceiveBuffer::new(buffers.clone());
        block_on(receive(&mut buffer, b"whole|par"));
        assert_eq!(buffers.used.get(), BUFFER_BYTES);
        buffer.consume(6);
        buffer.release();
        assert_eq!((buffer.received(), buffers.used.get()), (&b"par"[..], 0));
        block_on(receive(&mut buffer, b"tial"));
        assert_eq!(buffer.received(), b"partial");
        buffer.consume(7);
        buffer.release();
        assert_eq!((buffer.buffer.capacity(), buffers.used.get()), (0, 0));
    }

    #[test]
    fn a_large_request_gets_room_and_an_ordinary_buffer_comes_back_after_it() {
        let buffers = Rc::new(Buffers::new(8 << 20));
        let mut buffer = ReceiveBuffer::new(buffers.clone());
        block_on(receive(&mut buffer, &[1; 100_000]));
        buffer.expect_frame(3 << 20);
        buffer.release();
        assert!(block_on(buffer.room()).capacity() >= 3 << 20);
        assert_eq!((buffers.used.get(), buffers.large.get()), (3 << 20, 1));
        assert_eq!(buffer.received(), [1; 100_000]);
        buffer.consume(100_000);
        buffer.expect_frame(0);
        buffer.release();
        block_on(receive(&mut buffer, b"next"));
        assert_eq!((buffers.used.get(), buffers.large.get()), (BUFFER_BYTES, 0));
        drop(buffer);
        assert_eq!(buffers.used.get(), 0);
    }

    #[test]
    fn consumed_bytes_make_room_without_another_buffer() {
        let buffers = Rc::new(Buffers::new(1 << 20));
        let mut buffer = ReceiveBuffer::new(buffers);
        block_on(receive(&mut buffer, &[0; BUFFER_BYTES]));
        buffer.consume(BUFFER_BYTES - 10_000);
        buffer.release();
        let room = block_on(buffer.room());
        assert_eq!((room.len(), room.capacity()), (10_000, BUFFER_BYTES));
    }

    #[test]
    fn past_the_budget_connections_wait_but_one_large_request_always_gets_through() {
        let buffers = Rc::new(Buffers::new(2 * BUFFER_BYTES));
        let mut slow: Vec<_> = (0..3).map(|_| ReceiveBuffer::new(buffers.clone())).collect();
        block_on(receive(&mut slow[0], &[0; 10_000]));
        block_on(receive(&mut slow[1], &[0; 10_000]));
        assert!(block_on(poll_once(slow[2].room())).is_none());
        slow[0].expect_frame(1 << 20);
        assert!(block_on(poll_once(slow[0].room())).is_some());
        slow[1].expect_frame(1 << 20);
        assert!(block_on(poll_once(slow[1].room())).is_none());
        slow[0].consume(10_000);
        slow[0].release();
        assert!(block_on(poll_once(slow[1].room())).is_some());
    }
}
