//! The two tasks of a connection: one takes what the client sends, one sends what the client is owed.
//!
//! They know the socket by what they want of it, so that a simulation can run them over streams of its own.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures_lite::future;

pub use super::buffers::Buffers;
use super::connections::{Next, Send};
use super::output::{Output, Parts};
use super::receive::ReceiveBuffer;
use crate::node::outside::Outside;
use crate::node::shard::Shared;
use crate::node::slab::Key;

/// Bytes that are thrown away at once.
const DISCARDED_BYTES: usize = 1 << 10;

/// The receiving direction of a connection.
pub trait Incoming {
    /// Waits until a read is worth while. Errors are found again by the read.
    fn ready(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Appends what has arrived to the buffer, as much as its spare capacity takes; gives how many bytes, 0 at the end.
    fn recv_into(&mut self, buffer: &mut BytesMut) -> impl Future<Output = io::Result<usize>>;

    /// Like [`recv_into`](Self::recv_into), but gives `None` instead of waiting; then it is time to wait until the
    /// direction is [`ready`](Self::ready), with the buffer given to somebody else.
    ///
    /// # Errors
    /// If the connection is broken.
    fn recv_at_once(&mut self, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        let receiving = pin!(self.recv_into(buffer));
        match receiving.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(received) => received.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Whether the connection was broken off, though something may still be there to be read.
    fn is_broken(&self) -> bool {
        false
    }

    /// Reads what has arrived; gives how many bytes, 0 at the end.
    fn recv(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>>;
}

/// The sending direction of a connection.
pub trait Outgoing {
    /// Sends all bytes, waiting while the client does not take them.
    fn send_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Sends all pieces in order.
    fn send_pieces(&mut self, pieces: &[Bytes]) -> impl Future<Output = io::Result<()>>;

    /// Has `progressed` called whenever the client takes some bytes after a wait.
    fn on_progress(&mut self, progressed: Rc<dyn Fn()>) {
        drop(progressed);
    }

    /// Ends this direction: the client reads to the end of what was sent.
    ///
    /// # Errors
    /// If the connection is broken.
    fn finish(&mut self) -> io::Result<()>;

    /// Ends both directions at once.
    ///
    /// # Errors
    /// If the connection is broken.
    fn abort(&mut self) -> io::Result<()>;
}

/// Takes what a connection sends, until its end.
pub async fn read<O: Outside>(
    shard: Shared<O>,
    buffers: Rc<Buffers>,
    connection: Key,
    mut incoming: impl Incoming,
) {
    // The buffer goes back first: others wait for it while a client that is turned away takes its time.
    if !take_all(&shard, buffers, connection, &mut incoming).await {
        discard(&mut incoming).await;
    }
    shard.borrow_mut().finished(connection);
}

/// Takes requests until the client sends no more, or nothing more is wanted of it. Whether it was the former.
async fn take_all<O: Outside>(
    shard: &Shared<O>,
    buffers: Rc<Buffers>,
    connection: Key,
    incoming: &mut impl Incoming,
) -> bool {
    let mut buffer = ReceiveBuffer::new(Rc::clone(&buffers), connection);
    loop {
        buffer.park(now_ms(shard));
        let ready = incoming.ready().await;
        if !buffer.unpark() {
            return false;
        }
        if ready.is_err() {
            return true;
        }
        if !make_room(shard, &buffers, connection, &mut buffer, incoming).await {
            return false;
        }
        match incoming.recv_at_once(buffer.room()) {
            // What waits for bytes does not hold a buffer to receive them to.
            Ok(None) => continue,
            Ok(Some(1..)) => {}
            Ok(Some(0)) | Err(_) => return true,
        }
        if !take(shard, connection, &mut buffer).await {
            return false;
        }
    }
}

fn now_ms<O: Outside>(shard: &Shared<O>) -> u64 {
    shard.borrow_mut().connections().now_ms()
}

/// Waits until there is memory to receive to, at the expense of clients that keep the broker waiting. `false` if the connection
/// ends meanwhile.
async fn make_room<O: Outside>(
    shard: &Shared<O>,
    buffers: &Buffers,
    connection: Key,
    buffer: &mut ReceiveBuffer,
    incoming: &impl Incoming,
) -> bool {
    while !buffer.make_room() {
        let now_ms = now_ms(shard);
        buffer.reclaim(now_ms, |connection| shard.borrow_mut().give_up(connection));
        if buffer.make_room() {
            break;
        }
        buffer.park_for_memory(now_ms);
        // In a while others may be late.
        let mut waited = false;
        let tick = future::poll_fn(|context| {
            shard.borrow_mut().connections().poll_tick(connection, &mut waited, context)
        });
        let given_back = async {
            buffers.given_back().await;
            true
        };
        let goes_on = future::or(given_back, tick).await;
        if !buffer.unpark() || !goes_on || incoming.is_broken() {
            return false;
        }
    }
    true
}

/// Hands over what was received, waiting while there is no room for it. Whether more is to be read.
async fn take<O: Outside>(shard: &Shared<O>, connection: Key, buffer: &mut ReceiveBuffer) -> bool {
    loop {
        let received = shard.borrow_mut().receive(connection, buffer.received());
        buffer.consume(received.consumed);
        match received.next {
            Next::Read(frame) => {
                buffer.expect_frame(frame);
                return true;
            }
            Next::Discard => return false,
            Next::Stalled => {
                buffer.park(now_ms(shard));
                future::poll_fn(|context| shard.borrow_mut().connections().poll_room(connection, context))
                    .await;
                if !buffer.unpark() {
                    return false;
                }
            }
        }
    }
}

/// Throws away what still comes, so that closing does not take the last answer away from the client.
async fn discard(incoming: &mut impl Incoming) {
    // In the task itself: many connections may be told at once that they end.
    let mut discarded = [0; DISCARDED_BYTES];
    while matches!(incoming.recv(&mut discarded).await, Ok(1..)) {}
}

/// Sends what a connection is owed, until its end; then forgets the connection.
pub async fn write<O: Outside + 'static>(shard: Shared<O>, connection: Key, mut outgoing: impl Outgoing) {
    let progress = Rc::clone(&shard);
    outgoing.on_progress(Rc::new(move || progress.borrow_mut().connections().progressed(connection)));
    send_until_cut(&shard, connection, &mut outgoing).await;
    // The reader finds the end too.
    let _ = outgoing.abort();
    shard.borrow_mut().close_connection(connection);
}

async fn send_until_cut<O: Outside>(shard: &Shared<O>, connection: Key, outgoing: &mut impl Outgoing) {
    let mut output = Output::default();
    loop {
        let next = future::poll_fn(|context| {
            shard.borrow_mut().connections().poll_output(connection, &mut output, context)
        });
        match next.await {
            Send::Output => {
                let cut = async {
                    cut(shard, connection).await;
                    false
                };
                if !future::or(send(outgoing, &mut output), cut).await {
                    return;
                }
                shard.borrow_mut().sent(connection, std::mem::take(&mut output));
            }
            Send::Finish => {
                // If the client is gone, the end comes at once.
                let _ = outgoing.finish();
                return cut(shard, connection).await;
            }
            Send::Cut => return,
        }
    }
}

/// Whether everything was sent.
async fn send(outgoing: &mut impl Outgoing, output: &mut Output) -> bool {
    let sent = match output.parts() {
        Parts::Copied(bytes) => outgoing.send_all(bytes).await,
        Parts::Pieces(pieces) => outgoing.send_pieces(pieces).await,
    };
    sent.is_ok()
}

/// Waits until a connection is cut off.
async fn cut<O: Outside>(shard: &Shared<O>, connection: Key) {
    future::poll_fn(|context| shard.borrow_mut().connections().poll_cut(connection, context)).await;
}
