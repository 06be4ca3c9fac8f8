//! A client of the classic protocol, in whichever group it is.

use ringmail_coordinator::consumer::Partitions;
use ringmail_coordinator::machine::{CallId, Topics};
use ringmail_kafka::codec::{Reader, Writer};
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::groups::{
    HeartbeatRequest, JoinGroupProtocol, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeavingMember, SyncGroupAssignment, SyncGroupRequest, SyncGroupResponse,
};
use ringmail_kafka::messages::{Request, Response};

use crate::harness::{FakeTopics, Host};

/// The one topic that these clients want.
pub const TOPIC: &str = "a";

#[derive(Debug)]
pub struct ClassicClient {
    pub id: String,
    pub instance: Option<String>,
    /// Whether it keeps what it has while the group rebalances.
    pub cooperative: bool,
    pub generation: i32,
    pub owned: Partitions,
    joining: Option<CallId>,
    syncing: Option<CallId>,
    /// Whether it has to join again.
    rejoin: bool,
}

impl ClassicClient {
    pub fn new(instance: Option<&str>, cooperative: bool) -> Self {
        Self {
            id: String::new(),
            instance: instance.map(str::to_owned),
            cooperative,
            generation: -1,
            owned: Partitions::new(),
            joining: None,
            syncing: None,
            rejoin: true,
        }
    }

    /// Does what is next: hears answers, joins again, or says that it is there.
    pub fn poll(&mut self, host: &mut Host) {
        if let Some(call) = self.joining {
            if let Some(Response::JoinGroup(answer)) = host.answer(call) {
                self.joining = None;
                self.joined(answer, host);
            }
        } else if let Some(call) = self.syncing {
            if let Some(Response::SyncGroup(answer)) = host.answer(call) {
                self.syncing = None;
                self.synced(answer, host);
            }
        } else if self.rejoin {
            self.join(host);
        } else {
            let request = HeartbeatRequest {
                group_id: "g".into(),
                generation_id: self.generation,
                member_id: self.id.clone().into(),
                group_instance_id: self.instance.clone().map(Into::into),
            };
            let Response::Heartbeat(answer) = host.call(4, Request::Heartbeat(request)) else { panic!() };
            self.refused(answer.error_code);
        }
    }

    fn join(&mut self, host: &mut Host) {
        if !self.cooperative {
            self.owned.clear();
        }
        let name = if self.cooperative { "cooperative-sticky" } else { "range" };
        let metadata = subscription(&self.owned);
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 60_000,
            member_id: self.id.clone().into(),
            group_instance_id: self.instance.clone().map(Into::into),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupProtocol { name: name.into(), metadata: metadata.into() }],
            ..Default::default()
        };
        self.rejoin = false;
        self.joining = Some(host.ask(9, Request::JoinGroup(request)));
    }

    fn joined(&mut self, answer: JoinGroupResponse<'static>, host: &mut Host) {
        if answer.error_code == ErrorCode::MemberIdRequired as i16 {
            self.id = answer.member_id.into_owned();
            return self.join(host);
        }
        if self.refused(answer.error_code) {
            return;
        }
        self.id = answer.member_id.to_string();
        self.generation = answer.generation_id;
        let request = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            group_instance_id: self.instance.clone().map(Into::into),
            protocol_type: answer.protocol_type.clone(),
            protocol_name: answer.protocol_name.clone(),
            assignments: if answer.leader == self.id { assign(&answer, &host.topics) } else { Vec::new() },
        };
        self.syncing = Some(host.ask(5, Request::SyncGroup(request)));
    }

    fn synced(&mut self, answer: SyncGroupResponse<'static>, host: &Host) {
        if self.refused(answer.error_code) {
            return;
        }
        let assigned = read(&answer.assignment, &host.topics).1;
        // It gives up before it joins again, so that others can get it.
        self.rejoin = self.cooperative && !self.owned.is_subset(&assigned);
        self.owned = assigned;
    }

    fn refused(&mut self, code: i16) -> bool {
        match ErrorCode::from_number(code).expect("a code") {
            ErrorCode::None => return false,
            ErrorCode::RebalanceInProgress
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable => {}
            ErrorCode::IllegalGeneration => self.owned.clear(),
            ErrorCode::UnknownMemberId => {
                self.owned.clear();
                self.id.clear();
            }
            other => panic!("{} for {self:?}", other.name()),
        }
        self.rejoin = true;
        true
    }

    /// The broker has started anew: what it was asked before is not answered.
    pub fn lost_connection(&mut self) {
        self.rejoin |= self.joining.take().is_some() || self.syncing.take().is_some();
    }

    pub fn leave(&mut self, host: &mut Host) {
        let member = LeavingMember { member_id: self.id.clone().into(), ..Default::default() };
        let request = LeaveGroupRequest { group_id: "g".into(), members: vec![member], ..Default::default() };
        let Response::LeaveGroup(answer) = host.call(5, Request::LeaveGroup(request)) else { panic!() };
        assert_eq!((answer.error_code, answer.members[0].error_code), (0, 0));
        *self = Self::new(self.instance.as_deref(), self.cooperative);
    }
}

