//! Metadata: the brokers, the topics, and which broker leads which partition. Topics that are not there may be created.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use ahash::AHashSet;
use ringmail_kafka::codec::{Str, Uuid};
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataResponseTopic,
    MetadataTopic,
};
use ringmail_kafka::messages::{Body, NO_OPERATIONS};

use super::cluster::{CLUSTER_OPERATIONS, Cluster, LEADER_EPOCH, TOPIC_OPERATIONS};
use super::error;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::catalog::{
    CatalogError, Change, Command, ConfigChange, Partition, Spread, Topic, is_internal,
};
use crate::node::logs::{Caller, Logs};
use crate::node::slab::Key;

/// A request that waits for topics to be created.
#[derive(Debug)]
pub(super) struct Creation {
    reply: Reply,
    local: IpAddr,
    /// Its body, for when they are.
    body: Vec<u8>,
    /// The topics, and what became of those that could not be created.
    topics: Vec<(String, Option<ErrorCode>)>,
    /// Those of which it is not known yet.
    outstanding: usize,
}

impl Sessions<'_> {
    pub(super) fn metadata(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<Handled, Refused> {
        let wanted = MetadataRequest::decode(request.header.version, request.body)?;
        let local = self.local(request);
        let missing = self.missing_topics(&wanted, logs);
        if missing.is_empty() {
            self.answer_metadata(&request.reply, local, &wanted, &[], logs);
            return Ok(Handled::Done);
        }
        let topics: Vec<_> = missing.into_iter().map(|name| (name, None)).collect();
        let names: Vec<_> = topics.iter().map(|(name, _)| name.clone()).collect();
        let (reply, body, outstanding) = (request.reply, request.body.to_vec(), topics.len());
        let key = self.own.creations.insert(Creation { reply, local, body, topics, outstanding });
        for (part, name) in (0..).zip(names) {
            let waiter = Waiter::Metadata { metadata: key, part };
            let create = Command::Create { name, partitions: Spread::Default, config: ConfigChange::NONE };
            logs.change_catalog(create, Caller::Kafka(waiter));
        }
        Ok(Handled::Done)
    }

    /// The topics that are to be created first.
    fn missing_topics(&self, wanted: &MetadataRequest<'_>, logs: &Logs) -> Vec<String> {
        let creates = wanted.allow_auto_topic_creation && self.own.settings.auto_create_topics;
        let topics = wanted.topics.as_deref().filter(|_| creates && !self.own.draining).unwrap_or_default();
        let mut missing: Vec<String> = Vec::new();
        for name in topics.iter().filter(|topic| topic.topic_id.is_zero()).filter_map(|t| t.name.as_deref()) {
            let is_missing = logs.catalog().topic(name).is_none()
                && !is_internal(name)
                && name_error(name, logs).is_none();
            if is_missing && !missing.iter().any(|other| other == name) {
                missing.push(name.to_owned());
            }
        }
        missing
    }

    /// It is known whether a topic that metadata was asked for could be created.
    pub(super) fn topic_created(
        &mut self,
        key: Key,
        part: u32,
        result: &Result<Arc<Change>, CatalogError>,
        logs: &Logs,
    ) {
        let Some(creation) = self.own.creations.get_mut(key) else { return };
        // Somebody else may have created it meanwhile, or taken it away again.
        creation.topics[part as usize].1 = result.as_ref().err().map(error::of_catalog);
        creation.outstanding -= 1;
        if creation.outstanding == 0
            && let Some(creation) = self.own.creations.remove(key)
        {
            let wanted = MetadataRequest::decode(creation.reply.version, &creation.body)
                .expect("it was decoded when it came");
            self.answer_metadata(&creation.reply, creation.local, &wanted, &creation.topics, logs);
        }
    }

    fn answer_metadata(
        &mut self,
        reply: &Reply,
        local: IpAddr,
        wanted: &MetadataRequest<'_>,
        refused: &[(String, Option<ErrorCode>)],
        logs: &Logs,
    ) {
        let cluster = self.own.settings.cluster.clone();
        let host = cluster.host(local);
        let view = View {
            cluster: &cluster,
            logs,
            refused,
            operations: if wanted.include_topic_authorized_operations {
                TOPIC_OPERATIONS
            } else {
                NO_OPERATIONS
            },
        };
        let broker = |(node_id, port)| {
            let host = Cow::Borrowed(&*host);
            MetadataBroker { node_id, host, port, rack: None }
        };
        let all = wanted.topics.as_ref().is_none_or(|topics| topics.is_empty() && reply.version == 0);
        let included = wanted.include_cluster_authorized_operations;
        let response = MetadataResponse {
            brokers: cluster.brokers().map(broker).collect(),
            cluster_id: Some(logs.cluster().to_string().into()),
            controller_id: cluster.controller(),
            topics: if all { view.all() } else { view.those(wanted.topics.as_deref().unwrap_or_default()) },
            cluster_authorized_operations: if included { CLUSTER_OPERATIONS } else { NO_OPERATIONS },
            ..MetadataResponse::default()
        };
        self.answer(reply, &response);
    }
}

