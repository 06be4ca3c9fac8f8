//! How members come into a group (line 19 and 21 of what brokers get wrong).

use ringmail_coordinator::groups::Settings;
use ringmail_kafka::error::ErrorCode::{self, *};

use super::client::*;
use super::host::*;

fn join_error(host: &mut Host, joiner: &Joiner) -> ErrorCode {
    let call = joiner.try_join(host);
    error(joined(host, call).expect("it is answered at once").error_code)
}

#[test]
fn a_client_is_told_its_member_id_before_it_joins() {
    let mut host = Host::new();
    let joiner = Joiner::new("g");
    let call = joiner.try_join(&mut host);
    let answer = joined(&mut host, call).expect("it is answered at once");
    assert_eq!(error(answer.error_code), MemberIdRequired);
    assert_eq!(answer.generation_id, -1);
    assert!(answer.member_id.starts_with("client-"), "{}", answer.member_id);
    assert_eq!(answer.member_id.len(), "client-".len() + 36);

    let call = joiner.with_id(&answer.member_id).try_join(&mut host);
    assert!(joined(&mut host, call).is_none(), "the first member waits for more");
    host.advance(3000);
    let answer = joined(&mut host, call).expect("the delay is over");
    assert_eq!((error(answer.error_code), answer.generation_id), (None, 1));
    assert_eq!(answer.leader, answer.member_id);
    assert_eq!(answer.members.len(), 1);
}

#[test]
fn an_old_client_and_a_static_member_join_at_once() {
    for joiner in [Joiner::new("old").version(3), Joiner::new("static").instance("i")] {
        let mut host = Host::new();
        let call = joiner.try_join(&mut host);
        host.advance(3000);
        let answer = joined(&mut host, call).expect("it has joined");
        let name = if joiner.instance.is_some() { "i-" } else { "client-" };
        assert!(answer.member_id.starts_with(name), "{}", answer.member_id);
    }
}

#[test]
fn the_first_members_wait_for_more_as_long_as_more_come() {
    let mut host = Host::new();
    let first = Joiner::new("g").join(&mut host);
    host.advance(2900);
    let second = Joiner::new("g").join(&mut host);
    host.advance(2900);
    assert!(joined(&mut host, first).is_none(), "the second has come, so a third may come");
    let third = Joiner::new("g").join(&mut host);
    host.advance(200);
    assert!(joined(&mut host, second).is_none());
    host.advance(3000);
    for call in [first, second, third] {
        assert_eq!(joined(&mut host, call).expect("nobody else has come").generation_id, 1);
    }
}

#[test]
fn the_first_members_do_not_wait_longer_than_the_rebalance_timeout() {
    let mut host = Host::new();
    let mut calls = Vec::new();
    let begin = host.clock_ms;
    while calls.is_empty() || joined(&mut host, calls[0]).is_none() {
        let mut joiner = Joiner { rebalance_ms: 10_000, ..Joiner::new("g") };
        calls.push(joiner.join(&mut host));
        host.advance(1000);
    }
    assert_eq!(host.clock_ms - begin, 10_000);
}

#[test]
fn only_the_leader_hears_of_the_members_and_all_agree_on_one_protocol() {
    let mut host = Host::new();
    let wishes: [&[&str]; 3] = [&["range", "sticky"], &["sticky", "range"], &["sticky", "range", "own"]];
    let joiners: Vec<_> = wishes.iter().map(|names| Joiner::new("g").protocols(names)).collect();
    let members = stable_of(&mut host, joiners);
    assert_eq!(members[0].1.leads.len(), 3);
    assert!(members[1..].iter().all(|(_, member)| member.leads.is_empty()));
    assert!(
        members.iter().all(|(_, member)| member.protocol.as_deref() == Some("sticky")),
        "most like it best"
    );
}

#[test]
fn whoever_has_no_protocol_in_common_is_refused() {
    let mut host = Host::new();
    let members = stable_of(&mut host, vec![Joiner::new("g"), Joiner::new("g").protocols(&["range", "own"])]);
    assert_eq!(join_error(&mut host, &Joiner::new("g").protocols(&["own"])), InconsistentGroupProtocol);
    assert_eq!(join_error(&mut host, &Joiner::new("g").protocols(&[])), InconsistentGroupProtocol);
    let other = Joiner { protocol_type: "connect".into(), ..Joiner::new("g") };
    assert_eq!(join_error(&mut host, &other), InconsistentGroupProtocol);
    let none = Joiner { protocol_type: String::new(), ..Joiner::new("new") };
    assert_eq!(join_error(&mut host, &none), InconsistentGroupProtocol);
    assert_eq!(members[0].1.heartbeat(&mut host), None, "nobody was disturbed by that");
}

#[test]
fn what_cannot_be_is_refused() {
    let mut host = Host::new();
    assert_eq!(join_error(&mut host, &Joiner::new("")), InvalidGroupId);
    assert_eq!(
        join_error(&mut host, &Joiner { session_ms: 5999, ..Joiner::new("g") }),
        InvalidSessionTimeout
    );
    assert_eq!(
        join_error(&mut host, &Joiner { session_ms: 1_800_001, ..Joiner::new("g") }),
        InvalidSessionTimeout
    );
    assert_eq!(join_error(&mut host, &Joiner::new("g").with_id("made-up")), UnknownMemberId);
    assert_eq!(join_error(&mut host, &Joiner::new("g").instance(&"i".repeat(250))), InvalidConfig);
    stable(&mut host, "g", 1);
    assert_eq!(join_error(&mut host, &Joiner::new("g").with_id("made-up")), UnknownMemberId);
}

