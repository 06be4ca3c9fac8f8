//! The client: its connections, and what it knows of the broker.

mod cluster;
mod config;
mod driver;
pub(crate) mod link;
mod offsets;
mod pool;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringmail_wire::protocol::MetadataRequest;
use tokio::time::{Instant, sleep};

use self::cluster::Cluster;
use self::link::{CallError, Link};
use self::pool::{Endpoint, Pool};
use crate::core::{Ping, Reply, Request, ServerInfo};
use crate::{Admin, Consumer, ConsumerConfig, Error, Producer, ProducerConfig};

pub use cluster::{Partition, Topic};
pub use config::ClientConfig;

/// The port of Ringmail's native protocol.
pub const DEFAULT_PORT: u16 = 7411;

/// How long a shard's own port is passed over after it could not be reached.
const PASS_OVER: Duration = Duration::from_secs(30);

/// A client of one broker. Clones, producers and consumers share its connections; they close when the last
/// of these is gone.
///
/// Every request about a partition goes straight to the shard that owns it, or through the server that the
/// client was made with if the shard's own port cannot be reached.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    bootstrap: Endpoint,
    pool: Pool,
    cluster: Cluster,
    /// Shards' own ports that could not be reached, and until when they are not tried again.
    passed_over: Mutex<HashMap<Endpoint, Instant>>,
}

impl Client {
    /// Connects to the broker at `server`: `host:port`, or a host whose broker is at port 7411.
    ///
    /// Must be called within a tokio runtime, which then runs the client's tasks.
    ///
    /// # Errors
    /// [`Error::Connect`], or what the broker says against the connection.
    pub async fn connect(server: &str) -> Result<Self, Error> {
        Self::with_config(server, ClientConfig::default()).await
    }

    /// Connects with other settings than the default ones.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn with_config(server: &str, config: ClientConfig) -> Result<Self, Error> {
        let inner = Inner {
            bootstrap: Endpoint::parse(server)?,
            pool: Pool::new(config.clone()),
            cluster: Cluster::default(),
            passed_over: Mutex::default(),
            config,
        };
        inner.pool.link(&inner.bootstrap, 0).await?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What manages topics.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// A producer to `topic`, with the default settings.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], or that the broker cannot be reached.
    pub async fn producer(&self, topic: &str) -> Result<Producer, Error> {
        self.producer_with(topic, ProducerConfig::default()).await
    }

    /// A producer to `topic`.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Config`], or that the broker cannot be reached.
    pub async fn producer_with(&self, topic: &str, config: ProducerConfig) -> Result<Producer, Error> {
        Producer::new(self.clone(), topic, config).await
    }

    /// A consumer that is assigned nothing yet, with the default settings.
    pub fn consumer(&self) -> Consumer {
        self.consumer_with(ConsumerConfig::default())
    }

    /// A consumer that is assigned nothing yet.
    pub fn consumer_with(&self, config: ConsumerConfig) -> Consumer {
        Consumer::new(self.clone(), config)
    }

