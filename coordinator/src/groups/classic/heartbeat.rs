//! Heartbeat.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::groups::HeartbeatRequest;

use super::{ClassicGroup, State};
use crate::groups::step::Step;

impl ClassicGroup {
    /// What a member is told that says that it is there.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest<'_>, step: &Step<'_>) -> ErrorCode {
        if let Err(error) = self.check_member(&request.member_id, request.group_instance_id.as_deref()) {
            return error;
        }
        if request.generation_id != self.generation {
            return ErrorCode::IllegalGeneration;
        }
        self.heard_from(&request.member_id, step);
        match self.state {
            State::Empty => ErrorCode::UnknownMemberId,
            State::PreparingRebalance => ErrorCode::RebalanceInProgress,
            State::CompletingRebalance | State::Stable => ErrorCode::None,
        }
    }
}
