//! What a group looks like to those who ask.

use ringmail_kafka::messages::group_admin::{
    DescribedAssignment, DescribedConsumerGroup, DescribedConsumerGroupMember, DescribedTopicPartitions,
};

use super::partitions::to_lists;
use super::{Assignor, ConsumerGroup, Member, MemberId, MemberState, Partitions};
use crate::machine::Topics;

/// What kind of group it is, in Kafka's words.
pub const GROUP_TYPE: &str = "Consumer";
/// What its members say to one another, in Kafka's words.
pub const PROTOCOL_TYPE: &str = "consumer";

const MEMBER_OF_CLASSIC: i8 = 0;
const MEMBER_OF_CONSUMER: i8 = 1;

impl ConsumerGroup {
    /// How things are with the group, in Kafka's words.
    pub fn state_name(&self) -> &'static str {
        let target_epoch = self.state.target_epoch;
        let is_done = |member: &Member| {
            member.current.state == MemberState::Stable && member.current.epoch == target_epoch
        };
        if self.state.members.is_empty() {
            "Empty"
        } else if self.state.epoch > target_epoch {
            "Assigning"
        } else if self.state.members.values().all(is_done) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The assignor that most members ask for.
    pub fn assignor(&self) -> Assignor {
        preferred(self.state.members.values().map(|member| member.about.assignor.as_deref()))
    }

    /// All about the group. Topics that are gone have no name, and are left out.
    pub fn describe(&self, topics: &dyn Topics) -> DescribedConsumerGroup<'static> {
        DescribedConsumerGroup {
            group_id: self.name.clone().into(),
            group_state: self.state_name().into(),
            group_epoch: self.state.epoch,
            assignment_epoch: self.state.target_epoch,
            assignor_name: self.assignor().name().into(),
            members: self.state.members.iter().map(|(id, m)| self.describe_member(id, m, topics)).collect(),
            ..Default::default()
        }
    }

    fn describe_member(
        &self,
        id: &MemberId,
        member: &Member,
        topics: &dyn Topics,
    ) -> DescribedConsumerGroupMember<'static> {
        let Member { about, current } = member;
        DescribedConsumerGroupMember {
            member_id: id.to_string().into(),
            instance_id: about.instance_id.clone().map(Into::into),
            rack_id: about.rack_id.clone().map(Into::into),
            member_epoch: current.epoch,
            client_id: about.client_id.clone().into(),
            client_host: about.client_host.clone().into(),
            subscribed_topic_names: about.names.iter().cloned().map(Into::into).collect(),
            subscribed_topic_regex: about.pattern.clone().map(Into::into),
            assignment: describe_partitions(&current.assigned, topics),
            target_assignment: self
                .state
                .targets
                .get(id)
                .map(|target| describe_partitions(target, topics))
                .unwrap_or_default(),
            member_type: if about.classic.is_some() { MEMBER_OF_CLASSIC } else { MEMBER_OF_CONSUMER },
        }
    }
}

/// What most of these ask for; of those that equally many ask for, the first.
pub(super) fn preferred<'a>(wishes: impl Iterator<Item = Option<&'a str>>) -> Assignor {
    let mut votes = Assignor::ALL.map(|assignor| (assignor, 0));
    for wish in wishes.flatten() {
        votes.iter_mut().filter(|(assignor, _)| assignor.name() == wish).for_each(|(_, votes)| *votes += 1);
    }
    let [first, rest @ ..] = votes;
    rest.into_iter().fold(first, |best, next| if next.1 > best.1 { next } else { best }).0
}

fn describe_partitions(partitions: &Partitions, topics: &dyn Topics) -> DescribedAssignment<'static> {
    let lists = to_lists(partitions).into_iter().filter_map(|list| {
        let topic_name = topics.name(list.topic_id)?.to_owned().into();
        Some(DescribedTopicPartitions { topic_id: list.topic_id, topic_name, partitions: list.partitions })
    });
    DescribedAssignment { topic_partitions: lists.collect() }
}
