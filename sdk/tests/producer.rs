//! The producer: order, retries, back pressure, failures.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringmail_sdk::{
    Acks, Client, ClientConfig, Compression, Error, ErrorCode, OnDelivery, Partitioner, Producer,
    ProducerConfig, Record, SendError, Ticket, partition_of_key,
};
use support::{FakeBroker, Fault, client};

/// Sends one record as a batch of its own.
async fn send_alone(producer: &Producer, value: &str) -> Ticket {
    producer.send_batch(0, &[Record::new(value.as_bytes())]).await.unwrap()
}

async fn producer(broker: &FakeBroker, config: ProducerConfig) -> Producer {
    client(broker).await.producer_with("t", config).await.unwrap()
}

/// Sends these as batches of one record while the broker holds its answers back, so that all are on their way.
async fn send_all(producer: &Producer, values: &[&str]) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for value in values {
        tickets.push(send_alone(producer, value).await);
    }
    tickets
}

#[tokio::test]
async fn records_are_stored_once_and_in_order() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    let mut tickets = Vec::new();
    for n in 0..20_000 {
        tickets.push(producer.send_wait(Record::new(format!("record {n}").as_bytes())).await.unwrap());
    }
    producer.flush().await.unwrap();
    let stored = broker.stored("t", 0);
    assert_eq!(stored.len(), 20_000);
    assert!(stored.iter().enumerate().all(|(n, value)| *value == format!("record {n}")));
    assert!(broker.batches("t", 0) < 1000, "records travel in batches");
    assert_eq!(producer.delivered(tickets[19_999]).await.unwrap(), 19_999);
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test]
async fn a_single_record_does_not_wait_for_the_linger_time() {
    let broker = FakeBroker::start().await;
    let config = ProducerConfig { linger: Duration::from_secs(60), ..ProducerConfig::default() };
    let producer = producer(&broker, config).await;
    for n in 0..3 {
        let ticket = producer.send(Record::new(b"alone")).unwrap();
        assert_eq!(producer.delivered(ticket).await.unwrap(), n);
    }
}

#[tokio::test]
async fn records_gather_while_others_are_on_their_way() {
    let broker = FakeBroker::start().await;
    let config = ProducerConfig { linger: Duration::from_millis(20), ..ProducerConfig::default() };
    let producer = producer(&broker, config).await;
    broker.fail([Fault::Late(Duration::from_millis(200))]);
    producer.send(Record::new(b"first")).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    for n in 0..100 {
        producer.send(Record::new(format!("{n}").as_bytes())).unwrap();
    }
    producer.flush().await.unwrap();
    assert_eq!(broker.batches("t", 0), 2);
}

#[tokio::test]
async fn keys_go_to_the_partitions_of_their_hashes() {
    let broker = FakeBroker::with_shards(4).await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    for n in 0..100 {
        let key = format!("key {n}");
        let ticket = producer.send(Record::new(key.as_bytes()).key(key.as_bytes())).unwrap();
        assert_eq!(ticket.partition, partition_of_key(key.as_bytes(), 4));
    }
    producer.flush().await.unwrap();
    for partition in 0..4 {
        for key in broker.stored("t", partition) {
            assert_eq!(partition_of_key(key.as_bytes(), 4), partition as u32);
        }
    }
    assert_eq!(broker.model().misrouted, 0, "every batch goes to the owner of its partition");
}

#[tokio::test]
async fn records_without_a_key_fill_one_batch_after_the_other() {
    let broker = FakeBroker::with_shards(4).await;
    let config = ProducerConfig { linger: Duration::from_secs(60), ..ProducerConfig::default() };
    let producer = producer(&broker, config).await;
    let records = 4 * 2000;
    for _ in 0..records {
        producer.send_wait(Record::new(&[7; 100])).await.unwrap();
    }
    producer.flush().await.unwrap();
    let stored: Vec<usize> = (0..4).map(|p| broker.stored("t", p).len()).collect();
    assert_eq!(stored.iter().sum::<usize>(), records);
    assert!(stored.iter().all(|n| *n > 1000), "{stored:?}");
    let batches: usize = (0..4).map(|p| broker.batches("t", p)).sum();
    assert!(batches <= 8 * 2 * 4, "{batches} batches of {records} records are not full");
}

