//! Sends batches and checks that they get the offsets that they must get.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use ringmail_sdk::core::Event;
use ringmail_wire::protocol::{Acks, LogId};

use super::link::{Interest, Link};
use crate::error::{Error, Result};

/// A batch that the broker has acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// When it was due, or sent.
    pub since: Instant,
    /// Records in it.
    pub records: u64,
    /// Bytes of it.
    pub bytes: u64,
}

/// What a batch is sent with.
struct Sent {
    partition: u32,
    base_offset: u64,
    what: Acknowledged,
}

/// One connection that appends to the partitions of a topic, which nobody else appends to.
pub struct Producer {
    link: Link<Sent>,
    partitions: Vec<Partition>,
}

struct Partition {
    log: LogId,
    next_offset: u64,
}

impl Producer {
    /// Connects; the logs are empty.
    ///
    /// # Errors
    ///
    /// When nobody listens at `address`.
    pub fn connect(address: SocketAddr, logs: &[LogId]) -> Result<Self> {
        let partitions = logs.iter().map(|&log| Partition { log, next_offset: 0 }).collect();
        Ok(Self { link: Link::open(address)?, partitions })
    }

    /// Queues a batch of `records`, to be acknowledged once it is synced. It was due at `since`.
    pub fn send(&mut self, partition: u32, batch: Bytes, records: u64, since: Instant) {
        let target = &mut self.partitions[partition as usize];
        let what = Acknowledged { since, records, bytes: batch.len() as u64 };
        let sent = Sent { partition, base_offset: target.next_offset, what };
        target.next_offset += records;
        self.link.connection().produce(target.log, Acks::Synced, batch, sent);
    }

    /// Moves bytes and hands out what was acknowledged. Says whether anything happened.
    ///
    /// # Errors
    ///
    /// When the broker refuses a batch, or gives it another offset than it must have.
    pub fn exchange(&mut self, mut acknowledged: impl FnMut(Acknowledged)) -> Result<bool> {
        let moved = self.link.exchange()?;
        while let Some(event) = self.link.next_event()? {
            let Event::Produced { token, result } = event else { continue };
            let offset = result.map_err(|error| Error::Broker(format!("refuses a batch: {error}")))?;
            if offset != token.base_offset {
                return Err(Error::Content(format!(
                    "partition {}: a batch was stored at offset {offset}, not at {}",
                    token.partition, token.base_offset
                )));
            }
            acknowledged(token.what);
        }
        Ok(moved)
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.partitions.len()).expect("the broker takes fewer partitions than that")
    }

    /// The offset that the next record of a partition will get.
    pub fn next_offset(&self, partition: u32) -> u64 {
        self.partitions[partition as usize].next_offset
    }

    /// What to wait for once nothing happens any more.
    pub fn interest(&self) -> Interest {
        self.link.interest()
    }
}
