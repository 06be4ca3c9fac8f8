//! Transactional ids that nobody uses any more.

use ringmail_coordinator::machine::{Producer, WriteError};
use ringmail_coordinator::transactions::{EXPIRY_CHECK_MS, EXPIRY_RECORDS, RETRY_MS, State};
use ringmail_kafka::error::ErrorCode;

use crate::host::{Hold, Host, init_request};

const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;

#[test]
fn they_are_forgotten_after_a_week() {
    let mut host = Host::new();
    let used = host.init("used").unwrap();
    let unused = host.init("unused").unwrap();
    host.pass(WEEK_MS - EXPIRY_CHECK_MS);
    assert_eq!(host.add("used", used, &[("a", 0)]), ErrorCode::None);
    assert_eq!(host.end(4, "used", used, true), Ok(used));
    assert!(host.stored("unused").is_some());
    host.pass(2 * EXPIRY_CHECK_MS);
    assert!(host.stored("unused").is_none());
    assert_eq!(host.log.last().unwrap().1, None, "a tombstone");
    assert_eq!(host.state("used"), State::CompleteCommit);
    host.restart();
    assert!(host.stored("unused").is_none());
    assert_eq!(host.end(4, "unused", unused, true), Err(ErrorCode::InvalidProducerIdMapping));
    // A new life with a new id: what the old one left cannot be taken for it.
    assert_eq!(host.init("unused"), Ok(Producer { id: 1002, epoch: 0 }));
    host.pass(2 * WEEK_MS);
    assert_eq!(host.machine.stored().count(), 0);
}

#[test]
fn one_with_an_undecided_or_uncompleted_transaction_stays() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
    host.hold = Hold { markers: true, ..Hold::default() };
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    host.pass(2 * WEEK_MS);
    assert_eq!(host.state("t"), State::PrepareCommit);
    host.release();
    host.pass(WEEK_MS - EXPIRY_CHECK_MS);
    assert_eq!(host.state("t"), State::CompleteCommit);
}

#[test]
fn many_go_in_several_writes() {
    let mut host = Host::new();
    for k in 0..=EXPIRY_RECORDS {
        host.init(format!("{k}").leak()).unwrap();
    }
    // The next look is at the end of the week.
    host.pass(WEEK_MS);
    assert_eq!(host.machine.stored().count(), 1);
    host.pass(RETRY_MS);
    assert_eq!(host.machine.stored().count(), 0);
}

#[test]
fn what_cannot_be_stored_now_is_forgotten_later() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    host.refuse = Some(WriteError::Unavailable);
    host.pass(WEEK_MS + EXPIRY_CHECK_MS);
    assert_eq!(host.stored("t").unwrap().producer, producer);
    host.refuse = None;
    host.pass(EXPIRY_CHECK_MS);
    assert!(host.stored("t").is_none());
}

#[test]
fn one_that_is_just_being_forgotten_is_not_used() {
    let mut host = Host::new();
    host.init("t").unwrap();
    host.hold = Hold { writes: true, ..Hold::default() };
    host.pass(WEEK_MS + EXPIRY_CHECK_MS);
    let call = host.ask(5, init_request("t", 1, None));
    host.release();
    assert_eq!(host.init_answer(call), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(host.init("t"), Ok(Producer { id: 1001, epoch: 0 }));
}
