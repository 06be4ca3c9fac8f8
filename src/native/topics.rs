//! Topics: create, alter, delete, list, describe.

use std::borrow::Cow;
use std::sync::Arc;

use ringmail_shards::api::{Answer, LogState, ReadError};
use ringmail_wire::protocol::{
    AlterTopicRequest, Api, ConfigEntry, ConfigSource, CreateTopicRequest, DeleteTopicRequest,
    DescribeTopicRequest, DescribeTopicResponse, DescribedPartition, ErrorCode, ListTopicsRequest,
    ListTopicsResponse, ListedTopic, Message, TopicCreated,
};

use super::error::Fault;
use super::requests::Request;
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::catalog::{
    CatalogError, Change, Command, ConfigChange, ConfigKey, ConfigOp, Effect, Source, Spread, Topic,
    TopicConfig,
};
use crate::node::logs::{Caller, Logs};
use crate::node::slab::Key;

/// Entries of configuration in one request.
const CONFIG_ENTRIES: usize = 64;

/// A description whose partitions' states come one by one.
#[derive(Debug)]
pub(super) struct Description {
    reply: Reply,
    topic: Topic,
    partitions: Vec<DescribedPartition>,
    /// Partitions whose state is not known yet.
    outstanding: usize,
}

impl Sessions<'_> {
    pub(super) fn create_topic(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let CreateTopicRequest { partitions, name, config } = CreateTopicRequest::from_body(request.body)?;
        let partitions = if partitions == 0 { Spread::Default } else { Spread::Count(partitions) };
        let command = Command::Create { name: name.to_owned(), partitions, config: change(&config)? };
        self.change_catalog(request, command, logs)
    }

    pub(super) fn alter_topic(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let AlterTopicRequest { partitions, name, config } = AlterTopicRequest::from_body(request.body)?;
        let command = Command::Alter { name: name.to_owned(), partitions, config: change(&config)? };
        self.change_catalog(request, command, logs)
    }

    pub(super) fn delete_topic(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let DeleteTopicRequest { name } = DeleteTopicRequest::from_body(request.body)?;
        self.change_catalog(request, Command::Delete { name: name.to_owned(), id: None }, logs)
    }

    fn change_catalog(
        &mut self,
        request: &Request<'_>,
        command: Command,
        logs: &mut Logs,
    ) -> Result<(), Fault> {
        if self.own.draining {
            return Err(Fault::shutting_down());
        }
        let reply = request.reply();
        self.begin(&reply);
        logs.change_catalog(command, Caller::Native(Waiter::Catalog(reply)));
        Ok(())
    }

    pub(super) fn catalog_changed(&mut self, reply: Reply, result: Result<Arc<Change>, CatalogError>) {
        self.settle(&reply);
        match result.as_deref() {
            Ok(Change::Created { topic, .. }) if reply.api == Api::CreateTopic => {
                let partitions = topic.partitions.len() as u32;
                self.answer(&reply, &TopicCreated { id: topic.id, partitions });
            }
            Ok(_) => self.answer(&reply, &()),
            Err(error) => self.refuse(&reply, &error.clone().into()),
        }
    }

    pub(super) fn list_topics(&mut self, request: &Request<'_>, logs: &Logs) -> Result<(), Fault> {
        ListTopicsRequest::from_body(request.body)?;
        let listed =
            |(name, topic): (_, &Topic)| ListedTopic { name, partitions: topic.partitions.len() as u32 };
        let topics = logs.catalog().topics().map(listed).collect();
        self.answer(&request.reply(), &ListTopicsResponse { topics });
        Ok(())
    }

    pub(super) fn describe_topic(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let DescribeTopicRequest { name } = DescribeTopicRequest::from_body(request.body)?;
        let topic = logs.catalog().topic(name).cloned();
        let topic = topic.ok_or_else(|| CatalogError::Unknown(name.to_owned()))?;
        let mut reply = request.reply();
        reply.weigh(topic.partitions.len());
        self.begin(&reply);
        let logs_of_topic: Vec<_> = topic.partitions.iter().map(|partition| partition.log).collect();
        let outstanding = logs_of_topic.len();
        let description =
            Description { reply, topic, partitions: Vec::with_capacity(outstanding), outstanding };
        let key = self.own.descriptions.insert(description.with_blank_partitions());
        for (part, log) in (0..).zip(logs_of_topic) {
            let caller = Caller::Native(Waiter::Description { description: key, part });
            if let Answer::Now(result) = logs.state(log, caller) {
                self.described(key, part, result);
            }
        }
        Ok(())
    }

    pub(super) fn described(&mut self, key: Key, part: u32, result: Result<LogState, ReadError>) {
        let Some(description) = self.own.descriptions.get_mut(key) else { return };
        // A partition that was deleted meanwhile stays blank.
        if let Ok(state) = result {
            let partition = &mut description.partitions[part as usize];
            partition.log_start = state.log_start;
            partition.high_watermark = state.high_watermark;
            partition.bytes = state.bytes;
        }
        description.outstanding -= 1;
        if description.outstanding == 0
            && let Some(description) = self.own.descriptions.remove(key)
        {
            self.settle(&description.reply);
            self.answer_description(description);
        }
    }

    fn answer_description(&mut self, description: Description) {
        let Description { reply, topic, partitions, .. } = description;
        let entries: Vec<_> = described_keys(&topic.config).collect();
        let config = entries
            .iter()
            .map(|(key, value, source)| (ConfigEntry { key: key.name(), value }, *source))
            .collect();
        self.answer(&reply, &DescribeTopicResponse { id: topic.id, config, partitions });
    }
}

impl Description {
    fn with_blank_partitions(mut self) -> Self {
        let blank = |partition: &crate::node::catalog::Partition| DescribedPartition {
            log: partition.log,
            shard: partition.shard,
            log_start: 0,
            high_watermark: 0,
            bytes: 0,
        };
        self.partitions = self.topic.partitions.iter().map(blank).collect();
        self
    }
}

/// The entries that have an effect, and those that the topic has set.
fn described_keys(config: &TopicConfig) -> impl Iterator<Item = (ConfigKey, Cow<'_, str>, ConfigSource)> {
    ConfigKey::all().filter_map(|key| {
        let source = match config.source(key) {
            Source::Topic => ConfigSource::Topic,
            Source::Broker | Source::Default => ConfigSource::Default,
        };
        let shown = key.key().effect == Effect::Acts || source == ConfigSource::Topic;
        shown.then(|| (key, config.text(key), source))
    })
}

/// The change that entries stand for, which may be a few more than there are keys: not so many that keeping them would cost.
fn change(config: &[ConfigEntry<'_>]) -> Result<ConfigChange, Fault> {
    if config.len() > CONFIG_ENTRIES {
        let words = format!("{} entries of configuration are too many: give each key once", config.len());
        return Err(Fault::new(ErrorCode::InvalidConfig, words));
    }
    let op = |value: &str| if value.is_empty() { ConfigOp::Reset } else { ConfigOp::Set(value.to_owned()) };
    Ok(ConfigChange::Edit(config.iter().map(|entry| (entry.key.to_owned(), op(entry.value))).collect()))
}