/// What is wrong with the name of a topic that is not there.
fn name_error(name: &str, logs: &Logs) -> Option<ErrorCode> {
    let create =
        Command::Create { name: name.to_owned(), partitions: Spread::Default, config: ConfigChange::NONE };
    match logs.plan(create) {
        Err(error @ CatalogError::Name(_)) => Some(error::of_catalog(&error)),
        _ => None,
    }
}

/// The topics as they are shown.
struct View<'a> {
    cluster: &'a Cluster,
    logs: &'a Logs,
    /// Topics that could not be created.
    refused: &'a [(String, Option<ErrorCode>)],
    operations: i32,
}

impl<'a> View<'a> {
    fn all(&self) -> Vec<MetadataResponseTopic<'a>> {
        self.logs.catalog().topics().map(|(name, topic)| self.topic(name, topic)).collect()
    }

    /// Each topic once: a short name may stand for a long description.
    fn those<'b>(&self, wanted: &'b [MetadataTopic<'b>]) -> Vec<MetadataResponseTopic<'b>>
    where
        'a: 'b,
    {
        let mut seen = AHashSet::new();
        let fresh = wanted.iter().filter(|topic| seen.insert((topic.topic_id, topic.name.as_deref())));
        fresh.map(|topic| self.wanted(topic)).collect()
    }

    fn wanted<'b>(&self, wanted: &'b MetadataTopic<'b>) -> MetadataResponseTopic<'b>
    where
        'a: 'b,
    {
        if !wanted.topic_id.is_zero() {
            let found = self.logs.topic_of_uuid(wanted.topic_id);
            let unknown = || self.missing(None, wanted.topic_id, ErrorCode::UnknownTopicId);
            return found.map_or_else(unknown, |(name, topic)| self.topic(name, topic));
        }
        let Some(name) = wanted.name.as_deref() else {
            return self.missing(None, Uuid::ZERO, ErrorCode::InvalidRequest);
        };
        let Some(topic) = self.logs.catalog().topic(name) else {
            let refused = self.refused.iter().find(|(refused, _)| refused == name);
            let error = refused.and_then(|(_, error)| *error).or_else(|| name_error(name, self.logs));
            let error = error.unwrap_or(ErrorCode::UnknownTopicOrPartition);
            return self.missing(Some(name.into()), Uuid::ZERO, error);
        };
        self.topic(name, topic)
    }

    fn missing<'b>(
        &self,
        name: Option<Str<'b>>,
        topic_id: Uuid,
        error: ErrorCode,
    ) -> MetadataResponseTopic<'b> {
        MetadataResponseTopic { error_code: error.number(), name, topic_id, ..Default::default() }
    }

    fn topic<'b>(&self, name: &'b str, topic: &Topic) -> MetadataResponseTopic<'b>
    where
        'a: 'b,
    {
        let partitions = (0..).zip(&topic.partitions);
        MetadataResponseTopic {
            error_code: 0,
            name: Some(name.into()),
            topic_id: self.logs.uuid_of(topic),
            is_internal: is_internal(name),
            partitions: partitions.map(|(index, partition)| self.partition(index, partition)).collect(),
            topic_authorized_operations: self.operations,
        }
    }

    fn partition<'b>(&self, partition_index: i32, partition: &Partition) -> MetadataPartition<'b>
    where
        'a: 'b,
    {
        let node = self.cluster.node(partition.shard);
        MetadataPartition {
            error_code: 0,
            partition_index,
            leader_id: node[0],
            leader_epoch: LEADER_EPOCH,
            replica_nodes: Cow::Borrowed(node),
            isr_nodes: Cow::Borrowed(node),
            offline_replicas: Cow::Borrowed(&[]),
        }
    }
}
