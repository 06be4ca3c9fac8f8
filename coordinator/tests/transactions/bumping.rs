//! EndTxn from version 5 on (KIP-890): every end gives the producer a new epoch, so that nothing late counts for the next
//! transaction.

use ringmail_coordinator::machine::{Producer, WriteError};
use ringmail_coordinator::transactions::State;
use ringmail_kafka::error::ErrorCode;

use crate::host::{Hold, Host, TIMEOUT_MS, add_request, end_request};

fn next(producer: Producer) -> Producer {
    Producer { epoch: producer.epoch + 1, ..producer }
}

fn open(host: &mut Host) -> Producer {
    let producer = host.init("t").unwrap();
    assert_eq!(host.add_as(5, "t", producer, &[("a", 0)]), ErrorCode::None);
    producer
}

#[test]
fn every_end_gives_the_next_epoch() {
    let mut host = Host::new();
    let mut producer = open(&mut host);
    for commit in [true, false, true] {
        let after = host.end(5, "t", producer, commit).unwrap();
        assert_eq!(after, next(producer));
        assert_eq!(host.markers("a", 0).last(), Some(&(after, commit)), "markers fence what comes late");
        assert_eq!(host.add_as(5, "t", producer, &[("a", 0)]), ErrorCode::ProducerFenced);
        assert_eq!(host.add_as(5, "t", after, &[("a", 0)]), ErrorCode::None);
        producer = after;
    }
}

#[test]
fn an_end_that_comes_again_is_known_by_the_epoch_before() {
    for commit in [true, false] {
        let mut host = Host::new();
        let producer = open(&mut host);
        host.hold = Hold { markers: true, ..Hold::default() };
        let after = host.end(5, "t", producer, commit).unwrap();
        assert_eq!(host.end(5, "t", producer, commit), Err(ErrorCode::ConcurrentTransactions));
        host.release();
        assert_eq!(host.end(5, "t", producer, commit), Ok(after));
        assert_eq!(host.end(5, "t", producer, !commit), Err(ErrorCode::InvalidTxnState));
        host.restart();
        assert_eq!(host.end(5, "t", producer, commit), Ok(after));
        assert_eq!(host.markers("a", 0).len(), 1);
        // Once there is another transaction it is a zombie's.
        assert_eq!(host.add_as(5, "t", after, &[("a", 0)]), ErrorCode::None);
        assert_eq!(host.end(5, "t", producer, commit), Err(ErrorCode::ProducerFenced));
    }
}

#[test]
fn an_abort_without_a_transaction_gives_the_next_epoch() {
    let mut host = Host::new();
    let mut producer = host.init("t").unwrap();
    assert_eq!(host.end(5, "t", producer, true), Err(ErrorCode::InvalidTxnState));
    for _ in 0..3 {
        // After no transaction, and after an aborted one.
        let after = host.end(5, "t", producer, false).unwrap();
        assert_eq!((after, host.state("t")), (next(producer), State::CompleteAbort));
        producer = after;
    }
    assert_eq!(host.end(5, "t", producer, true), Err(ErrorCode::InvalidTxnState));
    assert_eq!(host.add_as(5, "t", producer, &[("a", 0)]), ErrorCode::None);
    let producer = host.end(5, "t", producer, true).unwrap();
    // After a committed one, too.
    assert_eq!(host.end(5, "t", producer, true), Err(ErrorCode::InvalidTxnState));
    assert_eq!(host.end(5, "t", producer, false), Ok(next(producer)));
    assert_eq!(host.markers("a", 0).len(), 1);
}

#[test]
fn a_client_of_an_older_version_keeps_its_epoch() {
    let mut host = Host::new();
    let producer = open(&mut host);
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
    assert_eq!(host.end(5, "t", producer, true), Ok(next(producer)));
}

#[test]
fn the_last_epoch_is_followed_by_a_new_id() {
    let mut host = Host::new();
    let last = Producer { id: 1000, epoch: i16::MAX - 1 };
    while host.init("t") != Ok(last) {}
    assert_eq!(host.add_as(5, "t", last, &[("a", 0)]), ErrorCode::None);
    host.hold = Hold { markers: true, producer_ids: true, ..Hold::default() };
    let call = host.ask(5, end_request("t", last, true));
    assert_eq!(host.end(5, "t", last, true), Err(ErrorCode::ConcurrentTransactions));
    assert!(host.give_producer_id(None));
    let new = Producer { id: 1001, epoch: 0 };
    assert_eq!(host.end_answer(call), Ok(new));
    // It uses the new id before the transaction is completed.
    let adding = host.ask(5, add_request(5, "t", new, &[("a", 1)], false));
    assert_eq!(host.end(5, "t", last, true), Err(ErrorCode::ConcurrentTransactions));
    host.release();
    assert_eq!(host.markers("a", 0), [(Producer { id: 1000, epoch: i16::MAX }, true)]);
    assert_eq!(host.add_answer(adding), [ErrorCode::None]);
    assert_eq!(host.stored("t").unwrap().producer, new);
}

#[test]
fn the_end_before_a_new_id_can_come_again() {
    let mut host = Host::new();
    let last = Producer { id: 1000, epoch: i16::MAX - 1 };
    while host.init("t") != Ok(last) {}
    assert_eq!(host.add_as(5, "t", last, &[("a", 0)]), ErrorCode::None);
    let new = Producer { id: 1001, epoch: 0 };
    assert_eq!(host.end(5, "t", last, true), Ok(new));
    host.restart();
    assert_eq!(host.end(5, "t", last, true), Ok(new));
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(last)), Ok(new));
    // Once there is another transaction it is a zombie's.
    assert_eq!(host.add_as(5, "t", new, &[("a", 0)]), ErrorCode::None);
    assert_eq!(host.end(5, "t", last, true), Err(ErrorCode::ProducerFenced));
}

#[test]
fn without_a_new_id_the_transaction_stays_open() {
    let mut host = Host::new();
    let last = Producer { id: 1000, epoch: i16::MAX - 1 };
    while host.init("t") != Ok(last) {}
    assert_eq!(host.add_as(5, "t", last, &[("a", 0)]), ErrorCode::None);
    host.hold = Hold { producer_ids: true, ..Hold::default() };
    let call = host.ask(5, end_request("t", last, true));
    assert!(host.give_producer_id(Some(WriteError::Unavailable)));
    assert_eq!(host.end_answer(call), Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(host.state("t"), State::Ongoing);
    host.hold = Hold::default();
    assert_eq!(host.end(5, "t", last, true), Ok(Producer { id: 1001, epoch: 0 }));
}
