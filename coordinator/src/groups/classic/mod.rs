//! A group of the classic protocol: members join, one of them assigns, all stay by heartbeats.
//!
//! ```text
//!              a member joins                     all have joined, or it took too long
//!   Empty ───────────────────▶ PreparingRebalance ───────────────────▶ CompletingRebalance
//!     ▲                          │   ▲     ▲                               │         │
//!     └──────────────────────────┘   │     └───────────────────────────────┘         │ the leader's assignment
//!       nobody is left               │       a member joins, leaves, dies            ▼ is stored
//!                                    └────────────────────────────────────────── Stable
//! ```
//!
//! Only what a stable or an empty group is gets stored. After a restart the members of the last generation that was stored
//! have the time of their sessions to be heard of again.

mod describe;
mod heartbeat;
mod join;
mod leave;
mod member;
mod rebalance;
mod static_member;
mod stored;
mod sync;
mod timers;
mod votes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(crate) use join::{Joining, KNOWN_MEMBER_ID};
pub(crate) use member::{Member, NEVER, Protocol};
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::groups::{JoinGroupResponse, SyncGroupResponse};
pub(crate) use static_member::Replacement;
pub(crate) use stored::MalformedGroup;
pub(crate) use sync::Assignments;

use self::rebalance::JoinTimer;
use super::commit::Committer;
use super::step::Step;
use crate::machine::CallId;

/// The protocol type of consumers, whose subscriptions the broker can read.
pub(crate) const CONSUMER: &str = "consumer";

/// How far a group is in agreeing on what its members do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    pub(crate) id: String,
    pub(crate) state: State,
    /// Whether members join that come into an empty group: then more of them are waited for.
    pub(crate) is_initial: bool,
    /// Whether more of them have come since.
    more_came: bool,
    pub(crate) generation: i32,
    /// `None` for one that only keeps offsets.
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) members: BTreeMap<String, Member>,
    /// Which members are static, by the ids that they have given themselves.
    pub(crate) statics: HashMap<String, String>,
    /// Ids that were given out to clients that have not joined with them yet, and until when they may.
    pub(crate) pending: BTreeMap<String, u64>,
    /// How many members have an assignor.
    supported: HashMap<Arc<str>, usize>,
    /// How many members have a JoinGroup that waits.
    joining: usize,
    /// How many members still have to sync.
    must_sync: usize,
    /// Bytes of all members.
    bytes: usize,
    /// What the members read, if that can be known.
    pub(crate) subscribed: Option<BTreeSet<String>>,
    /// Since when it is in its state, in milliseconds since the Unix epoch.
    pub(crate) since_ms: Option<i64>,
    join_timer: Option<JoinTimer>,
    sync_deadline_ms: Option<u64>,
    /// Nothing of a member is due earlier; it may be later, as deadlines move when members are heard of.
    members_due_ms: u64,
    /// What a restart would find, as it is stored.
    pub(crate) stored: Option<Box<[u8]>>,
}

