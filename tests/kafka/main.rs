//! Kafka's protocol through its public door: a real broker, and a client that speaks raw frames.

mod bad_input;
mod batches;
#[path = "../native/broker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod client;
mod configs;
mod fetch;
mod frames;
mod metadata;
mod offsets;
mod order;
mod partitions;
mod produce;
mod start;
mod topics;
mod versions;
