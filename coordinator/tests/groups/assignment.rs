//! How members get what the leader has assigned to them.

use ringmail_coordinator::machine::WriteError;
use ringmail_kafka::error::ErrorCode::*;

use super::client::*;
use super::host::*;

/// A group whose members have joined, but not synced; the leader is the first.
fn joined_group(host: &mut Host, members: usize) -> Vec<(Joiner, Member)> {
    let mut joiners: Vec<_> = (0..members).map(|_| Joiner::new("g")).collect();
    let calls: Vec<_> = joiners.iter_mut().map(|joiner| joiner.join(host)).collect();
    host.advance(6000);
    let answers = calls.into_iter().map(|call| joined(host, call).expect("all have joined"));
    let answers: Vec<_> = answers.collect();
    let members = joiners.into_iter().zip(answers).map(|(joiner, answer)| {
        let member = Member::new(&joiner, &answer);
        (joiner, member)
    });
    let mut members: Vec<_> = members.collect();
    members.sort_by_key(|(_, member)| member.leads.is_empty());
    members
}

#[test]
fn followers_wait_until_the_leader_has_assigned() {
    let mut host = Host::new();
    let members = joined_group(&mut host, 3);
    let early = members[1].1.sync(&mut host, &[]);
    assert!(synced(&mut host, early).is_none());
    assert_eq!(members[1].1.heartbeat(&mut host), None, "it may say that it is there while it waits");
    let lead = members[0].1.assign(&mut host);
    let late = members[2].1.sync(&mut host, &[]);
    for (call, (_, member)) in [lead, early, late].into_iter().zip([&members[0], &members[1], &members[2]]) {
        let answer = synced(&mut host, call).expect("the leader has assigned");
        assert_eq!(error(answer.error_code), None);
        assert_eq!(answer.assignment, member.id.as_bytes());
        assert_eq!(answer.protocol_name.as_deref(), Some("range"));
        assert_eq!(answer.protocol_type.as_deref(), Some("consumer"));
    }
    assert_eq!(state(&mut host, "g"), ("Stable".into(), 3));
}

#[test]
fn whom_the_leader_forgets_gets_nothing_and_whom_it_makes_up_is_passed_over() {
    let mut host = Host::new();
    let members = joined_group(&mut host, 2);
    let follower = members[1].1.sync(&mut host, &[]);
    let lead = members[0].1.sync(&mut host, &[("made-up", b"x"), (&members[0].1.id, b"all")]);
    assert_eq!(synced(&mut host, lead).expect("it has assigned").assignment, b"all".as_slice());
    let answer = synced(&mut host, follower).expect("the leader has assigned");
    assert_eq!((error(answer.error_code), answer.assignment.len()), (None, 0));
}

#[test]
fn the_same_is_answered_to_who_asks_again() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 2);
    let again = members[1].1.sync(&mut host, &[]);
    assert_eq!(synced(&mut host, again).expect("it is stable").assignment, members[1].1.id.as_bytes());
}

#[test]
fn who_is_not_of_the_generation_is_refused() {
    let mut host = Host::new();
    let (_, member) = stable(&mut host, "g", 1).remove(0);
    let refused = |host: &mut Host, member: Member, expected| {
        let call = member.sync(host, &[]);
        assert_eq!(error(synced(host, call).expect("it is answered at once").error_code), expected);
    };
    refused(&mut host, Member { generation: 0, ..member.clone() }, IllegalGeneration);
    refused(&mut host, Member { id: "made-up".into(), ..member.clone() }, UnknownMemberId);
    refused(&mut host, Member { group: "other".into(), ..member.clone() }, UnknownMemberId);
    refused(&mut host, Member { group: String::new(), ..member.clone() }, InvalidGroupId);
    refused(&mut host, Member { protocol: Some("own".into()), ..member.clone() }, InconsistentGroupProtocol);
    refused(&mut host, Member { protocol: Option::None, ..member.clone() }, InconsistentGroupProtocol);
    refused(&mut host, Member { instance: Some("i".into()), ..member }, UnknownMemberId);
}

#[test]
fn a_rebalance_ends_the_waiting() {
    let mut host = Host::new();
    let members = joined_group(&mut host, 2);
    let waits = members[1].1.sync(&mut host, &[]);
    Joiner::new("g").join(&mut host);
    let answer = synced(&mut host, waits).expect("there is another generation to come");
    assert_eq!(error(answer.error_code), RebalanceInProgress);
    assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
}

#[test]
fn who_never_syncs_is_out_after_the_rebalance_timeout() {
    let mut host = Host::new();
    let members = joined_group(&mut host, 2);
    let lead = members[0].1.assign(&mut host);
    assert!(synced(&mut host, lead).is_some());
    for _ in 0..9 {
        host.advance(3000);
        assert_eq!(members[0].1.heartbeat(&mut host), None);
        assert_eq!(members[1].1.heartbeat(&mut host), None);
    }
    host.advance(3000);
    assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
    assert_eq!(members[1].1.heartbeat(&mut host), UnknownMemberId);
}

#[test]
fn a_leader_that_never_assigns_is_out_and_another_one_leads() {
    let mut host = Host::new();
    let members = joined_group(&mut host, 2);
    let waits = members[1].1.sync(&mut host, &[]);
    for _ in 0..9 {
        host.advance(3000);
        assert_eq!(members[0].1.heartbeat(&mut host), None);
    }
    assert!(synced(&mut host, waits).is_none(), "it is kept waiting, and need not say that it is there");
    host.advance(3000);
    assert_eq!(error(synced(&mut host, waits).expect("the leader is out").error_code), RebalanceInProgress);
    assert_eq!(members[0].1.heartbeat(&mut host), UnknownMemberId);
    let again = members[1].0.try_join(&mut host);
    let answer = joined(&mut host, again).expect("it is the only one");
    assert_eq!(answer.leader, members[1].1.id);
}

#[test]
fn an_assignment_that_cannot_be_stored_is_none() {
    for (refused, expected) in
        [(WriteError::Unavailable, CoordinatorNotAvailable), (WriteError::TooLarge, UnknownServerError)]
    {
        let mut host = Host::new();
        let members = joined_group(&mut host, 2);
        let waits = members[1].1.sync(&mut host, &[]);
        host.refuse = Some(refused);
        let lead = members[0].1.assign(&mut host);
        host.refuse = Option::None;
        for call in [lead, waits] {
            let answer = synced(&mut host, call).expect("it could not be stored");
            assert_eq!((error(answer.error_code), answer.assignment.len()), (expected, 0));
        }
        assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
        let again: Vec<_> = members.iter().map(|(joiner, _)| joiner.try_join(&mut host)).collect();
        assert_eq!(joined(&mut host, again[0]).expect("all have joined").generation_id, 2);
    }
}
