//! What a group is after the broker was down.

use ringmail_coordinator::groups::Settings;
use ringmail_kafka::error::ErrorCode::*;

use super::client::*;
use super::host::*;

#[test]
fn members_go_on_as_if_nothing_had_happened() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 3);
    for restarts in 0..3 {
        host.restart();
        if restarts > 0 {
            assert!(host.compact());
            host.restart();
        }
        for (_, member) in &members {
            assert_eq!(member.heartbeat(&mut host), None);
            let call = member.sync(&mut host, &[]);
            assert_eq!(synced(&mut host, call).expect("it is stable").assignment, member.id.as_bytes());
        }
        assert_eq!(state(&mut host, "g"), ("Stable".into(), 3));
    }
}

#[test]
fn members_that_were_lost_meanwhile_are_out_after_the_time_of_their_sessions() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 2);
    host.advance(9000);
    host.restart();
    host.advance(5000);
    assert_eq!(members[0].1.heartbeat(&mut host), None, "the time begins anew");
    host.advance(5000);
    assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
    assert_eq!(members[1].1.heartbeat(&mut host), UnknownMemberId);
}

#[test]
fn a_generation_that_was_not_stored_is_forgotten() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    let again = members[0].0.try_join(&mut host);
    let next = Member::new(&members[0].0, &joined(&mut host, again).expect("it is the only one"));
    assert_eq!(next.generation, 2);
    host.restart();
    assert_eq!(next.heartbeat(&mut host), IllegalGeneration);
    assert_eq!(members[0].1.heartbeat(&mut host), None);
}

#[test]
fn an_empty_group_keeps_its_generation_and_what_kind_it_is() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    members[0].1.leave(&mut host);
    host.restart();
    assert_eq!(state(&mut host, "g"), ("Empty".into(), 0));
    let other = Joiner { protocol_type: "connect".into(), ..Joiner::new("g") };
    let call = other.try_join(&mut host);
    assert_eq!(
        error(joined(&mut host, call).expect("at once").error_code),
        MemberIdRequired,
        "it is free again"
    );
    let call = Joiner::new("g").join(&mut host);
    host.advance(3000);
    assert_eq!(joined(&mut host, call).expect("the delay is over").generation_id, 3);
}

#[test]
fn a_group_that_has_become_too_large_is_made_smaller() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 3);
    let records = host.records();
    let mut host = Host::with(Settings { group_max_size: 2, ..Settings::default() });
    records.into_iter().for_each(|record| host.inject(record));
    host.restart();
    assert_eq!(members[0].1.heartbeat(&mut host), RebalanceInProgress);
    let again: Vec<_> = members.iter().map(|(joiner, _)| joiner.try_join(&mut host)).collect();
    let errors: Vec<_> = again
        .iter()
        .map(|&call| error(joined(&mut host, call).expect("all have joined").error_code))
        .collect();
    assert_eq!(errors, [None, None, GroupMaxSizeReached]);
}
