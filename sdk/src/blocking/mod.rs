//! The client for programs without a tokio runtime: the same nouns, whose methods block.
//!
//! A thread of the client's own runs its connections, so producers go on sending while the program does
//! something else. It ends with the last client, producer and consumer: [`Producer::flush`] first.
//! Do not use this module from within a tokio runtime: its methods panic there.
//!
//! ```no_run
//! use ringmail_sdk::{Record, StartAt, blocking::Client};
//!
//! let client = Client::connect("127.0.0.1:7411")?;
//! let producer = client.producer("greetings")?;
//! producer.send(Record::new(b"hello"))?;
//! producer.flush()?;
//!
//! let mut consumer = client.consumer();
//! consumer.assign_topic("greetings", StartAt::Start)?;
//! consumer.until_end()?;
//! while let Some(record) = consumer.next()? {
//!     println!("{:?}", record.value);
//! }
//! # Ok::<(), ringmail_sdk::Error>(())
//! ```

mod admin;
mod client;
mod consumer;
mod producer;
mod runtime;

pub use admin::Admin;
pub use client::Client;
pub use consumer::Consumer;
pub use producer::Producer;
