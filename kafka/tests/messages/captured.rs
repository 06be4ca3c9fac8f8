//! What real clients have sent, as `tests/captured/CLIENT-API-VERSION.hex`: every byte of it is understood, and written again
//! as it was. The clients are librdkafka 2.16 (rd…), kafka-python 3.0 (kpy…) and aiokafka 0.14 (aio…).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ringmail_kafka::api::Api;
use ringmail_kafka::batch::{MAX_RECORDS_BYTES, check_produced};
use ringmail_kafka::frame::RequestHeader;
use ringmail_kafka::messages::Request;

struct Captured {
    name: String,
    frame: Vec<u8>,
}

fn captured() -> Vec<Captured> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured");
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let digit = |k: usize| u8::from_str_radix(&text[k..k + 2], 16).unwrap();
            let frame = (0..text.trim_end().len()).step_by(2).map(digit).collect();
            Captured { name: path.file_stem().unwrap().to_string_lossy().into_owned(), frame }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[test]
fn every_byte_is_understood() {
    let mut apis = BTreeSet::new();
    for Captured { name, frame } in captured() {
        let (header, body) = RequestHeader::parse(&frame).unwrap_or_else(|error| panic!("{name}: {error}"));
        let suffix = format!("-{}-{}", header.api.info().name, header.version);
        assert!(name.ends_with(&suffix), "{name} has {suffix}");
        let request = Request::decode(header.api, header.version, body)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut again = Vec::new();
        header.encode(&mut again);
        request.encode(header.version, &mut again);
        assert_eq!(again, frame, "{name}: {request:?}");
        apis.insert(header.api.key());
    }
    assert!(apis.len() >= 15, "{} APIs", apis.len());
}

#[test]
fn their_batches_are_taken() {
    let mut batches = 0;
    for Captured { name, frame } in captured() {
        let (header, body) = RequestHeader::parse(&frame).unwrap();
        let Ok(Request::Produce(produce)) = Request::decode(header.api, header.version, body) else {
            assert_ne!(header.api, Api::Produce, "{name}");
            continue;
        };
        for topic in produce.topic_data.iter() {
            for partition in topic.partition_data.iter() {
                let bytes = partition.records.bytes().unwrap();
                let batch = check_produced(bytes, header.version).unwrap();
                let mut scratch = Vec::new();
                let open = batch.open(&mut scratch, MAX_RECORDS_BYTES).unwrap();
                open.check().unwrap_or_else(|error| panic!("{name}: {error}"));
                batches += 1;
            }
        }
    }
    assert!(batches >= 3, "{batches} batches");
}

/// librdkafka 2.16 asks for all topics with three bytes too many: it makes room for an old count, and writes a varint there.
/// Kafka passes over what follows the last field.
#[test]
fn bytes_behind_the_last_field() {
    let body = [0, 0, 0, 0, 1, 0, 0];
    let Ok(Request::Metadata(request)) = Request::decode(Api::Metadata, 13, &body) else {
        panic!("it must decode")
    };
    assert_eq!((request.topics, request.allow_auto_topic_creation), (None, false));
}