#[tokio::test]
async fn a_partition_can_be_named_and_must_exist() {
    let broker = FakeBroker::with_shards(3).await;
    let config = ProducerConfig { partitioner: Partitioner::Fixed(2), ..ProducerConfig::default() };
    let producer = producer(&broker, config).await;
    assert_eq!(producer.send(Record::new(b"a").key(b"k")).unwrap().partition, 2);
    assert_eq!(producer.send(Record::new(b"a").partition(1)).unwrap().partition, 1);
    let refused = producer.send(Record::new(b"a").partition(3));
    assert!(matches!(
        refused,
        Err(SendError::Refused(Error::UnknownPartition { topic, partition: 3 })) if topic == "t"
    ));
    producer.flush().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_is_refused_for_a_while_is_sent_again() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    broker.fail([Fault::Refuse(ErrorCode::Overloaded), Fault::Refuse(ErrorCode::StorageFull)]);
    let ticket = send_alone(&producer, "a").await;
    assert_eq!(producer.delivered(ticket).await.unwrap(), 0);
    assert_eq!(broker.stored("t", 0), ["a"]);
    assert_eq!(broker.model().produced, 3);
}

#[tokio::test]
async fn batches_that_are_sent_again_keep_their_order() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    broker.fail([Fault::Late(Duration::from_millis(50))]);
    broker.fail([Fault::Refuse(ErrorCode::Overloaded); 6]);
    let tickets = send_all(&producer, &["a", "b", "c", "d"]).await;
    producer.flush().await.unwrap();
    assert_eq!(broker.stored("t", 0), ["a", "b", "c", "d"]);
    for (offset, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(producer.delivered(ticket).await.unwrap(), offset as u64);
    }
}

#[tokio::test]
async fn a_batch_that_later_ones_have_passed_fails_rather_than_change_the_order() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    broker.fail([Fault::Refuse(ErrorCode::Overloaded), Fault::None, Fault::Refuse(ErrorCode::Overloaded)]);
    let tickets = send_all(&producer, &["a", "b", "c"]).await;
    let lost = producer.delivered(tickets[0]).await.unwrap_err();
    assert!(matches!(lost, Error::OrderLost(_)), "{lost}");
    assert_eq!(lost.code(), Some(ErrorCode::Overloaded));
    assert_eq!(producer.delivered(tickets[1]).await.unwrap(), 0);
    assert_eq!(producer.delivered(tickets[2]).await.unwrap(), 1);
    assert_eq!(broker.stored("t", 0), ["b", "c"]);
}

#[tokio::test]
async fn a_batch_is_sent_behind_later_ones_if_that_is_allowed() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig { reorder: true, ..ProducerConfig::default() }).await;
    broker.fail([Fault::Refuse(ErrorCode::Overloaded)]);
    send_all(&producer, &["a", "b"]).await;
    producer.flush().await.unwrap();
    assert_eq!(broker.stored("t", 0), ["b", "a"]);
}

