//! Transactions that take longer than their timeout.

use ringmail_coordinator::machine::{Producer, WriteError};
use ringmail_coordinator::transactions::{RETRY_MS, State};
use ringmail_kafka::error::ErrorCode;

use crate::host::{Hold, Host, TIMEOUT_MS};

const TIMEOUT: u64 = TIMEOUT_MS as u64;

fn open(host: &mut Host) -> Producer {
    let producer = host.init("t").unwrap();
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
    producer
}

fn next(producer: Producer) -> Producer {
    Producer { epoch: producer.epoch + 1, ..producer }
}

#[test]
fn they_are_aborted_and_their_producer_fenced() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.pass(TIMEOUT - 1);
    // What is added later does not extend it.
    assert_eq!(host.add("t", producer, &[("a", 1)]), ErrorCode::None);
    assert_eq!(host.state("t"), State::Ongoing);
    host.pass(1);
    assert_eq!(host.state("t"), State::CompleteAbort);
    assert_eq!(host.markers("a", 0), [(next(producer), false)]);
    assert_eq!(host.markers("a", 1), [(next(producer), false)]);
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::ProducerFenced);
}

#[test]
fn a_late_commit_hears_of_it_in_the_words_of_its_version() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.pass(TIMEOUT);
    for version in 0..=5 {
        let error = match version {
            0 | 1 => ErrorCode::InvalidProducerEpoch,
            2..=4 => ErrorCode::ProducerFenced,
            _ => ErrorCode::InvalidTxnState,
        };
        assert_eq!(host.end(version, "t", producer, true), Err(error), "EndTxn {version}");
    }
    // To abort it is what has happened.
    assert_eq!(host.end(5, "t", producer, false), Ok(next(producer)));
}

#[test]
fn the_producer_can_go_on_unless_there_is_another() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.pass(TIMEOUT);
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(producer)), Ok(next(producer)));
    let other = host.init("t").unwrap();
    assert_eq!(other, next(next(producer)));
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(producer)), Err(ErrorCode::ProducerFenced));
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(next(producer))), Err(ErrorCode::ProducerFenced));
}

#[test]
fn each_transaction_has_the_whole_time() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.pass(TIMEOUT - 1);
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    host.pass(10 * TIMEOUT);
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
    host.pass(TIMEOUT - 1);
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    assert_eq!(host.markers("a", 0), [(producer, true); 2]);
}

#[test]
fn what_is_decided_is_not_changed_by_time() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.hold = Hold { markers: true, ..Hold::default() };
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    host.pass(10 * TIMEOUT);
    host.restart();
    host.pass(10 * TIMEOUT);
    assert_eq!(host.state("t"), State::PrepareCommit);
    host.release();
    assert_eq!(host.markers("a", 0), [(producer, true)]);
}

#[test]
fn a_restart_does_not_give_more_time() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.pass(TIMEOUT - 100);
    host.restart();
    host.pass(99);
    assert_eq!(host.state("t"), State::Ongoing);
    host.pass(1);
    assert_eq!(host.markers("a", 0), [(next(producer), false)]);
}

#[test]
fn clocks_that_jump_do_not_count() {
    let mut host = Host::new();
    let producer = open(&mut host);
    // Years ahead: the transaction goes on.
    host.now.wall_ms *= 2;
    host.pass(TIMEOUT - 1);
    assert_eq!(host.end(4, "t", producer, true), Ok(producer));
    assert_eq!(host.add("t", producer, &[("a", 1)]), ErrorCode::None);
    // Years back, and a restart, after which only that clock is left: no more time than at the beginning.
    host.now.wall_ms /= 2;
    host.restart();
    host.pass(TIMEOUT - 1);
    assert_eq!(host.state("t"), State::Ongoing);
    host.pass(1);
    assert_eq!(host.state("t"), State::CompleteAbort);
}

#[test]
fn an_abort_that_cannot_be_stored_is_tried_again() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.refuse = Some(WriteError::Unavailable);
    host.pass(TIMEOUT + 3 * RETRY_MS);
    assert_eq!(host.state("t"), State::Ongoing);
    host.refuse = None;
    host.pass(RETRY_MS);
    assert_eq!(host.markers("a", 0), [(next(producer), false)]);
}

#[test]
fn a_commit_that_is_being_stored_is_not_disturbed() {
    let mut host = Host::new();
    let producer = open(&mut host);
    host.pass(TIMEOUT - 1);
    host.hold = Hold { writes: true, ..Hold::default() };
    let call = host.ask(4, crate::host::end_request("t", producer, true));
    host.pass(RETRY_MS * 3);
    host.release();
    assert_eq!(host.end_answer(call), Ok(producer));
    host.pass(10 * TIMEOUT);
    assert_eq!(host.markers("a", 0), [(producer, true)]);
}
