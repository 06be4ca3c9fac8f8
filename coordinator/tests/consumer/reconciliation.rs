//! Partitions go from member to member: given up first, then taken.

use ringmail_kafka::error::ErrorCode;

use crate::harness::{Client, Heartbeat, Host, list, refused};

/// Two members of which the first has all and is to give half to the second.
fn on_the_move() -> (Host, Client, Client) {
    let mut host = Host::new();
    host.topics.create("a", 2);
    let (mut one, mut two) = (Client::new("m1", &["a"]), Client::new("m2", &["a"]));
    one.join(&mut host).expect("joins");
    two.join(&mut host).expect("joins");
    (host, one, two)
}

#[test]
fn nobody_gets_what_another_has_not_given_up() {
    let (mut host, mut one, mut two) = on_the_move();
    assert!(two.owned.is_empty());
    assert_eq!((two.epoch, &*host.state()), (2, "Reconciling"));

    let answer = one.ping(&mut host).expect("stays");
    assert_eq!(answer.member_epoch, 1, "it stays at its epoch until it has given up");
    assert_eq!((one.told.len(), one.owned.len()), (1, 2));
    assert_eq!(one.ping(&mut host).expect("stays").assignment, None);
    two.ping(&mut host).expect("stays");
    assert!(two.owned.is_empty(), "it is not known to be free");

    one.beat(&mut host).expect("gives up");
    assert_eq!(one.epoch, 2);
    two.ping(&mut host).expect("stays");
    assert_eq!(two.owned.len(), 1);
    assert!(two.owned.is_disjoint(&one.owned));
    assert_eq!(host.state(), "Stable");
}

#[test]
fn who_does_not_give_up_in_time_is_fenced() {
    let (mut host, mut one, mut two) = on_the_move();
    one.rebalance_timeout_ms = 20_000;
    one.resync = true;
    one.beat(&mut host).expect("says that it takes 20 s at most");
    let told = one.told.clone();
    for _ in 0..4 {
        assert!(host.members().contains(&"m1".to_owned()));
        host.pass(5_000);
        let _ = one.ping(&mut host);
        two.ping(&mut host).expect("stays");
    }
    refused(one.ping(&mut host), ErrorCode::UnknownMemberId);
    assert_eq!(told.len(), 1);
    host.settle(&mut [&mut two]);
    assert_eq!(two.owned.len(), 2);
}

#[test]
fn the_time_to_give_up_runs_on_over_a_restart() {
    let (mut host, mut one, _) = on_the_move();
    one.ping(&mut host).expect("is asked to give up");
    host.restart();
    for _ in 0..12 {
        assert!(host.members().contains(&"m1".to_owned()));
        host.pass(5_000);
        let _ = one.ping(&mut host);
    }
    assert!(!host.members().contains(&"m1".to_owned()));
}

#[test]
fn what_is_back_in_the_target_must_be_given_up_all_the_same() {
    let (mut host, mut one, mut two) = on_the_move();
    one.ping(&mut host).expect("is asked to give up");
    two.leave(&mut host, -1).expect("leaves");
    one.ping(&mut host).expect("stays");
    assert_eq!((one.told.len(), one.owned.len()), (1, 2));
    one.beat(&mut host).expect("gives up, and gets it back");
    assert_eq!(one.told.len(), 2);
    host.settle(&mut [&mut one]);
    assert_eq!(one.epoch, 3);
}

#[test]
fn a_lost_answer_is_made_up_for() {
    let (mut host, mut one, mut two) = on_the_move();
    one.ping(&mut host).expect("is asked to give up");
    one.give_up();
    let lost = Heartbeat { topic_partitions: Some(list(&one.owned)), ..one.quiet() };
    assert_eq!(host.send(1, lost).expect("goes on").member_epoch, 2);

    one.resync = true;
    let answer = one.beat(&mut host).expect("its epoch is the one before");
    assert_eq!(answer.member_epoch, 2);
    assert!(answer.assignment.is_some(), "who says all is told all");
    two.ping(&mut host).expect("stays");
    assert_eq!((one.owned.len(), two.owned.len()), (1, 1));
}

#[test]
fn who_is_at_another_epoch_is_fenced_and_may_come_again() {
    let (mut host, mut one, mut two) = on_the_move();
    host.settle(&mut [&mut one, &mut two]);
    for epoch in [1_000, 1] {
        let request = Heartbeat { member_epoch: one.epoch + epoch, ..one.quiet() };
        refused(host.send(1, request), ErrorCode::FencedMemberEpoch);
    }
    let behind = Heartbeat { member_epoch: one.epoch - 1, ..one.quiet() };
    refused(host.send(1, behind), ErrorCode::FencedMemberEpoch);

    let before = one.owned.clone();
    one.join(&mut host).expect("it gave up all, and comes again");
    assert_eq!(one.owned, before);
    host.settle(&mut [&mut one, &mut two]);
}

#[test]
fn an_unknown_member_is_refused() {
    let (mut host, _, _) = on_the_move();
    let stranger = Client { epoch: 2, ..Client::new("m9", &["a"]) };
    refused(host.send(1, stranger.quiet()), ErrorCode::UnknownMemberId);
    refused(host.send(1, Heartbeat { member_epoch: -1, ..stranger.quiet() }), ErrorCode::UnknownMemberId);
}

#[test]
fn an_answer_to_a_join_that_was_lost_comes_again() {
    let mut host = Host::new();
    host.topics.create("a", 2);
    let mut client = Client::new("m1", &["a"]);
    let lost = host.send(1, client.full()).expect("joins");
    assert_eq!(client.join(&mut host).expect("joins again"), lost);
    assert_eq!(host.members().len(), 1);
}