#[tokio::test]
async fn answers_may_come_in_another_order() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    broker.fail([30, 20, 10, 0].map(|ms| Fault::Late(Duration::from_millis(ms))));
    let tickets = send_all(&producer, &["a", "b", "c", "d"]).await;
    for (offset, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(producer.delivered(ticket).await.unwrap(), offset as u64);
    }
    assert_eq!(broker.stored("t", 0), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_batch_without_an_answer_is_not_sent_again() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    let ticket = send_alone(&producer, "a").await;
    assert_eq!(producer.delivered(ticket).await.unwrap(), 0);
    broker.fail([Fault::StoreAndClose]);
    let ticket = send_alone(&producer, "b").await;
    let error = producer.delivered(ticket).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error}");
    assert!(matches!(producer.flush().await, Err(Error::OutcomeUnknown(_))));
    let ticket = send_alone(&producer, "c").await;
    assert_eq!(producer.delivered(ticket).await.unwrap(), 2);
    assert_eq!(broker.stored("t", 0), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_batch_without_an_answer_is_sent_again_if_that_is_allowed() {
    let broker = FakeBroker::start().await;
    let config = ProducerConfig { retry_unknown: true, ..ProducerConfig::default() };
    let producer = producer(&broker, config).await;
    broker.fail([Fault::StoreAndClose, Fault::Close]);
    for value in ["a", "b"] {
        send_alone(&producer, value).await;
        producer.flush().await.unwrap();
    }
    let stored = broker.stored("t", 0);
    assert!(stored == ["a", "a", "b"], "{stored:?}");
}

#[tokio::test]
async fn records_wait_for_a_broker_that_is_away() {
    let mut broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    broker.stop().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let tickets = send_all(&producer, &["a", "b", "c"]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    broker.restart().await;
    producer.flush().await.unwrap();
    assert_eq!(broker.stored("t", 0), ["a", "b", "c"]);
    assert_eq!(producer.delivered(tickets[2]).await.unwrap(), 2);
}

#[tokio::test]
async fn shards_are_found_at_their_new_ports() {
    let mut broker = FakeBroker::with_shards(3).await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    for round in 1..=3 {
        for partition in 0..3 {
            producer.send(Record::new(b"a").partition(partition)).unwrap();
        }
        producer.flush().await.unwrap();
        assert!((0..3).all(|partition| broker.stored("t", partition).len() == round));
        broker.stop().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        broker.restart_elsewhere().await;
    }
    assert_eq!(broker.model().misrouted, 0);
}

#[tokio::test]
async fn added_partitions_are_noticed() {
    let broker = FakeBroker::start().await;
    let config = ClientConfig { metadata_max_age: Duration::from_millis(50), ..ClientConfig::default() };
    let client = Client::with_config(&broker.address(), config).await.unwrap();
    let producer = client.producer("t").await.unwrap();
    client.admin().alter_topic("t", 3, &[]).await.unwrap();
    for _ in 0..200 {
        if producer.partitions() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    producer.send(Record::new(b"a").partition(2)).unwrap();
    producer.flush().await.unwrap();
    assert_eq!(broker.stored("t", 2), ["a"]);
}

#[tokio::test]
async fn records_fail_if_the_broker_stays_away() {
    let mut broker = FakeBroker::start().await;
    let config = ProducerConfig { delivery_timeout: Duration::from_millis(200), ..ProducerConfig::default() };
    let producer = producer(&broker, config).await;
    broker.stop().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    producer.send(Record::new(b"a")).unwrap();
    let ticket = send_alone(&producer, "b").await;
    let error = producer.delivered(ticket).await.unwrap_err();
    assert!(error.is_connection(), "{error}");
    assert!(producer.flush().await.unwrap_err().is_connection());
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test]
async fn a_topic_that_was_created_again_is_found() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    send_alone(&producer, "gone").await;
    producer.flush().await.unwrap();
    broker.change(|model| {
        model.delete_topic("t");
        model.create_topic("t", 1);
    });
    let tickets = send_all(&producer, &["a", "b", "c"]).await;
    assert_eq!(producer.delivered(tickets[2]).await.unwrap(), 2);
    assert_eq!(broker.stored("t", 0), ["a", "b", "c"]);
}

#[tokio::test]
async fn records_to_a_topic_that_was_deleted_fail() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    broker.change(|model| model.delete_topic("t"));
    let tickets = send_all(&producer, &["a", "b"]).await;
    for ticket in tickets {
        let error = producer.delivered(ticket).await.unwrap_err();
        assert!(matches!(error, Error::UnknownTopic(_)), "{error}");
    }
    assert!(matches!(producer.flush().await, Err(Error::UnknownTopic(_))));
    producer.flush().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_is_refused_for_good_fails_and_others_go_on() {
    let broker = FakeBroker::start().await;
    let ends = Arc::new(Mutex::new(Vec::new()));
    let seen = ends.clone();
    let on_delivery = OnDelivery::new(move |batch| {
        seen.lock().unwrap().push((batch.first_sequence, batch.records, batch.result.is_ok()));
    });
    let config = ProducerConfig { on_delivery: Some(on_delivery), ..ProducerConfig::default() };
    let producer = producer(&broker, config).await;
    broker.fail([Fault::None, Fault::Refuse(ErrorCode::CorruptBatch)]);
    send_all(&producer, &["a", "b", "c"]).await;
    let failure = producer.flush().await.unwrap_err();
    assert_eq!(failure.code(), Some(ErrorCode::CorruptBatch));
    producer.flush().await.unwrap();
    assert_eq!(broker.stored("t", 0), ["a", "c"]);
    assert_eq!(*ends.lock().unwrap(), [(0, 1, true), (1, 1, false), (2, 1, true)]);
}

#[tokio::test]
async fn a_slow_broker_pushes_back() {
    let broker = FakeBroker::start().await;
    let config = ProducerConfig {
        buffer_bytes: 256 << 10,
        batch_bytes: 16 << 10,
        max_in_flight_bytes: 32 << 10,
        ..ProducerConfig::default()
    };
    let producer = producer(&broker, config).await;
    broker.change(|model| model.faults.extend([Fault::Late(Duration::from_millis(50)); 4]));
    let mut taken = 0;
    while producer.send(Record::new(&[b'x'; 1000])).is_ok() {
        taken += 1;
    }
    assert!((200..=256).contains(&taken), "{taken} records of 1000 bytes in 256 KiB");
    assert!(matches!(producer.send(Record::new(&[b'x'; 1000])), Err(SendError::BufferFull)));
    assert!(producer.buffered_bytes() <= 256 << 10);
    for _ in 0..1000 {
        producer.send_wait(Record::new(&[b'x'; 1000])).await.unwrap();
        assert!(producer.buffered_bytes() <= 256 << 10);
    }
    producer.flush().await.unwrap();
    assert_eq!(broker.stored("t", 0).len(), taken + 1000);
}

#[tokio::test]
async fn large_records_have_batches_of_their_own_up_to_the_brokers_limit() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    producer.send(Record::new(b"small")).unwrap();
    let ticket = producer.send(Record::new(&vec![b'l'; 500_000])).unwrap();
    producer.send(Record::new(b"small again")).unwrap();
    assert_eq!(producer.delivered(ticket).await.unwrap(), 1);
    producer.flush().await.unwrap();
    assert_eq!(broker.stored("t", 0)[2], "small again");
    let refused = producer.send(Record::new(&vec![0; 1 << 20]));
    assert!(matches!(
        refused,
        Err(SendError::Refused(Error::RecordTooLarge { limit, .. })) if limit == (1 << 20) - 24
    ));
}

#[tokio::test]
async fn a_batch_is_stored_together() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig::default()).await;
    producer.send(Record::new(b"before")).unwrap();
    let values: Vec<String> = (0..5000).map(|n| format!("{n:0>40}")).collect();
    let records: Vec<Record<'_>> = values.iter().map(|v| Record::new(v.as_bytes())).collect();
    let ticket = producer.send_batch(0, &records).await.unwrap();
    assert_eq!(producer.delivered(ticket).await.unwrap(), 1);
    assert_eq!(broker.batches("t", 0), 2);
    assert_eq!(broker.stored("t", 0)[1..], values);
    assert!(matches!(producer.send_batch(0, &[]).await, Err(Error::Config(_))));
    assert!(matches!(producer.send_batch(1, &records).await, Err(Error::UnknownPartition { .. })));
    let huge = vec![Record::new(&[0; 1000]); 2000];
    assert!(matches!(producer.send_batch(0, &huge).await, Err(Error::RecordTooLarge { .. })));
}

