//! The blocking front.

mod support;

use std::sync::mpsc;
use std::time::Duration;

use ringmail_sdk::blocking::Client;
use ringmail_sdk::{Error, OffsetQuery, ProducerConfig, Record, StartAt};
use support::{FakeBroker, Fault};

/// Runs a broker on a thread of its own while `test` runs on this one.
fn with_broker(test: impl FnOnce(&FakeBroker)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = runtime.block_on(FakeBroker::start());
    test(&broker);
}

#[test]
fn the_whole_way_without_a_runtime() {
    with_broker(|broker| {
        let client = Client::connect(&broker.address()).unwrap();
        client.ping().unwrap();
        client.admin().create_topic("b", 2, &[]).unwrap();
        let producer = client.producer("b").unwrap();
        let ticket = producer.send(Record::new(b"first").partition(1)).unwrap();
        assert_eq!(producer.delivered(ticket).unwrap(), 0);
        producer.send_batch(1, &[Record::new(b"second"), Record::new(b"third")]).unwrap();
        producer.flush().unwrap();
        assert_eq!(client.admin().list_offsets("b", &[(1, OffsetQuery::Last)]).unwrap(), [3]);

        let mut consumer = client.consumer();
        consumer.assign_topic("b", StartAt::Start).unwrap();
        consumer.until_end().unwrap();
        let mut values = Vec::new();
        while let Some(record) = consumer.next().unwrap() {
            values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        }
        assert_eq!(values, ["first", "second", "third"]);
        consumer.assign_topic("b", StartAt::End).unwrap();
        let waited = consumer.next_batch_within(Duration::from_millis(50));
        assert!(matches!(waited, Err(Error::Timeout { .. })));
    });
}

#[test]
fn a_full_buffer_blocks() {
    with_broker(|broker| {
        let client = Client::connect(&broker.address()).unwrap();
        let config = ProducerConfig {
            buffer_bytes: 64 << 10,
            batch_bytes: 8 << 10,
            max_in_flight_bytes: 8 << 10,
            ..ProducerConfig::default()
        };
        broker.fail([Fault::Late(Duration::from_millis(20)); 5]);
        let producer = client.producer_with("t", config).unwrap();
        for _ in 0..1000 {
            producer.send(Record::new(&[1; 500])).unwrap();
        }
        producer.flush().unwrap();
        assert_eq!(broker.stored("t", 0).len(), 1000);
    });
}

#[test]
fn an_acknowledgement_that_never_comes_is_not_waited_for_without_end() {
    with_broker(|broker| {
        let client = Client::connect(&broker.address()).unwrap();
        let delivery_timeout = Duration::from_millis(200);
        let config = ProducerConfig { delivery_timeout, ..ProducerConfig::default() };
        let producer = client.producer_with("t", config).unwrap();
        broker.change(|model| model.stalled = true);
        let (tell, told) = mpsc::channel();
        // On a thread of its own, so that waiting without end would be seen.
        std::thread::spawn(move || {
            let ticket = producer.send(Record::new(b"a")).unwrap();
            let _ = tell.send((producer.flush(), producer.delivered(ticket)));
        });
        let (flushed, delivered) = told.recv_timeout(Duration::from_secs(10)).expect("an end in time");
        assert!(matches!(flushed, Err(Error::OutcomeUnknown(_))), "{flushed:?}");
        assert!(matches!(delivered, Err(Error::OutcomeUnknown(_))), "{delivered:?}");
    });
}

#[test]
fn batches_leave_while_the_program_does_something_else() {
    with_broker(|broker| {
        let client = Client::connect(&broker.address()).unwrap();
        let producer = client.producer("t").unwrap();
        producer.send(Record::new(b"a")).unwrap();
        for _ in 0..200 {
            if broker.stored("t", 0) == ["a"] {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the record never arrived");
    });
}
