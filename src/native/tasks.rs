//! The two tasks of a connection: one takes what the client sends, one sends what the client is owed.
//!
//! They know the socket by what they want of it, so that a simulation can run them over streams of its own.

use std::io;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use futures_lite::future;

use super::output::{Output, Parts};
pub use super::receive::Buffers;
use super::receive::ReceiveBuffer;
use super::sessions::{Next, Send};
use crate::node::outside::Outside;
use crate::node::shard::Shared;
use crate::node::slab::Key;

/// Bytes that are thrown away at once.
const DISCARDED_BYTES: usize = 16 << 10;

/// The receiving direction of a connection.
pub trait Incoming {
    /// Waits until a read is worth while. Errors are found again by the read.
    fn ready(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Appends what has arrived to the buffer, as much as its spare capacity takes; gives how many bytes, 0 at the end.
    fn recv_into(&mut self, buffer: &mut BytesMut) -> impl Future<Output = io::Result<usize>>;

    /// Reads what has arrived; gives how many bytes, 0 at the end.
    fn recv(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>>;
}

/// The sending direction of a connection.
pub trait Outgoing {
    /// Sends all bytes, waiting while the client does not take them.
    fn send_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Sends all pieces in order.
    fn send_pieces(&mut self, pieces: &[Bytes]) -> impl Future<Output = io::Result<()>>;

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
    if !receive(&shard, buffers, connection, &mut incoming).await {
        discard(&mut incoming).await;
    }
    shard.borrow_mut().finished(connection);
}

/// Hands over what a connection sends. Whether that was to its end; else nothing more is to be taken.
async fn receive<O: Outside>(
    shard: &Shared<O>,
    buffers: Rc<Buffers>,
    connection: Key,
    incoming: &mut impl Incoming,
) -> bool {
    let mut buffer = ReceiveBuffer::new(buffers);
    loop {
        buffer.release();
        // Errors are found again by the read.
        let _ = incoming.ready().await;
        let received = incoming.recv_into(buffer.room().await).await;
        if !matches!(received, Ok(1..)) {
            return true;
        }
        if !take(shard, connection, &mut buffer).await {
            return false;
        }
    }
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
                // What little is left may wait without a buffer.
                buffer.release();
                future::poll_fn(|context| shard.borrow_mut().sessions().poll_room(connection, context)).await;
            }
        }
    }
}

/// Throws away what still comes, so that closing does not take the last answer away from the client.
async fn discard(incoming: &mut impl Incoming) {
    let mut discarded = vec![0; DISCARDED_BYTES];
    while matches!(incoming.recv(&mut discarded).await, Ok(1..)) {}
}

/// Sends what a connection is owed, until its end; then forgets the connection.
pub async fn write<O: Outside>(shard: Shared<O>, connection: Key, mut outgoing: impl Outgoing) {
    send_until_cut(&shard, connection, &mut outgoing).await;
    // The reader finds the end too.
    let _ = outgoing.abort();
    shard.borrow_mut().close_connection(connection);
}

async fn send_until_cut<O: Outside>(shard: &Shared<O>, connection: Key, outgoing: &mut impl Outgoing) {
    let mut output = Output::default();
    loop {
        let next = future::poll_fn(|context| {
            shard.borrow_mut().sessions().poll_output(connection, &mut output, context)
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
    future::poll_fn(|context| shard.borrow_mut().sessions().poll_cut(connection, context)).await;
}
