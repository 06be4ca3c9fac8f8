//! What a group looks like.

use ringmail_kafka::messages::group_admin::{DescribedGroup, DescribedGroupMember};

use super::{ClassicGroup, State};

impl ClassicGroup {
    /// The group, for DescribeGroups. What members tell an assignor is shown once they have agreed on one.
    pub(crate) fn describe(&self) -> DescribedGroup<'static> {
        let protocol = self.protocol.as_deref().filter(|_| self.state == State::Stable);
        let members = self.members.iter().map(|(id, member)| DescribedGroupMember {
            member_id: id.clone().into(),
            group_instance_id: member.instance_id.clone().map(Into::into),
            client_id: member.client_id.clone().into(),
            client_host: member.client_host.clone().into(),
            member_metadata: member.metadata(protocol).to_vec().into(),
            member_assignment: member.assignment.clone().into(),
        });
        DescribedGroup {
            group_id: self.id.clone().into(),
            group_state: self.state.name().into(),
            protocol_type: self.protocol_type.clone().unwrap_or_default().into(),
            protocol_data: protocol.unwrap_or_default().to_owned().into(),
            members: members.collect(),
            ..Default::default()
        }
    }
}
