//! What a client does wrong: a typed error with words, the connection kept where that is possible, nothing lost.

use std::time::Duration;

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data};
use crate::client::{Client, batch};

/// A frame with any header and body.
fn frame(api: u8, version: u8, correlation: u32, body: &[u8]) -> Vec<u8> {
    let header = FrameHeader { body: body.len(), correlation, api, version, code: 0 };
    [&header.to_bytes(), body].concat()
}

/// The broker answers with an error, and serves the connection as before.
#[track_caller]
fn refused(client: &mut Client, bytes: &[u8], code: ErrorCode) -> String {
    client.send_bytes(bytes);
    let frame = client.receive();
    assert_eq!(frame.error(), code, "{}", frame.words());
    client.call(Api::Ping, &()).ok::<()>();
    frame.words()
}

/// The broker answers with an error, and closes the connection.
#[track_caller]
fn ended(mut client: Client, bytes: &[u8], code: ErrorCode) {
    client.send_bytes(bytes);
    let frame = client.receive();
    assert_eq!(frame.error(), code, "{}", frame.words());
    assert_eq!(client.try_receive(), None);
}

#[test]
fn requests_that_make_no_sense_are_answered_and_the_connection_kept() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let client = &mut client;
    assert!(refused(client, &frame(200, 1, 5, b""), ErrorCode::UnknownApi).contains("no API 200"));
    refused(client, &frame(Api::Push as u8, 1, 5, b""), ErrorCode::UnknownApi);
    refused(client, &frame(Api::Ping as u8, 2, 5, b""), ErrorCode::UnsupportedVersion);
    refused(client, &frame(Api::Ping as u8, 1, 5, b"x"), ErrorCode::MalformedRequest);
    refused(client, &frame(Api::Fetch as u8, 1, 5, b"short"), ErrorCode::MalformedRequest);
    refused(client, &frame(Api::Produce as u8, 1, 5, &[0; 11]), ErrorCode::MalformedRequest);
    let lying = [[0; 12].as_slice(), &u32::MAX.to_le_bytes()].concat();
    refused(client, &frame(Api::Fetch as u8, 1, 5, &lying), ErrorCode::MalformedRequest);
    let hello = frame(Api::Handshake as u8, 1, 5, &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    refused(client, &hello, ErrorCode::HandshakeOrder);
}

#[test]
fn batches_that_are_wrong_are_not_stored() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client_at(0);
    let logs = client.create("t", 2);
    let good = batch(&["hello", "world"]);
    let broken = |place: usize, value: u8| {
        let mut batch = good.clone();
        batch[place] = value;
        batch
    };
    let fixed = |mut batch: Vec<u8>| {
        let crc = ringmail_wire::crc::crc32c(&batch[16..]);
        batch[12..16].copy_from_slice(&crc.to_le_bytes());
        batch
    };
    for log in logs {
        for (batch, code) in [
            (broken(16, 0), ErrorCode::InvalidBatch),
            (broken(18, 9), ErrorCode::InvalidBatch),
            (broken(19, 0xff), ErrorCode::InvalidBatch),
            (broken(50, 0x42), ErrorCode::CorruptBatch),
            (broken(good.len() - 1, 0x42), ErrorCode::CorruptBatch),
            // The second slot points outside of the heap.
            (fixed(broken(48 + 20, 0x77)), ErrorCode::InvalidBatch),
            (good[..good.len() - 1].to_vec(), ErrorCode::InvalidBatch),
            ([good.as_slice(), b"x"].concat(), ErrorCode::InvalidBatch),
            (Vec::new(), ErrorCode::InvalidBatch),
            (crate::client::batch(&["x".repeat(9 << 20).as_str()]), ErrorCode::BatchTooLarge),
        ] {
            let request = ProduceRequest { log, acks: Acks::Synced, batch: &batch };
            let frame = client.call(Api::Produce, &request);
            assert_eq!(frame.error(), code, "{}", frame.words());
            client.send(Api::Produce, &ProduceRequest { acks: Acks::None, ..request });
        }
        assert_eq!(client.offsets(log), (0, 0));
        assert_eq!(client.produce(log, &["a"]), 0);
    }
}

#[test]
fn partitions_and_offsets_that_do_not_exist_are_told() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    let logs = client.create("t", 2);
    let one = batch(&["a"]);
    // Log 0 is the catalog's own, and nobody else's.
    for log in [0, 999, u64::MAX] {
        let frame = client.call(Api::Produce, &ProduceRequest { log, acks: Acks::Synced, batch: &one });
        assert_eq!(frame.error(), ErrorCode::UnknownPartition);
        assert!(frame.words().contains("metadata"), "{}", frame.words());
        let frame = client.call(Api::DeleteRecords, &DeleteRecordsRequest { log, before: 0 });
        assert_eq!(frame.error(), ErrorCode::UnknownPartition);
        let query = ListOffsetsQuery { log, query: OffsetQuery::Last };
        let frame = client.call(Api::ListOffsets, &ListOffsetsRequest { queries: vec![query] });
        assert_eq!(frame.ok::<ListOffsetsResponse>().offsets[0].code, ErrorCode::UnknownPartition as u16);
    }
    for log in logs {
        let frame = client.call(Api::Fetch, &crate::client::fetch_request(log, 5, 1_000));
        let code = frame.ok::<FetchResponse<'_>>().partitions[0].header.code;
        assert_eq!(code, ErrorCode::OffsetOutOfRange as u16);
    }
    assert!(client.logs("nothing").is_empty());
}

