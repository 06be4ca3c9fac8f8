//! Topics: created, deleted, grown.

use std::borrow::Cow;

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::topics::{
    CreatableTopic, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreateTopicsRequest, CreateTopicsResponse, CreatedConfig, CreatedPartitions, CreatedTopic, DeleteTopic,
    DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic,
};

use super::changes::{Fault, Item, occur_twice};
use super::configs::source_code;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::Reply;
use crate::node::catalog::{Change, Command, ConfigChange, ConfigKey, ShardId, Spread, Topic};
use crate::node::logs::Logs;

/// The version of DeleteTopics from which on topics may be given by their ids.
const DELETE_BY_ID: i16 = 6;

impl Sessions<'_> {
    pub(super) fn create_topics(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let wanted = CreateTopicsRequest::decode(request.header.version, request.body)?;
        let twice = occur_twice(wanted.topics.iter().map(|topic| topic.name.as_ref()));
        let item = |topic: &CreatableTopic<'_>| {
            let command =
                if twice.contains(&topic.name.as_ref()) { Err(named_twice()) } else { self.creation(topic) };
            Item::new(topic.name.as_ref(), command)
        };
        // One answer for all that are the same.
        let mut items: Vec<Item> = wanted.topics.iter().map(item).collect();
        let mut seen = Vec::new();
        items.retain(|item| {
            let name = item.name.clone().unwrap_or_default();
            let again = twice.contains(&name.as_str()) && seen.contains(&name);
            seen.push(name);
            !again
        });
        self.change(request, items, wanted.validate_only, logs);
        Ok(Handled::Done)
    }

    fn creation(&self, topic: &CreatableTopic<'_>) -> Result<Command, Fault> {
        let mut entries = Vec::with_capacity(topic.configs.len());
        for config in &topic.configs {
            let Some(value) = &config.value else {
                let words = format!("{} has no value: give it one, or leave it out", config.name);
                return Err(Fault::new(ErrorCode::InvalidConfig, words));
            };
            entries.push((config.name.clone().into_owned(), value.clone().into_owned()));
        }
        let partitions = if topic.assignments.is_empty() {
            counted(topic.num_partitions, topic.replication_factor)?
        } else {
            self.assigned(topic)?
        };
        let config = ConfigChange::Replace(entries);
        Ok(Command::Create { name: topic.name.clone().into_owned(), partitions, config })
    }

    /// The partitions of a topic whose replicas are assigned.
    fn assigned(&self, topic: &CreatableTopic<'_>) -> Result<Spread, Fault> {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            let words = "with replicas assigned, the number of partitions and the replication factor are -1";
            return Err(Fault::new(ErrorCode::InvalidRequest, words));
        }
        let mut assignments: Vec<_> = topic.assignments.iter().collect();
        assignments.sort_unstable_by_key(|assignment| assignment.partition_index);
        if !(0..).zip(&assignments).all(|(index, assignment)| assignment.partition_index == index) {
            let words = "the assigned partitions are not numbered from 0 on, each once";
            return Err(Fault::new(ErrorCode::InvalidReplicaAssignment, words));
        }
        let count = assignments.len() as u32;
        let shards = self.shards_of(assignments.iter().map(|assignment| assignment.broker_ids.as_slice()))?;
        Ok(shards.map_or(Spread::Count(count), Spread::On))
    }

    /// The shards that partitions are assigned to; `None` if all shards are one broker.
    fn shards_of<'b>(
        &self,
        assignments: impl Iterator<Item = &'b [i32]>,
    ) -> Result<Option<Vec<ShardId>>, Fault> {
        let cluster = &self.own.settings.cluster;
        let mut shards = Vec::new();
        for brokers in assignments {
            let shard = match brokers {
                [node] => cluster.shard(*node).ok_or_else(|| format!("there is no broker {node}")),
                _ => Err("a partition has one replica here: assign one broker to each".to_owned()),
            };
            shards.push(shard.map_err(|words| Fault::new(ErrorCode::InvalidReplicaAssignment, words))?);
        }
        Ok((!cluster.is_one_node()).then_some(shards))
    }

    pub(super) fn answer_created(&mut self, reply: &Reply, items: &[Item], logs: &Logs) {
        let topics = items.iter().map(|item| created(item, logs)).collect();
        self.answer(reply, &CreateTopicsResponse { topics, ..CreateTopicsResponse::default() });
    }

    pub(super) fn delete_topics(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let mut wanted = DeleteTopicsRequest::decode(request.header.version, request.body)?;
        if request.header.version < DELETE_BY_ID {
            let by_name = |name| DeleteTopic { name: Some(name), topic_id: Uuid::ZERO };
            wanted.topics = wanted.topic_names.drain(..).map(by_name).collect();
        }
        let identity = |topic: &DeleteTopic<'_>| (topic.name.clone().map(Cow::into_owned), topic.topic_id);
        let twice = occur_twice(wanted.topics.iter().map(identity));
        let item = |topic: &DeleteTopic<'_>| {
            let command =
                if twice.contains(&identity(topic)) { Err(named_twice()) } else { deletion(topic, logs) };
            let found = logs.topic_of_uuid(topic.topic_id).map(|(name, _)| name);
            let name = topic.name.as_deref().or(found).unwrap_or_default().to_owned();
            Item::new(name, command).of_id(topic.topic_id)
        };
        let items = wanted.topics.iter().map(item).collect();
        self.change(request, items, false, logs);
        Ok(Handled::Done)
    }

    pub(super) fn answer_deleted(&mut self, reply: &Reply, items: &[Item]) {
        let deleted = |item: &'_ Item| {
            let (error_code, error_message) = item.error();
            let name = item.name.as_deref().filter(|name| !name.is_empty() || item.id.is_zero());
            DeletedTopic {
                name: name.map(|name| name.to_owned().into()),
                topic_id: item.id,
                error_code: by_id_code(item, error_code),
                error_message: error_message.map(|words| words.into_owned().into()),
            }
        };
        let responses = items.iter().map(deleted).collect();
        self.answer(reply, &DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() });
    }

    pub(super) fn create_partitions(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let wanted = CreatePartitionsRequest::decode(request.header.version, request.body)?;
        let twice = occur_twice(wanted.topics.iter().map(|topic| topic.name.as_ref()));
        let item = |topic: &CreatePartitionsTopic<'_>| {
            let command =
                if twice.contains(&topic.name.as_ref()) { Err(named_twice()) } else { self.growth(topic) };
            Item::new(topic.name.as_ref(), command)
        };
        let items = wanted.topics.iter().map(item).collect();
        self.change(request, items, wanted.validate_only, logs);
        Ok(Handled::Done)
    }

    fn growth(&self, topic: &CreatePartitionsTopic<'_>) -> Result<Command, Fault> {
        let name = topic.name.clone().into_owned();
        let Ok(partitions) = u32::try_from(topic.count) else {
            let words = format!(
                "{} partitions are not a number of partitions: write more than there are",
                topic.count
            );
            return Err(Fault::new(ErrorCode::InvalidPartitions, words));
        };
        let assigned =
            topic.assignments.as_ref().map(|assigned| assigned.iter().map(|one| one.broker_ids.as_slice()));
        let on = assigned.map(|brokers| self.shards_of(brokers)).transpose()?.flatten();
        Ok(Command::Grow { name, partitions, on })
    }

    pub(super) fn answer_grown(&mut self, reply: &Reply, items: &[Item]) {
        let grown = |item: &'_ Item| {
            let (error_code, error_message) = item.error();
            let name = item.name.clone().unwrap_or_default().into();
            CreatedPartitions {
                name,
                error_code,
                error_message: error_message.map(|words| words.into_owned().into()),
            }
        };
        let results = items.iter().map(grown).collect();
        self.answer(reply, &CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() });
    }
}

