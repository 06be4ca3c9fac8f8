//! Sending records.

mod clock;
mod config;
mod deliveries;
mod lane;
mod sender;
mod state;

use std::sync::Arc;

use ringmail_wire::batch::Compression;
use ringmail_wire::protocol::{FRAME_HEADER_BYTES, PRODUCE_PREFIX_BYTES, features};
use tokio::task::coop::consume_budget;

use self::deliveries::Status;
use self::sender::Sender;
use self::state::Shared;
use crate::core::accumulator::{Accumulator, Limits};
use crate::{Client, Error, Record};

pub use config::{DeliveredBatch, OnDelivery, ProducerConfig};

/// The place of a record among those that a producer sent to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket {
    /// The partition that the record goes to.
    pub partition: u32,
    /// Its number among this producer's records of the partition, from 0 on. Not the offset: that is known
    /// when the record is stored; see [`Producer::delivered`].
    pub sequence: u64,
}

/// Why a record was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The buffer is full: the broker is slower than the records come. Try again later, or use
    /// [`Producer::send_wait`].
    #[error("the producer's buffer is full; send slower, or wait for room")]
    BufferFull,
    /// It cannot be taken at all.
    #[error(transparent)]
    Refused(#[from] Error),
}

/// Sends records to one topic; see [`Client::producer`]. Clones are the same producer.
///
/// [`send`](Self::send) copies the record into the open batch of its partition and returns; a task sends the
/// batches. Records of one partition are stored in the order in which they were sent, and a batch that the
/// broker refuses for a while is sent again without changing that. Records are never stored twice, unless
/// [`ProducerConfig::retry_unknown`] allows it.
///
/// When the last clone is dropped, what was sent before is still delivered as long as the runtime lives;
/// [`flush`](Self::flush) first to be sure, and to learn of failures.
///
/// ```no_run
/// # async fn example() -> Result<(), ringmail_sdk::Error> {
/// use ringmail_sdk::{Client, Record};
///
/// let client = Client::connect("127.0.0.1:7411").await?;
/// let producer = client.producer("orders").await?;
/// for n in 0..1000_u32 {
///     producer.send_wait(Record::new(format!("order {n}").as_bytes()).key(b"customer-1")).await?;
/// }
/// producer.flush().await?; // every record is stored and synced now
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// All clones of a producer; the sending task ends after the last is gone.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
    }
}

impl Producer {
    pub(crate) async fn new(client: Client, topic: &str, config: ProducerConfig) -> Result<Self, Error> {
        config.check()?;
        let topic = client.refresh(topic).await?;
        let server = client.server().await?;
        let needed = match config.compression {
            Compression::None => 0,
            Compression::Lz4 => features::LZ4,
            Compression::Zstd => features::ZSTD,
        };
        if server.features & needed != needed {
            return Err(Error::Unsupported { server: client.address(), feature: "compression of this kind" });
        }
        let limits = Limits {
            batch_bytes: config.batch_bytes,
            max_batch_bytes: (server.max_frame as usize)
                .saturating_sub(FRAME_HEADER_BYTES + PRODUCE_PREFIX_BYTES),
            buffer_bytes: config.buffer_bytes,
            linger: config.linger,
            compression: config.compression,
        };
        let accumulator = Accumulator::new(limits, topic.partitions.len() as u32);
        let shared = Arc::new(Shared::new(topic.name.to_string(), accumulator, config.partitioner));
        let sender = Sender::new(shared.clone(), client, topic, config);
        tokio::spawn(sender.run());
        Ok(Self { handle: Arc::new(Handle { shared }) })
    }

    /// Takes a record for sending; neither waits nor, except once for a batch, allocates.
    ///
    /// # Errors
    /// [`SendError::BufferFull`], or [`SendError::Refused`] with [`Error::RecordTooLarge`] or
    /// [`Error::UnknownPartition`].
    #[inline]
    pub fn send(&self, record: Record<'_>) -> Result<Ticket, SendError> {
        let shared = &self.handle.shared;
        let (ticket, wake) = shared.lock().push(&record)?;
        if wake {
            shared.wake.notify_one();
        }
        Ok(ticket)
    }