impl ClassicGroup {
    /// One without members.
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: State::Empty,
            is_initial: false,
            more_came: false,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: HashMap::new(),
            pending: BTreeMap::new(),
            supported: HashMap::new(),
            joining: 0,
            must_sync: 0,
            bytes: 0,
            subscribed: None,
            since_ms: None,
            join_timer: None,
            sync_deadline_ms: None,
            members_due_ms: NEVER,
            stored: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Whether nothing is lost if it is forgotten: it was not stored, and nobody is about to join it.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.is_empty() && self.stored.is_none() && self.pending.is_empty()
    }

    pub(crate) fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    fn enter(&mut self, state: State, step: &Step<'_>) {
        self.is_initial = state == State::PreparingRebalance && self.state == State::Empty;
        self.state = state;
        self.since_ms = Some(step.now.wall_ms);
    }

    /// Whether all members have joined, and nobody is waited for.
    fn all_have_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    /// How long members may take to join again, in milliseconds: as long as the slowest.
    pub(crate) fn rebalance_timeout_ms(&self) -> u64 {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        u64::try_from(longest.unwrap_or(0)).unwrap_or(0)
    }

    /// Adds a member, in what concerns no call of it.
    pub(crate) fn add(&mut self, id: &str, member: Member) {
        if let Some(instance) = &member.instance_id {
            let before = self.statics.insert(instance.clone(), id.to_owned());
            assert!(before.is_none(), "two members of a group never have one instance id");
        }
        self.leader.get_or_insert_with(|| id.to_owned());
        self.count(&member);
        self.members_due_ms = self.members_due_ms.min(member.deadline_ms);
        self.pending.remove(id);
        let before = self.members.insert(id.to_owned(), member);
        assert!(before.is_none(), "two members of a group never have one id");
    }

    fn count(&mut self, member: &Member) {
        for protocol in &member.protocols {
            *self.supported.entry(protocol.name.clone()).or_default() += 1;
        }
        self.joining += usize::from(member.joining.is_some());
        self.must_sync += usize::from(member.must_sync);
        self.bytes += member.bytes();
    }

    fn discount(&mut self, member: &Member) {
        for protocol in &member.protocols {
            let count = self.supported.get_mut(&protocol.name).expect("it was counted when the member came");
            *count -= 1;
            if *count == 0 {
                self.supported.remove(&protocol.name);
            }
        }
        self.joining -= usize::from(member.joining.is_some());
        self.must_sync -= usize::from(member.must_sync);
        self.bytes -= member.bytes();
    }

    /// Takes a member out, who is to be answered elsewhere. Another becomes the leader if it was.
    fn take_out(&mut self, id: &str) -> Option<Member> {
        self.pending.remove(id);
        let member = self.members.remove(id)?;
        self.discount(&member);
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Removes a member; what it waits for is answered with `error`.
    fn remove(&mut self, id: &str, error: ErrorCode, step: &mut Step<'_>) {
        if let Some(mut member) = self.take_out(id) {
            Self::end_calls(&mut member, "", error, step);
        }
    }

    /// Answers what a member that is not counted any more waits for with an error. `join_id` is the id that it is told.
    fn end_calls(member: &mut Member, join_id: &str, error: ErrorCode, step: &mut Step<'_>) {
        if let Some(call) = member.joining.take() {
            step.answer(call, join_error(join_id, error));
        }
        if let Some(call) = member.syncing.take() {
            step.answer(call, sync_error(error));
        }
    }

    /// Changes a member, and keeps what is counted of it.
    fn change<T>(&mut self, id: &str, change: impl FnOnce(&mut Member) -> T) -> T {
        let mut member = self.members.remove(id).expect("only members are changed");
        self.discount(&member);
        let result = change(&mut member);
        self.count(&member);
        self.members_due_ms = self.members_due_ms.min(member.deadline_ms);
        self.members.insert(id.to_owned(), member);
        result
    }

    /// Parks the JoinGroup of a member. An older one, which it does not wait for any more, is ended.
    fn park_join(&mut self, id: &str, call: CallId, step: &mut Step<'_>) {
        let member = self.members.get_mut(id).expect("only members are parked");
        match member.joining.replace(call) {
            Some(older) => step.answer(older, join_error(id, ErrorCode::RebalanceInProgress)),
            None => self.joining += 1,
        }
    }

    /// Whether a request comes from a member, and from the one that now has the instance id.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if current != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Whether offsets may be committed by whoever says that he is `by`; it counts as a heartbeat.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn check_commit(&mut self, by: &Committer<'_>, step: &Step<'_>) -> Result<(), ErrorCode> {
        if by.generation < 0 && self.is_empty() {
            return Ok(());
        }
        if by.generation >= 0 || !by.member_id.is_empty() || by.instance_id.is_some() {
            self.check_member(by.member_id, by.instance_id)?;
            if by.generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !by.is_transactional {
            return Err(ErrorCode::UnknownMemberId);
        }
        if by.is_transactional {
            return Ok(());
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        if self.members.contains_key(by.member_id) {
            self.heard_from(by.member_id, step);
        }
        Ok(())
    }

    /// The session of a member begins anew.
    pub(crate) fn heard_from(&mut self, id: &str, step: &Step<'_>) {
        let member = self.members.get_mut(id).expect("only members are heard from");
        member.seen(step.now.clock_ms);
        self.members_due_ms = self.members_due_ms.min(member.deadline_ms);
    }

    /// Whether members read the topic. It is not known of members whose subscriptions the broker cannot read.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.protocol_type.as_deref() == Some(CONSUMER),
        }
    }
}

/// The answer to a JoinGroup that is refused.
pub(crate) fn join_error(member_id: &str, error: ErrorCode) -> Response<'static> {
    Response::JoinGroup(JoinGroupResponse {
        error_code: error as i16,
        member_id: member_id.to_owned().into(),
        ..Default::default()
    })
}

/// The answer to a SyncGroup that is refused.
pub(crate) fn sync_error(error: ErrorCode) -> Response<'static> {
    Response::SyncGroup(SyncGroupResponse { error_code: error as i16, ..Default::default() })
}
