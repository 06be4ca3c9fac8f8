//! InitProducerId: epochs go up, and those before are fenced.

use ringmail_coordinator::machine::{Producer, WriteError};
use ringmail_coordinator::transactions::{MAX_TRANSACTIONAL_ID_BYTES, State};
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Request;
use ringmail_kafka::messages::transactions::InitProducerIdRequest;

use crate::host::{Hold, Host, START_WALL_MS, TIMEOUT_MS, init_request};

const FIRST: Producer = Producer { id: 1000, epoch: 0 };

fn epoch(epoch: i16) -> Producer {
    Producer { epoch, ..FIRST }
}

#[test]
fn the_first_gets_a_new_id_and_the_next_a_higher_epoch() {
    let mut host = Host::new();
    assert_eq!(host.init("t"), Ok(epoch(0)));
    assert_eq!(host.init("t"), Ok(epoch(1)));
    assert_eq!(host.init("other"), Ok(Producer { id: 1001, epoch: 0 }));
    let stored = host.stored("t").unwrap();
    assert_eq!(
        (stored.state, stored.timeout_ms, stored.updated_ms),
        (State::Empty, TIMEOUT_MS, START_WALL_MS)
    );
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut host = Host::new();
    let long = "x".repeat(MAX_TRANSACTIONAL_ID_BYTES + 1).leak();
    for id in ["", long] {
        assert_eq!(host.init(id), Err(ErrorCode::InvalidRequest));
    }
    // One half of a producer.
    for producer in [Producer { id: 5, epoch: -1 }, Producer { id: -1, epoch: 5 }] {
        assert_eq!(host.init_as(3, "t", TIMEOUT_MS, Some(producer)), Err(ErrorCode::InvalidRequest));
    }
    // Without a transactional id it is no coordinator's business.
    let call = host.ask(
        0,
        Request::InitProducerId(InitProducerIdRequest { transaction_timeout_ms: 1, ..Default::default() }),
    );
    assert_eq!(host.init_answer(call), Err(ErrorCode::InvalidRequest));
    assert_eq!(host.log.len(), 0);
}

#[test]
fn timeouts_are_limited_to_fifteen_minutes() {
    let mut host = Host::new();
    for timeout_ms in [0, -1, i32::MIN, 900_001, i32::MAX] {
        assert_eq!(host.init_as(5, "t", timeout_ms, None), Err(ErrorCode::InvalidTransactionTimeout));
    }
    for timeout_ms in [1, 900_000] {
        assert!(host.init_as(5, "t", timeout_ms, None).is_ok());
    }
}

#[test]
fn an_answer_waits_for_the_disk() {
    let mut host = Host::new();
    host.hold = Hold { sync: true, ..Hold::default() };
    let call = host.ask(5, init_request("t", TIMEOUT_MS, None));
    assert!(host.open.contains(&call));
    host.sync(usize::MAX);
    assert_eq!(host.init_answer(call), Ok(FIRST));
}

#[test]
fn two_at_once_are_served_one_after_the_other() {
    let mut host = Host::new();
    host.hold = Hold { producer_ids: true, ..Hold::default() };
    let first = host.ask(5, init_request("t", TIMEOUT_MS, None));
    assert_eq!(host.init("t"), Err(ErrorCode::ConcurrentTransactions));
    assert!(host.stored("t").is_none(), "it is not known before it is stored");
    host.hold = Hold { writes: true, ..Hold::default() };
    assert!(host.give_producer_id(None));
    let second = host.ask(5, init_request("t", TIMEOUT_MS, None));
    host.release();
    assert_eq!(host.init_answer(first), Ok(FIRST));
    assert_eq!(host.init_answer(second), Err(ErrorCode::ConcurrentTransactions));
}

#[test]
fn what_could_not_be_stored_leaves_nothing_behind() {
    let mut host = Host::new();
    host.refuse = Some(WriteError::Unavailable);
    assert_eq!(host.init("t"), Err(ErrorCode::CoordinatorNotAvailable));
    host.refuse = None;
    host.hold = Hold { producer_ids: true, ..Hold::default() };
    let call = host.ask(5, init_request("t", TIMEOUT_MS, None));
    assert!(host.give_producer_id(Some(WriteError::Unavailable)));
    assert_eq!(host.init_answer(call), Err(ErrorCode::CoordinatorNotAvailable));
    host.hold = Hold::default();
    // The first producer id is lost, which is what they are many for.
    assert_eq!(host.init("t"), Ok(Producer { id: 1001, epoch: 0 }));
    host.refuse = Some(WriteError::TooLarge);
    assert_eq!(host.init("t"), Err(ErrorCode::UnknownServerError));
    host.refuse = None;
    assert_eq!(host.init("t"), Ok(Producer { id: 1001, epoch: 1 }));
}

