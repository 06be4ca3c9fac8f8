//! What no client can make the broker keep, or do.

use ringmail_coordinator::groups::settings::{MAX_GROUPS, MAX_MEMBERS_BYTES, MAX_PENDING_MEMBERS};
use ringmail_kafka::error::ErrorCode::{self, *};

use super::client::*;
use super::host::*;

fn join_error(host: &mut Host, joiner: &Joiner) -> ErrorCode {
    let call = joiner.try_join(host);
    error(joined(host, call).expect("it is answered at once").error_code)
}

#[test]
fn a_partition_has_no_more_groups_than_its_limit() {
    let mut host = Host::new();
    for group in 0..MAX_GROUPS {
        assert_eq!(commit(&mut host, &format!("g{group}"), NOBODY, "a", 0, 1), None);
    }
    assert_eq!(commit(&mut host, "one-more", NOBODY, "a", 0, 1), PolicyViolation);
    assert_eq!(join_error(&mut host, &Joiner::new("one-more")), PolicyViolation);
    assert_eq!(commit(&mut host, "g7", NOBODY, "a", 0, 2), None, "those that there are go on");
}

#[test]
fn ids_are_not_given_out_without_end() {
    let mut host = Host::new();
    for _ in 0..MAX_PENDING_MEMBERS {
        assert_eq!(join_error(&mut host, &Joiner::new("g")), MemberIdRequired);
    }
    assert_eq!(join_error(&mut host, &Joiner::new("g")), CoordinatorNotAvailable);
    host.advance(10_000);
    assert_eq!(join_error(&mut host, &Joiner::new("g")), MemberIdRequired, "the others have not come");
}

#[test]
fn what_members_bring_along_has_a_limit_for_the_group() {
    let mut host = Host::new();
    let large = Joiner { protocols: vec![("own".into(), vec![0; 1 << 20])], ..Joiner::new("g") };
    for _ in 0..MAX_MEMBERS_BYTES / (1 << 20) - 1 {
        large.clone().join(&mut host);
    }
    let mut last = large;
    let call = last.try_join(&mut host);
    assert_eq!(error(joined(&mut host, call).expect("at once").error_code), GroupMaxSizeReached);
    let small = Joiner { protocols: vec![("own".into(), vec![0; 100])], ..Joiner::new("g") };
    assert_eq!(join_error(&mut host, &small), MemberIdRequired);
    last.protocols[0].1.truncate(100);
    assert_eq!(join_error(&mut host, &last), MemberIdRequired);
}

#[test]
fn names_that_no_record_can_hold_are_refused() {
    let mut host = Host::new();
    let long = "n".repeat(40_000);
    assert_eq!(commit(&mut host, &long, NOBODY, "a", 0, 1), InvalidGroupId);
    assert_eq!(join_error(&mut host, &Joiner::new(&long)), InvalidGroupId);
    assert_eq!(join_error(&mut host, &Joiner::new("g").protocols(&[&long])), InconsistentGroupProtocol);
    let named = Joiner { client_id: long, ..Joiner::new("g").version(3) };
    let call = named.try_join(&mut host);
    host.advance(3000);
    let answer = joined(&mut host, call).expect("it has joined");
    assert!(answer.member_id.len() < 300, "only a part of it stands in its id");
}

#[test]
fn an_assignor_that_is_named_twice_is_one() {
    let mut host = Host::new();
    let twice = Joiner::new("g").protocols(&["range", "range"]);
    let members = stable_of(&mut host, vec![twice, Joiner::new("g")]);
    assert_eq!(members[0].1.leads.len(), 2);
    let other = Joiner::new("g").protocols(&["own"]);
    assert_eq!(join_error(&mut host, &other), InconsistentGroupProtocol);
}

#[test]
fn a_large_group_gets_through_its_rebalances() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 3000);
    assert_eq!(members[0].1.leave(&mut host), None);
    let again: Vec<_> = members[1..].iter().map(|(joiner, _)| joiner.try_join(&mut host)).collect();
    let answers = again.into_iter().map(|call| joined(&mut host, call).expect("all have joined"));
    assert_eq!(answers.filter(|answer| answer.members.len() == 2999).count(), 1);
    host.restart();
    assert_eq!(state(&mut host, "g"), ("Stable".into(), 3000), "the new generation is not stored yet");
}
