//! The connection against bytes as a broker sends them.

use bytes::Bytes;
use ringmail_wire::protocol::{
    Acks, Api, ErrorBody, ErrorCode, FRAME_HEADER_BYTES, FetchPartition, FetchRequest, FetchResponse,
    FetchedPartition, FetchedPartitionHeader, FrameHeader, HandshakeRequest, HandshakeResponse, Message,
    ProduceRequest, ProduceResponse, SubscribeResponse, TopicCreated, put_frame,
};

use super::*;

const HANDSHAKE: HandshakeResponse<'static> = HandshakeResponse {
    version: 1,
    features: 7,
    shard: 3,
    max_frame: 1 << 20,
    max_in_flight: 1 << 22,
    idle_timeout_ms: 60_000,
    server: "ringmail test",
};

fn frame<'a>(api: Api, correlation: u32, body: &impl Message<'a>) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, api, correlation, 0, body);
    out
}

fn error(api: Api, correlation: u32, code: ErrorCode, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, api, correlation, code as u16, &ErrorBody { message });
    out
}

fn push(subscription: u32, high_watermark: u64, batches: &[u8]) -> Vec<u8> {
    let body = [&high_watermark.to_le_bytes()[..], batches].concat();
    let header = FrameHeader {
        body: body.len(),
        correlation: subscription,
        api: Api::Push as u8,
        version: 1,
        code: 0,
    };
    [&header.to_bytes()[..], &body].concat()
}

fn fetch_answer(batches: &[u8]) -> FetchResponse<'_> {
    let header = FetchedPartitionHeader {
        log: 9,
        code: 0,
        high_watermark: 50,
        log_start: 2,
        bytes: batches.len() as u32,
    };
    FetchResponse { partitions: vec![FetchedPartition { header, batches }] }
}

/// A connection with one request of each kind: correlation ids 1 to 4, subscription 0.
fn asked() -> Connection<&'static str> {
    let mut connection = Connection::new("test");
    connection.produce(7, Acks::Synced, Bytes::from_static(b"a batch"), "produce");
    let partitions = vec![FetchPartition { log: 9, offset: 2, max_bytes: 100 }];
    connection.fetch(&FetchRequest { max_wait_ms: 1, min_bytes: 1, max_bytes: 100, partitions }, "fetch");
    assert_eq!(connection.subscribe(9, 0, 1000, "subscribe"), 0);
    connection.request(&Ping, "ping");
    connection
}

/// What a broker may answer to that, in an order of its own.
fn answers() -> Vec<u8> {
    [
        frame(Api::Handshake, 0, &HANDSHAKE),
        frame(Api::Ping, 4, &()),
        frame(Api::Subscribe, 3, &SubscribeResponse { log_start: 1, high_watermark: 50 }),
        push(0, 51, b"pushed batches"),
        error(Api::Produce, 1, ErrorCode::Overloaded, "wait a little"),
        frame(Api::Fetch, 2, &fetch_answer(b"fetched batches")),
        error(Api::Push, 0, ErrorCode::UnknownPartition, "deleted"),
        error(Api::Ping, 77, ErrorCode::ShuttingDown, "going down"),
    ]
    .concat()
}

/// Events as text, so that they can be compared as a whole.
fn drain(connection: &mut Connection<&'static str>, events: &mut Vec<String>) {
    while let Some(event) = connection.poll().unwrap() {
        events.push(format!("{event:?}"));
    }
}

#[test]
fn answers_find_their_requests_wherever_the_bytes_are_split() {
    let stream = answers();
    let mut whole = Vec::new();
    let mut connection = asked();
    connection.receive(&stream);
    drain(&mut connection, &mut whole);
    assert_eq!(whole.len(), 8);
    assert_eq!(connection.in_flight(), 0);
    assert_eq!(connection.server().unwrap().shard, 3);
    for split in 0..stream.len() {
        let mut parts = Vec::new();
        let mut connection = asked();
        for part in [&stream[..split], &stream[split..]] {
            connection.receive(part);
            drain(&mut connection, &mut parts);
        }
        assert_eq!(parts, whole, "split at {split}");
    }
}

#[test]
fn events_carry_what_was_answered() {
    let mut connection = asked();
    connection.receive(&answers());
    let mut next = || connection.poll().unwrap().unwrap();
    assert!(matches!(next(), Event::Ready(info) if info.server == "ringmail test"));
    assert!(matches!(next(), Event::Answered { token: "ping", result: Ok(body) } if body.is_empty()));
    assert!(
        matches!(next(), Event::Subscribed { token: "subscribe", result: Ok(r) } if r.high_watermark == 50)
    );
    assert!(
        matches!(next(), Event::Push { subscription: 0, high_watermark: 51, batches } if batches == "pushed batches")
    );
    assert!(matches!(
        next(),
        Event::Produced { token: "produce", result: Err(e) }
            if e.code == ErrorCode::Overloaded && e.message == "wait a little"
    ));
    let Event::Fetched { token: "fetch", result: Ok(fetched) } = next() else { panic!("not fetched") };
    assert_eq!(fetched[0].batches, "fetched batches");
    assert_eq!(fetched[0].header.log_start, 2);
    assert!(
        matches!(next(), Event::SubscriptionEnded { subscription: 0, error } if error.message == "deleted")
    );
    assert!(matches!(next(), Event::Refused(e) if e.code == ErrorCode::ShuttingDown));
}

