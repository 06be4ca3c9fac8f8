//! Requests that are made one at a time, before and after the load.

use std::net::SocketAddr;
use std::time::Duration;

use ringmail_sdk::core::{Event, Reply, Request};
use ringmail_wire::protocol::{
    ConfigEntry, CreateTopicRequest, ListOffsetsQuery, ListOffsetsRequest, LogId, MetadataRequest,
    OffsetQuery,
};

use super::link::{Link, wait};
use crate::error::{Error, Result};

/// A connection for administration.
pub struct Admin {
    link: Link<()>,
}

impl Admin {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nobody listens at `address`.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self { link: Link::open(address)? })
    }

    /// Creates a topic and returns the logs of its partitions. Each keeps about `retention` bytes, or everything.
    ///
    /// # Errors
    ///
    /// When the broker refuses.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: u32,
        retention: Option<u64>,
    ) -> Result<Vec<LogId>> {
        let retention = retention.map(|bytes| bytes.to_string());
        let entry = |value| ConfigEntry { key: "retention.bytes", value };
        let config = retention.as_deref().map(entry).into_iter().collect();
        self.call(&CreateTopicRequest { partitions, name, config })?;
        self.logs(name)
    }

    /// The logs of a topic's partitions.
    ///
    /// # Errors
    ///
    /// When there is no such topic.
    pub fn logs(&mut self, topic: &str) -> Result<Vec<LogId>> {
        let reply = self.call(&MetadataRequest { topics: vec![topic] })?;
        let metadata = reply.decode().map_err(malformed)?;
        let found = metadata.topics.iter().find(|found| found.name == topic);
        let topic = found.ok_or_else(|| Error::Broker(format!("has lost topic {topic:?}")))?;
        Ok(topic.partitions.iter().map(|partition| partition.log).collect())
    }

    /// The offset after the last record of a log that can be read.
    ///
    /// # Errors
    ///
    /// When there is no such log.
    pub fn end_offset(&mut self, log: LogId) -> Result<u64> {
        let queries = vec![ListOffsetsQuery { log, query: OffsetQuery::Last }];
        let reply = self.call(&ListOffsetsRequest { queries })?;
        let listed = reply.decode().map_err(malformed)?;
        match listed.offsets.as_slice() {
            [one] if one.code == 0 => Ok(one.offset),
            _ => Err(Error::Broker(format!("does not know the end of log {log}"))),
        }
    }

    fn call<R: Request>(&mut self, request: &R) -> Result<Reply<R>> {
        self.link.connection().request(request, ());
        loop {
            let moved = self.link.exchange()?;
            while let Some(event) = self.link.next_event()? {
                if let Event::Answered { result, .. } = event {
                    return result
                        .map(Reply::new)
                        .map_err(|error| Error::Broker(format!("refuses: {error}")));
                }
            }
            if !moved {
                wait([self.link.interest()], Duration::from_secs(1))?;
            }
        }
    }
}

fn malformed(error: ringmail_sdk::core::ProtocolError) -> Error {
    Error::Client(format!("cannot read an answer: {error}"))
}
