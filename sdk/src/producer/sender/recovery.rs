//! Getting back what sending needs: the topic's partitions as they are now, and connections to their owners.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::Topic;
use crate::client::link::Link;
use crate::{Client, Error};

/// What is to be got; done by a task of its own, so that sending goes on where it can.
#[derive(Debug)]
pub(super) struct Recovery {
    pub client: Client,
    pub topic: Arc<str>,
    /// How long to wait first.
    pub pause: Duration,
    /// Whether to ask for the topic.
    pub refresh: bool,
    /// Shards to be connected to.
    pub shards: Vec<u16>,
}

/// What was got.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The topic, if it was asked for.
    pub topic: Option<Result<Arc<Topic>, Error>>,
    pub links: Vec<(u16, Result<Link, Error>)>,
}

impl Recovery {
    pub async fn run(self) -> Recovered {
        sleep(self.pause).await;
        let mut recovered = Recovered { topic: None, links: Vec::new() };
        if self.refresh {
            let topic = self.client.refresh(&self.topic).await;
            let failed = topic.is_err();
            recovered.topic = Some(topic);
            if failed {
                return recovered;
            }
        }
        for shard in self.shards {
            recovered.links.push((shard, self.client.shard_link(shard).await));
        }
        recovered
    }
}
