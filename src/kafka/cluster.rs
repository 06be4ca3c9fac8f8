//! The brokers that clients see: each shard is one, on a port of its own, so that a client's requests for a partition come to
//! the core that owns it. With one port alone, all shards are one broker.

use std::borrow::Cow;
use std::net::IpAddr;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::cluster::{ClusterBroker, DescribeClusterRequest, DescribeClusterResponse};
use ringmail_kafka::messages::{Body, NO_OPERATIONS};

use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use crate::node::catalog::ShardId;
use crate::node::logs::Logs;

/// What a client may do with a topic, as bits of Kafka's operations: read (3), write, create, delete, alter, describe (8),
/// describe its configuration (10), alter it.
pub(super) const TOPIC_OPERATIONS: i32 = operations(&[3, 4, 5, 6, 7, 8, 10, 11]);

/// What a client may do with the cluster: create (5), alter (7), describe, act as a part of it, describe its configuration,
/// alter it, write idempotently (12).
pub(super) const CLUSTER_OPERATIONS: i32 = operations(&[5, 7, 8, 9, 10, 11, 12]);

const fn operations(codes: &[u32]) -> i32 {
    let (mut bits, mut k) = (0, 0);
    while k < codes.len() {
        bits |= 1 << codes[k];
        k += 1;
    }
    bits
}

/// The epoch of all leaders: leadership never changes.
pub(super) const LEADER_EPOCH: i32 = 0;

/// No epoch, in requests.
const NO_EPOCH: i32 = -1;

/// Checks what a client believes to be the epoch of a leader.
///
/// # Errors
/// What the client is told.
pub(super) fn check_leader_epoch(epoch: i32) -> Result<(), ErrorCode> {
    match epoch {
        NO_EPOCH | LEADER_EPOCH => Ok(()),
        newer if newer > LEADER_EPOCH => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Err(ErrorCode::FencedLeaderEpoch),
    }
}

/// Endpoints that DescribeCluster can ask for.
const BROKERS: i8 = 1;

/// Where the shards are reached, and as which nodes.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The name of this machine for clients; empty for the address that they have connected to.
    host: String,
    /// By node, its port.
    ports: Vec<u16>,
    /// By shard, its node id.
    nodes: Vec<i32>,
}

impl Cluster {
    /// Each shard is a node: shard 0 has the id `first_node`. `ports` are those of the shards.
    pub fn of_shards(host: String, ports: Vec<u16>, first_node: i32) -> Self {
        let nodes = (first_node..).take(ports.len()).collect();
        Self { host, ports, nodes }
    }

    /// All `shards` are one node, on one port.
    pub fn of_one_port(host: String, port: u16, shards: ShardId, node: i32) -> Self {
        Self { host, ports: vec![port], nodes: vec![node; shards.into()] }
    }

    /// The node that a shard is, as a list of one: so replicas stand in answers.
    #[inline]
    pub(super) fn node(&self, shard: ShardId) -> &[i32; 1] {
        std::array::from_ref(&self.nodes[usize::from(shard)])
    }

    /// The shard that a node is; the first of them if all are one.
    pub(super) fn shard(&self, node: i32) -> Option<ShardId> {
        self.nodes.iter().position(|known| *known == node).map(|shard| shard as ShardId)
    }

    /// Whether all shards are one node.
    pub(super) fn is_one_node(&self) -> bool {
        self.ports.len() < self.nodes.len()
    }

    /// The node that the keeper of the catalog is.
    pub(super) fn controller(&self) -> i32 {
        self.nodes[0]
    }

    /// Node ids and ports.
    pub(super) fn brokers(&self) -> impl Iterator<Item = (i32, i32)> + '_ {
        self.nodes.iter().copied().zip(self.ports.iter().map(|port| i32::from(*port)))
    }

    /// Node id and port of a node.
    pub(super) fn broker(&self, node: i32) -> Option<(i32, i32)> {
        self.brokers().find(|(id, _)| *id == node)
    }

    /// The host that a client is told to connect to, which is connected to the address `local`.
    pub(super) fn host(&self, local: IpAddr) -> Cow<'_, str> {
        if self.host.is_empty() { local.to_string().into() } else { self.host.as_str().into() }
    }
}

impl Sessions<'_> {
    /// The address that a client has connected to.
    pub(super) fn local(&mut self, request: &Request<'_>) -> IpAddr {
        let session = self.session(request.reply.connection);
        session.map_or(IpAddr::from([127, 0, 0, 1]), |session| session.local)
    }

    pub(super) fn describe_cluster(
        &mut self,
        request: &Request<'_>,
        logs: &Logs,
    ) -> Result<Handled, Refused> {
        let wanted = DescribeClusterRequest::decode(request.header.version, request.body)?;
        let local = self.local(request);
        let cluster = self.own.settings.cluster.clone();
        let host = cluster.host(local);
        let broker = |(broker_id, port)| {
            let host = Cow::Borrowed(&*host);
            ClusterBroker { broker_id, host, port, ..ClusterBroker::default() }
        };
        let mut response = DescribeClusterResponse {
            endpoint_type: wanted.endpoint_type,
            cluster_id: logs.cluster().to_string().into(),
            controller_id: cluster.controller(),
            ..DescribeClusterResponse::default()
        };
        if wanted.endpoint_type == BROKERS {
            response.brokers = cluster.brokers().map(broker).collect();
            let included = wanted.include_cluster_authorized_operations;
            response.cluster_authorized_operations =
                if included { CLUSTER_OPERATIONS } else { NO_OPERATIONS };
        } else {
            response.error_code = ErrorCode::MismatchedEndpointType.number();
            response.error_message = Some("this is a broker: ask for the endpoints of brokers".into());
        }
        self.answer(&request.reply, &response);
        Ok(Handled::Done)
    }
}
