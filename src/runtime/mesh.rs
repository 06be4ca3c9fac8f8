//! Messages between shards: a channel from each to each, over which messages travel in batches.
//!
//! What a shard sends during a turn waits in an outbox per peer; [`Mesh::flush`] hands each outbox over as one item of
//! glommio's lock-free channel, which costs the peer one wake-up at most. Order is kept between any two shards. An
//! outbox is bounded: a peer that does not keep up is seen by who sends to it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use glommio::channels::shared_channel::{
    ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender, new_bounded,
};
use glommio::{GlommioError, ResourceType};

use super::task::{JoinHandle, Notify, spawn, yield_now};
use super::timer::sleep;

/// Batches that a channel holds. With few, sender and receiver would wake each other for each one.
pub const CHANNEL_BATCHES: usize = 1024;

/// Messages that an outbox holds, unless another bound is given.
pub const OUTBOX_MESSAGES: usize = 64 << 10;

/// How long to leave a peer alone whose channel is full.
const RETRY_AFTER: Duration = Duration::from_micros(200);

/// Batches taken from one peer in a row before others have a turn.
const BATCHES_PER_TURN: usize = 32;

/// The place of one shard in the mesh, to be taken along to its executor.
pub struct Seat<M: Send + 'static> {
    shard: usize,
    outbox_messages: usize,
    /// By peer; none for the shard itself.
    senders: Vec<Option<SharedSender<Vec<M>>>>,
    receivers: Vec<Option<SharedReceiver<Vec<M>>>>,
}

/// The seats of `shards` shards, by number.
pub fn seats<M: Send + 'static>(shards: usize) -> Vec<Seat<M>> {
    seats_with(shards, CHANNEL_BATCHES, OUTBOX_MESSAGES)
}

/// Like [`seats`], with channels of `channel_batches` batches and outboxes of `outbox_messages` messages.
pub fn seats_with<M: Send + 'static>(
    shards: usize,
    channel_batches: usize,
    outbox_messages: usize,
) -> Vec<Seat<M>> {
    let mut seats: Vec<Seat<M>> = (0..shards)
        .map(|shard| Seat { shard, outbox_messages, senders: Vec::new(), receivers: Vec::new() })
        .collect();
    for from in 0..shards {
        for to in 0..shards {
            let (sender, receiver) = (from != to).then(|| new_bounded(channel_batches)).unzip();
            seats[from].senders.push(sender);
            seats[to].receivers.push(receiver);
        }
    }
    seats
}

impl<M: Send + 'static> Seat<M> {
    /// Connects to all peers, which must be doing the same, on this executor. From then on `receive` is called with
    /// each batch that arrives, and the number of the shard that sent it; it must not block.
    pub async fn join(self, receive: impl Fn(usize, Vec<M>) + 'static) -> Mesh<M> {
        let receive = Rc::new(receive);
        let mut receiving = Vec::new();
        for (peer, receiver) in self.receivers.into_iter().enumerate() {
            let Some(receiver) = receiver else { continue };
            let receive = receive.clone();
            receiving.push(spawn(async move { deliver(peer, receiver.connect().await, &*receive).await }));
        }
        // Each end of a channel waits for the other, so that they must not be connected one after the other.
        let connecting: Vec<_> =
            self.senders.into_iter().map(|sender| sender.map(|sender| spawn(sender.connect()))).collect();
        let mut peers = Vec::with_capacity(connecting.len());
        for sender in connecting {
            peers.push(match sender {
                Some(sender) => Some(Peer { sender: sender.await, outbox: RefCell::new(Vec::new()) }),
                None => None,
            });
        }
        let shared = Shared {
            shard: self.shard,
            outbox_messages: self.outbox_messages,
            peers,
            stalled: Notify::new(),
            closed: Cell::new(false),
        };
        let shared = Rc::new(shared);
        let retrying = spawn(retry(shared.clone()));
        Mesh {
            shared,
            receiving: Rc::new(RefCell::new(receiving)),
            retrying: Rc::new(RefCell::new(Some(retrying))),
        }
    }
}

