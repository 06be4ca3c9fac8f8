//! Groups of both protocols beside each other: lists, deletion, and one that becomes the other.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::group_admin::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest, ListedGroup,
};
use ringmail_kafka::messages::groups::{
    JoinGroupProtocol, JoinGroupRequest, LeaveGroupRequest, LeavingMember,
};
use ringmail_kafka::messages::{Request, Response};

use crate::harness::{Client, Host, refused};

pub fn delete(host: &mut Host) -> i16 {
    let request = DeleteGroupsRequest { groups_names: vec!["g".into()] };
    match host.call(2, Request::DeleteGroups(request)) {
        Response::DeleteGroups(answer) => answer.results[0].error_code,
        other => panic!("{other:?}"),
    }
}

pub fn list(host: &mut Host, states: &[&'static str], types: &[&'static str]) -> Vec<ListedGroup<'static>> {
    let request = ListGroupsRequest {
        states_filter: states.iter().map(|&state| state.into()).collect(),
        types_filter: types.iter().map(|&name| name.into()).collect(),
    };
    match host.call(5, Request::ListGroups(request)) {
        Response::ListGroups(answer) => answer.groups,
        other => panic!("{other:?}"),
    }
}

fn one_member(host: &mut Host) -> Client {
    host.topics.create("a", 1);
    let mut client = Client::new("m1", &["a"]);
    client.join(host).expect("joins");
    client
}

#[test]
fn groups_are_listed_with_their_type() {
    let mut host = Host::new();
    one_member(&mut host);
    let [group] = &list(&mut host, &[], &["consumer"])[..] else { panic!("one group") };
    assert_eq!((&*group.group_id, &*group.protocol_type), ("g", "consumer"));
    assert_eq!((&*group.group_state, &*group.group_type), ("Stable", "Consumer"));
    assert_eq!(list(&mut host, &["stable"], &[]).len(), 1);
    assert!(list(&mut host, &["Empty"], &[]).is_empty());
    assert!(list(&mut host, &[], &["classic"]).is_empty());
}

#[test]
fn only_a_group_without_members_is_deleted() {
    let mut host = Host::new();
    let mut client = Client { pattern: Some("a".into()), ..one_member(&mut host) };
    client.resync = true;
    client.beat(&mut host).expect("stays");
    assert_eq!(delete(&mut host), ErrorCode::NonEmptyGroup as i16);
    client.leave(&mut host, -1).expect("leaves");
    host.restart();
    assert_eq!(host.state(), "Empty", "its offsets outlive its members");

    assert_eq!(delete(&mut host), ErrorCode::None as i16);
    assert!(host.stored().is_empty());
    host.restart();
    assert_eq!(delete(&mut host), ErrorCode::GroupIdNotFound as i16);
    client.epoch = 1;
    refused(client.ping(&mut host), ErrorCode::GroupIdNotFound);
}

#[test]
fn a_group_is_described_as_what_it_is() {
    let mut host = Host::new();
    one_member(&mut host);
    let request = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
    let Response::DescribeGroups(answer) = host.call(6, Request::DescribeGroups(request)) else { panic!() };
    assert_eq!(answer.groups[0].error_code, ErrorCode::GroupIdNotFound as i16);
    let request = ConsumerGroupDescribeRequest { group_ids: vec!["h".into()], ..Default::default() };
    let Response::ConsumerGroupDescribe(answer) = host.call(1, Request::ConsumerGroupDescribe(request))
    else {
        panic!()
    };
    assert_eq!(answer.groups[0].error_code, ErrorCode::GroupIdNotFound as i16);
    assert_eq!(answer.groups[0].group_id, "h");
}

/// A member of the classic protocol that is alone.
fn join_classic(host: &mut Host) -> String {
    let protocol = JoinGroupProtocol { name: "range".into(), metadata: vec![0, 0, 0, 0, 0, 0].into() };
    let request = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let Response::JoinGroup(answer) = host.call(3, Request::JoinGroup(request.clone())) else { panic!() };
    assert_eq!(answer.error_code, ErrorCode::CoordinatorLoadInProgress as i16, "it is to come again");
    let call = host.ask(3, Request::JoinGroup(request));
    host.pass(5_000);
    let Some(Response::JoinGroup(answer)) = host.answer(call) else { panic!("an answer") };
    assert_eq!(answer.error_code, 0);
    answer.member_id.into_owned()
}

fn leave_classic(host: &mut Host, member_id: String) {
    let member = LeavingMember { member_id: member_id.into(), ..Default::default() };
    let request = LeaveGroupRequest { group_id: "g".into(), members: vec![member], ..Default::default() };
    let Response::LeaveGroup(answer) = host.call(4, Request::LeaveGroup(request)) else { panic!() };
    assert_eq!((answer.error_code, answer.members[0].error_code), (0, 0));
}

#[test]
fn a_group_without_members_becomes_what_the_next_member_wants() {
    let mut host = Host::new();
    let mut client = one_member(&mut host);
    for _ in 0..3 {
        client.leave(&mut host, -1).expect("leaves");
        let member = join_classic(&mut host);
        assert_eq!(host.describe().error_code, ErrorCode::GroupIdNotFound as i16);
        assert_eq!(list(&mut host, &[], &["classic"]).len(), 1);
        leave_classic(&mut host, member);
        host.pass(1_000);
        host.restart();

        client.join(&mut host).expect("joins");
        assert_eq!(host.state(), "Stable");
        assert_eq!(list(&mut host, &[], &[]).len(), 1);
        host.restart();
    }
}
