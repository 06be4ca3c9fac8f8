//! What groups there are and what they look like, and how they are deleted.

use ringmail_coordinator::machine::WriteError;
use ringmail_kafka::error::ErrorCode::{self, *};
use ringmail_kafka::messages::group_admin::*;
use ringmail_kafka::messages::offsets::{OffsetDeleteRequest, OffsetDeleteTopic};
use ringmail_kafka::messages::{Request, Response};

use super::client::*;
use super::host::*;

fn list(host: &mut Host, states: &[&str], types: &[&str]) -> Vec<(String, String, String)> {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned().into()).collect();
    let request = ListGroupsRequest { states_filter: names(states), types_filter: names(types) };
    let Response::ListGroups(answer) = host.ask(5, &Request::ListGroups(request)) else { panic!() };
    assert_eq!(answer.error_code, 0);
    let groups = answer.groups.into_iter().map(|group| {
        assert_eq!(group.group_type, "Classic");
        (group.group_id.into_owned(), group.group_state.into_owned(), group.protocol_type.into_owned())
    });
    groups.collect()
}

fn describe(host: &mut Host, version: i16, group: &str) -> DescribedGroup<'static> {
    let request = DescribeGroupsRequest { groups: vec![group.to_owned().into()], ..Default::default() };
    let Response::DescribeGroups(answer) = host.ask(version, &Request::DescribeGroups(request)) else {
        panic!()
    };
    answer.groups[0].clone()
}

fn delete(host: &mut Host, groups: &[&str]) -> Vec<ErrorCode> {
    let groups_names = groups.iter().map(|&name| name.to_owned().into()).collect();
    let request = Request::DeleteGroups(DeleteGroupsRequest { groups_names });
    let Response::DeleteGroups(answer) = host.ask(2, &request) else { panic!() };
    assert!(answer.results.iter().zip(groups).all(|(result, group)| result.group_id == *group));
    answer.results.iter().map(|result| error(result.error_code)).collect()
}

fn delete_offset(host: &mut Host, group: &str, topic: &str) -> Result<ErrorCode, ErrorCode> {
    let request = Request::OffsetDelete(OffsetDeleteRequest {
        group_id: group.into(),
        topics: vec![OffsetDeleteTopic { name: topic.into(), partitions: vec![0] }],
    });
    let Response::OffsetDelete(answer) = host.ask(0, &request) else { panic!() };
    match error(answer.error_code) {
        None => Ok(error(answer.topics[0].partitions[0].error_code)),
        refused => Err(refused),
    }
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut host = Host::new();
    stable(&mut host, "busy", 1);
    commit(&mut host, "simple", NOBODY, "a", 0, 1);
    let row = |id: &str, state: &str, kind: &str| (id.to_owned(), state.to_owned(), kind.to_owned());
    let (busy, simple) = (row("busy", "Stable", "consumer"), row("simple", "Empty", ""));
    assert_eq!(list(&mut host, &[], &[]), [busy.clone(), simple.clone()]);
    assert_eq!(list(&mut host, &["stable", "Dead"], &[]), [busy]);
    assert_eq!(list(&mut host, &["Empty"], &["classic"]), [simple]);
    assert_eq!(list(&mut host, &[], &["consumer"]), []);
}

#[test]
fn a_group_is_described_with_what_its_members_said_and_got() {
    let mut host = Host::new();
    let members = stable_of(&mut host, vec![Joiner::new("g").instance("i"), Joiner::new("g")]);
    let group = describe(&mut host, 6, "g");
    assert_eq!((group.error_code, &*group.group_state, &*group.protocol_type), (0, "Stable", "consumer"));
    assert_eq!(group.protocol_data, "range");
    assert_eq!(group.members.len(), 2);
    for described in &group.members {
        let (joiner, member) = members.iter().find(|(_, m)| m.id == described.member_id).expect("a member");
        assert_eq!(described.group_instance_id.as_deref(), joiner.instance.as_deref());
        assert_eq!((&*described.client_id, &*described.client_host), ("client", "/127.0.0.1"));
        assert_eq!(described.member_metadata, subscription(&["a"]));
        assert_eq!(described.member_assignment, member.id.as_bytes());
    }
    Joiner::new("g").join(&mut host);
    let group = describe(&mut host, 6, "g");
    assert_eq!((&*group.group_state, &*group.protocol_data), ("PreparingRebalance", ""));
    assert!(group.members.iter().all(|member| member.member_metadata.is_empty()));
}

