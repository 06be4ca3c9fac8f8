//! Members that come back under an id of their own (lines 20 and 38 of what brokers get wrong).

use ringmail_coordinator::machine::WriteError;
use ringmail_kafka::error::ErrorCode::*;

use super::client::*;
use super::host::*;

/// A stable group of two static members; the leader is the first.
fn pair(host: &mut Host) -> Vec<(Joiner, Member)> {
    stable_of(host, vec![Joiner::new("g").instance("one"), Joiner::new("g").instance("two")])
}

/// It has lost its member id, as it was started again.
fn restarted(joiner: &Joiner) -> Joiner {
    Joiner { id: String::new(), ..joiner.clone() }
}

#[test]
fn a_follower_comes_back_without_a_rebalance() {
    let mut host = Host::new();
    let members = pair(&mut host);
    let call = restarted(&members[1].0).try_join(&mut host);
    let answer = joined(&mut host, call).expect("it is answered at once");
    let back = Member::new(&members[1].0, &answer);
    assert_ne!(back.id, members[1].1.id);
    assert_eq!((back.generation, back.skips, back.leads.len()), (1, false, 0));
    assert_eq!(answer.leader, members[0].1.id);
    let call = back.sync(&mut host, &[]);
    let assignment = synced(&mut host, call).expect("it is stable").assignment;
    assert_eq!(assignment, members[1].1.id.as_bytes(), "what the one before it had");
    assert_eq!(members[0].1.heartbeat(&mut host), None);
    assert_eq!(members[1].1.heartbeat(&mut host), FencedInstanceId);
    assert_eq!(
        members[1].1.commit(&mut host, "a", 0, 1),
        UnknownMemberId,
        "without its instance id it is nobody"
    );
    let call = members[1].0.try_join(&mut host);
    assert_eq!(error(joined(&mut host, call).expect("it is refused").error_code), FencedInstanceId);
}

#[test]
fn a_leader_that_comes_back_is_told_to_leave_the_assignment_as_it_is() {
    let mut host = Host::new();
    let members = pair(&mut host);
    let call = restarted(&members[0].0).try_join(&mut host);
    let answer = joined(&mut host, call).expect("it is answered at once");
    assert_eq!(answer.leader, answer.member_id);
    assert!(answer.skip_assignment);
    assert_eq!(answer.members.len(), 2, "but it has to watch the topics of all");
    assert_eq!(members[1].1.heartbeat(&mut host), None);
}

#[test]
fn an_old_leader_that_comes_back_is_not_told_that_it_leads() {
    let mut host = Host::new();
    let members = pair(&mut host);
    let call = restarted(&members[0].0).version(8).try_join(&mut host);
    let answer = joined(&mut host, call).expect("it is answered at once");
    assert_eq!((&*answer.leader, answer.members.len()), (&*members[0].1.id, 0));
    assert_ne!(answer.leader, answer.member_id);
}

#[test]
fn a_new_subscription_that_changes_nothing_of_the_protocol_is_no_rebalance_but_another_protocol_is() {
    let mut host = Host::new();
    let members = pair(&mut host);
    let call = restarted(&members[1].0).topics(&["b"]).try_join(&mut host);
    assert!(joined(&mut host, call).is_some());
    assert_eq!(members[0].1.heartbeat(&mut host), None);

    let mut host = Host::new();
    let both = |instance: &str| Joiner::new("g").instance(instance).protocols(&["range", "sticky"]);
    let members = stable_of(&mut host, vec![both("one"), both("two")]);
    let call = restarted(&members[1].0).protocols(&["sticky"]).try_join(&mut host);
    assert!(joined(&mut host, call).is_none(), "the group has to agree anew");
    assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
}

#[test]
fn of_two_with_one_instance_id_the_older_is_fenced() {
    let mut host = Host::new();
    let older = Joiner::new("g").instance("one");
    let waits = older.try_join(&mut host);
    let younger = older.try_join(&mut host);
    let answer = joined(&mut host, waits).expect("it is fenced");
    assert_eq!(error(answer.error_code), FencedInstanceId);
    assert!(answer.member_id.starts_with("one-"));
    host.advance(6000);
    let younger = Member::new(&older, &joined(&mut host, younger).expect("it has joined"));
    assert_eq!(younger.leads, std::slice::from_ref(&younger.id));
}

#[test]
fn who_waits_for_its_assignment_is_fenced_too() {
    let mut host = Host::new();
    let joiners = [Joiner::new("g").instance("one"), Joiner::new("g").instance("two")];
    let calls: Vec<_> = joiners.iter().map(|joiner| joiner.try_join(&mut host)).collect();
    host.advance(6000);
    let answers: Vec<_> = calls.into_iter().map(|call| joined(&mut host, call).expect("joined")).collect();
    let follower = usize::from(answers[0].leader == answers[0].member_id);
    let member = Member::new(&joiners[follower], &answers[follower]);
    let waits = member.sync(&mut host, &[]);
    joiners[follower].try_join(&mut host);
    let answer = synced(&mut host, waits).expect("another one has its place");
    assert_eq!(error(answer.error_code), FencedInstanceId);
    let leader = Member::new(&joiners[1 - follower], &answers[1 - follower]);
    assert_eq!(leader.heartbeat(&mut host), RebalanceInProgress, "it would assign to an id that is gone");
}

#[test]
fn a_static_member_that_is_away_for_less_than_its_session_is_not_missed() {
    let mut host = Host::new();
    let members = pair(&mut host);
    let dynamic = Joiner::new("g").join(&mut host);
    let again = members[0].0.try_join(&mut host);
    for _ in 0..2 {
        host.advance(4000);
        assert!(joined(&mut host, dynamic).is_none());
    }
    let back = restarted(&members[1].0).try_join(&mut host);
    assert_eq!(joined(&mut host, back).expect("all have joined").generation_id, 2);
    assert_eq!(joined(&mut host, again).expect("all have joined").members.len(), 3);
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id() {
    let mut host = Host::new();
    let members = pair(&mut host);
    assert_eq!(leave(&mut host, "g", "", Some("three")), UnknownMemberId);
    assert_eq!(leave(&mut host, "g", "made-up", Some("two")), FencedInstanceId);
    assert_eq!(members[0].1.heartbeat(&mut host), None);
    let two =
        members.iter().find(|(joiner, _)| joiner.instance.as_deref() == Some("two")).expect("it is one");
    assert_eq!(leave(&mut host, "g", "", Some("two")), None);
    assert_eq!(two.1.heartbeat(&mut host), UnknownMemberId);
}

#[test]
fn a_replacement_that_cannot_be_stored_is_none() {
    let mut host = Host::new();
    let members = pair(&mut host);
    host.refuse = Some(WriteError::Unavailable);
    let call = restarted(&members[1].0).try_join(&mut host);
    host.refuse = Option::None;
    let answer = joined(&mut host, call).expect("it is refused");
    assert_eq!(error(answer.error_code), CoordinatorNotAvailable);
    assert_eq!(members[1].1.heartbeat(&mut host), None, "the one before it has its place still");
}

#[test]
fn a_static_member_is_known_after_a_restart() {
    let mut host = Host::new();
    let members = pair(&mut host);
    host.restart();
    let call = restarted(&members[1].0).try_join(&mut host);
    let answer = joined(&mut host, call).expect("it is answered at once");
    assert_eq!((error(answer.error_code), answer.generation_id), (None, 1));
    let back = Member::new(&members[1].0, &answer);
    host.restart();
    assert_eq!(back.heartbeat(&mut host), None);
    assert_eq!(members[1].1.heartbeat(&mut host), FencedInstanceId);
}
