//! Where connections come from: a task accepts at each listener, and starts the [`tasks`](super::tasks) that serve a
//! connection.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_lite::future;

use super::count::{ConnectionCount, Place};
use super::output::Output;
use super::peak::Peak;
use super::protocol::Protocol;
use super::tasks::{Buffers, Incoming, Outgoing, read, write};
use crate::node::host::Host;
use crate::node::shard::Shared;
use crate::runtime::memory;
use crate::runtime::net::{Listener, Stream, StreamReader, StreamWriter};
use crate::runtime::task::{Notify, spawn};
use crate::runtime::timer::{sleep, timeout};

/// How long a client that is turned away is given to read why.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Clients being turned away at once on one shard; from further ones a system that is not Linux may lose the answer.
const REFUSALS: usize = 64;

/// How often refusals are logged.
const REFUSALS_LOGGED_EVERY: Duration = Duration::from_secs(1);

/// The end of this many connections leaves memory behind that is worth giving back.
const MANY_CONNECTIONS: usize = 500;

/// How long to leave a listener alone that has failed.
const LISTENER_PAUSE: Duration = Duration::from_secs(1);

/// What the tasks of a shard share, beside the shard.
#[derive(Clone)]
pub struct Listening {
    shard: Shared<Host>,
    buffers: Rc<Buffers>,
    count: ConnectionCount,
    refusals: Rc<Refusals>,
    crowd: Rc<Crowd>,
}

/// How many connections there are on this shard, and were.
struct Crowd {
    now: Cell<usize>,
    peak: Peak,
}

impl Crowd {
    fn enter(&self) {
        self.now.set(self.now.get() + 1);
        self.peak.note(self.now.get());
    }

    /// Whether so many have left by now that their memory is to be given back to the system.
    fn leave(&self) -> bool {
        self.now.set(self.now.get() - 1);
        self.peak.has_shrunk(self.now.get())
    }
}

/// Connections that are turned away.
#[derive(Default)]
struct Refusals {
    /// Those that are still open.
    lingering: Cell<usize>,
    /// Those that were not logged yet, and when others were.
    unlogged: Cell<u64>,
    logged: Cell<Option<Instant>>,
}

impl Refusals {
    /// Logs a refusal, with others at most once in a while.
    fn note(&self, peer: SocketAddr, limit: usize) {
        let connections = self.unlogged.get() + 1;
        let recently = self.logged.get().is_some_and(|logged| logged.elapsed() < REFUSALS_LOGGED_EVERY);
        self.unlogged.set(if recently { connections } else { 0 });
        if !recently {
            self.logged.set(Some(Instant::now()));
            tracing::warn!(connections, %peer, limit, "connections were refused: there are too many");
        }
    }
}

impl Listening {
    /// Connections are taken on by `shard`, which may hold `receive_memory` bytes of requests that have not come whole.
    pub fn new(shard: Shared<Host>, count: ConnectionCount, receive_memory: usize) -> Self {
        let buffers = Rc::new(Buffers::new(receive_memory));
        let crowd = Crowd { now: Cell::new(0), peak: Peak::new(MANY_CONNECTIONS) };
        Self { shard, buffers, count, refusals: Rc::default(), crowd: Rc::new(crowd) }
    }

    /// Accepts connections that speak `protocol` until the shard stops serving.
    pub async fn accept(self, listener: Listener, protocol: Protocol) {
        let changed = self.shard.borrow_mut().outside().step();
        while self.shard.borrow().is_serving() {
            match or_changed(&changed, listener.accept()).await {
                None => {}
                Some(Ok(stream)) => match self.count.take() {
                    Some(place) => drop(spawn(self.clone().serve(stream, protocol, place))),
                    None => self.refuse(stream, protocol),
                },
                Some(Err(error)) => {
                    tracing::error!(%error, address = %listener.address(), "accepting a connection failed");
                    sleep(LISTENER_PAUSE).await;
                }
            }
        }
    }

    /// Tells a client that there are too many connections.
    fn refuse(&self, stream: Stream, protocol: Protocol) {
        let limit = self.count.limit();
        self.refusals.note(stream.peer(), limit);
        let mut output = Output::default();
        protocol.put_too_many(&mut output, limit);
        let (mut reader, mut writer) = stream.split();
        // A new connection takes this at once; if not, its client is gone.
        let told = writer.send_at_once(output.copied()).and_then(|_| writer.finish());
        if told.is_err() || self.refusals.lingering.get() >= REFUSALS {
            return;
        }
        self.refusals.lingering.set(self.refusals.lingering.get() + 1);
        let refusals = Rc::clone(&self.refusals);
        spawn(async move {
            // Closing while its request is unread would take the answer away from it.
            let read = async {
                let mut discarded = [0; 1024];
                while matches!(reader.recv(&mut discarded).await, Ok(1..)) {}
            };
            // However it ends, the client is gone then.
            let _ = timeout(REFUSAL_TIME, read).await;
            refusals.lingering.set(refusals.lingering.get() - 1);
        });
    }

    async fn serve(self, stream: Stream, protocol: Protocol, place: Place) {
        let peer = stream.peer();
        // If it is gone already, that is found by reading.
        let local = stream.local().map_or(peer.ip(), |local| local.ip());
        let connection = self.shard.borrow_mut().sessions().open(protocol, peer.to_string(), local);
        let (reader, writer) = stream.split();
        let reading = spawn(read(self.shard.clone(), Rc::clone(&self.buffers), connection, reader));
        self.crowd.enter();
        write(Rc::clone(&self.shard), connection, writer).await;
        reading.await;
        drop(place);
        // All of them are to be asked.
        if self.crowd.leave() | self.buffers.has_shrunk() | self.shard.borrow_mut().connections().has_shrunk()
        {
            memory::trim_soon();
        }
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

    fn recv_at_once(&mut self, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        self.recv_at_once(buffer)
    }

    fn is_broken(&self) -> bool {
        self.is_broken()
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

    fn on_progress(&mut self, progressed: Rc<dyn Fn()>) {
        self.on_progress(progressed);
    }

    fn finish(&mut self) -> io::Result<()> {
        self.finish()
    }

    fn abort(&mut self) -> io::Result<()> {
        self.abort()
    }
}
