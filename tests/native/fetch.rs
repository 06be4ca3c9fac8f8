//! Fetching: long polls, several partitions, limits.

use std::time::{Duration, Instant};

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data};
use crate::client::{batch, fetch_request, fetched, values};

fn milliseconds(started: Instant) -> u128 {
    started.elapsed().as_millis()
}

#[test]
fn a_long_poll_is_answered_when_records_come() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let (mut consumer, mut producer) = (broker.client(), broker.client());
    let log = consumer.create("t", 1)[0];
    let started = Instant::now();
    consumer.send(Api::Fetch, &fetch_request(log, 0, 15_000));
    assert!(consumer.hears_nothing(Duration::from_millis(300)));
    producer.produce(log, &["a"]);
    assert_eq!(fetched(&consumer.receive()), ["a"]);
    assert!(milliseconds(started) < 5_000);
}

#[test]
fn a_long_poll_that_waits_in_vain_is_answered_in_time() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    for wait in [0, 200] {
        let started = Instant::now();
        let frame = client.call(Api::Fetch, &fetch_request(log, 0, wait));
        assert_eq!(frame.ok::<FetchResponse<'_>>().partitions, []);
        let waited = milliseconds(started);
        assert!((u128::from(wait)..u128::from(wait) + 2_000).contains(&waited), "{waited} of {wait} ms");
    }
}

#[test]
fn a_long_poll_gathers_until_there_is_enough() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let (mut consumer, mut producer) = (broker.client(), broker.client());
    let log = consumer.create("t", 1)[0];
    let one = batch(&["0"]).len() as u32;
    let request = FetchRequest { min_bytes: 3 * one, ..fetch_request(log, 0, 15_000) };
    consumer.send(Api::Fetch, &request);
    for value in ["0", "1"] {
        producer.produce(log, &[value]);
        assert!(consumer.hears_nothing(Duration::from_millis(100)));
    }
    producer.produce(log, &["2"]);
    assert_eq!(fetched(&consumer.receive()), ["0", "1", "2"]);

    // Time is up before there is enough.
    let request = FetchRequest { min_bytes: 3 * one, ..fetch_request(log, 3, 300) };
    consumer.send(Api::Fetch, &request);
    producer.produce(log, &["3"]);
    assert_eq!(fetched(&consumer.receive()), ["3"]);
}

#[test]
fn what_lies_apart_on_disk_is_gathered_too() {
    let data = Data::new();
    let mut broker = Broker::start(&data.path());
    let log = broker.client().create("t", 1)[0];
    for value in ["0", "1", "2"] {
        broker.client().produce(log, &[value]);
        broker.stop();
        broker = Broker::start(&data.path());
    }
    let request = FetchRequest { min_bytes: 3 * batch(&["0"]).len() as u32, ..fetch_request(log, 0, 15_000) };
    let started = Instant::now();
    assert_eq!(fetched(&broker.client().call(Api::Fetch, &request)), ["0", "1", "2"]);
    assert!(milliseconds(started) < 5_000);
}

#[test]
fn several_partitions_come_in_one_answer_in_order() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    let logs = client.create("t", 6);
    for (number, log) in logs.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        client.produce(*log, &[&number.to_string()]);
    }
    let partitions =
        logs.iter().rev().map(|log| FetchPartition { log: *log, offset: 0, max_bytes: 1 << 20 }).collect();
    let request = FetchRequest { max_wait_ms: 0, min_bytes: 1, max_bytes: 1 << 20, partitions };
    let frame = client.call(Api::Fetch, &request);
    let response = frame.ok::<FetchResponse<'_>>();
    let found: Vec<_> = response.partitions.iter().map(|p| (p.header.log, values(p.batches))).collect();
    let expected: Vec<_> = [4, 2, 0].iter().map(|n: &usize| (logs[*n], vec![n.to_string()])).collect();
    assert_eq!(found, expected);
    assert!(response.partitions.iter().all(|p| (p.header.log_start, p.header.high_watermark) == (0, 1)));
}

