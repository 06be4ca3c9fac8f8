//! LeaveGroup.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::groups::LeavingMember;

use super::{ClassicGroup, State};
use crate::groups::step::Step;

impl ClassicGroup {
    /// Removes members, and says of each what became of it.
    pub(crate) fn leave(&mut self, members: &[LeavingMember<'_>], step: &mut Step<'_>) -> Vec<ErrorCode> {
        let results: Vec<ErrorCode> = members.iter().map(|member| self.leave_one(member, step)).collect();
        if results.contains(&ErrorCode::None) {
            match self.state {
                State::Stable | State::CompletingRebalance => self.prepare_rebalance(step),
                State::PreparingRebalance => self.maybe_complete_join(step),
                State::Empty => {}
            }
        }
        results
    }

    fn leave_one(&mut self, leaving: &LeavingMember<'_>, step: &mut Step<'_>) -> ErrorCode {
        let id = &*leaving.member_id;
        let instance = leaving.group_instance_id.as_deref();
        // An administrator names a static member by the id that he knows.
        if id.is_empty() {
            let Some(id) = instance.and_then(|instance| self.statics.get(instance)).cloned() else {
                return ErrorCode::UnknownMemberId;
            };
            self.remove(&id, ErrorCode::UnknownMemberId, step);
            return ErrorCode::None;
        }
        if self.pending.remove(id).is_some() {
            return ErrorCode::None;
        }
        if let Err(error) = self.check_member(id, instance) {
            return error;
        }
        self.remove(id, ErrorCode::UnknownMemberId, step);
        ErrorCode::None
    }
}
