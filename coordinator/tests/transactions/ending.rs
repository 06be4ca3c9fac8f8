//! EndTxn until version 4: the epoch stays.

use ringmail_coordinator::machine::{Producer, WriteError};
use ringmail_coordinator::transactions::{RETRY_MS, State};
use ringmail_kafka::error::ErrorCode;

use crate::host::{Hold, Host, end_request};

/// A transaction that has written to two partitions.
fn open(host: &mut Host) -> Producer {
    let producer = host.init("t").unwrap();
    assert_eq!(host.add("t", producer, &[("a", 0), ("b", 1)]), ErrorCode::None);
    producer
}

#[test]
fn markers_follow_once_the_outcome_is_durable() {
    for commit in [true, false] {
        let mut host = Host::new();
        let producer = open(&mut host);
        host.hold = Hold { sync: true, markers: true, ..Hold::default() };
        let call = host.ask(4, end_request("t", producer, commit));
        assert!(host.due.is_empty() && host.open.contains(&call));
        host.sync(usize::MAX);
        assert_eq!(host.end_answer(call), Ok(producer));
        assert_eq!(host.due.len(), 2);
        host.mark(1);
        assert!(host.state("t").is_prepared());
        host.mark(0);
        let complete = if commit { State::CompleteCommit } else { State::CompleteAbort };
        assert_eq!(host.state("t"), complete);
        assert!(host.stored("t").unwrap().partitions.is_empty());
        assert_eq!(host.markers("a", 0), [(producer, commit)]);
        assert_eq!(host.markers("b", 1), [(producer, commit)]);
    }
}

#[test]
fn an_end_that_comes_again_is_answered_as_before() {
    for commit in [true, false] {
        let mut host = Host::new();
        let producer = open(&mut host);
        host.hold = Hold { markers: true, ..Hold::default() };
        assert_eq!(host.end(3, "t", producer, commit), Ok(producer));
        assert_eq!(host.end(3, "t", producer, commit), Err(ErrorCode::ConcurrentTransactions));
        host.release();
        for version in 0..=4 {
            assert_eq!(host.end(version, "t", producer, commit), Ok(producer));
            assert_eq!(host.end(version, "t", producer, !commit), Err(ErrorCode::InvalidTxnState));
        }
        assert_eq!(host.markers("a", 0).len(), 1);
    }
}

#[test]
fn without_a_transaction_there_is_nothing_to_end() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    for commit in [true, false] {
        assert_eq!(host.end(4, "t", producer, commit), Err(ErrorCode::InvalidTxnState));
    }
    assert_eq!(host.end(4, "unknown", producer, true), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(host.end(4, "", producer, true), Err(ErrorCode::InvalidRequest));
}

#[test]
fn zombies_end_nothing() {
    let mut host = Host::new();
    let producer = open(&mut host);
    for version in 0..=5 {
        let fenced = if version < 2 { ErrorCode::InvalidProducerEpoch } else { ErrorCode::ProducerFenced };
        for epoch in [-1, producer.epoch + 1, i16::MAX, i16::MIN] {
            assert_eq!(host.end(version, "t", Producer { epoch, ..producer }, true), Err(fenced));
        }
        let other = Producer { id: 7, ..producer };
        assert_eq!(host.end(version, "t", other, true), Err(ErrorCode::InvalidProducerIdMapping));
    }
    assert_eq!(host.state("t"), State::Ongoing);
}

#[test]
fn an_outcome_that_could_not_be_stored_is_none() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.refuse = Some(WriteError::Unavailable);
    assert_eq!(host.end(4, "t", producer, true), Err(ErrorCode::CoordinatorNotAvailable));
    host.refuse = None;
    assert_eq!(host.state("t"), State::Ongoing);
    // Even the other one is still possible.
    assert_eq!(host.end(4, "t", producer, false), Ok(producer));
    assert_eq!(host.markers("a", 0), [(producer, false)]);
}

#[test]
fn what_is_over_is_stored_later_if_it_cannot_be_now() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.hold = Hold { markers: true, ..Hold::default() };
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    host.refuse = Some(WriteError::Unavailable);
    host.release();
    assert_eq!(host.state("t"), State::PrepareCommit);
    host.pass(3 * RETRY_MS);
    assert_eq!(host.state("t"), State::PrepareCommit);
    assert_eq!(host.end(4, "t", producer, true), Err(ErrorCode::ConcurrentTransactions));
    host.refuse = None;
    host.pass(RETRY_MS);
    assert_eq!(host.state("t"), State::CompleteCommit);
}

#[test]
fn markers_that_nobody_waits_for_change_nothing() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.hold = Hold { markers: true, ..Hold::default() };
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    let late = host.due[0].clone();
    host.due.push(late.clone());
    host.due.insert(0, late);
    host.release();
    assert_eq!(host.state("t"), State::CompleteCommit);
    assert_eq!(host.markers("a", 0), [(producer, true); 3]);
}
