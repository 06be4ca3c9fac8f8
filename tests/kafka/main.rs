//! Kafka's protocol through its public door: a real broker, and a client that speaks raw frames.

mod bad_input;
#[path = "../native/broker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod client;
mod configs;
mod frames;
mod metadata;
mod order;
mod partitions;
mod readme;
mod start;
mod topics;
mod versions;
