//! The bound of a delivery, with a broker that answers pings and leaves produce requests unanswered.

mod support;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringmail_sdk::{
    Client, ClientConfig, Error, ErrorCode, OnDelivery, Producer, ProducerConfig, Record, Ticket,
};
use support::{FakeBroker, Fault, client};

/// What would wait without end fails after this time.
const PATIENCE: Duration = Duration::from_secs(10);

async fn soon<V>(what: impl Future<Output = V>) -> V {
    tokio::time::timeout(PATIENCE, what).await.expect("an end in time")
}

/// Settings with this bound.
fn within(ms: u64) -> ProducerConfig {
    ProducerConfig { delivery_timeout: Duration::from_millis(ms), ..ProducerConfig::default() }
}

/// A client that gives up on answers that are overdue this long.
async fn client_with_patience(broker: &FakeBroker, ms: u64) -> Client {
    let config = ClientConfig { request_timeout: Duration::from_millis(ms), ..ClientConfig::default() };
    Client::with_config(&broker.address(), config).await.unwrap()
}

async fn send_alone(producer: &Producer, value: &str) -> Ticket {
    soon(producer.send_batch(0, &[Record::new(value.as_bytes())])).await.unwrap()
}

/// Asserts that the error says that the time was over and that nobody knows more.
fn assert_late(error: &Error) {
    assert!(
        matches!(error, Error::OutcomeUnknown(cause) if matches!(**cause, Error::Timeout { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("may be stored or not"), "{error}");
}

#[tokio::test]
async fn a_batch_without_an_answer_fails_in_time() {
    let broker = FakeBroker::start().await;
    for retry_unknown in [false, true] {
        let config = ProducerConfig { retry_unknown, ..within(300) };
        let producer = client(&broker).await.producer_with("t", config).await.unwrap();
        broker.change(|model| model.stalled = true);
        let begun = Instant::now();
        let tickets = [send_alone(&producer, "a").await, send_alone(&producer, "b").await];
        assert_late(&soon(producer.flush()).await.unwrap_err());
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
        for ticket in tickets {
            assert_late(&soon(producer.delivered(ticket)).await.unwrap_err());
        }
        assert_eq!(producer.buffered_bytes(), 0);
    }
}

#[tokio::test]
async fn records_that_could_not_be_sent_fail_in_time_and_are_known_not_to_be_stored() {
    let broker = FakeBroker::start().await;
    let config = ProducerConfig { max_in_flight_bytes: 1, ..within(300) };
    let producer = client(&broker).await.producer_with("t", config).await.unwrap();
    broker.change(|model| model.stalled = true);
    let sent = send_alone(&producer, "a").await;
    let sealed = send_alone(&producer, "b").await;
    let open = producer.send(Record::new(b"c")).unwrap();
    assert_late(&soon(producer.delivered(sent)).await.unwrap_err());
    for ticket in [sealed, open] {
        let error = soon(producer.delivered(ticket)).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(error.to_string().contains("none is stored"), "{error}");
    }
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_changes_nothing_and_makes_room() {
    let broker = FakeBroker::start().await;
    let ends = Arc::new(Mutex::new(Vec::new()));
    let seen = ends.clone();
    let on_delivery = OnDelivery::new(move |batch| {
        seen.lock().unwrap().push((batch.first_sequence, batch.result.is_ok()));
    });
    // One batch at a time: the second one goes only when the first has given its room back.
    let config = ProducerConfig { max_in_flight_bytes: 1, on_delivery: Some(on_delivery), ..within(1000) };
    let producer = client(&broker).await.producer_with("t", config).await.unwrap();
    broker.fail([Fault::Late(Duration::from_millis(1300))]);
    let late = send_alone(&producer, "a").await;
    assert_late(&soon(producer.delivered(late)).await.unwrap_err());
    let next = send_alone(&producer, "b").await;
    assert_eq!(soon(producer.delivered(next)).await.unwrap(), 1);
    assert_late(&soon(producer.delivered(late)).await.unwrap_err());
    assert_eq!(broker.stored("t", 0), ["a", "b"]);
    assert_eq!(*ends.lock().unwrap(), [(0, false), (1, true)]);
    assert_eq!(broker.model().handshakes, 1, "the connection stays");
}

#[tokio::test]
async fn batches_behind_one_that_is_too_late_keep_their_order() {
    let broker = FakeBroker::start().await;
    let producer = client(&broker).await.producer_with("t", within(1000)).await.unwrap();
    broker.fail([Fault::Late(Duration::from_secs(3)), Fault::Refuse(ErrorCode::Overloaded)]);
    let late = send_alone(&producer, "a").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Refused, and held back until it is certain what became of the first.
    let refused = send_alone(&producer, "b").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let behind = send_alone(&producer, "c").await;
    assert_late(&soon(producer.delivered(late)).await.unwrap_err());
    assert_eq!(soon(producer.delivered(refused)).await.unwrap(), 1);
    assert_eq!(soon(producer.delivered(behind)).await.unwrap(), 2);
    assert_eq!(broker.stored("t", 0), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_connection_that_owes_an_answer_too_long_is_replaced() {
    let broker = FakeBroker::start().await;
    let client = client_with_patience(&broker, 500).await;
    let config = ProducerConfig { max_in_flight_bytes: 1, ..within(300) };
    let producer = client.producer_with("t", config).await.unwrap();
    broker.change(|model| model.stalled = true);
    let lost = send_alone(&producer, "lost").await;
    assert_late(&soon(producer.delivered(lost)).await.unwrap_err());
    broker.change(|model| model.stalled = false);
    // The room of the batch without an answer comes back with the end of its connection.
    let begun = Instant::now();
    while let Err(error) = producer.delivered(send_alone(&producer, "kept").await).await {
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(begun.elapsed() < PATIENCE, "the connection is never replaced");
    }
    assert_eq!(broker.stored("t", 0), ["kept"]);
    assert_eq!(broker.model().handshakes, 2);
}

#[tokio::test]
async fn a_producer_that_is_dropped_leaves_no_request_without_an_end() {
    let broker = FakeBroker::start().await;
    let client = client_with_patience(&broker, 500).await;
    let producer = client.producer_with("t", within(300)).await.unwrap();
    broker.change(|model| model.stalled = true);
    let lost = send_alone(&producer, "lost").await;
    assert_late(&soon(producer.delivered(lost)).await.unwrap_err());
    drop(producer);
    let begun = Instant::now();
    while broker.model().handshakes == 1 {
        assert!(begun.elapsed() < PATIENCE, "the connection is never closed");
        tokio::time::sleep(Duration::from_millis(20)).await;
        // Connects again once the connection is closed; the ping that meets the end of it fails.
        let _ = client.ping().await;
    }
}
