//! The tasks of the native protocol: one accepts at each listener, two serve each connection.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::future;
use ringmail_wire::protocol::{Api, ErrorCode};

use super::error::Fault;
use super::output::{Output, Parts};
use super::receive::{Buffers, ReceiveBuffer};
use super::sessions::{Next, Send, put_fault};
use crate::node::shard::Shared;
use crate::node::slab::Key;
use crate::runtime::net::{Listener, Stream, StreamReader, StreamWriter};
use crate::runtime::task::{Notify, spawn};
use crate::runtime::timer::{sleep, timeout};

/// How long a client that is turned away is given to read why.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Clients being turned away at once on one shard; further ones are not told why.
const REFUSALS: usize = 64;

/// How long to leave a listener alone that has failed.
const LISTENER_PAUSE: Duration = Duration::from_secs(1);

/// Connections to the whole broker. The one number that shards share: it changes when a connection comes or goes, not with
/// requests.
#[derive(Debug, Clone)]
pub struct ConnectionCount {
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl ConnectionCount {
    /// None yet, and at most `limit`.
    pub fn new(limit: usize) -> Self {
        Self { count: Arc::default(), limit }
    }

    /// A place for one more, until it is dropped.
    fn take(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.count));
        (self.count.fetch_add(1, Ordering::Relaxed) < self.limit).then_some(place)
    }
}

/// One connection of the [`ConnectionCount`].
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the tasks of a shard share, beside the shard.
#[derive(Clone)]
pub struct Tasks {
    shard: Shared,
    buffers: Rc<Buffers>,
    count: ConnectionCount,
    refusals: Rc<Cell<usize>>,
}

impl Tasks {
    /// The tasks of `shard`, which may hold `receive_memory` bytes of requests that have not come whole.
    pub fn new(shard: Shared, count: ConnectionCount, receive_memory: usize) -> Self {
        let buffers = Rc::new(Buffers::new(receive_memory));
        Self { shard, buffers, count, refusals: Rc::default() }
    }

    /// Accepts connections until the shard stops serving.
    pub async fn accept(self, listener: Listener) {
        let changed = self.shard.borrow().changed();
        while self.shard.borrow().is_serving() {
            match or_changed(&changed, listener.accept()).await {
                None => {}
                Some(Ok(stream)) => match self.count.take() {
                    Some(place) => drop(spawn(self.clone().serve(stream, place))),
                    None => self.refuse(stream),
                },
                Some(Err(error)) => {
                    tracing::error!(%error, address = %listener.address(), "accepting a connection failed");
                    sleep(LISTENER_PAUSE).await;
                }
            }
        }
    }

    /// Tells a client that there are too many connections.
    fn refuse(&self, stream: Stream) {
        let peer = stream.peer();
        tracing::warn!(%peer, limit = self.count.limit, "a connection was refused: there are too many");
        if self.refusals.get() >= REFUSALS {
            return;
        }
        self.refusals.set(self.refusals.get() + 1);
        let refusals = Rc::clone(&self.refusals);
        let words = format!(
            "the broker has {} connections, as many as it may: close some, or raise limits.connections",
            self.count.limit
        );
        spawn(async move {
            let told = async {
                let mut output = Output::default();
                let fault = Fault::new(ErrorCode::TooManyConnections, words);
                put_fault(&mut output, Api::Handshake as u8, 0, &fault);
                let (mut reader, mut writer) = stream.split();
                writer.send_all(output.copied()).await?;
                writer.finish()?;
                // Closing while its request is unread would take the answer away from it.
                let mut discarded = [0; 4096];
                while reader.recv(&mut discarded).await? > 0 {}
                std::io::Result::Ok(())
            };
            // However it ends, the client is gone then.
            let _ = timeout(REFUSAL_TIME, told).await;
            refusals.set(refusals.get() - 1);
        });
    }

    async fn serve(self, stream: Stream, place: Place) {
        let connection = self.shard.borrow_mut().sessions().open(stream.peer().to_string());
        let (reader, writer) = stream.split();
        let reading = spawn(read(self.shard.clone(), self.buffers, connection, reader));
        write(&self.shard, connection, writer).await;
        self.shard.borrow_mut().close_connection(connection);
        reading.await;
        drop(place);
    }
}

/// The result of `work`, or `None` as soon as the shard has changed.
async fn or_changed<T>(changed: &Notify, work: impl Future<Output = T>) -> Option<T> {
    let notified = async {
        changed.notified().await;
        None
    };
    future::or(async { Some(work.await) }, notified).await
}

/// Takes what a connection sends, until its end.
async fn read(shard: Shared, buffers: Rc<Buffers>, connection: Key, mut reader: StreamReader) {
    let mut buffer = ReceiveBuffer::new(buffers);
    loop {
        buffer.release();
        // Errors are found again by the read.
        let _ = reader.ready().await;
        let received = reader.recv_into(buffer.room().await).await;
        if !matches!(received, Ok(1..)) {
            break;
        }
        if !take(&shard, connection, &mut buffer).await {
            discard(&mut reader).await;
            break;
        }
    }
    drop(buffer);
    shard.borrow_mut().finished(connection);
}

/// Hands over what was received, waiting while there is no room for it. Whether more is to be read.
async fn take(shard: &Shared, connection: Key, buffer: &mut ReceiveBuffer) -> bool {
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
                future::poll_fn(|context| shard.borrow_mut().sessions().poll_room(connection, context)).await;
            }
        }
    }
}

/// Throws away what still comes, so that closing does not take the last answer away from the client.
async fn discard(reader: &mut StreamReader) {
    let mut discarded = vec![0; 16 << 10];
    while matches!(reader.recv(&mut discarded).await, Ok(1..)) {}
}

/// Sends what a connection is owed, until its end.
async fn write(shard: &Shared, connection: Key, mut writer: StreamWriter) {
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
                if !future::or(send(&mut writer, &mut output), cut).await {
                    break;
                }
                shard.borrow_mut().sent(connection, std::mem::take(&mut output));
            }
            Send::Finish => {
                // If the client is gone, the end comes at once.
                let _ = writer.finish();
                cut(shard, connection).await;
                break;
            }
            Send::Cut => break,
        }
    }
    // The reader finds the end too.
    let _ = writer.abort();
}

/// Whether everything was sent.
async fn send(writer: &mut StreamWriter, output: &mut Output) -> bool {
    let sent = match output.parts() {
        Parts::Copied(bytes) => writer.send_all(bytes).await,
        Parts::Pieces(pieces) => writer.send_pieces(pieces).await,
    };
    sent.is_ok()
}

/// Waits until a connection is cut off.
async fn cut(shard: &Shared, connection: Key) {
    future::poll_fn(|context| shard.borrow_mut().sessions().poll_cut(connection, context)).await;
}