#[test]
fn a_group_that_does_not_exist_is_dead() {
    let mut host = Host::new();
    let old = describe(&mut host, 5, "nowhere");
    assert_eq!((error(old.error_code), &*old.group_state), (None, "Dead"));
    let new = describe(&mut host, 6, "nowhere");
    assert_eq!((error(new.error_code), &*new.group_state), (GroupIdNotFound, "Dead"));
    assert!(new.error_message.is_some());
    assert_eq!(error(describe(&mut host, 6, "").error_code), InvalidGroupId);
}

#[test]
fn only_groups_without_members_are_deleted_and_their_offsets_with_them() {
    let mut host = Host::new();
    let members = stable(&mut host, "busy", 1);
    commit(&mut host, "simple", NOBODY, "a", 0, 1);
    let errors = delete(&mut host, &["busy", "simple", "nowhere", ""]);
    assert_eq!(errors, [NonEmptyGroup, None, GroupIdNotFound, InvalidGroupId]);
    for _ in 0..2 {
        assert_eq!(position(&mut host, "simple", "a"), -1);
        assert_eq!(describe(&mut host, 5, "simple").group_state, "Dead");
        assert_eq!(members[0].1.heartbeat(&mut host), None);
        host.restart();
    }
    members[0].1.leave(&mut host);
    assert_eq!(delete(&mut host, &["busy", "busy"]), [None, GroupIdNotFound]);
    assert_eq!(list(&mut host, &[], &[]), []);
}

#[test]
fn a_group_with_more_offsets_than_fit_into_a_batch_is_deleted_whole() {
    let mut host = Host::new();
    let wide = "w".repeat(249);
    host.create_topic(&wide, 5000);
    for partition in 0..5000 {
        assert_eq!(commit(&mut host, "g", NOBODY, &wide, partition, 7), None);
    }
    let before = host.records().len();
    assert_eq!(delete(&mut host, &["g"]), [None]);
    assert_eq!(host.records().len(), before + 5001);
    host.restart();
    assert_eq!(list(&mut host, &[], &[]), []);
    assert_eq!(fetch(&mut host, "g", &wide, 4999).committed_offset, -1);
}

#[test]
fn a_group_that_cannot_be_deleted_now_stays() {
    let mut host = Host::new();
    commit(&mut host, "g", NOBODY, "a", 0, 1);
    host.refuse = Some(WriteError::Unavailable);
    assert_eq!(delete(&mut host, &["g"]), [CoordinatorNotAvailable]);
    assert_eq!(delete_offset(&mut host, "g", "a"), Err(CoordinatorNotAvailable));
    host.refuse = Option::None;
    assert_eq!(position(&mut host, "g", "a"), 1);
}

#[test]
fn offsets_are_deleted_that_nobody_reads() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    members[0].1.commit(&mut host, "a", 0, 1);
    members[0].1.commit(&mut host, "b", 0, 2);
    assert_eq!(delete_offset(&mut host, "g", "a"), Ok(GroupSubscribedToTopic));
    assert_eq!(delete_offset(&mut host, "g", "b"), Ok(None));
    assert_eq!(delete_offset(&mut host, "g", "b"), Ok(None), "there is nothing to delete");
    assert_eq!(delete_offset(&mut host, "g", "nowhere"), Ok(UnknownTopicOrPartition));
    assert_eq!(delete_offset(&mut host, "nowhere", "a"), Err(GroupIdNotFound));
    assert_eq!(delete_offset(&mut host, "", "a"), Err(InvalidGroupId));
    for _ in 0..2 {
        assert_eq!((position(&mut host, "g", "a"), position(&mut host, "g", "b")), (1, -1));
        host.restart();
    }
    members[0].1.leave(&mut host);
    assert_eq!(delete_offset(&mut host, "g", "a"), Ok(None));
}

#[test]
fn of_what_other_members_than_consumers_read_nothing_is_known() {
    let mut host = Host::new();
    let mut joiner = Joiner { protocol_type: "connect".into(), ..Joiner::new("g") };
    joiner.join(&mut host);
    assert_eq!(delete_offset(&mut host, "g", "a"), Err(NonEmptyGroup));
}