/// One shard's end of the mesh. Clones are the same end.
pub struct Mesh<M: Send + 'static> {
    shared: Rc<Shared<M>>,
    receiving: Rc<RefCell<Vec<JoinHandle<()>>>>,
    retrying: Rc<RefCell<Option<JoinHandle<()>>>>,
}

impl<M: Send + 'static> Clone for Mesh<M> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            receiving: self.receiving.clone(),
            retrying: self.retrying.clone(),
        }
    }
}

/// What could not be sent, as the peer is too far behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the other shard is too far behind; try again later")
    }
}

impl<T: fmt::Debug> std::error::Error for Full<T> {}

struct Shared<M: Send + 'static> {
    shard: usize,
    outbox_messages: usize,
    peers: Vec<Option<Peer<M>>>,
    /// An outbox could not be handed over.
    stalled: Notify,
    closed: Cell<bool>,
}

struct Peer<M: Send + 'static> {
    sender: ConnectedSender<Vec<M>>,
    outbox: RefCell<Vec<M>>,
}

impl<M: Send + 'static> Mesh<M> {
    /// The number of this shard.
    pub fn shard(&self) -> usize {
        self.shared.shard
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shared.peers.len()
    }

    /// Puts a message for the shard `to`, another one, into its outbox.
    pub fn send(&self, to: usize, message: M) -> Result<(), Full<M>> {
        let mut outbox = self.shared.peer(to).outbox.borrow_mut();
        if outbox.len() >= self.shared.outbox_messages {
            return Err(Full(message));
        }
        outbox.push(message);
        Ok(())
    }

    /// Puts messages for the shard `to`, another one, into its outbox: all or none. More than an outbox holds are
    /// taken if it is empty.
    pub fn send_batch(&self, to: usize, batch: Vec<M>) -> Result<(), Full<Vec<M>>> {
        let mut outbox = self.shared.peer(to).outbox.borrow_mut();
        if outbox.is_empty() {
            *outbox = batch;
        } else if outbox.len() + batch.len() > self.shared.outbox_messages {
            return Err(Full(batch));
        } else {
            outbox.extend(batch);
        }
        Ok(())
    }

    /// Messages in the outbox of the shard `to`.
    pub fn backlog(&self, to: usize) -> usize {
        self.shared.peer(to).outbox.borrow().len()
    }

    /// Hands over all outboxes; to be called at the end of each turn in which something was sent. One that finds its
    /// channel full is handed over later, without another call.
    pub fn flush(&self) {
        if !self.shared.flush() {
            self.shared.stalled.notify_one();
        }
    }

    /// Hands over what is left, closes the channels, and waits until all peers have done so too. What they still send
    /// is received until then.
    pub async fn close(&self) {
        while !self.shared.flush() {
            sleep(RETRY_AFTER).await;
        }
        self.shared.closed.set(true);
        self.shared.stalled.notify_one();
        for peer in self.shared.peers.iter().flatten() {
            peer.sender.close();
        }
        let receiving = std::mem::take(&mut *self.receiving.borrow_mut());
        for task in receiving {
            task.await;
        }
        let retrying = self.retrying.borrow_mut().take();
        if let Some(task) = retrying {
            task.await;
        }
    }
}

impl<M: Send + 'static> Shared<M> {
    fn peer(&self, to: usize) -> &Peer<M> {
        self.peers[to].as_ref().expect("a shard sends no messages to itself")
    }

    /// Whether nothing is left.
    fn flush(&self) -> bool {
        let behind = self.peers.iter().flatten().filter(|peer| !peer.flush()).count();
        behind == 0
    }
}

impl<M: Send + 'static> Peer<M> {
    /// Whether nothing is left. What is sent to a peer that has closed its end is lost, as it would be there.
    fn flush(&self) -> bool {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            return true;
        }
        match self.sender.try_send(std::mem::take(&mut *outbox)) {
            Err(GlommioError::WouldBlock(ResourceType::Channel(batch))) => {
                *outbox = batch;
                false
            }
            _ => true,
        }
    }
}

