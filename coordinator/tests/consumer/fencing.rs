//! Who is not heard of goes; who is behind commits nothing.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::offsets::{
    OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic, OffsetFetchGroup, OffsetFetchRequest,
};
use ringmail_kafka::messages::transactions::{
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitTopic,
};
use ringmail_kafka::messages::{Request, Response};

use crate::harness::{Client, Host, refused};

#[test]
fn a_silent_member_is_taken_out_after_its_session() {
    let mut host = Host::new();
    host.topics.create("a", 2);
    let (mut one, mut two) = (Client::new("m1", &["a"]), Client::new("m2", &["a"]));
    one.join(&mut host).expect("joins");
    two.join(&mut host).expect("joins");
    host.settle(&mut [&mut one, &mut two]);
    for _ in 0..4 {
        host.pass(10_000);
        two.ping(&mut host).expect("stays");
    }
    assert_eq!(host.members().len(), 2);
    host.pass(5_000);
    assert_eq!(host.members().len(), 1);
    assert_eq!(host.state(), "Assigning");
    host.settle(&mut [&mut two]);
    assert_eq!(two.owned.len(), 2);
    refused(one.ping(&mut host), ErrorCode::UnknownMemberId);
}

#[test]
fn after_a_restart_all_have_a_session_to_be_heard_of() {
    let mut host = Host::new();
    host.topics.create("a", 2);
    let mut one = Client::new("m1", &["a"]);
    one.join(&mut host).expect("joins");
    host.pass(40_000);
    host.restart();
    host.pass(40_000);
    one.ping(&mut host).expect("stays");
    host.pass(46_000);
    assert!(host.members().is_empty());
}

/// The code that a commit of offset 7 of partition 0 of topic a is answered with.
fn commit(host: &mut Host, member_id: &'static str, epoch: i32, version: i16) -> i16 {
    let topic = OffsetCommitTopic {
        name: "a".into(),
        partitions: vec![OffsetCommitPartition { committed_offset: 7, ..Default::default() }],
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: epoch,
        member_id: member_id.into(),
        topics: vec![topic],
        ..Default::default()
    };
    match host.call(version, Request::OffsetCommit(request)) {
        Response::OffsetCommit(answer) => answer.topics[0].partitions[0].error_code,
        other => panic!("{other:?}"),
    }
}

/// The same in a transaction.
fn commit_in_transaction(host: &mut Host, member_id: &'static str, epoch: i32) -> i16 {
    let partition = TxnOffsetCommitPartition { committed_offset: 7, ..Default::default() };
    let request = TxnOffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: epoch,
        member_id: member_id.into(),
        topics: vec![TxnOffsetCommitTopic { name: "a".into(), partitions: vec![partition] }],
        ..Default::default()
    };
    match host.call(3, Request::TxnOffsetCommit(request)) {
        Response::TxnOffsetCommit(answer) => answer.topics[0].partitions[0].error_code,
        other => panic!("{other:?}"),
    }
}

fn fetch(host: &mut Host, member_id: Option<&'static str>, epoch: i32) -> i16 {
    let group = OffsetFetchGroup {
        group_id: "g".into(),
        member_id: member_id.map(Into::into),
        member_epoch: epoch,
        topics: None,
    };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    match host.call(9, Request::OffsetFetch(request)) {
        Response::OffsetFetch(answer) => answer.groups[0].error_code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn offsets_are_for_members_at_their_epoch() {
    let mut host = Host::new();
    host.topics.create("a", 1);
    let (fine, stale) = (ErrorCode::None as i16, ErrorCode::StaleMemberEpoch as i16);
    let unknown = ErrorCode::UnknownMemberId as i16;
    assert_eq!(commit(&mut host, "", -1, 2), fine, "of a group without members anybody may commit");

    let mut client = Client::new("m1", &["a"]);
    client.join(&mut host).expect("joins");
    assert_eq!(commit(&mut host, "m1", 1, 9), fine);
    assert_eq!(commit(&mut host, "m1", 0, 9), stale);
    assert_eq!(commit(&mut host, "m1", 2, 9), stale);
    assert_eq!(commit(&mut host, "m1", 1, 8), ErrorCode::UnsupportedVersion as i16);
    assert_eq!(commit(&mut host, "m2", 1, 9), unknown);
    assert_eq!(commit(&mut host, "", -1, 9), unknown);
    assert_eq!(commit_in_transaction(&mut host, "m1", 5), stale);

    assert_eq!(fetch(&mut host, None, -1), fine);
    assert_eq!(fetch(&mut host, Some(""), -1), fine);
    assert_eq!(fetch(&mut host, Some("m1"), 1), fine);
    assert_eq!(fetch(&mut host, Some("m1"), 2), stale);
    assert_eq!(fetch(&mut host, Some("m2"), 1), unknown);
    assert_eq!(fetch(&mut host, None, 1), unknown);
}

#[test]
fn a_transaction_need_not_say_whose_offsets_it_commits() {
    let mut host = Host::new();
    host.topics.create("a", 1);
    Client::new("m1", &["a"]).join(&mut host).expect("joins");
    assert_eq!(commit_in_transaction(&mut host, "", -1), 0);
}