#[test]
fn limits_hold_but_never_hold_back_the_first_batch() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let logs = client.create("t", 2);
    let large = "x".repeat(100_000);
    for _ in 0..5 {
        client.produce(logs[0], &[&large]);
        client.produce(logs[1], &[&large]);
    }
    let mut bytes = |partition_bytes: u32, max_bytes: u32| -> Vec<usize> {
        let partitions =
            logs.iter().map(|log| FetchPartition { log: *log, offset: 0, max_bytes: partition_bytes });
        let request =
            FetchRequest { max_wait_ms: 0, min_bytes: 0, max_bytes, partitions: partitions.collect() };
        let frame = client.call(Api::Fetch, &request);
        frame.ok::<FetchResponse<'_>>().partitions.iter().map(|p| values(p.batches).len()).collect()
    };
    assert_eq!(bytes(1 << 20, 1 << 20), [5, 5]);
    assert_eq!(bytes(250_000, 1 << 20), [2, 2]);
    assert_eq!(bytes(1, 1), [1]);
    assert_eq!(bytes(0, 0), [1]);
    assert_eq!(bytes(1 << 20, 150_000), [1]);
}

#[test]
fn an_error_of_one_partition_leaves_the_others_alone() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    client.produce(log, &["a"]);
    let part = |log, offset| FetchPartition { log, offset, max_bytes: 1_000 };
    let partitions = vec![part(log, 7), part(log, 0), part(999, 0)];
    let request = FetchRequest { max_wait_ms: 10_000, min_bytes: 1_000, max_bytes: 1_000, partitions };
    let started = Instant::now();
    let frame = client.call(Api::Fetch, &request);
    assert!(milliseconds(started) < 5_000, "an error is told at once");
    let codes: Vec<_> = frame.ok::<FetchResponse<'_>>().partitions.iter().map(|p| p.header.code).collect();
    let expected = [ErrorCode::OffsetOutOfRange as u16, 0, ErrorCode::UnknownPartition as u16];
    assert_eq!(codes, expected);
    let header = frame.ok::<FetchResponse<'_>>().partitions[0].header;
    assert_eq!((header.log_start, header.high_watermark), (0, 1), "so that the client can go on from there");
}

#[test]
fn offsets_are_found_by_time_and_records_deleted() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    for mut client in [broker.client_at(0), broker.client_at(1)] {
        let name = format!("t{}", client.stream.peer_addr().unwrap().port());
        for log in client.create(&name, 2) {
            client.produce(log, &["a", "b", "c"]);
            client.produce(log, &["d", "e", "f", "g", "h"]);
            let query = |timestamp| ListOffsetsQuery { log, query: OffsetQuery::Timestamp(timestamp) };
            let queries = [0, 1_001, 1_004, 1_005].map(query).to_vec();
            let frame = client.call(Api::ListOffsets, &ListOffsetsRequest { queries });
            let found: Vec<_> =
                frame.ok::<ListOffsetsResponse>().offsets.iter().map(|o| (o.code, o.offset)).collect();
            assert_eq!(found, [(0, 0), (0, 1), (0, 7), (0, 8)]);

            let request = DeleteRecordsRequest { log, before: 3 };
            assert_eq!(client.call(Api::DeleteRecords, &request).ok::<DeleteRecordsResponse>().log_start, 3);
            assert_eq!(client.offsets(log), (3, 8));
            assert_eq!(client.fetch(log, 3), ["d", "e", "f", "g", "h"]);
            let request = DeleteRecordsRequest { log, before: u64::MAX };
            assert_eq!(client.call(Api::DeleteRecords, &request).ok::<DeleteRecordsResponse>().log_start, 8);
        }
    }
}

#[test]
fn a_fetch_of_a_deleted_topic_is_told_at_once() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut other = broker.client_at(0);
    let logs = other.create("t", 2);
    let mut waiting: Vec<_> = (0..2)
        .flat_map(|shard| logs.iter().map(move |log| (shard, *log)))
        .map(|(shard, log)| {
            let mut client = broker.client_at(shard);
            client.send(Api::Fetch, &fetch_request(log, 0, 15_000));
            client
        })
        .collect();
    assert!(waiting[0].hears_nothing(Duration::from_millis(100)));
    let started = Instant::now();
    other.call(Api::DeleteTopic, &DeleteTopicRequest { name: "t" }).ok::<()>();
    for client in &mut waiting {
        let frame = client.receive();
        let code = frame.ok::<FetchResponse<'_>>().partitions[0].header.code;
        assert_eq!(ErrorCode::from_number(code), ErrorCode::UnknownPartition);
    }
    assert!(milliseconds(started) < 5_000);
}
