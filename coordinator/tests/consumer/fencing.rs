//! Who is not heard of goes; who is behind commits nothing.

use ringmail_kafka::error::ErrorCode;

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
    assert_eq!(host.group.state().members.len(), 2);
    host.pass(5_000);
    assert_eq!(host.group.state().members.len(), 1);
    assert_eq!(host.group.state_name(), "Assigning");
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
    assert!(host.group.state().members.is_empty());
}

#[test]
fn offsets_are_for_members_at_their_epoch() {
    let mut host = Host::new();
    host.topics.create("a", 1);
    let commit =
        |host: &Host, id: &str, epoch, version| host.group.check_commit(id, None, epoch, version, false);
    assert_eq!(commit(&host, "", -1, 2), Ok(()), "of an empty group anybody may commit");

    let mut client = Client::new("m1", &["a"]);
    client.join(&mut host).expect("joins");
    assert_eq!(commit(&host, "m1", 1, 9), Ok(()));
    assert_eq!(commit(&host, "m1", 0, 9), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(commit(&host, "m1", 2, 9), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(commit(&host, "m1", 1, 8), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(commit(&host, "m2", 1, 9), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&host, "", -1, 9), Err(ErrorCode::UnknownMemberId));
    assert_eq!(
        host.group.check_commit("", None, -1, 3, true),
        Ok(()),
        "a transaction need not say whose it is"
    );
    assert_eq!(host.group.check_commit("m1", None, 5, 3, true), Err(ErrorCode::StaleMemberEpoch));

    let fetch = |id, epoch| host.group.check_fetch(id, epoch);
    assert_eq!(fetch(None, -1), Ok(()));
    assert_eq!(fetch(Some(""), -1), Ok(()));
    assert_eq!(fetch(Some("m1"), 1), Ok(()));
    assert_eq!(fetch(Some("m1"), 2), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(fetch(Some("m2"), 1), Err(ErrorCode::UnknownMemberId));
    assert_eq!(fetch(None, 1), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn only_an_empty_group_can_be_deleted() {
    let mut host = Host::new();
    host.topics.create("a", 1);
    let mut client = Client::new("m1", &["a"]);
    client.join(&mut host).expect("joins");
    assert_eq!(host.group.check_delete(), Err(ErrorCode::NonEmptyGroup));
    assert!(host.group.wants("a") && !host.group.wants("b"));
    client.leave(&mut host, -1).expect("leaves");
    assert_eq!(host.group.check_delete(), Ok(()));
    assert!(!host.group.is_gone(), "its offsets outlive its members");
}
