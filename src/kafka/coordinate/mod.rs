//! Groups and transactions: requests go to the coordinators that they concern, on whichever shards these are; the answer
//! follows once all of them have given theirs.

mod find;
mod implicit;
mod merge;
mod producer_id;
mod split;

use bytes::Bytes;
use ringmail_coordinator::partition_for;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::frame::put_response_of;
use ringmail_kafka::messages::{Request as Body, Response};
use ringmail_wire::protocol::LogId;

pub(super) use self::find::Finding;
pub(super) use self::implicit::{Adding, Staging};
use self::split::{Concerns, concerns};
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::coordinators::{CoordinatorQuestion, refused};
use crate::node::catalog::{OFFSETS, TRANSACTIONS};
use crate::node::logs::{Caller, Logs};
use crate::node::slab::Key;

/// An answer of which parts are missing.
#[derive(Debug)]
pub(super) struct Gathering {
    reply: Reply,
    /// What has come of it.
    all: Option<Response<'static>>,
    /// Coordinators that have not answered.
    outstanding: usize,
}

impl Sessions<'_> {
    /// Takes a request that coordinators answer.
    pub(super) fn coordinate(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<Handled, Refused> {
        let version = request.header.version;
        let body = Body::decode(request.header.api, version, request.body)?;
        let partitions = |topic| partitions_of(topic, logs);
        let (groups, transactions) = (partitions(OFFSETS), partitions(TRANSACTIONS));
        let concerned = concerns(&body, version, groups.max(1), transactions.max(1));
        let asked = |body: &Body<'_>| {
            let mut bytes = Vec::new();
            body.encode(version, &mut bytes);
            Bytes::from(bytes)
        };
        let here = || Bytes::copy_from_slice(request.body);
        let one = |topic, key| logs.partition(topic, partition_for(key, partitions(topic).max(1)));
        let of = |topic, parts: Vec<(i32, Body<'_>)>| {
            let part = |(partition, body): &(i32, Body<'_>)| (logs.partition(topic, *partition), asked(body));
            parts.iter().map(part).collect()
        };
        let parts: Vec<(Option<LogId>, Bytes)> = match concerned {
            Concerns::Group(id) => vec![(one(OFFSETS, id), here())],
            Concerns::Transaction(id) => vec![(one(TRANSACTIONS, id), here())],
            Concerns::Groups(parts) => of(OFFSETS, parts),
            Concerns::Transactions(parts) => of(TRANSACTIONS, parts),
            Concerns::AllGroups => self.all_logs(OFFSETS, logs).map(|log| (Some(log), here())).collect(),
            Concerns::AllTransactions => {
                self.all_logs(TRANSACTIONS, logs).map(|log| (Some(log), here())).collect()
            }
        };
        self.ask_all(request, &body, parts, logs);
        Ok(Handled::Done)
    }

    /// The logs of the coordinators that this node stands for.
    fn all_logs<'l>(&self, topic: &str, logs: &'l Logs) -> impl Iterator<Item = LogId> + use<'l> {
        let all = self.own.settings.cluster.is_one_node();
        let partitions = logs.catalog().topic(topic).map_or(&[][..], |topic| &topic.partitions);
        let own = move |shard| all || shard == logs.shard();
        partitions.iter().filter(move |partition| own(partition.shard)).map(|partition| partition.log)
    }

    fn ask_all(
        &mut self,
        request: &Request<'_>,
        asked: &Body<'_>,
        parts: Vec<(Option<LogId>, Bytes)>,
        logs: &mut Logs,
    ) {
        let reply = request.reply;
        if parts.is_empty() {
            return self.answer_response(&reply, &Response::empty(asked.api()));
        }
        self.weigh(&reply, parts.len());
        let outstanding = parts.len();
        let key = self.own.gatherings.insert(Gathering { reply, all: None, outstanding });
        let client_host = self.client_host(reply.connection);
        for (log, body) in parts {
            let question = CoordinatorQuestion {
                log: log.unwrap_or_default(),
                api: request.header.api,
                version: request.header.version,
                client_id: request.header.client_id.unwrap_or_default().to_owned(),
                client_host: client_host.clone(),
                body,
            };
            let answer = match log {
                None => Some(refused(&question, ErrorCode::NotCoordinator)),
                Some(_) if self.own.draining => Some(refused(&question, ErrorCode::CoordinatorNotAvailable)),
                Some(_) => None,
            };
            match answer {
                Some(answer) => self.coordinated(key, answer),
                None => match asked {
                    Body::TxnOffsetCommit(body) => self.stage(request, body, question, key, logs),
                    _ => logs.coordinate(question, Caller::Kafka(Waiter::Coordinator(key))),
                },
            }
        }
    }

    /// A coordinator has answered.
    pub(super) fn coordinated(&mut self, key: Key, part: Response<'static>) {
        let Some(gathering) = self.own.gatherings.get_mut(key) else { return };
        match &mut gathering.all {
            Some(all) => merge::merge(all, part),
            none => *none = Some(part),
        }
        gathering.outstanding -= 1;
        if gathering.outstanding == 0
            && let Some(Gathering { reply, all: Some(all), .. }) = self.own.gatherings.remove(key)
        {
            self.answer_response(&reply, &all);
        }
    }

    fn answer_response(&mut self, reply: &Reply, response: &Response<'_>) {
        let Reply { version, correlation, api, .. } = *reply;
        self.answer_with(reply, |output| {
            put_response_of(output.copied(), api, version, correlation, response);
        });
    }

    /// A client's address, as Kafka writes it.
    fn client_host(&mut self, connection: Key) -> String {
        let peer = self.connections.get(connection).map(|connection| connection.peer.as_str());
        let address = peer.and_then(|peer| peer.parse().ok());
        address.map_or_else(String::new, |address: std::net::SocketAddr| {
            format!("/{}", address.ip().to_canonical())
        })
    }
}

/// How many partitions an internal topic has; 0 if it was not needed yet.
fn partitions_of(topic: &str, logs: &Logs) -> i32 {
    let partitions = logs.catalog().topic(topic).map_or(0, |topic| topic.partitions.len());
    i32::try_from(partitions).unwrap_or(i32::MAX)
}
