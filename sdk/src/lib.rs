//! The Rust client of the Ringmail message broker, for tokio; [`blocking`] is its front for programs
//! without a runtime, and [`core`] the part without I/O.
//!
//! * [`Client`] holds the connections: one to each shard of the broker that owns a partition in use, and
//!   further ones for consumers of more partitions than one connection may have subscriptions.
//! * [`Producer`] sends records, gathered into batches.
//! * [`Consumer`] reads records, in place in the buffers that they were received into.
//! * [`Admin`] manages topics.
//!
//! ```no_run
//! use ringmail_sdk::{Client, Error, Record, StartAt};
//!
//! # async fn example() -> Result<(), Error> {
//! let client = Client::connect("127.0.0.1:7411").await?;
//! client.admin().create_topic("greetings", 1, &[]).await?;
//!
//! let producer = client.producer("greetings").await?;
//! let ticket = producer.send_wait(Record::new(b"hello").key(b"en")).await?;
//! println!("stored and synced at offset {}", producer.delivered(ticket).await?);
//!
//! let mut consumer = client.consumer();
//! consumer.assign_topic("greetings", StartAt::Start).await?;
//! if let Some(record) = consumer.next().await? {
//!     println!("{:?}: {:?}", record.key, record.value);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod admin;
pub mod blocking;
mod client;
mod consumer;
pub mod core;
mod error;
mod partitioner;
mod producer;
mod record;

pub use admin::{
    Admin, ConfigSource, DescribedPartition, OffsetQuery, TopicCreated, TopicDescription, TopicSetting,
    TopicSummary,
};
pub use client::{Client, ClientConfig, DEFAULT_PORT, Partition, Topic};
pub use consumer::{ConsumedBatch, ConsumedRecord, Consumer, ConsumerConfig, OutOfRange, StartAt, Transport};
pub use error::Error;
pub use partitioner::{Partitioner, partition_of_key};
pub use producer::{DeliveredBatch, OnDelivery, Producer, ProducerConfig, SendError, Ticket};
pub use record::Record;
pub use ringmail_wire::batch::{Compression, Headers, HeadersBuf};
pub use ringmail_wire::protocol::{Acks, ErrorCode};

/// Compiles the examples of the repository's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
