//! AddPartitionsToTxn and AddOffsetsToTxn.

use ringmail_coordinator::machine::{Producer, WriteError};
use ringmail_coordinator::partition_for;
use ringmail_coordinator::transactions::{GROUPS_TOPIC, PARK_MS, State};
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::transactions::{AddPartitionsToTxnRequest, AddPartitionsToTxnTransaction};
use ringmail_kafka::messages::{Request, Response};

use crate::host::{Hold, Host, START_WALL_MS, add_request, end_request, topics};

fn partitions(host: &Host) -> Vec<(String, Vec<i32>)> {
    let stored = host.stored("t").unwrap();
    stored.partitions.iter().map(|(topic, there)| (topic.clone(), there.iter().copied().collect())).collect()
}

#[test]
fn the_first_partition_begins_a_transaction() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    host.pass(10);
    assert_eq!(host.add("t", producer, &[("a", 3), ("b", 0)]), ErrorCode::None);
    host.pass(10);
    assert_eq!(host.add("t", producer, &[("a", 1)]), ErrorCode::None);
    assert_eq!(partitions(&host), [("a".to_owned(), vec![1, 3]), ("b".to_owned(), vec![0])]);
    let stored = host.stored("t").unwrap();
    assert_eq!(
        (stored.state, stored.started_ms, stored.updated_ms),
        (State::Ongoing, START_WALL_MS + 10, START_WALL_MS + 20)
    );
    let records = host.log.len();
    assert_eq!(host.add("t", producer, &[("a", 1), ("a", 3)]), ErrorCode::None);
    assert_eq!(host.log.len(), records, "there is nothing new to store");
}

#[test]
fn only_the_newest_producer_adds() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    for version in 0..=5 {
        let fenced = if version < 2 { ErrorCode::InvalidProducerEpoch } else { ErrorCode::ProducerFenced };
        for epoch in [producer.epoch - 1, producer.epoch + 1, i16::MAX] {
            assert_eq!(host.add_as(version, "t", Producer { epoch, ..producer }, &[("a", 0)]), fenced);
        }
        let other = Producer { id: producer.id + 1, ..producer };
        assert_eq!(host.add_as(version, "t", other, &[("a", 0)]), ErrorCode::InvalidProducerIdMapping);
        assert_eq!(
            host.add_as(version, "unknown", producer, &[("a", 0)]),
            ErrorCode::InvalidProducerIdMapping
        );
        assert_eq!(host.add_as(version, "", producer, &[("a", 0)]), ErrorCode::InvalidRequest);
    }
    assert_eq!(host.state("t"), State::Empty);
}

#[test]
fn all_partitions_are_added_or_none() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    for (version, bad, error) in [
        (3, ("a", 4), ErrorCode::UnknownTopicOrPartition),
        (3, ("a", -1), ErrorCode::UnknownTopicOrPartition),
        (5, ("nothing", 0), ErrorCode::UnknownTopicOrPartition),
        (3, ("__consumer_offsets", 0), ErrorCode::TopicAuthorizationFailed),
        (3, ("__transaction_state", 0), ErrorCode::TopicAuthorizationFailed),
    ] {
        let call = host.ask(version, add_request(version, "t", producer, &[("a", 0), bad], false));
        assert_eq!(host.add_answer(call), [ErrorCode::OperationNotAttempted, error]);
    }
    assert_eq!(host.state("t"), State::Empty);
    // Who stores a commit of offsets adds its partition.
    assert_eq!(host.add_as(5, "t", producer, &[(GROUPS_TOPIC, 7)]), ErrorCode::None);
}

#[test]
fn no_partitions_are_no_transaction() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    let call = host.ask(3, add_request(3, "t", producer, &[], false));
    assert_eq!(host.add_answer(call), []);
    let call = host.ask(5, Request::AddPartitionsToTxn(AddPartitionsToTxnRequest::default()));
    assert_eq!(host.add_answer(call), []);
    assert_eq!(host.state("t"), State::Empty);
}

#[test]
fn offsets_of_a_group_are_in_its_partition() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    assert_eq!(host.add_offsets(3, "t", producer, "my-group"), ErrorCode::None);
    assert_eq!(partitions(&host), [(GROUPS_TOPIC.to_owned(), vec![partition_for("my-group", 50)])]);
    for version in 0..=4 {
        let fenced = if version < 2 { ErrorCode::InvalidProducerEpoch } else { ErrorCode::ProducerFenced };
        let zombie = Producer { epoch: producer.epoch - 1, ..producer };
        assert_eq!(host.add_offsets(version, "t", zombie, "my-group"), fenced);
        assert_eq!(host.add_offsets(version, "", producer, "my-group"), ErrorCode::InvalidRequest);
        assert_eq!(host.add_offsets(version, "u", producer, "my-group"), ErrorCode::InvalidProducerIdMapping);
    }
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    assert_eq!(host.markers(GROUPS_TOPIC, partition_for("my-group", 50)), [(producer, true)]);
}

#[test]
fn clients_come_again_while_the_transaction_before_is_completed() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
    host.hold = Hold { markers: true, ..Hold::default() };
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::ConcurrentTransactions);
    assert_eq!(host.add_offsets(3, "t", producer, "g"), ErrorCode::ConcurrentTransactions);
    host.release();
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
}

