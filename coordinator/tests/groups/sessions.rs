//! How members stay, and how they go.

use ringmail_kafka::error::ErrorCode::*;
use ringmail_kafka::messages::groups::{LeaveGroupRequest, LeavingMember};
use ringmail_kafka::messages::{Request, Response};

use super::client::*;
use super::host::*;

#[test]
fn who_is_silent_for_the_time_of_its_session_is_out() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 2);
    for _ in 0..4 {
        host.advance(5000);
        assert_ne!(members[0].1.heartbeat(&mut host), UnknownMemberId);
    }
    assert_eq!(members[1].1.heartbeat(&mut host), UnknownMemberId);
    assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
    let again = members[0].0.try_join(&mut host);
    assert_eq!(joined(&mut host, again).expect("it is the only one").generation_id, 2);
}

#[test]
fn a_session_ends_to_the_millisecond() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    assert_eq!(members[0].1.heartbeat(&mut host), None);
    host.advance(9999);
    assert_eq!(members[0].1.heartbeat(&mut host), None);
    host.advance(10_000);
    assert_eq!(members[0].1.heartbeat(&mut host), UnknownMemberId);
    assert_eq!(state(&mut host, "g"), ("Empty".into(), 0));
}

#[test]
fn a_commit_says_that_a_member_is_there() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    for offset in 0..5 {
        host.advance(9000);
        assert_eq!(members[0].1.commit(&mut host, "a", 0, offset), None);
    }
}

#[test]
fn heartbeats_that_mean_nothing_are_refused() {
    let mut host = Host::new();
    let (_, member) = stable(&mut host, "g", 1).remove(0);
    assert_eq!(Member { generation: 2, ..member.clone() }.heartbeat(&mut host), IllegalGeneration);
    assert_eq!(Member { id: "made-up".into(), ..member.clone() }.heartbeat(&mut host), UnknownMemberId);
    assert_eq!(Member { group: "other".into(), ..member.clone() }.heartbeat(&mut host), UnknownMemberId);
    assert_eq!(Member { group: String::new(), ..member }.heartbeat(&mut host), InvalidGroupId);
}

#[test]
fn who_leaves_is_out_at_once_and_the_rest_join_again() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 2);
    assert_eq!(members[0].1.leave(&mut host), None);
    assert_eq!(members[0].1.leave(&mut host), UnknownMemberId);
    assert_eq!(members[1].1.heartbeat(&mut host), RebalanceInProgress);
    let again = members[1].0.try_join(&mut host);
    assert_eq!(joined(&mut host, again).expect("it is the only one").leader, members[1].1.id);
}

#[test]
fn a_group_that_all_have_left_is_empty_and_begins_with_a_delay_again() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    assert_eq!(members[0].1.leave(&mut host), None);
    assert_eq!(state(&mut host, "g"), ("Empty".into(), 0));
    let call = Joiner::new("g").join(&mut host);
    host.advance(2999);
    assert!(joined(&mut host, call).is_none());
    host.advance(1);
    assert_eq!(joined(&mut host, call).expect("the delay is over").generation_id, 3);
}

#[test]
fn several_may_leave_at_once_and_old_clients_leave_alone() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 3);
    let old = LeaveGroupRequest {
        group_id: "g".into(),
        member_id: members[0].1.id.as_str().into(),
        ..Default::default()
    };
    for expected in [None, UnknownMemberId] {
        let Response::LeaveGroup(answer) = host.ask(2, &Request::LeaveGroup(old.clone())) else { panic!() };
        assert_eq!(error(answer.error_code), expected);
    }
    let leaving = |id: &str| LeavingMember { member_id: id.to_owned().into(), ..Default::default() };
    let new = LeaveGroupRequest {
        group_id: "g".into(),
        members: vec![leaving(&members[1].1.id), leaving("made-up"), leaving(&members[2].1.id)],
        ..Default::default()
    };
    let Response::LeaveGroup(answer) = host.ask(3, &Request::LeaveGroup(new)) else { panic!() };
    let errors: Vec<_> = answer.members.iter().map(|member| error(member.error_code)).collect();
    assert_eq!(errors, [None, UnknownMemberId, None]);
    assert_eq!(state(&mut host, "g"), ("Empty".into(), 0));
    assert_eq!(leave(&mut host, "nowhere", "made-up", Option::None), UnknownMemberId);
}

#[test]
fn who_was_only_given_an_id_may_leave_too() {
    let mut host = Host::new();
    let joiner = Joiner::new("g");
    let call = joiner.try_join(&mut host);
    let id = joined(&mut host, call).expect("it is answered at once").member_id;
    assert_eq!(leave(&mut host, "g", &id, Option::None), None);
    assert_eq!(state(&mut host, "g"), ("Dead".into(), 0), "nothing is left of the group");
}

#[test]
fn a_new_member_that_never_takes_its_answer_is_out_after_five_minutes() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    // An old client whose connection is lost cannot be told from one that waits.
    let gone = Joiner { rebalance_ms: 3_600_000, ..Joiner::new("g").version(3) };
    let call = gone.try_join(&mut host);
    for _ in 0..59 {
        host.advance(5000);
        assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
    }
    assert!(joined(&mut host, call).is_none());
    host.advance(5000);
    assert_eq!(error(joined(&mut host, call).expect("it took too long").error_code), UnknownMemberId);
    let again = members[0].0.try_join(&mut host);
    assert_eq!(joined(&mut host, again).expect("it is the only one").members.len(), 1);
}