    /// Takes a record for sending as soon as there is room for it.
    ///
    /// # Errors
    /// [`Error::RecordTooLarge`], [`Error::UnknownPartition`].
    #[inline]
    pub async fn send_wait(&self, record: Record<'_>) -> Result<Ticket, Error> {
        // On a runtime of one thread, a loop of sends would otherwise never let the sending task run.
        consume_budget().await;
        match self.send(record) {
            Ok(ticket) => Ok(ticket),
            Err(SendError::Refused(error)) => Err(error),
            Err(SendError::BufferFull) => self.when_room(|| self.send(record)).await,
        }
    }

    /// Takes records for sending as one batch to `partition`: they are stored together or not at all, with
    /// offsets that follow on each other. Returns the ticket of the first.
    ///
    /// # Errors
    /// [`Error::RecordTooLarge`] if they are over the broker's largest frame together,
    /// [`Error::UnknownPartition`], or [`Error::Config`] if there are no records.
    pub async fn send_batch(&self, partition: u32, records: &[Record<'_>]) -> Result<Ticket, Error> {
        let shared = &self.handle.shared;
        let send = || shared.lock().push_batch(partition, records.iter().copied());
        let ticket = self.when_room(send).await?;
        shared.wake.notify_one();
        Ok(ticket)
    }

    async fn when_room(&self, mut send: impl FnMut() -> Result<Ticket, SendError>) -> Result<Ticket, Error> {
        loop {
            let settled = self.handle.shared.settled.notified();
            match send() {
                Ok(ticket) => return Ok(ticket),
                Err(SendError::Refused(error)) => return Err(error),
                Err(SendError::BufferFull) => settled.await,
            }
        }
    }

    /// Waits until the record is stored as [`ProducerConfig::acks`] says, and returns its offset.
    ///
    /// # Errors
    /// Why it could not be stored; [`Error::NotAcknowledged`] if no acknowledgement was asked for;
    /// [`Error::TicketExpired`] if that was long ago: of every partition at least the last 16 batches are
    /// known, of a topic of 64 partitions or fewer the last 1,024.
    ///
    /// # Panics
    /// If the ticket is of another producer, whose topic has more partitions.
    pub async fn delivered(&self, ticket: Ticket) -> Result<u64, Error> {
        let (status, ended) = {
            let mut state = self.handle.shared.lock();
            (state.deliveries.status(ticket.partition, ticket.sequence), state.ended)
        };
        match status {
            Status::Known(result) => result,
            Status::Later(_) if ended => Err(Error::Closed),
            Status::Later(told) => told.await.unwrap_or(Err(Error::Closed)),
        }
    }

    /// Sends what was taken so far without waiting for more, and waits until all of it is stored or has
    /// failed.
    ///
    /// # Errors
    /// The first failure of a record since the last flush, of whichever was taken before this one.
    pub async fn flush(&self) -> Result<(), Error> {
        let shared = &self.handle.shared;
        let mut targets = {
            let mut state = shared.lock();
            state.accumulator.seal_all();
            let partitions = 0..state.accumulator.partitions();
            let target = |p| (p, state.accumulator.next_sequence(p));
            partitions.map(target).filter(|(p, t)| state.deliveries.settled(*p) < *t).collect::<Vec<_>>()
        };
        shared.wake.notify_one();
        loop {
            let settled = shared.settled.notified();
            {
                let mut state = shared.lock();
                targets.retain(|(p, target)| state.deliveries.settled(*p) < *target);
                if targets.is_empty() {
                    return state.deliveries.take_failure().map_or(Ok(()), Err);
                }
                if state.ended {
                    return Err(Error::Closed);
                }
            }
            settled.await;
        }
    }

    /// How many partitions the topic has, as far as the producer knows.
    pub fn partitions(&self) -> u32 {
        self.handle.shared.lock().accumulator.partitions()
    }

    /// Bytes of records that were neither stored nor failed yet.
    pub fn buffered_bytes(&self) -> usize {
        self.handle.shared.lock().accumulator.buffered_bytes()
    }
}
