//! ListGroups and DescribeGroups.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::group_admin::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, ListGroupsRequest, ListGroupsResponse,
};

use super::Groups;
use super::group::Group;

/// The version from which on it is said that a group does not exist.
const KNOWS_MISSING_GROUPS: i16 = 6;

fn passes(filter: &[std::borrow::Cow<'_, str>], value: &str) -> bool {
    filter.is_empty() || filter.iter().any(|allowed| allowed.eq_ignore_ascii_case(value))
}

impl Groups {
    pub(super) fn list_groups(&self, request: &ListGroupsRequest<'_>) -> Response<'static> {
        let all = self.directory.iter().map(|(_, group)| group.list());
        let chosen = all.filter(|group| {
            passes(&request.states_filter, &group.group_state)
                && passes(&request.types_filter, &group.group_type)
        });
        Response::ListGroups(ListGroupsResponse { groups: chosen.collect(), ..Default::default() })
    }

    pub(super) fn describe_groups(
        &self,
        version: i16,
        request: &DescribeGroupsRequest<'_>,
    ) -> Response<'static> {
        let groups = request.groups.iter().map(|id| self.describe_group(version, id)).collect();
        Response::DescribeGroups(DescribeGroupsResponse { groups, ..Default::default() })
    }

    fn describe_group(&self, version: i16, id: &str) -> DescribedGroup<'static> {
        let refused = |error: ErrorCode, message: Option<String>| DescribedGroup {
            error_code: error as i16,
            error_message: message.map(Into::into),
            group_id: id.to_owned().into(),
            group_state: "Dead".into(),
            ..Default::default()
        };
        if id.is_empty() {
            return DescribedGroup { group_state: "".into(), ..refused(ErrorCode::InvalidGroupId, None) };
        }
        match self.directory.get(id) {
            Some(Group::Classic(group)) => group.describe(),
            _ if version < KNOWS_MISSING_GROUPS => refused(ErrorCode::None, None),
            Some(Group::Consumer(_)) => {
                refused(ErrorCode::GroupIdNotFound, Some(format!("Group {id} is not a classic group.")))
            }
            None => refused(ErrorCode::GroupIdNotFound, Some(format!("there is no group {id}"))),
        }
    }
}
