//! What clients ask, in short.

use ringmail_coordinator::machine::{CallId, Producer};
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::groups::*;
use ringmail_kafka::messages::offsets::*;
use ringmail_kafka::messages::transactions::*;
use ringmail_kafka::messages::{Request, Response};

use super::host::{Host, error};

/// A consumer's subscription, in the form of its version 0.
pub fn subscription(topics: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes
}

/// What a member says of itself when it joins.
#[derive(Debug, Clone)]
pub struct Joiner {
    pub group: String,
    pub id: String,
    pub instance: Option<String>,
    pub session_ms: i32,
    pub rebalance_ms: i32,
    pub protocol_type: String,
    pub protocols: Vec<(String, Vec<u8>)>,
    pub version: i16,
    pub client_id: String,
}

impl Joiner {
    /// A consumer of the topic `a`, who knows one assignor.
    pub fn new(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            id: String::new(),
            instance: None,
            session_ms: 10_000,
            rebalance_ms: 30_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), subscription(&["a"]))],
            version: 9,
            client_id: "client".to_owned(),
        }
    }

    pub fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }

    pub fn version(mut self, version: i16) -> Self {
        self.version = version;
        self
    }

    pub fn protocols(mut self, names: &[&str]) -> Self {
        self.protocols = names.iter().map(|&name| (name.to_owned(), subscription(&["a"]))).collect();
        self
    }

    pub fn topics(mut self, topics: &[&str]) -> Self {
        self.protocols.iter_mut().for_each(|(_, metadata)| *metadata = subscription(topics));
        self
    }

    pub fn with_id(mut self, id: &str) -> Self {
        self.id = id.to_owned();
        self
    }

    pub fn request(&self) -> Request<'_> {
        let protocols = self.protocols.iter().map(|(name, metadata)| JoinGroupProtocol {
            name: name.as_str().into(),
            metadata: metadata.as_slice().into(),
        });
        Request::JoinGroup(JoinGroupRequest {
            group_id: self.group.as_str().into(),
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: self.id.as_str().into(),
            group_instance_id: self.instance.as_deref().map(Into::into),
            protocol_type: self.protocol_type.as_str().into(),
            protocols: protocols.collect(),
            reason: None,
        })
    }

    /// Asks to join, once.
    pub fn try_join(&self, host: &mut Host) -> CallId {
        host.call(self.version, &self.client_id, &self.request())
    }

    /// Asks to join, again with the member id if one is needed.
    pub fn join(&mut self, host: &mut Host) -> CallId {
        let call = self.try_join(host);
        if !self.id.is_empty() || self.instance.is_some() || self.version < 4 {
            return call;
        }
        let answer = joined(host, call).expect("a member id is given out at once");
        assert_eq!(error(answer.error_code), ErrorCode::MemberIdRequired);
        self.id = answer.member_id.into_owned();
        self.try_join(host)
    }
}

pub fn joined(host: &mut Host, call: CallId) -> Option<JoinGroupResponse<'static>> {
    match host.answer(call)? {
        Response::JoinGroup(answer) => Some(answer),
        other => panic!("{other:?} is no answer to JoinGroup"),
    }
}

pub fn synced(host: &mut Host, call: CallId) -> Option<SyncGroupResponse<'static>> {
    match host.answer(call)? {
        Response::SyncGroup(answer) => Some(answer),
        other => panic!("{other:?} is no answer to SyncGroup"),
    }
}

/// A member, as it knows itself.
#[derive(Debug, Clone)]
pub struct Member {
    pub group: String,
    pub id: String,
    pub instance: Option<String>,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leads: Vec<String>,
    pub skips: bool,
}

impl Member {
    pub fn new(joiner: &Joiner, answer: &JoinGroupResponse<'_>) -> Self {
        assert_eq!(error(answer.error_code), ErrorCode::None);
        Self {
            group: joiner.group.clone(),
            id: answer.member_id.clone().into_owned(),
            instance: joiner.instance.clone(),
            generation: answer.generation_id,
            protocol: answer.protocol_name.clone().map(Into::into),
            leads: answer.members.iter().map(|m| m.member_id.clone().into_owned()).collect(),
            skips: answer.skip_assignment,
        }
    }