#[tokio::test]
async fn every_compression_arrives() {
    let broker = FakeBroker::start().await;
    for compression in [Compression::Lz4, Compression::Zstd] {
        let producer = producer(&broker, ProducerConfig { compression, ..ProducerConfig::default() }).await;
        for _ in 0..1000 {
            producer.send(Record::new(&[b'z'; 100])).unwrap();
        }
        producer.flush().await.unwrap();
    }
    let stored = broker.stored("t", 0);
    assert_eq!(stored.len(), 2000);
    assert!(stored.iter().all(|value| value == &"z".repeat(100)));
}

#[tokio::test]
async fn records_without_acknowledgement_are_done_when_sent() {
    let broker = FakeBroker::start().await;
    let producer = producer(&broker, ProducerConfig { acks: Acks::None, ..ProducerConfig::default() }).await;
    let ticket = producer.send(Record::new(b"a")).unwrap();
    producer.flush().await.unwrap();
    assert!(matches!(producer.delivered(ticket).await, Err(Error::NotAcknowledged)));
    client(&broker).await.ping().await.unwrap();
    for _ in 0..100 {
        if broker.stored("t", 0) == ["a"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the record never arrived");
}

#[tokio::test]
async fn a_producer_that_is_dropped_delivers_first() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    let producer = client.producer("t").await.unwrap();
    for _ in 0..1000 {
        producer.send(Record::new(b"a")).unwrap();
    }
    drop(producer);
    for _ in 0..200 {
        if broker.stored("t", 0).len() == 1000 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of 1000 records arrived", broker.stored("t", 0).len());
}

#[tokio::test]
async fn wrong_settings_are_refused() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    let wrong = [
        ProducerConfig { batch_bytes: 1, ..ProducerConfig::default() },
        ProducerConfig { buffer_bytes: 1000, ..ProducerConfig::default() },
        ProducerConfig { delivery_timeout: Duration::from_millis(1), ..ProducerConfig::default() },
    ];
    for config in wrong {
        assert!(matches!(client.producer_with("t", config).await, Err(Error::Config(_))));
    }
    assert!(matches!(client.producer("nowhere").await, Err(Error::UnknownTopic(name)) if name == "nowhere"));
}