fn named_twice() -> Fault {
    Fault::new(ErrorCode::InvalidRequest, "the request names it more than once: name it once")
}

/// The partitions of a topic for which numbers are given.
fn counted(partitions: i32, replication_factor: i16) -> Result<Spread, Fault> {
    if !matches!(replication_factor, -1 | 1) {
        let words =
            format!("the replication factor is 1 here, or -1 for the default, and not {replication_factor}");
        return Err(Fault::new(ErrorCode::InvalidReplicationFactor, words));
    }
    match partitions {
        -1 => Ok(Spread::Default),
        1.. => Ok(Spread::Count(partitions as u32)),
        _ => {
            let words =
                format!("{partitions} is not a number of partitions: write 1 or more, or -1 for the default");
            Err(Fault::new(ErrorCode::InvalidPartitions, words))
        }
    }
}

fn created<'a>(item: &'a Item, logs: &'a Logs) -> CreatedTopic<'a> {
    let (error_code, error_message) = item.error();
    let name = Cow::Borrowed(item.name.as_deref().unwrap_or_default());
    let answer = CreatedTopic { name, error_code, error_message, ..CreatedTopic::default() };
    let Ok(Some(Change::Created { topic, .. })) = item.result() else { return answer };
    CreatedTopic {
        topic_id: logs.uuid_of(topic),
        num_partitions: topic.partitions.len() as i32,
        replication_factor: 1,
        configs: Some(created_configs(topic)),
        ..answer
    }
}

fn created_configs(topic: &Topic) -> Vec<CreatedConfig<'_>> {
    let entry = |key: ConfigKey| CreatedConfig {
        name: key.name().into(),
        value: Some(topic.config.text(key)),
        read_only: false,
        config_source: source_code(topic.config.source(key)),
        is_sensitive: false,
    };
    ConfigKey::all().map(entry).collect()
}

fn deletion(topic: &DeleteTopic<'_>, logs: &Logs) -> Result<Command, Fault> {
    match (&topic.name, topic.topic_id.is_zero()) {
        (Some(name), true) => Ok(Command::Delete { name: name.clone().into_owned(), id: None }),
        (None, false) => match logs.topic_of_uuid(topic.topic_id) {
            Some((name, found)) => Ok(Command::Delete { name: name.to_owned(), id: Some(found.id) }),
            None => {
                let words =
                    format!("there is no topic of the id {}: it may have been deleted", topic.topic_id);
                Err(Fault::new(ErrorCode::UnknownTopicId, words))
            }
        },
        _ => Err(Fault::new(
            ErrorCode::InvalidRequest,
            "a topic is given by its name or by its id, not by both",
        )),
    }
}

/// A topic that was given by its id, and is gone meanwhile, is an unknown id.
fn by_id_code(item: &Item, code: i16) -> i16 {
    let gone = code == ErrorCode::UnknownTopicOrPartition.number() && !item.id.is_zero();
    if gone { ErrorCode::UnknownTopicId.number() } else { code }
}
