//! The SDK and the command line against a real broker.

#[path = "../native/broker.rs"]
#[allow(dead_code, reason = "the tests of the native protocol use the rest")]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code, reason = "brokers know it")]
mod client;

mod command_line;
mod consumer;
mod crashes;
mod door;
mod producer;