/// Hands over the outboxes of peers that were behind. Not by glommio's waiting `send`, which panics if the channel is
/// full again when it is woken.
async fn retry<M: Send + 'static>(shared: Rc<Shared<M>>) {
    while !shared.closed.get() {
        shared.stalled.notified().await;
        while !shared.closed.get() && !shared.flush() {
            sleep(RETRY_AFTER).await;
        }
    }
}

async fn deliver<M: Send + 'static>(
    peer: usize,
    receiver: ConnectedReceiver<Vec<M>>,
    receive: &impl Fn(usize, Vec<M>),
) {
    loop {
        for _ in 0..BATCHES_PER_TURN {
            let Some(batch) = receiver.recv().await else { return };
            receive(peer, batch);
        }
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::runtime::cores::{self, ShardContext, ShardHandle};

    fn on_shards<T: Send + 'static, F: Future<Output = T> + 'static>(
        seats: Vec<Seat<u64>>,
        work: impl Fn(ShardContext, Seat<u64>) -> F + Send + Clone + 'static,
    ) -> Vec<T> {
        let allowed = cores::allowed_cpus().unwrap();
        let cpus: Vec<_> = (0..seats.len()).map(|shard| allowed[shard % allowed.len()]).collect();
        let seats = Mutex::new(seats.into_iter());
        let shards = cores::run(&cpus, |context| {
            let (seat, work) = (seats.lock().unwrap().next().unwrap(), work.clone());
            move || work(context, seat)
        });
        shards.unwrap().into_iter().map(|shard: ShardHandle<T>| shard.join().unwrap()).collect()
    }

    /// Sends 0, 1, 2, ... to every peer; gives what came in, by sender.
    async fn exchange(context: ShardContext, seat: Seat<u64>, count: u64, per_turn: u64) -> Vec<Vec<u64>> {
        let received = Rc::new(RefCell::new(vec![Vec::new(); context.shards]));
        let sink = received.clone();
        let mesh = seat.join(move |from, batch| sink.borrow_mut()[from].extend(batch)).await;
        for number in 0..count {
            for peer in (0..context.shards).filter(|peer| *peer != context.shard) {
                while mesh.send(peer, number).is_err() {
                    sleep(RETRY_AFTER).await;
                }
            }
            if number % per_turn == 0 {
                mesh.flush();
                yield_now().await;
            }
        }
        mesh.close().await;
        received.take()
    }

    fn check(results: Vec<Vec<Vec<u64>>>, count: u64) {
        for (shard, received) in results.into_iter().enumerate() {
            for (from, numbers) in received.into_iter().enumerate() {
                let expected = if from == shard { 0 } else { count };
                assert!(numbers.into_iter().eq(0..expected), "from {from} to {shard}");
            }
        }
    }

    #[test]
    fn every_message_arrives_once_and_in_order() {
        let results = on_shards(seats(3), |context, seat| exchange(context, seat, 20_000, 10));
        check(results, 20_000);
    }

    #[test]
    fn full_channels_and_outboxes_lose_nothing() {
        let results = on_shards(seats_with(2, 2, 16), |context, seat| exchange(context, seat, 5_000, 1));
        check(results, 5_000);
    }

    #[test]
    fn a_sender_sees_that_a_peer_is_behind() {
        on_shards(seats_with(2, 2, 4), |context, seat| async move {
            let mesh = seat.join(|_, _| {}).await;
            if context.shard == 0 {
                for message in 0..4 {
                    mesh.send(1, message).unwrap();
                }
                assert_eq!(mesh.send(1, 4), Err(Full(4)));
                assert_eq!(mesh.send_batch(1, vec![4, 5]), Err(Full(vec![4, 5])));
                assert_eq!(mesh.backlog(1), 4);
                mesh.flush();
                assert_eq!(mesh.backlog(1), 0);
                mesh.send_batch(1, vec![4, 5]).unwrap();
            }
            mesh.close().await;
        });
    }

    #[test]
    fn a_single_shard_has_nobody_to_talk_to() {
        on_shards(seats(1), |_, seat| async move {
            let mesh = seat.join(|_, _| {}).await;
            mesh.flush();
            mesh.close().await;
        });
    }
}