#[test]
fn an_open_transaction_is_aborted_first() {
    let mut host = Host::new();
    let old = host.init("t").unwrap();
    assert_eq!(host.add("t", old, &[("a", 1)]), ErrorCode::None);
    host.hold = Hold { markers: true, ..Hold::default() };
    assert_eq!(host.init("t"), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(host.state("t"), State::PrepareAbort);
    // Until the markers are there it goes on so.
    assert_eq!(host.init("t"), Err(ErrorCode::ConcurrentTransactions));
    host.release();
    assert_eq!(host.markers("a", 1), [(epoch(1), false)], "the marker fences the old producer");
    assert_eq!(host.init("t"), Ok(epoch(2)));
    for version in 0..=5 {
        let fenced = if version < 2 { ErrorCode::InvalidProducerEpoch } else { ErrorCode::ProducerFenced };
        assert_eq!(host.end(version, "t", old, true), Err(fenced), "EndTxn {version}");
    }
}

#[test]
fn a_failed_abort_changes_nothing() {
    let mut host = Host::new();
    let old = host.init("t").unwrap();
    assert_eq!(host.add("t", old, &[("a", 1)]), ErrorCode::None);
    host.refuse = Some(WriteError::Unavailable);
    assert_eq!(host.init("t"), Err(ErrorCode::CoordinatorNotAvailable));
    host.refuse = None;
    assert_eq!(host.end(4, "t", old, true), Ok(old));
    assert_eq!(host.markers("a", 1), [(old, true)]);
}

#[test]
fn a_producer_that_says_who_it_is_goes_on() {
    let mut host = Host::new();
    assert_eq!(host.init("t"), Ok(epoch(0)));
    assert_eq!(host.init_as(3, "t", TIMEOUT_MS, Some(epoch(0))), Ok(epoch(1)));
    // The answer was lost: the same again, not yet another epoch. In a restart, too.
    assert_eq!(host.init_as(4, "t", TIMEOUT_MS, Some(epoch(0))), Ok(epoch(1)));
    host.restart();
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(epoch(0))), Ok(epoch(1)));
    // Nobody knows this transactional id: whoever it was, it gets a new id.
    assert_eq!(host.init_as(5, "new", TIMEOUT_MS, Some(epoch(7))), Ok(Producer { id: 1001, epoch: 0 }));
}

#[test]
fn one_that_is_not_the_newest_is_fenced() {
    let mut host = Host::new();
    assert_eq!(host.init("t"), Ok(epoch(0)));
    assert_eq!(host.init("t"), Ok(epoch(1)));
    for producer in
        [epoch(0), epoch(2), epoch(i16::MAX), Producer { id: 7, epoch: 1 }, Producer { id: 7, epoch: 32766 }]
    {
        assert_eq!(host.init_as(3, "t", TIMEOUT_MS, Some(producer)), Err(ErrorCode::InvalidProducerEpoch));
        assert_eq!(host.init_as(4, "t", TIMEOUT_MS, Some(producer)), Err(ErrorCode::ProducerFenced));
    }
    // And it cannot abort what the newest one does.
    assert_eq!(host.add("t", epoch(1), &[("a", 0)]), ErrorCode::None);
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(epoch(0))), Err(ErrorCode::ProducerFenced));
    assert_eq!(host.state("t"), State::Ongoing);
    // The newest one itself can.
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(epoch(1))), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(epoch(1))), Ok(epoch(2)));
}

#[test]
fn epochs_end_and_a_new_id_follows() {
    let mut host = Host::new();
    let last = epoch(i16::MAX - 1);
    while host.init("t") != Ok(last) {}
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(last)), Ok(Producer { id: 1001, epoch: 0 }));
    // The answer was lost, and lost again: it asks as the old one.
    for _ in 0..3 {
        assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(last)), Ok(Producer { id: 1001, epoch: 0 }));
    }
    assert_eq!(host.init("t"), Ok(Producer { id: 1001, epoch: 1 }));
    assert_eq!(host.init_as(5, "t", TIMEOUT_MS, Some(last)), Err(ErrorCode::ProducerFenced));
}

#[test]
fn the_last_epoch_can_still_be_fenced() {
    let mut host = Host::new();
    let last = epoch(i16::MAX - 1);
    while host.init("t") != Ok(last) {}
    assert_eq!(host.add("t", last, &[("a", 1)]), ErrorCode::None);
    assert_eq!(host.init("t"), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(host.markers("a", 1), [(epoch(i16::MAX), false)]);
    // Nobody was given the highest epoch, so nobody may use it.
    assert_eq!(host.add("t", epoch(i16::MAX), &[("a", 1)]), ErrorCode::ProducerFenced);
    for version in [4, 5] {
        assert_eq!(host.end(version, "t", epoch(i16::MAX), false), Err(ErrorCode::ProducerFenced));
    }
    assert_eq!(host.init("t"), Ok(Producer { id: 1001, epoch: 0 }));
}

#[test]
fn producers_are_fenced_by_an_administrator() {
    let mut host = Host::new();
    let old = host.init("t").unwrap();
    // That is how `fenceProducers` asks.
    assert_eq!(host.init_as(5, "t", 1, None), Ok(epoch(1)));
    assert_eq!(host.add("t", old, &[("a", 1)]), ErrorCode::ProducerFenced);
}