#[test]
fn brokers_wait_for_that() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    assert_eq!(host.add_as(5, "t", producer, &[("a", 0)]), ErrorCode::None);
    host.hold = Hold { markers: true, ..Hold::default() };
    let next = host.end(5, "t", producer, true).unwrap();
    let first = host.ask(5, add_request(5, "t", next, &[("a", 1)], false));
    let second = host.ask(5, add_request(5, "t", next, &[("b", 1)], false));
    let zombie = host.ask(5, add_request(5, "t", producer, &[("b", 1)], false));
    assert_eq!(host.open.len(), 3);
    host.pass(PARK_MS - 1);
    host.mark(0);
    assert_eq!(host.add_answer(first), [ErrorCode::None]);
    assert_eq!(host.add_answer(second), [ErrorCode::None]);
    assert_eq!(host.add_answer(zombie), [ErrorCode::ProducerFenced]);
    assert_eq!(partitions(&host), [("a".to_owned(), vec![1]), ("b".to_owned(), vec![1])]);
}

#[test]
fn but_not_for_ever() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    assert_eq!(host.add_as(5, "t", producer, &[("a", 0)]), ErrorCode::None);
    host.hold = Hold { markers: true, ..Hold::default() };
    let next = host.end(5, "t", producer, true).unwrap();
    let call = host.ask(5, add_request(5, "t", next, &[("a", 1)], false));
    host.pass(PARK_MS - 1);
    assert!(host.open.contains(&call));
    host.pass(1);
    assert_eq!(host.add_answer(call), [ErrorCode::ConcurrentTransactions]);
}

#[test]
fn several_brokers_at_once_all_get_their_partition_added() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    host.hold = Hold { writes: true, ..Hold::default() };
    let calls = [0, 1, 2].map(|k| host.ask(5, add_request(5, "t", producer, &[("a", k)], false)));
    host.release();
    for call in calls {
        assert_eq!(host.add_answer(call), [ErrorCode::None]);
    }
    assert_eq!(partitions(&host), [("a".to_owned(), vec![0, 1, 2])]);
}

#[test]
fn brokers_ask_whether_a_partition_was_added() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
    let records = host.log.len();
    for (version, missing) in [(4, ErrorCode::InvalidTxnState), (5, ErrorCode::TransactionAbortable)] {
        let mut verify = |id, producer, partitions: &[(&'static str, i32)]| {
            let call = host.ask(version, add_request(version, id, producer, partitions, true));
            host.add_answer(call)
        };
        assert_eq!(
            verify("t", producer, &[("a", 0), ("a", 1), ("b", 0)]),
            [ErrorCode::None, missing, missing]
        );
        let zombie = Producer { epoch: 9, ..producer };
        assert_eq!(verify("t", zombie, &[("a", 0)]), [ErrorCode::ProducerFenced]);
        let other = Producer { id: 9, ..producer };
        assert_eq!(verify("t", other, &[("a", 0)]), [ErrorCode::InvalidProducerIdMapping]);
        assert_eq!(verify("unknown", producer, &[("a", 0)]), [ErrorCode::InvalidProducerIdMapping]);
    }
    host.hold = Hold { markers: true, ..Hold::default() };
    assert_eq!(host.log.len(), records, "a question adds nothing");
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    let call = host.ask(5, add_request(5, "t", producer, &[("a", 0)], true));
    assert_eq!(host.add_answer(call), [ErrorCode::ConcurrentTransactions]);
}

#[test]
fn one_request_for_several_transactions_gets_one_answer() {
    let mut host = Host::new();
    let (t, u) = (host.init("t").unwrap(), host.init("u").unwrap());
    let transaction = |id: &'static str, producer: Producer, partition| AddPartitionsToTxnTransaction {
        transactional_id: id.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        verify_only: false,
        topics: topics(&[("a", partition)]),
    };
    let transactions =
        vec![transaction("t", t, 0), transaction("x", t, 1), transaction("u", u, 9), transaction("u", u, 2)];
    host.hold = Hold { writes: true, ..Hold::default() };
    let call = host.ask(
        5,
        Request::AddPartitionsToTxn(AddPartitionsToTxnRequest { transactions, ..Default::default() }),
    );
    assert!(host.open.contains(&call));
    host.release();
    let Response::AddPartitionsToTxn(response) = &host.answers[&call] else { panic!("another answer") };
    let ids: Vec<&str> =
        response.results_by_transaction.iter().map(|result| &*result.transactional_id).collect();
    assert_eq!(ids, ["t", "x", "u", "u"]);
    assert_eq!(
        host.add_answer(call),
        [
            ErrorCode::None,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::None
        ]
    );
}

#[test]
fn what_could_not_be_stored_was_not_added() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    host.refuse = Some(WriteError::Unavailable);
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(host.add_offsets(3, "t", producer, "g"), ErrorCode::CoordinatorNotAvailable);
    host.refuse = None;
    assert_eq!(host.state("t"), State::Empty);
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
}

#[test]
fn nothing_is_done_with_a_transactional_id_while_it_is_being_stored() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    host.hold = Hold { writes: true, ..Hold::default() };
    let adding = host.ask(3, add_request(3, "t", producer, &[("a", 0)], false));
    let ending = host.ask(4, end_request("t", producer, true));
    host.release();
    assert_eq!(host.add_answer(adding), [ErrorCode::None]);
    assert_eq!(host.end_answer(ending), Err(ErrorCode::ConcurrentTransactions));
}
