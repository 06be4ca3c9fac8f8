//! Offsets that are part of a transaction (line 18 of what brokers get wrong).

use ringmail_coordinator::machine::{Producer, WriteError};
use ringmail_kafka::error::ErrorCode::*;
use ringmail_kafka::messages::group_admin::DeleteGroupsRequest;
use ringmail_kafka::messages::{Request, Response};

use super::client::*;
use super::host::*;

const PRODUCER: Producer = Producer { id: 7, epoch: 0 };
const OTHER: Producer = Producer { id: 8, epoch: 3 };

#[test]
fn they_count_once_the_transaction_is_committed() {
    let mut host = Host::new();
    commit(&mut host, "g", NOBODY, "a", 0, 1);
    assert_eq!(stage(&mut host, PRODUCER, "g", "a", 5), None);
    host.restart();
    assert_eq!(position(&mut host, "g", "a"), 1);
    host.mark(PRODUCER, true);
    for _ in 0..2 {
        assert_eq!(position(&mut host, "g", "a"), 5);
        host.restart();
    }
}

#[test]
fn they_never_count_if_it_is_aborted() {
    let mut host = Host::new();
    commit(&mut host, "g", NOBODY, "a", 0, 1);
    stage(&mut host, PRODUCER, "g", "a", 5);
    host.mark(PRODUCER, false);
    for _ in 0..2 {
        assert_eq!(position(&mut host, "g", "a"), 1);
        host.mark(PRODUCER, true);
        host.restart();
    }
}

#[test]
fn who_asks_for_stable_offsets_is_told_to_wait() {
    let mut host = Host::new();
    commit(&mut host, "g", NOBODY, "a", 0, 1);
    commit(&mut host, "g", NOBODY, "b", 0, 2);
    stage(&mut host, PRODUCER, "g", "a", 5);
    for _ in 0..2 {
        let offset = fetch_with(&mut host, "g", "a", 0, true);
        assert_eq!((error(offset.error_code), offset.committed_offset), (UnstableOffsetCommit, -1));
        assert_eq!(fetch_with(&mut host, "g", "a", 1, true).error_code, 0);
        assert_eq!(fetch_with(&mut host, "g", "b", 0, true).committed_offset, 2);
        assert_eq!(fetch_with(&mut host, "other", "a", 0, true).error_code, 0);
        host.restart();
    }
    host.mark(PRODUCER, true);
    assert_eq!(fetch_with(&mut host, "g", "a", 0, true).committed_offset, 5);
}

#[test]
fn of_two_transactions_each_counts_for_itself() {
    let mut host = Host::new();
    stage(&mut host, PRODUCER, "g", "a", 5);
    stage(&mut host, OTHER, "g", "a", 9);
    host.mark(PRODUCER, true);
    assert_eq!(error(fetch_with(&mut host, "g", "a", 0, true).error_code), UnstableOffsetCommit);
    assert_eq!(position(&mut host, "g", "a"), 5);
    host.mark(OTHER, false);
    assert_eq!(fetch_with(&mut host, "g", "a", 0, true).committed_offset, 5);
}

#[test]
fn what_was_committed_later_is_newer_whichever_transaction_ends_last() {
    let mut host = Host::new();
    stage(&mut host, PRODUCER, "g", "a", 5);
    commit(&mut host, "g", NOBODY, "a", 0, 6);
    stage(&mut host, OTHER, "g", "a", 7);
    host.mark(OTHER, true);
    host.mark(PRODUCER, true);
    for _ in 0..2 {
        assert_eq!(position(&mut host, "g", "a"), 7);
        host.restart();
    }
}

#[test]
fn members_are_checked_as_far_as_the_client_says_who_it_is() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    let id = members[0].1.id.as_str();
    let stage =
        |host: &mut Host, version, by| stage_with(host, version, stage_request(PRODUCER, "g", by, "a", 5));
    assert_eq!(stage(&mut host, 3, (id, 1)), None);
    assert_eq!(stage(&mut host, 3, (id, 2)), IllegalGeneration);
    assert_eq!(stage(&mut host, 5, ("made-up", 1)), UnknownMemberId);
    assert_eq!(stage(&mut host, 2, ("made-up", 1)), None, "an old client does not say");
    assert_eq!(stage(&mut host, 3, NOBODY), None);
    let new = stage_request(PRODUCER, "new", ("m", 1), "a", 5);
    assert_eq!(stage_with(&mut host, 3, new), IllegalGeneration);
    assert_eq!(
        stage_with(&mut host, 3, stage_request(PRODUCER, "g", NOBODY, "nowhere", 5)),
        UnknownTopicOrPartition
    );
}

#[test]
fn a_fenced_producer_is_told_so() {
    let mut host = Host::new();
    host.refuse = Some(WriteError::Fenced);
    assert_eq!(stage(&mut host, PRODUCER, "g", "a", 5), InvalidProducerEpoch);
    host.refuse = Option::None;
    host.mark(PRODUCER, true);
    assert_eq!(position(&mut host, "g", "a"), -1);
}

#[test]
fn they_go_with_the_topic_and_with_the_group() {
    let mut host = Host::new();
    host.create_topic("t", 1);
    stage(&mut host, PRODUCER, "g", "t", 5);
    host.delete_topic("t", true);
    host.create_topic("t", 1);
    host.restart();
    host.mark(PRODUCER, true);
    assert_eq!(position(&mut host, "g", "t"), -1);

    stage(&mut host, OTHER, "g", "a", 5);
    let request = DeleteGroupsRequest { groups_names: vec!["g".into()] };
    let Response::DeleteGroups(answer) = host.ask(2, &Request::DeleteGroups(request)) else { panic!() };
    assert_eq!(error(answer.results[0].error_code), None);
    host.restart();
    host.mark(OTHER, true);
    assert_eq!(position(&mut host, "g", "a"), -1);
}

#[test]
fn while_a_transaction_is_open_the_log_cannot_be_made_shorter() {
    let mut host = Host::new();
    commit(&mut host, "g", NOBODY, "a", 0, 1);
    stage(&mut host, PRODUCER, "g", "a", 5);
    assert!(!host.compact());
    host.mark(PRODUCER, true);
    assert!(host.compact());
    assert_eq!(host.records().len(), 1);
    host.restart();
    assert_eq!(position(&mut host, "g", "a"), 5);
}