#[test]
fn frames_that_cannot_be_end_the_connection() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let oversized = FrameHeader { body: 17 << 20, correlation: 1, api: 8, version: 1, code: 0 }.to_bytes();
    ended(broker.client(), &oversized, ErrorCode::FrameTooLarge);
    let everything = [&oversized[..], &vec![0; 17 << 20]].concat();
    ended(broker.client(), &everything, ErrorCode::FrameTooLarge);
    ended(broker.client(), &[7, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0], ErrorCode::MalformedRequest);
    let silent = || Client::connect_silently(&broker.address);
    ended(silent(), &frame(Api::Ping as u8, 1, 1, b""), ErrorCode::HandshakeOrder);
    ended(silent(), &frame(99, 1, 1, b""), ErrorCode::HandshakeOrder);
    ended(silent(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ErrorCode::FrameTooLarge);
}

#[test]
fn versions_are_negotiated() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Client::connect_silently(&broker.address);
    let hello = |min_version, max_version| HandshakeRequest {
        min_version,
        max_version,
        features: u64::MAX,
        client: "t",
    };
    assert_eq!(client.call(Api::Handshake, &hello(2, 9)).error(), ErrorCode::UnsupportedVersion);
    let frame = client.call(Api::Handshake, &hello(0, 9));
    let answer = frame.ok::<HandshakeResponse<'_>>();
    assert_eq!((answer.version, answer.features), (1, features::ALL));
    assert_eq!((answer.max_frame, answer.idle_timeout_ms), (16 << 20, 600_000));
}

#[test]
fn too_many_connections_are_told_so() {
    let data = Data::new();
    let broker = Broker::start_with(&data.path(), &["--set", "limits.connections=2"]);
    let (mut first, second) = (broker.client(), broker.client());
    let mut third = Client::connect_silently(&broker.address);
    third.send(Api::Ping, &());
    let frame = third.receive();
    assert_eq!(frame.error(), ErrorCode::TooManyConnections);
    assert!(frame.words().contains("limits.connections"));
    assert_eq!(third.try_receive(), None);
    drop(second);
    std::thread::sleep(Duration::from_millis(200));
    broker.client().call(Api::Ping, &()).ok::<()>();
    first.call(Api::Ping, &()).ok::<()>();
}

#[test]
fn silent_connections_are_closed_and_pings_keep_them() {
    let data = Data::new();
    let timeouts =
        ["--set", "limits.idle_timeout=2 s", "--set", "limits.handshake_timeout=1 s", "--cores", "0"];
    let broker = Broker::start_with(&data.path(), &timeouts);
    let (mut idle, mut pinging) = (broker.client(), broker.client());
    let mut mute = Client::connect_silently(&broker.address);
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(500));
        pinging.call(Api::Ping, &()).ok::<()>();
    }
    for client in [&mut idle, &mut mute] {
        let frame = client.receive();
        assert_eq!((frame.error(), frame.header.correlation), (ErrorCode::IdleTimeout, 0));
        assert_eq!(client.try_receive(), None);
    }
    pinging.call(Api::Ping, &()).ok::<()>();
}

#[test]
fn what_is_sent_byte_by_byte_is_understood() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    let mut bytes = Vec::new();
    put_frame(
        &mut bytes,
        Api::Produce,
        7,
        0,
        &ProduceRequest { log, acks: Acks::Synced, batch: &batch(&["a"]) },
    );
    put_frame(&mut bytes, Api::Ping, 8, 0, &());
    for byte in bytes {
        client.send_bytes(&[byte]);
    }
    let mut answers: Vec<_> = (0..2).map(|_| client.receive().header.correlation).collect();
    answers.sort_unstable();
    assert_eq!(answers, [7, 8]);
}

#[test]
fn a_broker_survives_noise() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..300 {
        let mut noisy = broker.client_at(round % 2);
        let mut bytes = Vec::new();
        for _ in 0..8 {
            let body: Vec<u8> = (0..random() % 100).map(|_| (random() % 4) as u8).collect();
            bytes.extend(frame((random() % 16) as u8, 1, 1, &body));
        }
        // It may be closed before it has sent everything.
        let _ = std::io::Write::write_all(&mut noisy.stream, &bytes);
    }
    assert_eq!(client.produce(log, &["a"]), client.offsets(log).1 - 1);
    let words = broker.stop();
    assert!(!words.contains("panicked"), "{words}");
}
