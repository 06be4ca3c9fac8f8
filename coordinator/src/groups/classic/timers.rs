//! What becomes of a group as time passes.

use ringmail_kafka::error::ErrorCode;

use super::{ClassicGroup, NEVER, State};
use crate::groups::step::Step;

impl ClassicGroup {
    /// When something may be due: not later than it is.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let members = Some(self.members_due_ms).filter(|&at| at != NEVER);
        let join = self.join_timer.map(super::JoinTimer::at_ms);
        let pending = self.pending.values().min().copied();
        [members, join, pending, self.sync_deadline_ms].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, step: &mut Step<'_>) {
        let now = step.now.clock_ms;
        if let Some(timer) = self.join_timer.filter(|timer| timer.at_ms() <= now) {
            self.join_timer = None;
            self.join_is_due(timer, step);
        }
        if self.sync_deadline_ms.is_some_and(|at| at <= now) {
            self.sync_is_due(step);
        }
        if self.members_due_ms <= now {
            self.end_sessions(step);
        }
        if self.pending.values().any(|&at| at <= now) {
            self.pending.retain(|_, at| *at > now);
            self.maybe_complete_join(step);
        }
    }

    /// Removes members that have not been heard of for the time of their sessions.
    fn end_sessions(&mut self, step: &mut Step<'_>) {
        let now = step.now.clock_ms;
        let mut dead = Vec::new();
        for (id, member) in &mut self.members {
            if member.deadline_ms > now {
                continue;
            }
            if member.is_kept_waiting() {
                // Its time begins when it has its answer.
                member.deadline_ms = NEVER;
            } else {
                dead.push(id.clone());
            }
        }
        self.members_due_ms = self.members.values().map(|member| member.deadline_ms).min().unwrap_or(NEVER);
        if dead.is_empty() {
            return;
        }
        for id in dead {
            self.remove(&id, ErrorCode::UnknownMemberId, step);
        }
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(step),
            State::PreparingRebalance => self.maybe_complete_join(step),
            State::Empty => {}
        }
        self.members_due_ms = self.members.values().map(|member| member.deadline_ms).min().unwrap_or(NEVER);
    }

    /// The sessions of all members begin anew, after a restart; those that are too many have to go.
    pub(crate) fn start_sessions(&mut self, step: &mut Step<'_>) {
        self.members.values_mut().for_each(|member| member.seen(step.now.clock_ms));
        self.members_due_ms = self.members.values().map(|member| member.deadline_ms).min().unwrap_or(NEVER);
        if self.members.len() > step.settings.max_members() {
            self.prepare_rebalance(step);
        }
    }
}
