//! What is not Kafka's protocol ends the connection, as Kafka ends it, and nobody else's.

use std::time::{Duration, Instant};

use ringmail_kafka::api::Api;
use ringmail_kafka::messages::metadata::{MetadataRequest, MetadataResponse};

use crate::broker::{Broker, Data};
use crate::frames::Kafka;

/// Bytes of a request of `key` and `version` without a body.
fn header(key: i16, version: i16) -> Vec<u8> {
    let rest = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1], &[0xff, 0xff]].concat();
    [&(rest.len() as u32).to_be_bytes()[..], &rest].concat()
}

#[test]
fn connections_end_that_do_not_speak_the_protocol() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut healthy = Kafka::connect(&broker);
    let hostile: &[(&str, Vec<u8>)] = &[
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a negative length", vec![0xff; 64]),
        ("too short for a header", vec![0, 0, 0, 2, 0, 18]),
        ("too large", (64_u32 << 20).to_be_bytes().to_vec()),
        ("an unknown API", header(4, 0)),
        ("a negative API", header(-1, 0)),
        ("an API that is not offered", header(Api::DescribeAcls.key(), 1)),
        ("a version past the last", header(Api::Metadata.key(), 99)),
        ("a version before the first", header(Api::Produce.key(), 2)),
        ("a body that is cut short", header(Api::Metadata.key(), 4)),
    ];
    for (what, bytes) in hostile {
        let mut client = Kafka::connect(&broker);
        client.send_bytes(bytes);
        let since = Instant::now();
        assert!(client.ends(), "{what}");
        assert!(since.elapsed() < Duration::from_secs(1), "{what}: it is ended at once");
        let answer = healthy.ask(1, &MetadataRequest { topics: None, ..MetadataRequest::default() });
        assert_eq!(answer.body::<MetadataResponse<'_>>(1).topics.len(), 0);
    }
}

/// 2,147,483,647 topics in a request of a few bytes.
#[test]
fn counts_that_lie_end_the_connection() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    for (version, count) in [(4, &[0x7f, 0xff, 0xff, 0xff][..]), (9, &[0xff, 0xff, 0xff, 0xff, 0x07])] {
        let mut client = Kafka::connect(&broker);
        client.send_raw(Api::Metadata, version, count);
        assert!(client.ends());
    }
}

/// What was asked before is answered first.
#[test]
fn requests_before_garbage_are_answered() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let (correlation, mut bytes) =
        client.frame(1, &MetadataRequest { topics: None, ..MetadataRequest::default() });
    bytes.extend_from_slice(&header(4, 0));
    client.send_bytes(&bytes);
    assert_eq!(client.receive().correlation, correlation);
    assert!(client.ends());
}

#[test]
fn a_silent_connection_is_closed() {
    let data = Data::new();
    let arguments = ["--set", "node.shards=1", "--set", "limits.idle_timeout=1 s"];
    let broker = Broker::start_with(&data.path(), &arguments);
    let since = Instant::now();
    let mut client = Kafka::connect(&broker);
    client.ask(1, &MetadataRequest { topics: None, ..MetadataRequest::default() });
    assert!(client.ends());
    assert!(since.elapsed() >= Duration::from_secs(1));
}

#[test]
fn one_connection_too_many_is_closed() {
    let data = Data::new();
    let arguments = ["--set", "node.shards=1", "--set", "limits.connections=1"];
    let broker = Broker::start_with(&data.path(), &arguments);
    let mut first = Kafka::connect(&broker);
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    first.ask(1, &all);
    assert!(Kafka::connect(&broker).ends());
    first.ask(1, &all);
}
