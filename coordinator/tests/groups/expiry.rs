//! How long offsets are kept.

use ringmail_coordinator::groups::Settings;
use ringmail_coordinator::machine::Producer;
use ringmail_kafka::error::ErrorCode::*;

use super::client::*;
use super::host::*;

/// Lets time pass in which a member says that it is there.
fn live(host: &mut Host, member: &Member, ms: u64) {
    for _ in 0..ms / 9000 {
        host.advance(9000);
        assert_eq!(member.heartbeat(host), None);
    }
}

#[test]
fn offsets_of_nobody_expire_seven_days_after_they_were_committed() {
    let mut host = Host::new();
    commit(&mut host, "g", NOBODY, "a", 0, 1);
    host.advance(3 * DAY);
    commit(&mut host, "g", NOBODY, "b", 0, 2);
    host.advance(4 * DAY - MINUTE);
    assert_eq!(position(&mut host, "g", "a"), 1);
    host.advance(11 * MINUTE);
    for _ in 0..2 {
        assert_eq!((position(&mut host, "g", "a"), position(&mut host, "g", "b")), (-1, 2));
        host.restart();
    }
    host.advance(3 * DAY + 11 * MINUTE);
    assert_eq!(position(&mut host, "g", "b"), -1);
    assert_eq!(state(&mut host, "g").0, "Dead", "nothing is left of it");
    assert!(host.compact());
    assert_eq!(host.records(), []);
}

#[test]
fn offsets_of_a_group_expire_seven_days_after_its_last_member_has_left() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    members[0].1.commit(&mut host, "a", 0, 1);
    live(&mut host, &members[0].1, 8 * DAY);
    members[0].1.leave(&mut host);
    host.restart();
    host.advance(7 * DAY - 11 * MINUTE);
    assert_eq!(position(&mut host, "g", "a"), 1);
    host.advance(22 * MINUTE);
    assert_eq!(position(&mut host, "g", "a"), -1);
    assert_eq!(state(&mut host, "g").0, "Dead");
}

#[test]
fn what_members_read_does_not_expire_but_what_they_do_not_read_any_more_does() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    members[0].1.commit(&mut host, "a", 0, 1);
    members[0].1.commit(&mut host, "b", 0, 2);
    live(&mut host, &members[0].1, 7 * DAY + 11 * MINUTE);
    assert_eq!((position(&mut host, "g", "a"), position(&mut host, "g", "b")), (1, -1));
}

#[test]
fn nothing_expires_of_members_whose_subscriptions_cannot_be_read() {
    let mut host = Host::new();
    let joiner = Joiner { protocols: vec![("own".into(), vec![0])], ..Joiner::new("g") };
    let members = stable_of(&mut host, vec![joiner]);
    members[0].1.commit(&mut host, "b", 0, 2);
    live(&mut host, &members[0].1, 7 * DAY + 11 * MINUTE);
    assert_eq!(position(&mut host, "g", "b"), 2);
}

#[test]
fn offsets_that_a_transaction_will_change_are_spared() {
    let mut host = Host::new();
    let producer = Producer { id: 7, epoch: 0 };
    commit(&mut host, "g", NOBODY, "a", 0, 1);
    commit(&mut host, "g", NOBODY, "b", 0, 2);
    stage(&mut host, producer, "g", "a", 5);
    host.advance(8 * DAY);
    assert_eq!((position(&mut host, "g", "a"), position(&mut host, "g", "b")), (1, -1));
    host.mark(producer, true);
    assert_eq!(position(&mut host, "g", "a"), 5);
    host.advance(11 * MINUTE);
    assert_eq!(position(&mut host, "g", "a"), -1, "it is as old as it was staged");
}

#[test]
fn an_old_client_says_itself_how_long_its_offsets_are_kept() {
    let mut host = Host::new();
    let mut request = commit_request("g", NOBODY, "a", 0, 1);
    request.retention_time_ms = 60 * 60 * 1000;
    assert_eq!(commit_with(&mut host, 4, request), None);
    host.restart();
    host.advance(59 * MINUTE);
    assert_eq!(position(&mut host, "g", "a"), 1);
    host.advance(11 * MINUTE);
    assert_eq!(position(&mut host, "g", "a"), -1);
}

#[test]
fn many_groups_expire_a_part_at_a_time() {
    let settings = Settings { offsets_retention_check_interval_ms: DAY, ..Settings::default() };
    let mut host = Host::with(settings);
    for group in 0..9000 {
        commit(&mut host, &format!("g{group}"), NOBODY, "a", 0, 1);
    }
    host.advance(7 * DAY - MINUTE);
    assert_eq!(host.records().len(), 9000);
    host.advance(DAY);
    assert!(host.compact());
    assert_eq!(host.records(), []);
}
