//! Receives batches by subscription and hands them out in order.

use std::net::SocketAddr;
use std::time::Duration;

use ringmail_sdk::core::Event;
use ringmail_wire::batch::{Batch, Batches};
use ringmail_wire::protocol::LogId;

use super::Patience;
use super::link::{Interest, Link, wait};
use crate::error::{Error, Result};

/// Bytes that the broker may push ahead of what was consumed.
const CREDIT: u32 = 16 << 20;

/// Longest sleep while nothing comes.
const NAP: Duration = Duration::from_millis(100);

/// A batch that came next in its partition. That it starts where the last one ended is for the receiver to check.
pub struct Received<'a> {
    /// Offset that it must have.
    pub offset: u64,
    /// The batch.
    pub batch: Batch<'a>,
}

/// One connection that reads one partition.
pub struct Consumer {
    link: Link<()>,
    subscription: u32,
    next_offset: u64,
    /// Bytes consumed for which no credit was given yet.
    owed: u32,
}

impl Consumer {
    /// Connects and subscribes to a log from `offset` on.
    ///
    /// # Errors
    ///
    /// When nobody listens at `address`.
    pub fn subscribe(address: SocketAddr, log: LogId, offset: u64) -> Result<Self> {
        let mut link = Link::open(address)?;
        let subscription = link.connection().subscribe(log, offset, CREDIT, ());
        Ok(Self { link, subscription, next_offset: offset, owed: 0 })
    }

    /// Moves bytes and hands out what has arrived. Says whether anything happened.
    ///
    /// # Errors
    ///
    /// When the broker ends the subscription, sends what is no batch, or `received` finds it wrong.
    pub fn exchange(&mut self, mut received: impl FnMut(Received<'_>) -> Result<()>) -> Result<bool> {
        let moved = self.link.exchange()?;
        while let Some(event) = self.link.next_event()? {
            match event {
                Event::Push { batches, .. } => {
                    self.owed += u32::try_from(batches.len()).expect("a push is smaller than a frame");
                    for batch in Batches::new(&batches) {
                        let batch = batch.map_err(|error| Error::Content(error.to_string()))?;
                        let offset = self.next_offset;
                        self.next_offset += u64::from(batch.record_count());
                        received(Received { offset, batch })?;
                    }
                }
                Event::Subscribed { result, .. } => {
                    result.map_err(|error| Error::Broker(format!("refuses a subscription: {error}")))?;
                }
                Event::SubscriptionEnded { error, .. } => {
                    return Err(Error::Broker(format!("ends a subscription: {error}")));
                }
                _ => {}
            }
        }
        if self.owed >= CREDIT / 4 {
            self.link.connection().credit(self.subscription, self.owed);
            self.owed = 0;
        }
        Ok(moved)
    }

    /// Reads up to an offset that exists.
    ///
    /// # Errors
    ///
    /// As [`Self::exchange`], and when the broker stops sending before.
    pub fn read_to(&mut self, end: u64, mut received: impl FnMut(Received<'_>) -> Result<()>) -> Result<()> {
        let mut patience = Patience::new();
        while self.next_offset < end {
            let moved = self.exchange(&mut received)?;
            patience.check(moved)?;
            if !moved {
                wait([self.interest()], NAP)?;
            }
        }
        Ok(())
    }

    /// The offset of the next record to come.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// What to wait for once nothing happens any more.
    pub fn interest(&self) -> Interest {
        self.link.interest()
    }
}
