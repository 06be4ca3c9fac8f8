//! Static members: those that come back under the id that they have given themselves, and find their place kept.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;

use super::join::Joining;
use super::member::{Member, Protocol};
use super::{ClassicGroup, State, join_error};
use crate::groups::step::{Step, Then, refusal};
use crate::machine::{CallId, WriteError};

/// The version from which on a leader can be told to leave the assignment as it is.
const SKIPS_ASSIGNMENT: i16 = 9;

/// A static member that comes back into a stable group, which is told so once that is stored.
#[derive(Debug)]
pub(crate) struct Replacement {
    call: CallId,
    version: i16,
    generation: i32,
    old_id: String,
    new_id: String,
    member: Member,
}

impl ClassicGroup {
    /// A static member joins as a new one: it takes the place of the one that had its instance id.
    pub(super) fn replace_static(
        &mut self,
        old_id: &str,
        new_id: String,
        joining: Joining<'_>,
        step: &mut Step<'_>,
    ) {
        let mut member = self.members[old_id].clone();
        member.update(joining.call.version, joining.request);
        (member.joining, member.syncing, member.is_new) = (None, None, false);
        if self.state == State::Stable && self.keeps_protocol(old_id, &member.protocols) {
            let replacement = Replacement {
                call: joining.id(),
                version: joining.call.version,
                generation: self.generation,
                old_id: old_id.to_owned(),
                new_id,
                member,
            };
            let record = self.record_with(&replacement.old_id, &replacement.new_id, &replacement.member);
            let then = Then::Replaced { group: self.id.clone(), replacement: Box::new(replacement) };
            return step.write(vec![record], then);
        }
        self.put_in_place_of(old_id, &new_id, member, step);
        self.park_join(&new_id, joining.id(), step);
        if self.state == State::PreparingRebalance {
            self.maybe_complete_join(step);
        } else {
            // The leader may assign to the old id already: so it has to be told of the new one.
            self.prepare_rebalance(step);
        }
    }

    /// Whether the group would agree on the same assignor if a member had these.
    fn keeps_protocol(&mut self, id: &str, protocols: &[Protocol]) -> bool {
        let before = self.change(id, |member| std::mem::replace(&mut member.protocols, protocols.to_vec()));
        let selected = self.select_protocol();
        self.change(id, |member| member.protocols = before);
        selected == self.protocol
    }

    /// Whoever had the place is fenced.
    fn put_in_place_of(&mut self, old_id: &str, new_id: &str, member: Member, step: &mut Step<'_>) {
        let was_leader = self.is_leader(old_id);
        let mut old = self.take_out(old_id).expect("it was found by its instance id");
        Self::end_calls(&mut old, old_id, ErrorCode::FencedInstanceId, step);
        self.add(new_id, member);
        if was_leader {
            self.leader = Some(new_id.to_owned());
        }
        self.heard_from(new_id, step);
    }

    /// The group is stored with the member under its new id, or could not be.
    pub(crate) fn replaced(
        &mut self,
        replacement: Replacement,
        result: Result<(), WriteError>,
        step: &mut Step<'_>,
    ) {
        let Replacement { call, version, generation, old_id, new_id, member } = replacement;
        if let Err(error) = result {
            return step.answer(call, join_error("", refusal(error)));
        }
        let is_current = self.state == State::Stable && self.generation == generation;
        if !is_current || !self.members.contains_key(&old_id) {
            return step.answer(call, join_error("", ErrorCode::UnknownMemberId));
        }
        let leader_before = self.leader.clone().unwrap_or_default();
        self.put_in_place_of(&old_id, &new_id, member, step);
        self.subscribed = self.read_subscriptions();
        let response = if version >= SKIPS_ASSIGNMENT {
            self.join_response(&new_id, self.is_leader(&new_id))
        } else {
            // An older client would assign if it saw that it leads: so it is told that the old id still does.
            let mut response = self.join_response(&new_id, false);
            response.members.clear();
            response.leader = leader_before.into();
            response
        };
        step.answer(call, Response::JoinGroup(response));
    }
}
