//! One partition that a consumer reads.

use std::sync::Arc;

use bytes::Bytes;
use ringmail_wire::batch::{Batch, BatchError};
use ringmail_wire::protocol::{FetchPartition, FetchRequest, OffsetQuery};
use tokio::sync::mpsc::UnboundedSender;

use super::batch::ConsumedBatch;
use super::config::Transport;
use crate::Error;
use crate::client::Partition;
use crate::client::link::{Command, Delivery, DeliverySink, Link};

/// Connections of a consumer to one shard, at most.
const MAX_CONNECTIONS: usize = 64;

/// A partition, and where reading it has got to.
#[derive(Debug)]
pub(super) struct Assignment {
    pub topic: Arc<str>,
    pub partition: u32,
    /// The offset of the next record to be handed out.
    pub position: u64,
    /// Where to stop.
    pub until: Option<u64>,
    pub paused: bool,
    /// Which of the connections to the owner's shard to use.
    pub connection: usize,
    /// Attempts in a row that did not go well.
    pub failures: u32,
    /// Whether the topic must be asked for before the next attempt.
    pub stale: bool,
    /// Which offset to go on at, once it is asked for: the position was out of range.
    pub reset: Option<OffsetQuery>,
    pub stream: Option<Stream>,
}

/// What batches come through now: a subscription, or a fetch that is not answered yet.
#[derive(Debug)]
pub(super) struct Stream {
    pub key: u64,
    link: Link,
    is_subscription: bool,
    share: u32,
    /// Bytes that were taken and for which no credit was given back yet.
    owed: u32,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.is_subscription {
            self.link.send(Command::Unsubscribe { key: self.key });
        }
    }
}

impl Assignment {
    pub fn new(topic: Arc<str>, partition: u32, position: u64, connection: usize) -> Self {
        Self {
            topic,
            partition,
            position,
            until: None,
            paused: false,
            connection,
            failures: 0,
            stale: false,
            reset: None,
            stream: None,
        }
    }

    /// Whether all that is to be read was read.
    pub fn is_finished(&self) -> bool {
        self.until.is_some_and(|until| self.position >= until)
    }

    /// Whether batches should be coming and are not.
    pub fn is_to_start(&self) -> bool {
        self.stream.is_none() && !self.paused && !self.is_finished()
    }

    /// The connection has as many subscriptions as the broker allows: goes on to the next, if there may be
    /// so many.
    pub fn next_connection(&mut self) -> bool {
        self.connection += 1;
        self.connection < MAX_CONNECTIONS
    }

    /// Has batches come from the position on, `share` bytes at most at a time.
    pub fn start(
        &mut self,
        owner: Partition,
        link: Link,
        transport: Transport,
        share: u32,
        key: u64,
        to: UnboundedSender<(u64, Delivery)>,
    ) {
        let sink = DeliverySink { key, to };
        let (log, offset) = (owner.log, self.position);
        let command = match transport {
            Transport::Push => Command::Subscribe { log, offset, credit: share, sink },
            Transport::Poll { max_wait } => {
                let request = FetchRequest {
                    max_wait_ms: u32::try_from(max_wait.as_millis()).unwrap_or(u32::MAX),
                    min_bytes: 1,
                    max_bytes: share,
                    partitions: vec![FetchPartition { log, offset, max_bytes: share }],
                };
                Command::Fetch { request, sink }
            }
        };
        link.send(command);
        let is_subscription = transport == Transport::Push;
        self.stream = Some(Stream { key, link, is_subscription, share, owed: 0 });
    }

    /// Gives credit for bytes that were taken, once they are worth a message.
    pub fn took(&mut self, bytes: usize) {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.is_subscription) else { return };
        stream.owed = stream.owed.saturating_add(bytes as u32);
        if stream.owed >= stream.share / 2 {
            let bytes = std::mem::take(&mut stream.owed);
            stream.link.send(Command::Credit { key: stream.key, bytes });
        }
    }

    /// Cuts the first batch off `batches`; `None` if it has nothing that is still to be read.
    pub fn cut(&mut self, batches: &mut Bytes, check: bool) -> Result<Option<ConsumedBatch>, Error> {
        let length = match read(batches, check) {
            Ok(length) => length,
            Err(cause) => return Err(self.damaged(cause)),
        };
        let bytes = batches.split_to(length);
        self.took(length);
        let until = self.until.unwrap_or(u64::MAX);
        let batch = ConsumedBatch::new(self.topic.clone(), self.partition, bytes, self.position, until);
        let batch = batch.map_err(|cause| self.damaged(cause))?;
        self.position = self.position.max(batch.next_offset());
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }

    /// The error that the position is out of range, in somebody's words.
    pub fn out_of_range(&self, message: String) -> Error {
        Error::OffsetOutOfRange {
            topic: self.topic.to_string(),
            partition: self.partition,
            offset: self.position,
            message,
        }
    }

    fn damaged(&mut self, cause: BatchError) -> Error {
        self.stream = None;
        Error::DamagedBatch {
            topic: self.topic.to_string(),
            partition: self.partition,
            offset: self.position,
            cause,
        }
    }
}

/// The length of the batch at the front.
fn read(batches: &[u8], check: bool) -> Result<usize, BatchError> {
    let batch = Batch::parse(batches)?;
    if check {
        batch.check()?;
    }
    Ok(batch.as_bytes().len())
}