    /// Asks for its assignment, and brings those of all if there are any.
    pub fn sync(&self, host: &mut Host, assignments: &[(&str, &[u8])]) -> CallId {
        let assignments = assignments.iter().map(|&(member, assignment)| SyncGroupAssignment {
            member_id: member.into(),
            assignment: assignment.into(),
        });
        let request = Request::SyncGroup(SyncGroupRequest {
            group_id: self.group.as_str().into(),
            generation_id: self.generation,
            member_id: self.id.as_str().into(),
            group_instance_id: self.instance.as_deref().map(Into::into),
            protocol_type: Some("consumer".into()),
            protocol_name: self.protocol.as_deref().map(Into::into),
            assignments: assignments.collect(),
        });
        host.call(5, "client", &request)
    }

    /// Brings an assignment that gives each member its own id.
    pub fn assign(&self, host: &mut Host) -> CallId {
        let all: Vec<(&str, &[u8])> = self.leads.iter().map(|id| (id.as_str(), id.as_bytes())).collect();
        assert!(!all.is_empty(), "only the leader assigns");
        self.sync(host, &all)
    }

    pub fn heartbeat(&self, host: &mut Host) -> ErrorCode {
        let request = Request::Heartbeat(HeartbeatRequest {
            group_id: self.group.as_str().into(),
            generation_id: self.generation,
            member_id: self.id.as_str().into(),
            group_instance_id: self.instance.as_deref().map(Into::into),
        });
        match host.ask(4, &request) {
            Response::Heartbeat(answer) => error(answer.error_code),
            other => panic!("{other:?} is no answer to Heartbeat"),
        }
    }

    pub fn leave(&self, host: &mut Host) -> ErrorCode {
        leave(host, &self.group, &self.id, self.instance.as_deref())
    }

    pub fn commit(&self, host: &mut Host, topic: &str, partition: i32, offset: i64) -> ErrorCode {
        let by = (self.id.as_str(), self.generation);
        commit(host, &self.group, by, topic, partition, offset)
    }
}

pub fn leave(host: &mut Host, group: &str, id: &str, instance: Option<&str>) -> ErrorCode {
    let request = Request::LeaveGroup(LeaveGroupRequest {
        group_id: group.into(),
        members: vec![LeavingMember {
            member_id: id.into(),
            group_instance_id: instance.map(Into::into),
            reason: Some("done".into()),
        }],
        ..Default::default()
    });
    match host.ask(5, &request) {
        Response::LeaveGroup(answer) => {
            assert_eq!(answer.error_code, 0);
            assert_eq!(answer.members.len(), 1);
            error(answer.members[0].error_code)
        }
        other => panic!("{other:?} is no answer to LeaveGroup"),
    }
}

pub const NOBODY: (&str, i32) = ("", -1);

