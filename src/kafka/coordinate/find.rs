//! FindCoordinator: which broker coordinates a group or a transactional id. The first time, their topic is created.

use std::net::IpAddr;

use ringmail_coordinator::partition_for;
use ringmail_kafka::codec::Str;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::metadata::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

use super::partitions_of;
use crate::kafka::error;
use crate::kafka::requests::{Handled, Refused, Request};
use crate::kafka::sessions::Sessions;
use crate::kafka::waiter::{Reply, Waiter};
use crate::node::catalog::{CatalogError, Command, OFFSETS, TRANSACTIONS};
use crate::node::logs::{Caller, Logs};
use crate::node::slab::Key;

/// Partitions of an internal topic (`offsets.topic.num.partitions`, `transaction.state.log.num.partitions`).
const INTERNAL_PARTITIONS: u32 = 50;

/// What a key names.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// The first version that names several keys.
const BATCHED: i16 = 4;

/// A request that waits for the topic of its coordinators to be created.
#[derive(Debug)]
pub(crate) struct Finding {
    reply: Reply,
    local: IpAddr,
    topic: &'static str,
    keys: Vec<String>,
}

impl Sessions<'_> {
    pub(in crate::kafka) fn find_coordinator(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let version = request.header.version;
        let body = FindCoordinatorRequest::decode(version, request.body)?;
        let keys: Vec<String> = if version < BATCHED {
            vec![body.key.into_owned()]
        } else {
            body.coordinator_keys.into_iter().map(Str::into_owned).collect()
        };
        let topic = match body.key_type {
            GROUP => OFFSETS,
            TRANSACTION => TRANSACTIONS,
            _ => {
                self.refuse_keys(
                    &request.reply,
                    &keys,
                    ErrorCode::InvalidRequest,
                    "groups and transactions have coordinators",
                );
                return Ok(Handled::Done);
            }
        };
        let finding = Finding { reply: request.reply, local: self.local(request), topic, keys };
        if logs.catalog().topic(topic).is_some() {
            self.answer_finding(&finding, logs);
        } else if self.own.draining {
            let code = ErrorCode::CoordinatorNotAvailable;
            self.refuse_keys(&finding.reply, &finding.keys, code, "the broker is shutting down");
        } else {
            let key = self.own.findings.insert(finding);
            let create = Command::CreateInternal { name: topic, partitions: INTERNAL_PARTITIONS };
            logs.change_catalog(create, Caller::Kafka(Waiter::Coordinators(key)));
        }
        Ok(Handled::Done)
    }

    /// The topic of coordinators was created, maybe by somebody else, or could not be.
    pub(in crate::kafka) fn coordinators_created(
        &mut self,
        key: Key,
        result: Result<(), CatalogError>,
        logs: &Logs,
    ) {
        let Some(finding) = self.own.findings.remove(key) else { return };
        match result {
            Ok(()) | Err(CatalogError::Exists(_)) => self.answer_finding(&finding, logs),
            Err(error) => {
                tracing::warn!(topic = finding.topic, %error, "an internal topic could not be created");
                let code = match error::of_catalog(&error) {
                    ErrorCode::InvalidPartitions => ErrorCode::InvalidPartitions,
                    _ => ErrorCode::CoordinatorNotAvailable,
                };
                self.refuse_keys(&finding.reply, &finding.keys, code, &error.to_string());
            }
        }
    }

    fn answer_finding(&mut self, finding: &Finding, logs: &Logs) {
        let cluster = self.own.settings.cluster.clone();
        let host = cluster.host(finding.local);
        let partitions = partitions_of(finding.topic, logs).max(1);
        let coordinator = |key: &String| {
            let partition = partition_for(key, partitions) as usize;
            let topic = logs.catalog().topic(finding.topic);
            let shard = topic.and_then(|topic| topic.partitions.get(partition)).map(|found| found.shard);
            let found = shard.and_then(|shard| cluster.broker(cluster.node(shard)[0]));
            let (node_id, port) = found.unwrap_or((-1, -1));
            let missing = ErrorCode::CoordinatorNotAvailable.number();
            Coordinator {
                key: key.clone().into(),
                node_id,
                host: host.to_string().into(),
                port,
                error_code: if found.is_some() { 0 } else { missing },
                error_message: None,
            }
        };
        let coordinators = finding.keys.iter().map(coordinator).collect();
        self.answer_found(&finding.reply, coordinators);
    }

    fn refuse_keys(&mut self, reply: &Reply, keys: &[String], code: ErrorCode, words: &str) {
        let coordinator = |key: &String| Coordinator {
            key: key.clone().into(),
            node_id: -1,
            port: -1,
            error_code: code.number(),
            error_message: Some(words.to_owned().into()),
            ..Coordinator::default()
        };
        let coordinators = keys.iter().map(coordinator).collect();
        self.answer_found(reply, coordinators);
    }

    /// Old versions have the one coordinator in the answer itself.
    fn answer_found(&mut self, reply: &Reply, coordinators: Vec<Coordinator<'static>>) {
        let mut response = FindCoordinatorResponse::default();
        if let (true, Some(first)) = (reply.version < BATCHED, coordinators.first()) {
            response.error_code = first.error_code;
            response.error_message = first.error_message.clone();
            response.node_id = first.node_id;
            response.host = first.host.clone();
            response.port = first.port;
        }
        response.coordinators = coordinators;
        self.answer(reply, &response);
    }
}