#[test]
fn requests_stand_in_the_stream_as_the_protocol_says() {
    let mut connection = Connection::new("test");
    let batch: Vec<u8> = (0..100_000).map(|n| n as u8).collect();
    connection.produce(7, Acks::Written, batch.clone().into(), ());
    let mut stream = Vec::new();
    while connection.write_to(&mut stream).unwrap() > 0 {}
    assert_eq!(connection.output_bytes(), 0);

    let header = FrameHeader::parse(&stream).unwrap().unwrap();
    assert_eq!((header.api, header.correlation), (Api::Handshake as u8, 0));
    let (handshake, rest) = stream.split_at(header.frame_bytes());
    assert_eq!(HandshakeRequest::from_body(&handshake[FRAME_HEADER_BYTES..]).unwrap().client, "test");
    let header = FrameHeader::parse(rest).unwrap().unwrap();
    assert_eq!(header.frame_bytes(), rest.len());
    let produce = ProduceRequest::from_body(&rest[FRAME_HEADER_BYTES..]).unwrap();
    assert_eq!(produce, ProduceRequest { log: 7, acks: Acks::Written, batch: &batch });
}

#[test]
fn a_large_body_is_a_slice_of_what_was_received() {
    let batches = vec![5; 3 << 20];
    let mut connection = asked();
    let stream =
        [frame(Api::Handshake, 0, &HANDSHAKE), frame(Api::Fetch, 2, &fetch_answer(&batches))].concat();
    let mut reader = &stream[..];
    let mut found = None;
    while connection.read_from(&mut reader).unwrap() > 0 {
        while let Some(event) = connection.poll().unwrap() {
            if let Event::Fetched { result: Ok(fetched), .. } = event {
                found = Some(fetched);
            }
        }
    }
    assert_eq!(found.unwrap()[0].batches, batches);
}

#[test]
fn a_batch_without_acknowledgement_is_done_when_it_is_sent() {
    let mut connection = Connection::new("test");
    connection.produce(7, Acks::None, Bytes::from_static(b"batch"), "batch");
    assert_eq!(connection.in_flight(), 0);
    connection.consume(connection.output_bytes() - 1);
    assert!(connection.poll().unwrap().is_none());
    connection.consume(1);
    assert!(matches!(connection.poll().unwrap(), Some(Event::Sent { token: "batch" })));
    assert!(connection.poll().unwrap().is_none());
}

#[test]
fn what_is_not_the_protocol_is_refused() {
    let refused = |bytes: &[u8]| {
        let mut connection = asked();
        connection.receive(&frame(Api::Handshake, 0, &HANDSHAKE));
        connection.receive(bytes);
        assert!(connection.poll().unwrap().is_some());
        connection.poll().unwrap_err()
    };
    assert!(matches!(refused(b"\x01\0\0\0aaaaaaaa"), ProtocolError::Frame(_)));
    let unasked = frame(Api::Ping, 99, &());
    assert!(matches!(refused(&unasked), ProtocolError::Unasked { correlation: 99, .. }));
    let wrong_api = frame(Api::Produce, 4, &ProduceResponse { base_offset: 1 });
    assert!(matches!(refused(&wrong_api), ProtocolError::WrongApi { .. }));
    let malformed = frame(Api::Produce, 1, &TopicCreated { id: 1, partitions: 1 });
    assert!(matches!(refused(&malformed), ProtocolError::Malformed { .. }));
}

#[test]
fn a_request_that_was_not_wholly_sent_cannot_have_been_done() {
    let mut connection = Connection::new("test");
    connection.request(&Ping, "first");
    let first_end = connection.output_bytes();
    connection.produce(1, Acks::Synced, Bytes::from(vec![0; 10_000]), "second");
    connection.request(&Ping, "third");
    connection.consume(first_end + 10_000);
    let mut unanswered: Vec<_> = connection.into_unanswered().map(|u| (u.token, u.sent)).collect();
    unanswered.sort_unstable();
    assert_eq!(unanswered, [("first", true), ("second", false), ("third", false)]);
}

/// Such a batch was forgotten, and its room in the producer's buffer with it.
#[test]
fn a_batch_without_acknowledgement_that_was_not_sent_is_unanswered() {
    let mut connection = Connection::new("test");
    connection.produce(1, Acks::None, Bytes::from(vec![0; 10_000]), "sent");
    connection.consume(connection.output_bytes());
    connection.produce(1, Acks::None, Bytes::from(vec![0; 10_000]), "begun");
    connection.consume(5_000);
    connection.produce(1, Acks::None, Bytes::from(vec![0; 10_000]), "waiting");
    let unanswered: Vec<_> = connection.into_unanswered().map(|u| (u.token, u.sent)).collect();
    assert_eq!(unanswered, [("sent", true), ("begun", false), ("waiting", false)]);
}
