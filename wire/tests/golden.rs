//! `PROTOCOL.md` is held against the code: its example bytes in both directions, and its tables.

use std::collections::HashMap;

use ringmail_wire::batch::{Batch, BatchBuilder, Batches, Compression, HeadersBuf, Record, set_base_offset};
use ringmail_wire::protocol::{
    Acks, Api, ErrorBody, ErrorCode, FetchPartition, FetchRequest, FetchResponse, FetchedPartition,
    FetchedPartitionHeader, FrameHeader, HandshakeRequest, HandshakeResponse, MAX_LIST_ITEMS, Message,
    PROTOCOL_VERSION, ProduceRequest, ProduceResponse, PushHeader, Reader, Writer, features, put_frame,
    put_produce,
};

const PAGE: &str = include_str!("../PROTOCOL.md");
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;
const FENCE: &str = "```";

/// The bytes of every example on the page, by name.
fn examples() -> HashMap<&'static str, Vec<u8>> {
    let mut blocks: HashMap<&str, Vec<u8>> = HashMap::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```hex ") else { continue };
        let mut bytes = Vec::new();
        for line in lines.by_ref().take_while(|line| *line != FENCE) {
            let content = line.split('#').next().unwrap_or_default();
            for word in content.split_whitespace() {
                match word.strip_prefix('@') {
                    Some(other) => bytes.extend_from_slice(&blocks[other]),
                    None => bytes.push(u8::from_str_radix(word, 16).expect("a byte in hex")),
                }
            }
        }
        assert!(blocks.insert(name, bytes).is_none(), "two examples are called `{name}`");
    }
    blocks
}

fn example(name: &str) -> Vec<u8> {
    examples().remove(name).unwrap_or_else(|| panic!("PROTOCOL.md has no example `{name}`"))
}

fn example_headers() -> HeadersBuf {
    let mut headers = HeadersBuf::new();
    headers.push(b"h", Some(b"1")).unwrap();
    headers.push(b"h", None).unwrap();
    headers
}

/// The batch of the examples, as the code builds it.
fn example_batch(base_offset: u64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1 << 20, Compression::None);
    builder.push(FIRST_TIMESTAMP, Some(b"k1"), Some(b"hello"), example_headers().as_bytes()).unwrap();
    builder.push(FIRST_TIMESTAMP + 250, None, Some(b""), &[]).unwrap();
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    set_base_offset(&mut batch, base_offset);
    batch
}

/// Holds `message` against an example in both directions.
#[track_caller]
fn holds<'a, M>(bytes: &'a [u8], api: Api, correlation: u32, code: u16, message: &M)
where
    M: Message<'a> + PartialEq + std::fmt::Debug,
{
    let mut encoded = Vec::new();
    put_frame(&mut encoded, api, correlation, code, message);
    assert_eq!(encoded, bytes, "encoding");
    let body = body_of(bytes, api, correlation, code);
    assert_eq!(M::from_body(body).as_ref(), Ok(message), "decoding");
}

#[track_caller]
fn body_of(bytes: &[u8], api: Api, correlation: u32, code: u16) -> &[u8] {
    let header = FrameHeader::parse(bytes).unwrap().expect("a whole header");
    let (body, rest) = bytes[bytes.len() - header.body..].split_at(header.body);
    assert_eq!(header, FrameHeader { body: body.len(), correlation, api: api as u8, version: 1, code });
    assert_eq!((header.frame_bytes(), rest), (bytes.len(), &[][..]));
    assert_eq!(header.to_bytes(), bytes[..bytes.len() - body.len()]);
    body
}

#[test]
fn the_batch() {
    let (bytes, built) = (example("batch"), example_batch(0));
    assert_eq!(built[8..], bytes);
    let batch = Batch::parse(&built).unwrap();
    batch.check().unwrap();
    let mut scratch = Vec::new();
    let records: Vec<_> = batch.open(&mut scratch).unwrap().iter().collect();
    let headers = example_headers();
    let [first, second] = records[..] else { panic!("2 records, not {}", records.len()) };
    assert_eq!(
        (first.key, first.value, first.timestamp),
        (Some(&b"k1"[..]), Some(&b"hello"[..]), FIRST_TIMESTAMP)
    );
    assert_eq!(first.headers.as_bytes(), headers.as_bytes());
    let named: Vec<_> = first.headers.map(Result::unwrap).collect();
    assert_eq!(named, [(&b"h"[..], Some(&b"1"[..])), (b"h", None)]);
    let expected = Record {
        offset: 1,
        timestamp: FIRST_TIMESTAMP + 250,
        key: None,
        value: Some(b""),
        headers: ringmail_wire::batch::Headers::EMPTY,
    };
    assert_eq!(second, expected);
}

#[test]
fn the_handshake() {
    let request = HandshakeRequest {
        min_version: PROTOCOL_VERSION,
        max_version: PROTOCOL_VERSION,
        features: features::ALL,
        client: "example 1.0",
    };
    holds(&example("handshake-request"), Api::Handshake, 1, 0, &request);
    let answer = HandshakeResponse {
        version: PROTOCOL_VERSION,
        features: features::ALL,
        shard: 0,
        max_frame: 16 << 20,
        max_in_flight: 64 << 20,
        idle_timeout_ms: 600_000,
        server: "ringmail 0.1.0",
    };
    holds(&example("handshake-answer"), Api::Handshake, 1, 0, &answer);
}

#[test]
fn a_produce() {
    let (bytes, batch) = (example("produce-request"), example_batch(0));
    holds(&bytes, Api::Produce, 2, 0, &ProduceRequest { log: 7, acks: Acks::Synced, batch: &batch });
    let mut in_parts = Vec::new();
    put_produce(&mut in_parts, 2, 7, Acks::Synced, batch.len());
    in_parts.extend_from_slice(&batch);
    assert_eq!(in_parts, bytes);
    holds(&example("produce-answer"), Api::Produce, 2, 0, &ProduceResponse { base_offset: 42 });
}

#[test]
fn a_fetch() {
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        partitions: vec![FetchPartition { log: 7, offset: 42, max_bytes: 1 << 20 }],
    };
    holds(&example("fetch-request"), Api::Fetch, 3, 0, &request);
    let batch = example_batch(42);
    let header = FetchedPartitionHeader {
        log: 7,
        code: 0,
        high_watermark: 44,
        log_start: 0,
        bytes: batch.len() as u32,
    };
    let answer = FetchResponse { partitions: vec![FetchedPartition { header, batches: &batch }] };
    holds(&example("fetch-answer"), Api::Fetch, 3, 0, &answer);
}

#[test]
fn an_error() {
    let body = ErrorBody { message: "no partition has log id 9: refresh the metadata" };
    holds(&example("error-answer"), Api::Fetch, 4, ErrorCode::UnknownPartition as u16, &body);
}

#[test]
fn a_push() {
    let (bytes, batch) = (example("push"), example_batch(42));
    let mut reader = Reader::new(body_of(&bytes, Api::Push, 5, 0));
    assert_eq!(PushHeader::decode(&mut reader), Ok(PushHeader { high_watermark: 44 }));
    let pushed: Vec<_> = Batches::new(reader.rest()).map(Result::unwrap).collect();
    assert_eq!(pushed.iter().map(Batch::as_bytes).collect::<Vec<_>>(), [&batch[..]]);
    assert_eq!((pushed[0].base_offset(), pushed[0].last_offset()), (42, 43));

    let mut body = Vec::new();
    PushHeader { high_watermark: 44 }.encode(&mut Writer::new(&mut body));
    assert_eq!(body.len(), PushHeader::BYTES);
    let header = FrameHeader {
        body: body.len() + batch.len(),
        correlation: 5,
        api: Api::Push as u8,
        version: PROTOCOL_VERSION,
        code: 0,
    };
    assert_eq!([&header.to_bytes()[..], &body, &batch].concat(), bytes);
}

/// The cells of the table under `heading` whose first cell is a number.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE.split("\n## ").find(|s| s.starts_with(heading)).expect("the section is there");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells[0].parse::<u64>().is_ok()).collect()
}

#[test]
fn the_table_of_apis() {
    let page: Vec<_> = table("APIs").iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
    let code: Vec<_> = Api::ALL.iter().map(|api| ((*api as u8).to_string(), format!("{api:?}"))).collect();
    assert_eq!(page, code);
    for api in Api::ALL {
        assert_eq!(Api::from_number(*api as u8), Some(*api));
    }
}

#[test]
fn the_table_of_error_codes() {
    let page: Vec<_> = table("Error codes")
        .iter()
        .map(|row| (row[0].to_owned(), row[1].to_owned(), row[2] == "yes"))
        .collect();
    let code: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| ((*code as u16).to_string(), format!("{code:?}"), code.is_retriable()))
        .collect();
    assert_eq!(page, code);
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_number(*code as u16), *code);
    }
}

#[test]
fn the_limit_of_lists() {
    assert_eq!(MAX_LIST_ITEMS, 262_144, "PROTOCOL.md names it");
}
