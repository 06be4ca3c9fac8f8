//! The blocking client.

use std::sync::Arc;
use std::time::Duration;

use super::runtime::Runtime;
use super::{Admin, Consumer, Producer};
use crate::core::ServerInfo;
use crate::{ClientConfig, ConsumerConfig, Error, ProducerConfig, Topic};

/// A client of one broker; as [`crate::Client`].
#[derive(Debug, Clone)]
pub struct Client {
    client: crate::Client,
    runtime: Runtime,
}

impl Client {
    /// As [`crate::Client::connect`].
    ///
    /// # Errors
    /// As there.
    pub fn connect(server: &str) -> Result<Self, Error> {
        Self::with_config(server, ClientConfig::default())
    }

    /// As [`crate::Client::with_config`].
    ///
    /// # Errors
    /// As there.
    pub fn with_config(server: &str, config: ClientConfig) -> Result<Self, Error> {
        let runtime = Runtime::start()?;
        let client = runtime.block_on(crate::Client::with_config(server, config))?;
        Ok(Self { client, runtime })
    }

    /// What manages topics.
    pub fn admin(&self) -> Admin {
        Admin::new(self.client.admin(), self.runtime.clone())
    }

    /// As [`crate::Client::producer`].
    ///
    /// # Errors
    /// As there.
    pub fn producer(&self, topic: &str) -> Result<Producer, Error> {
        self.producer_with(topic, ProducerConfig::default())
    }

    /// As [`crate::Client::producer_with`].
    ///
    /// # Errors
    /// As there.
    pub fn producer_with(&self, topic: &str, config: ProducerConfig) -> Result<Producer, Error> {
        let producer = self.runtime.block_on(self.client.producer_with(topic, config))?;
        Ok(Producer::new(producer, self.runtime.clone()))
    }

    /// As [`crate::Client::consumer`].
    pub fn consumer(&self) -> Consumer {
        self.consumer_with(ConsumerConfig::default())
    }

    /// As [`crate::Client::consumer_with`].
    pub fn consumer_with(&self, config: ConsumerConfig) -> Consumer {
        Consumer::new(self.client.consumer_with(config), self.runtime.clone())
    }

    /// As [`crate::Client::ping`].
    ///
    /// # Errors
    /// As there.
    pub fn ping(&self) -> Result<Duration, Error> {
        self.runtime.block_on(self.client.ping())
    }

    /// As [`crate::Client::server`].
    ///
    /// # Errors
    /// As there.
    pub fn server(&self) -> Result<ServerInfo, Error> {
        self.runtime.block_on(self.client.server())
    }

    /// As [`crate::Client::topic`].
    ///
    /// # Errors
    /// As there.
    pub fn topic(&self, name: &str) -> Result<Arc<Topic>, Error> {
        self.runtime.block_on(self.client.topic(name))
    }
}
