//! The broker in memory: its listeners, and what tests do with it.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use ringmail_wire::batch::Batch;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connection::{Shared, serve};
use super::model::{Fault, Model};

/// A broker with one port for each shard; clients know that of shard 0.
pub struct FakeBroker {
    shared: Arc<Shared>,
    ports: Vec<u16>,
    listeners: JoinSet<()>,
}

impl FakeBroker {
    /// A broker of one shard, with one topic of one partition, `t`.
    pub async fn start() -> Self {
        Self::with_shards(1).await
    }

    /// A broker of so many shards, with a topic `t` of as many partitions.
    pub async fn with_shards(shards: u16) -> Self {
        let mut broker = Self { shared: Arc::default(), ports: Vec::new(), listeners: JoinSet::new() };
        broker.listen(&vec![0; shards.into()]).await;
        let mut model = broker.model();
        model.ports = broker.ports.clone();
        model.max_frame = 1 << 20;
        model.max_subscriptions = 1024;
        model.create_topic("t", shards.into());
        drop(model);
        broker
    }

    async fn listen(&mut self, ports: &[u16]) {
        self.ports.clear();
        for (shard, port) in ports.iter().enumerate() {
            let listener = TcpListener::bind(("127.0.0.1", *port)).await.unwrap();
            self.ports.push(listener.local_addr().unwrap().port());
            let shared = self.shared.clone();
            self.listeners.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).unwrap();
                    tokio::spawn(serve(shared.clone(), shard as u16, stream));
                }
            });
        }
    }

    /// Ends all connections and stops listening.
    pub async fn stop(&mut self) {
        self.listeners.shutdown().await;
        self.hang_up();
    }

    /// Listens again after [`Self::stop`].
    pub async fn restart(&mut self) {
        let ports = self.ports.clone();
        self.listen(&ports).await;
    }

    /// Listens again after [`Self::stop`], all shards but the first on other ports.
    pub async fn restart_elsewhere(&mut self) {
        let mut ports = vec![0; self.ports.len()];
        ports[0] = self.ports[0];
        self.listen(&ports).await;
        self.model().ports = self.ports.clone();
    }

    /// Ends all connections.
    pub fn hang_up(&self) {
        self.shared.hang_up.notify_waiters();
    }

    /// Lets the model be changed in any way; whoever waits is told.
    pub fn change<V>(&self, change: impl FnOnce(&mut Model) -> V) -> V {
        let value = change(&mut self.model());
        self.shared.changed.notify_waiters();
        value
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.shared.model.lock().unwrap()
    }

    /// Has these things go wrong with the next produce requests, one with each.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.model().faults.extend(faults);
    }

    /// Where clients connect to.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// The values that are stored in a partition, as text, by offset.
    pub fn stored(&self, topic: &str, partition: usize) -> Vec<String> {
        let model = self.model();
        let log = &model.logs[&model.topics[topic].logs[partition]];
        let mut values = BTreeMap::new();
        let mut scratch = Vec::new();
        for batch in log.batches.values() {
            for record in Batch::parse(batch).unwrap().open(&mut scratch).unwrap().iter() {
                let value = record.value.map_or(String::new(), |v| String::from_utf8_lossy(v).into_owned());
                assert!(values.insert(record.offset, value).is_none());
            }
        }
        assert!(values.keys().copied().eq(0..log.end), "offsets are dense");
        values.into_values().collect()
    }

    /// How many batches are stored in a partition.
    pub fn batches(&self, topic: &str, partition: usize) -> usize {
        let model = self.model();
        model.logs[&model.topics[topic].logs[partition]].batches.len()
    }
}
