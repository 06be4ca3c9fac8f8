//! How a group gets from one generation to the next.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::groups::JoinGroupResponse;

use super::{ClassicGroup, State, sync_error};
use crate::groups::step::Step;

/// Until when members may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinTimer {
    /// The first members of a group wait for more, and again if more have come, `remaining_ms` at most.
    Initial { at_ms: u64, remaining_ms: u64 },
    /// Those of the last generation join again.
    Again { at_ms: u64 },
}

impl JoinTimer {
    pub(super) fn at_ms(self) -> u64 {
        match self {
            Self::Initial { at_ms, .. } | Self::Again { at_ms } => at_ms,
        }
    }
}

impl ClassicGroup {
    /// A member has come or changed: the group begins to agree anew, or may just have agreed.
    pub(super) fn rebalance_or_complete(&mut self, step: &mut Step<'_>) {
        if self.state == State::PreparingRebalance {
            self.maybe_complete_join(step);
        } else {
            self.prepare_rebalance(step);
        }
    }

    /// Has all members join again.
    pub(crate) fn prepare_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == State::CompletingRebalance {
            self.reset_assignments(ErrorCode::RebalanceInProgress, step);
        }
        self.end_sync();
        self.enter(State::PreparingRebalance, step);
        if self.is_initial {
            let delay = step.settings.group_initial_rebalance_delay_ms;
            self.more_came = false;
            self.join_timer = Some(JoinTimer::Initial {
                at_ms: step.now.clock_ms + delay,
                remaining_ms: self.rebalance_timeout_ms().saturating_sub(delay),
            });
        } else if self.all_have_joined() {
            self.complete_join(step);
        } else {
            self.wait_for_members(step);
        }
    }

    fn wait_for_members(&mut self, step: &Step<'_>) {
        let at_ms = step.now.clock_ms + self.rebalance_timeout_ms();
        self.join_timer = Some(JoinTimer::Again { at_ms });
    }

    /// Ends the joining once nobody is missing; the first members of a group wait in any case.
    pub(super) fn maybe_complete_join(&mut self, step: &mut Step<'_>) {
        if self.state == State::PreparingRebalance && !self.is_initial && self.all_have_joined() {
            self.complete_join(step);
        }
    }

    /// The time to join is over.
    pub(super) fn join_is_due(&mut self, timer: JoinTimer, step: &mut Step<'_>) {
        match timer {
            JoinTimer::Initial { remaining_ms, .. } if self.more_came && remaining_ms > 0 => {
                self.more_came = false;
                let delay = step.settings.group_initial_rebalance_delay_ms.min(remaining_ms);
                self.join_timer = Some(JoinTimer::Initial {
                    at_ms: step.now.clock_ms + delay,
                    remaining_ms: remaining_ms - delay,
                });
            }
            _ => self.complete_join(step),
        }
    }

    /// Goes on with those that have joined. Static members are given the time of their sessions to come back.
    fn complete_join(&mut self, step: &mut Step<'_>) {
        self.join_timer = None;
        let missing = |(_, m): &(&String, &super::Member)| m.joining.is_none() && m.instance_id.is_none();
        let missing: Vec<String> = self.members.iter().filter(missing).map(|(id, _)| id.clone()).collect();
        for id in missing {
            self.remove(&id, ErrorCode::UnknownMemberId, step);
        }
        if self.members.is_empty() {
            return self.become_empty(step);
        }
        if !self.elect_leader() {
            return self.wait_for_members(step);
        }
        self.next_generation();
        self.protocol = self.select_protocol();
        self.subscribed = self.read_subscriptions();
        self.enter(State::CompletingRebalance, step);
        self.answer_joins(step);
        self.sync_deadline_ms = Some(step.now.clock_ms + self.rebalance_timeout_ms());
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or(0);
    }

    fn become_empty(&mut self, step: &mut Step<'_>) {
        self.next_generation();
        self.protocol = None;
        self.leader = None;
        self.subscribed = self.read_subscriptions();
        self.enter(State::Empty, step);
        step.note(vec![self.record(|_, _| &[])]);
    }

    /// Makes one the leader that has joined, if the leader has not; whether there is one.
    fn elect_leader(&mut self) -> bool {
        let has_joined = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if !self.leader.as_ref().is_some_and(has_joined) {
            let joined = self.members.iter().find(|(_, member)| member.joining.is_some());
            let Some((id, _)) = joined else { return false };
            self.leader = Some(id.clone());
        }
        true
    }

    fn answer_joins(&mut self, step: &mut Step<'_>) {
        let leader = self.leader.clone().unwrap_or_default();
        let for_leader = self.join_response(&leader, false);
        let for_others = JoinGroupResponse { members: Vec::new(), ..for_leader.clone() };
        let mut for_leader = Some(for_leader);
        for (id, member) in &mut self.members {
            if let Some(call) = member.joining.take() {
                self.joining -= 1;
                let whole = if *id == leader { for_leader.take() } else { None };
                let mut response = whole.unwrap_or_else(|| for_others.clone());
                response.member_id = id.clone().into();
                step.answer(call, Response::JoinGroup(response));
            }
            member.is_new = false;
            member.seen(step.now.clock_ms);
            self.members_due_ms = self.members_due_ms.min(member.deadline_ms);
            if !member.must_sync {
                member.must_sync = true;
                self.must_sync += 1;
            }
        }
    }

    /// What a member is told of the generation; the leader hears of all members.
    pub(super) fn join_response(&self, id: &str, skip_assignment: bool) -> JoinGroupResponse<'static> {
        let protocol = self.protocol.as_deref();
        let members = if self.is_leader(id) {
            self.members.iter().map(|(id, member)| member.for_leader(id, protocol)).collect()
        } else {
            Vec::new()
        };
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone().map(Into::into),
            protocol_name: self.protocol.clone().map(Into::into),
            leader: self.leader.clone().unwrap_or_default().into(),
            skip_assignment,
            member_id: id.to_owned().into(),
            members,
            ..Default::default()
        }
    }

    /// Nobody has to sync any more.
    fn end_sync(&mut self) {
        self.sync_deadline_ms = None;
        if self.must_sync > 0 {
            self.members.values_mut().for_each(|member| member.must_sync = false);
            self.must_sync = 0;
        }
    }

    /// Takes all assignments back, and says why to those that wait for theirs.
    pub(super) fn reset_assignments(&mut self, error: ErrorCode, step: &mut Step<'_>) {
        for member in self.members.values_mut() {
            member.assignment.clear();
            if let Some(call) = member.syncing.take() {
                step.answer(call, sync_error(error));
                member.seen(step.now.clock_ms);
                self.members_due_ms = self.members_due_ms.min(member.deadline_ms);
            }
        }
    }

    /// Members that have joined, but never asked for their part, are removed.
    pub(super) fn sync_is_due(&mut self, step: &mut Step<'_>) {
        self.sync_deadline_ms = None;
        let late = self.members.iter().filter(|(_, member)| member.must_sync);
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        if late.is_empty() {
            return;
        }
        for id in late {
            self.remove(&id, ErrorCode::UnknownMemberId, step);
        }
        self.prepare_rebalance(step);
    }

    /// A member has asked for its part.
    pub(super) fn has_synced(&mut self, id: &str) {
        let member = self.members.get_mut(id).expect("it was checked that it is one");
        if std::mem::take(&mut member.must_sync) {
            self.must_sync -= 1;
        }
        if self.must_sync == 0 {
            self.sync_deadline_ms = None;
        }
    }
}