pub fn commit_request<'a>(
    group: &'a str,
    (member, generation): (&'a str, i32),
    topic: &'a str,
    partition: i32,
    offset: i64,
) -> OffsetCommitRequest<'a> {
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: generation,
        member_id: member.into(),
        topics: vec![OffsetCommitTopic {
            name: topic.into(),
            partitions: vec![OffsetCommitPartition {
                partition_index: partition,
                committed_offset: offset,
                committed_leader_epoch: 0,
                committed_metadata: Some("note".into()),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub fn commit(
    host: &mut Host,
    group: &str,
    by: (&str, i32),
    topic: &str,
    partition: i32,
    offset: i64,
) -> ErrorCode {
    commit_with(host, 9, commit_request(group, by, topic, partition, offset))
}

/// The error of the first partition.
pub fn commit_with(host: &mut Host, version: i16, request: OffsetCommitRequest<'_>) -> ErrorCode {
    match host.ask(version, &Request::OffsetCommit(request)) {
        Response::OffsetCommit(answer) => error(answer.topics[0].partitions[0].error_code),
        other => panic!("{other:?} is no answer to OffsetCommit"),
    }
}

/// Stages an offset in a transaction, as somebody who does not say who he is.
pub fn stage(host: &mut Host, producer: Producer, group: &str, topic: &str, offset: i64) -> ErrorCode {
    stage_with(host, 3, stage_request(producer, group, NOBODY, topic, offset))
}

pub fn stage_request<'a>(
    producer: Producer,
    group: &'a str,
    (member, generation): (&'a str, i32),
    topic: &'a str,
    offset: i64,
) -> TxnOffsetCommitRequest<'a> {
    TxnOffsetCommitRequest {
        transactional_id: "t".into(),
        group_id: group.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        generation_id_or_member_epoch: generation,
        member_id: member.into(),
        group_instance_id: None,
        topics: vec![TxnOffsetCommitTopic {
            name: topic.into(),
            partitions: vec![TxnOffsetCommitPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_leader_epoch: -1,
                committed_metadata: None,
            }],
        }],
    }
}

pub fn stage_with(host: &mut Host, version: i16, request: TxnOffsetCommitRequest<'_>) -> ErrorCode {
    match host.ask(version, &Request::TxnOffsetCommit(request)) {
        Response::TxnOffsetCommit(answer) => error(answer.topics[0].partitions[0].error_code),
        other => panic!("{other:?} is no answer to TxnOffsetCommit"),
    }
}

/// How far a group is in a partition.
pub fn fetch(host: &mut Host, group: &str, topic: &str, partition: i32) -> FetchedOffset<'static> {
    fetch_with(host, group, topic, partition, false)
}

pub fn fetch_with(
    host: &mut Host,
    group: &str,
    topic: &str,
    partition: i32,
    require_stable: bool,
) -> FetchedOffset<'static> {
    let request = Request::OffsetFetch(OffsetFetchRequest {
        groups: vec![OffsetFetchGroup {
            group_id: group.into(),
            topics: Some(vec![OffsetFetchTopic {
                name: topic.into(),
                partition_indexes: vec![partition],
                ..Default::default()
            }]),
            ..Default::default()
        }],
        require_stable,
        ..Default::default()
    });
    match host.ask(9, &request) {
        Response::OffsetFetch(answer) => {
            assert_eq!(answer.groups[0].error_code, 0);
            answer.groups[0].topics[0].partitions[0].clone()
        }
        other => panic!("{other:?} is no answer to OffsetFetch"),
    }
}

/// Where a group is in partition 0 of a topic; -1 if nothing is kept.
pub fn position(host: &mut Host, group: &str, topic: &str) -> i64 {
    fetch(host, group, topic, 0).committed_offset
}

/// A stable group of as many members; the first leads.
pub fn stable(host: &mut Host, group: &str, members: usize) -> Vec<(Joiner, Member)> {
    let joiners = (0..members).map(|_| Joiner::new(group)).collect();
    stable_of(host, joiners)
}

/// A stable group of these members; the leader is the first of those that are returned.
pub fn stable_of(host: &mut Host, mut joiners: Vec<Joiner>) -> Vec<(Joiner, Member)> {
    let calls: Vec<_> = joiners.iter_mut().map(|joiner| joiner.join(host)).collect();
    host.advance(10_000);
    let mut all: Vec<(Joiner, Member)> = Vec::new();
    for (mut joiner, call) in joiners.into_iter().zip(calls) {
        let answer = joined(host, call).expect("all have joined");
        let member = Member::new(&joiner, &answer);
        joiner.id = member.id.clone();
        all.push((joiner, member));
    }
    all.sort_by_key(|(_, member)| member.leads.is_empty());
    let syncs: Vec<_> = all[1..].iter().map(|(_, member)| member.sync(host, &[])).collect();
    let lead = all[0].1.assign(host);
    for call in syncs.into_iter().chain([lead]) {
        assert_eq!(synced(host, call).expect("the leader has assigned").error_code, 0);
    }
    all
}

/// The state of a group, and how many members it has.
pub fn state(host: &mut Host, group: &str) -> (String, usize) {
    use ringmail_kafka::messages::group_admin::DescribeGroupsRequest;
    let request = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
    match host.ask(5, &Request::DescribeGroups(request)) {
        Response::DescribeGroups(answer) => {
            (answer.groups[0].group_state.clone().into_owned(), answer.groups[0].members.len())
        }
        other => panic!("{other:?} is no answer to DescribeGroups"),
    }
}
