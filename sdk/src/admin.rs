//! Managing topics.

use ringmail_wire::protocol::{
    AlterTopicRequest, ConfigEntry, CreateTopicRequest, DeleteRecordsRequest, DeleteTopicRequest,
    DescribeTopicRequest, ErrorCode, ListTopicsRequest,
};
pub use ringmail_wire::protocol::{ConfigSource, DescribedPartition, OffsetQuery, TopicCreated};

use crate::{Client, Error};

/// Creates, changes, describes and deletes topics; see [`Client::admin`].
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSummary {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
}

/// An entry of a topic's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSetting {
    /// Its name, such as `retention.ms`.
    pub key: String,
    /// The value in effect.
    pub value: String,
    /// Where the value comes from.
    pub source: ConfigSource,
}

/// A topic in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its identity; a topic that is created again gets another.
    pub id: u64,
    /// Every entry of its configuration.
    pub settings: Vec<TopicSetting>,
    /// Partition 0 first.
    pub partitions: Vec<DescribedPartition>,
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates a topic; 0 partitions takes the broker's default, `settings` are those that differ from it.
    ///
    /// # Errors
    /// [`Error::Broker`] with [`ErrorCode::TopicExists`], [`ErrorCode::InvalidTopicName`],
    /// [`ErrorCode::InvalidPartitions`] or [`ErrorCode::InvalidConfig`]; or that the broker cannot be reached.
    pub async fn create_topic(
        &self,
        name: &str,
        partitions: u32,
        settings: &[(&str, &str)],
    ) -> Result<TopicCreated, Error> {
        let request = CreateTopicRequest { partitions, name, config: entries(settings) };
        Ok(self.client.call(&request, false).await?.decode()?)
    }

    /// Sets entries of a topic's configuration (an empty value: back to the default), and raises its
    /// partition count unless `partitions` is 0.
    ///
    /// # Errors
    /// [`Error::Broker`] with [`ErrorCode::UnknownTopic`], [`ErrorCode::InvalidPartitions`] or
    /// [`ErrorCode::InvalidConfig`]; or that the broker cannot be reached.
    pub async fn alter_topic(
        &self,
        name: &str,
        partitions: u32,
        settings: &[(&str, &str)],
    ) -> Result<(), Error> {
        let request = AlterTopicRequest { partitions, name, config: entries(settings) };
        Ok(self.client.call(&request, true).await?.decode()?)
    }

    /// Deletes a topic and its records.
    ///
    /// # Errors
    /// [`Error::Broker`] with [`ErrorCode::UnknownTopic`], or that the broker cannot be reached.
    pub async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        Ok(self.client.call(&DeleteTopicRequest { name }, false).await?.decode()?)
    }

    /// All topics, in the order of their names.
    ///
    /// # Errors
    /// That the broker cannot be reached.
    pub async fn list_topics(&self) -> Result<Vec<TopicSummary>, Error> {
        let reply = self.client.call(&ListTopicsRequest, true).await?;
        let topics = reply.decode()?.topics.into_iter();
        Ok(topics.map(|t| TopicSummary { name: t.name.to_owned(), partitions: t.partitions }).collect())
    }

    /// A topic's configuration and partitions.
    ///
    /// # Errors
    /// [`Error::Broker`] with [`ErrorCode::UnknownTopic`], or that the broker cannot be reached.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicDescription, Error> {
        let reply = self.client.call(&DescribeTopicRequest { name }, true).await?;
        let topic = reply.decode()?;
        let settings = topic.config.iter().map(|(entry, source)| TopicSetting {
            key: entry.key.to_owned(),
            value: entry.value.to_owned(),
            source: *source,
        });
        Ok(TopicDescription { id: topic.id, settings: settings.collect(), partitions: topic.partitions })
    }

    /// Offsets of partitions of `topic`, in the order of the questions.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`], or that the broker cannot be reached.
    pub async fn list_offsets(&self, topic: &str, queries: &[(u32, OffsetQuery)]) -> Result<Vec<u64>, Error> {
        self.client.list_offsets(topic, queries).await
    }

    /// Deletes the records of a partition before an offset, all there are if it is past the end, and returns
    /// the first offset that can be read then.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`], or that the broker cannot be reached.
    pub async fn delete_records(&self, topic: &str, partition: u32, before: u64) -> Result<u64, Error> {
        let mut found = self.client.topic(topic).await?;
        for last_try in [false, true] {
            let owner = found.partition(partition)?;
            let request = DeleteRecordsRequest { log: owner.log, before };
            match self.client.call_shard(owner.shard, &request, true).await {
                Err(error) if error.code() == Some(ErrorCode::UnknownPartition) && !last_try => {
                    found = self.client.refresh(topic).await?;
                }
                reply => return Ok(reply?.decode()?.log_start),
            }
        }
        unreachable!("the last try returns")
    }
}

fn entries<'a>(settings: &[(&'a str, &'a str)]) -> Vec<ConfigEntry<'a>> {
    settings.iter().map(|(key, value)| ConfigEntry { key, value }).collect()
}
