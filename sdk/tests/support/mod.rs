//! A broker in memory, for the SDK's tests: it speaks the native protocol over real sockets, and does wrong
//! what a test tells it to.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod broker;
mod connection;
mod model;

pub use broker::FakeBroker;
pub use model::Fault;

use std::time::Duration;

use ringmail_sdk::{Client, ClientConfig};

/// A client that does not try anyone's patience.
pub async fn client(broker: &FakeBroker) -> Client {
    let config = ClientConfig {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(5),
        min_backoff: Duration::from_millis(5),
        max_backoff: Duration::from_millis(20),
        ..ClientConfig::default()
    };
    Client::with_config(&broker.address(), config).await.unwrap()
}
