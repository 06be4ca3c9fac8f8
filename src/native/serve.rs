//! Where connections come from: a task accepts at each listener, and starts the [`tasks`](super::tasks) that serve a
//! connection.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_lite::future;
use ringmail_wire::protocol::{Api, ErrorCode};

use super::error::Fault;
use super::output::{Output, put_fault};
use super::tasks::{Buffers, Incoming, Outgoing, read, write};
use crate::node::host::Host;
use crate::node::shard::Shared;
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
pub struct Listening {
    shard: Shared<Host>,
    buffers: Rc<Buffers>,
    count: ConnectionCount,
    refusals: Rc<Cell<usize>>,
}

impl Listening {
    /// Connections are taken on by `shard`, which may hold `receive_memory` bytes of requests that have not come whole.
    pub fn new(shard: Shared<Host>, count: ConnectionCount, receive_memory: usize) -> Self {
        let buffers = Rc::new(Buffers::new(receive_memory));
        Self { shard, buffers, count, refusals: Rc::default() }
    }

    /// Accepts connections until the shard stops serving.
    pub async fn accept(self, listener: Listener) {
        let changed = self.shard.borrow_mut().outside().step();
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
                io::Result::Ok(())
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
        write(self.shard, connection, writer).await;
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

impl Incoming for StreamReader {
    async fn ready(&mut self) -> io::Result<()> {
        self.ready().await
    }

    async fn recv_into(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.recv_into(buffer).await
    }

    async fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv(buffer).await
    }
}

impl Outgoing for StreamWriter {
    async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send_all(bytes).await
    }

    async fn send_pieces(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        self.send_pieces(pieces).await
    }

    fn finish(&mut self) -> io::Result<()> {
        self.finish()
    }

    fn abort(&mut self) -> io::Result<()> {
        self.abort()
    }
}