#[test]
fn a_group_does_not_grow_past_its_limit() {
    let mut host = Host::with(Settings { group_max_size: 2, ..Settings::default() });
    let members = stable(&mut host, "g", 2);
    assert_eq!(join_error(&mut host, &Joiner::new("g")), GroupMaxSizeReached);
    assert_eq!(members[1].1.heartbeat(&mut host), None);
    assert_eq!(members[1].1.leave(&mut host), None);
    assert_eq!(join_error(&mut host, &Joiner::new("g")), MemberIdRequired);
}

#[test]
fn a_new_member_has_all_others_join_again() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 2);
    let new = Joiner::new("g").join(&mut host);
    assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
    assert_eq!(members[1].1.heartbeat(&mut host), RebalanceInProgress);
    let call = members[0].1.sync(&mut host, &[]);
    assert_eq!(
        error(synced(&mut host, call).expect("it is answered at once").error_code),
        RebalanceInProgress
    );
    let again: Vec<_> = members.iter().map(|(joiner, _)| joiner.try_join(&mut host)).collect();
    let answers: Vec<_> = again.into_iter().chain([new]).map(|call| joined(&mut host, call)).collect();
    let leader = answers[0].as_ref().expect("all have joined").leader.clone();
    for answer in answers {
        let answer = answer.expect("all have joined");
        assert_eq!((answer.generation_id, &answer.leader), (2, &leader));
        assert_eq!(answer.members.len(), if answer.member_id == leader { 3 } else { 0 });
    }
}

#[test]
fn who_does_not_join_again_in_time_is_out() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 3);
    let again = members[0].0.try_join(&mut host);
    for _ in 0..9 {
        // They are there, but busy with what they have read.
        members[1..]
            .iter()
            .for_each(|(_, member)| assert_eq!(member.heartbeat(&mut host), RebalanceInProgress));
        assert!(joined(&mut host, again).is_none());
        host.advance(3000);
    }
    let late = members[1].0.try_join(&mut host);
    host.advance(3000);
    assert_eq!(joined(&mut host, again).expect("the rebalance timeout is over").members.len(), 2);
    assert!(joined(&mut host, late).is_some());
    assert_eq!(members[2].1.heartbeat(&mut host), UnknownMemberId);
    assert_eq!(state(&mut host, "g"), ("CompletingRebalance".into(), 2));
}

#[test]
fn a_member_that_has_lost_its_answer_gets_it_again() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 2);
    let (joiner, member) = &members[1];
    let call = joiner.try_join(&mut host);
    let answer = joined(&mut host, call).expect("a follower with nothing new is answered at once");
    assert_eq!((error(answer.error_code), answer.generation_id), (None, member.generation));
    assert_eq!(member.heartbeat(&mut host), None, "no rebalance for that");
}

#[test]
fn a_leader_that_joins_again_and_a_follower_with_a_new_subscription_begin_a_rebalance() {
    for (who, topics) in [(0, ["a"]), (1, ["b"])] {
        let mut host = Host::new();
        let members = stable(&mut host, "g", 2);
        let call = members[who].0.clone().topics(&topics).try_join(&mut host);
        assert!(joined(&mut host, call).is_none());
        assert_eq!(members[1 - who].1.heartbeat(&mut host), RebalanceInProgress);
    }
}

#[test]
fn while_the_leader_assigns_a_member_with_nothing_new_gets_its_answer_again() {
    let mut host = Host::new();
    let mut joiner = Joiner::new("g");
    let call = joiner.join(&mut host);
    host.advance(3000);
    let first = joined(&mut host, call).expect("the delay is over");
    let call = joiner.try_join(&mut host);
    assert_eq!(joined(&mut host, call).expect("it is answered at once"), first);
    let call = joiner.topics(&["b"]).try_join(&mut host);
    let answer = joined(&mut host, call).expect("all have joined");
    assert_eq!(answer.generation_id, 2);
}

#[test]
fn a_second_join_of_one_member_takes_the_place_of_the_first() {
    let mut host = Host::new();
    let mut joiner = Joiner::new("g");
    let first = joiner.join(&mut host);
    let second = joiner.try_join(&mut host);
    let answer = joined(&mut host, first).expect("nobody waits for it any more");
    assert_eq!(error(answer.error_code), RebalanceInProgress);
    host.advance(6000);
    assert_eq!(joined(&mut host, second).expect("it has joined").members.len(), 1);
}

#[test]
fn a_group_waits_for_those_that_were_given_an_id_but_not_for_long() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    let pending = Joiner { session_ms: 6000, ..Joiner::new("g") };
    assert_eq!(join_error(&mut host, &pending), MemberIdRequired);
    let again = members[0].0.try_join(&mut host);
    assert!(joined(&mut host, again).is_none(), "one more is about to join");
    host.advance(6000);
    let answer = joined(&mut host, again).expect("it has not come");
    assert_eq!(answer.members.len(), 1);
}

#[test]
fn cooperative_members_keep_what_they_have_and_are_not_asked_more_than_needed() {
    // What a member owns stands in its metadata, which are the assignor's own: they only come back as they were.
    let mut host = Host::new();
    let mut owned = subscription(&["a"]);
    owned.extend([0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 7]);
    let joiner = Joiner { protocols: vec![("cooperative-sticky".into(), owned.clone())], ..Joiner::new("g") };
    let members = stable_of(&mut host, vec![joiner.clone(), joiner.clone()]);
    for _ in 0..10 {
        host.advance(2000);
        members.iter().for_each(|(_, member)| assert_eq!(member.heartbeat(&mut host), None));
    }
    assert_eq!(members[0].1.generation, 1);
    let again = members[0].0.try_join(&mut host);
    members[1].0.try_join(&mut host);
    let answer = joined(&mut host, again).expect("all have joined");
    assert!(answer.members.iter().all(|member| *member.metadata == owned[..]));
}