/// A subscription to the topic, in the form that says what the member has.
fn subscription(owned: &Partitions) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out, 0, false);
    w.i16(1);
    w.length(Some(1));
    w.string(TOPIC);
    w.nullable_blob(None);
    write_partitions(&mut w, owned);
    out
}

fn write_partitions(w: &mut Writer<'_>, partitions: &Partitions) {
    w.length(Some(usize::from(!partitions.is_empty())));
    if !partitions.is_empty() {
        w.string(TOPIC);
        w.length(Some(partitions.len()));
        partitions.iter().for_each(|&(_, number)| w.i32(number));
    }
}

/// The version of an assignment, and the partitions.
fn read(assignment: &[u8], topics: &FakeTopics) -> (i16, Partitions) {
    if assignment.is_empty() {
        return (0, Partitions::new());
    }
    let mut r = Reader::new(assignment, 0, false);
    let version = r.i16().expect("a version");
    (version, read_partitions(&mut r, topics))
}

fn read_partitions(r: &mut Reader<'_>, topics: &FakeTopics) -> Partitions {
    let mut partitions = Partitions::new();
    for _ in 0..r.count().expect("a count") {
        let id = topics.topic(r.string().expect("a name")).expect("a topic").0;
        for _ in 0..r.count().expect("a count") {
            partitions.insert((id, r.i32().expect("a number")));
        }
    }
    partitions
}

/// What a leader assigns: all in turn, but nobody gets what another still has.
fn assign(answer: &JoinGroupResponse<'static>, topics: &FakeTopics) -> Vec<SyncGroupAssignment<'static>> {
    let owned: Vec<Partitions> = answer
        .members
        .iter()
        .map(|member| {
            let mut r = Reader::new(&member.metadata, 0, false);
            r.i16().expect("a version");
            for _ in 0..r.count().expect("a count") {
                r.string().expect("a name");
            }
            r.nullable_blob().expect("user data");
            read_partitions(&mut r, topics)
        })
        .collect();
    let mut shares = vec![Partitions::new(); owned.len()];
    for (k, partition) in topics.partitions(TOPIC).into_iter().enumerate() {
        let member = k % owned.len();
        if owned.iter().enumerate().all(|(other, owned)| other == member || !owned.contains(&partition)) {
            shares[member].insert(partition);
        }
    }
    let encode = |share: &Partitions| {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out, 0, false);
        w.i16(1);
        write_partitions(&mut w, share);
        w.nullable_blob(None);
        out
    };
    let parts = answer.members.iter().zip(&shares).map(|(member, share)| SyncGroupAssignment {
        member_id: member.member_id.clone(),
        assignment: encode(share).into(),
    });
    parts.collect()
}