    /// Asks the broker for nothing but an answer, and returns how long that took.
    ///
    /// # Errors
    /// That the broker cannot be reached.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let link = self.bootstrap_link().await?;
        let start = Instant::now();
        link.call(&Ping, self.inner.config.request_timeout).await.map_err(|e| e.error)?;
        Ok(start.elapsed())
    }

    /// What the broker says of itself.
    ///
    /// # Errors
    /// That the broker cannot be reached.
    pub async fn server(&self) -> Result<ServerInfo, Error> {
        Ok(self.bootstrap_link().await?.server().clone())
    }

    /// The address that the client was made with, as `host:port`.
    pub fn address(&self) -> String {
        self.inner.bootstrap.to_string()
    }

    /// The settings.
    pub(crate) fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// The topic, as it was last described, or as the broker describes it now if it is not known here.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], or that the broker cannot be reached.
    pub async fn topic(&self, name: &str) -> Result<Arc<Topic>, Error> {
        match self.inner.cluster.topic(name) {
            Some(topic) => Ok(topic),
            None => self.refresh(name).await,
        }
    }

    /// The topic as the broker describes it now.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], or that the broker cannot be reached.
    pub async fn refresh(&self, name: &str) -> Result<Arc<Topic>, Error> {
        let reply = self.call(&MetadataRequest { topics: vec![name] }, true).await?;
        let topics = self.inner.cluster.update(&reply.decode()?, &self.inner.bootstrap);
        topics.into_iter().find(|t| &*t.name == name).ok_or_else(|| {
            self.inner.cluster.forget(name);
            Error::UnknownTopic(name.to_owned())
        })
    }

    /// All topics, as the broker describes them now.
    ///
    /// # Errors
    /// That the broker cannot be reached.
    pub async fn topics(&self) -> Result<Vec<Arc<Topic>>, Error> {
        let reply = self.call(&MetadataRequest { topics: Vec::new() }, true).await?;
        Ok(self.inner.cluster.update(&reply.decode()?, &self.inner.bootstrap))
    }

    /// The connection to the server that the client was made with.
    pub(crate) async fn bootstrap_link(&self) -> Result<Link, Error> {
        self.inner.pool.link(&self.inner.bootstrap, 0).await
    }

    /// The connection to ask about a partition that `shard` owns.
    pub(crate) async fn shard_link(&self, shard: u16) -> Result<Link, Error> {
        self.shard_link_nth(shard, 0).await
    }

    /// One of several such connections.
    pub(crate) async fn shard_link_nth(&self, shard: u16, nth: usize) -> Result<Link, Error> {
        let Inner { pool, bootstrap, .. } = &*self.inner;
        let Some(endpoint) = self.own_port(shard) else { return pool.link(bootstrap, nth).await };
        match pool.link(&endpoint, nth).await {
            Err(error) if error.is_connection() => {
                let link = pool.link(bootstrap, nth).await?;
                // The broker is there, only this port is out of reach.
                self.pass_over(endpoint);
                Ok(link)
            }
            result => result,
        }
    }

    /// The port that `shard` alone listens on, unless it could not be reached a short time ago.
    fn own_port(&self, shard: u16) -> Option<Endpoint> {
        let endpoint = self.inner.cluster.shard(shard)?;
        let passed_over = self.inner.passed_over.lock().unwrap_or_else(PoisonError::into_inner);
        let until = passed_over.get(&endpoint).copied();
        until.is_none_or(|until| Instant::now() >= until).then_some(endpoint)
    }

    fn pass_over(&self, endpoint: Endpoint) {
        let now = Instant::now();
        let mut passed_over = self.inner.passed_over.lock().unwrap_or_else(PoisonError::into_inner);
        passed_over.retain(|_, until| now < *until);
        passed_over.insert(endpoint, now + PASS_OVER);
    }

    /// Sends a request to any shard, again while that is safe and the request's time is not over:
    /// if it was not done, or if doing it twice is the same as doing it once.
    pub(crate) async fn call<R: Request>(&self, request: &R, idempotent: bool) -> Result<Reply<R>, Error> {
        self.call_at(None, request, idempotent).await
    }

    /// As [`Self::call`], to the owner of a partition.
    pub(crate) async fn call_shard<R: Request>(
        &self,
        shard: u16,
        request: &R,
        idempotent: bool,
    ) -> Result<Reply<R>, Error> {
        self.call_at(Some(shard), request, idempotent).await
    }

    async fn call_at<R: Request>(
        &self,
        shard: Option<u16>,
        request: &R,
        idempotent: bool,
    ) -> Result<Reply<R>, Error> {
        let config = &self.inner.config;
        let deadline = Instant::now() + config.request_timeout;
        let mut failures = 0;
        loop {
            let link = match shard {
                Some(shard) => self.shard_link(shard).await?,
                None => self.bootstrap_link().await?,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let CallError { sent, error } = match link.call(request, left).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let again = !sent || error.is_retriable() || (idempotent && error.is_connection());
            failures += 1;
            let pause = config.backoff(failures);
            if !again || Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
        }
    }
}
