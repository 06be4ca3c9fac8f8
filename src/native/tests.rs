//! Connections on a shard whose peer is the test.

use bytes::Bytes;
use ringmail_shards::api::{LogState, ReadData};
use ringmail_wire::protocol::{Api, FetchPartition, FetchRequest, HandshakeRequest, features, put_frame};

use super::Settings;
use crate::gateway::{Limits, Protocol, Sessions};
use crate::node::logs::tests::{LOG, logs_with_a_topic};
use crate::node::logs::{Caller, Logs};
use crate::node::message::{Message, Outcome, Question};
use crate::node::slab::Key;

/// A connection on shard 1, after its handshake. The log is on shard 0.
fn connect() -> (Sessions, Logs, Key) {
    let mut logs = logs_with_a_topic(1, 0);
    let limits = Limits {
        shard: 1,
        shards: 2,
        in_flight: 1 << 20,
        handshake_timeout_ms: 1_000,
        idle_timeout_ms: 60_000,
    };
    let settings = Settings {
        shard: 1,
        max_frame: 1 << 20,
        in_flight: 1 << 20,
        idle_timeout_ms: 60_000,
        subscriptions: 1,
        fetch_response: 1 << 20,
        host: String::new(),
        ports: vec![1, 2],
    };
    let mut sessions = Sessions::new(limits, settings, crate::kafka::tests::settings());
    let connection = sessions.open(Protocol::Native, String::new(), std::net::Ipv4Addr::LOCALHOST.into());
    let hello = HandshakeRequest { min_version: 1, max_version: 1, features: features::ALL, client: "test" };
    let mut frame = Vec::new();
    put_frame(&mut frame, Api::Handshake, 1, 0, &hello);
    assert_eq!(sessions.receive(connection, &frame, &mut logs).consumed, frame.len());
    (sessions, logs, connection)
}

fn fetch(offset: u64, min_bytes: u32) -> Vec<u8> {
    fetch_all(&[offset], min_bytes)
}

/// Asks for the log from each of these offsets.
fn fetch_all(offsets: &[u64], min_bytes: u32) -> Vec<u8> {
    let partition = |&offset| FetchPartition { log: LOG, offset, max_bytes: 1 << 20 };
    let partitions = offsets.iter().map(partition).collect();
    let request = FetchRequest { max_wait_ms: 10_000, min_bytes, max_bytes: 1 << 20, partitions };
    let mut frame = Vec::new();
    put_frame(&mut frame, Api::Fetch, 2, 0, &request);
    frame
}

/// The reads that shard 0 is asked for: the number of each question, and from where.
fn reads(logs: &mut Logs) -> Vec<(u64, u64)> {
    let read = |message| match message {
        Message::Ask { request, question: Question::Read { log: LOG, offset, .. } } => {
            Some((request, offset))
        }
        _ => None,
    };
    logs.take_mail(0).into_iter().filter_map(read).collect()
}

/// Shard 0 answers a read: so many bytes, up to `next_offset` of `high_watermark`.
fn answer(sessions: &mut Sessions, logs: &mut Logs, request: u64, bytes: usize, ends: (u64, u64)) {
    let (next_offset, high_watermark) = ends;
    let state =
        LogState { log_start: 0, high_watermark, last_stable: high_watermark, end: high_watermark, bytes: 0 };
    let pieces = vec![Bytes::from(vec![0; bytes])];
    logs.answered(
        request,
        Outcome::Read(Ok(ReadData { pieces, bytes, next_offset, aborted: Vec::new(), kafka: false, state })),
    );
    tell_outcomes(sessions, logs);
}

/// Shard 0 tells that the log has advanced.
fn advance(sessions: &mut Sessions, logs: &mut Logs) {
    logs.advanced(LOG);
    tell_outcomes(sessions, logs);
}

fn tell_outcomes(sessions: &mut Sessions, logs: &mut Logs) {
    while let Some((caller, outcome)) = logs.next_outcome() {
        let Caller::Native(waiter) = caller else { panic!("nobody else waits: {caller:?}") };
        sessions.native_outcome(waiter, outcome, logs);
    }
}

/// It took the end of the log from what another fetch had known before, and then waited for what was behind that: for ever, if
/// nothing more came.
#[test]
fn a_fetch_reads_on_behind_what_it_found_whatever_others_knew_of_the_log() {
    let (mut sessions, mut logs, connection) = connect();
    let _ = sessions.receive(connection, &fetch(10, 1), &mut logs);
    let [(first, 10)] = reads(&mut logs)[..] else { panic!("the owner is asked") };
    answer(&mut sessions, &mut logs, first, 0, (10, 10));
    let waits = logs.take_mail(0);
    assert!(matches!(waits[..], [Message::Watch { log: LOG, high_watermark: 10, .. }]), "{waits:?}");

    let _ = sessions.receive(connection, &fetch(5, 1_000), &mut logs);
    let [(second, 5)] = reads(&mut logs)[..] else { panic!("the owner is asked") };
    answer(&mut sessions, &mut logs, second, 100, (10, 12));
    let [(third, 10)] = reads(&mut logs)[..] else {
        panic!("there is more behind 10, and the owner is asked for it")
    };
    answer(&mut sessions, &mut logs, third, 2_000, (12, 12));
    assert_eq!(sessions.usage().fetches, 1, "the second is answered, the first waits");
}

/// It was answered with nothing long before its time was over: another fetch, which had read the log before it advanced and
/// began to wait only now, was believed that nothing had come.
#[test]
fn a_fetch_that_counted_enough_reads_it_whatever_others_knew_of_the_log() {
    let (mut sessions, mut logs, connection) = connect();
    let _ = sessions.receive(connection, &fetch(10, 1_000), &mut logs);
    let [(first, 10)] = reads(&mut logs)[..] else { panic!("the owner is asked") };
    let _ = sessions.receive(connection, &fetch_all(&[10, 5], 1_000), &mut logs);
    let [(nothing, 10)] = reads(&mut logs)[..] else { panic!("the owner is asked") };
    answer(&mut sessions, &mut logs, nothing, 0, (10, 10));
    let [(slow, 5)] = reads(&mut logs)[..] else { panic!("the owner is asked for the other part") };
    answer(&mut sessions, &mut logs, first, 0, (10, 10));

    advance(&mut sessions, &mut logs);
    let [(count, 10)] = reads(&mut logs)[..] else { panic!("the first wants to know how much has come") };
    answer(&mut sessions, &mut logs, slow, 100, (10, 10));
    let waits = logs.take_mail(0);
    assert!(matches!(waits[..], [Message::Watch { log: LOG, high_watermark: 10, .. }]), "{waits:?}");
    answer(&mut sessions, &mut logs, count, 2_000, (12, 12));
    let [(last, 10)] = reads(&mut logs)[..] else { panic!("the first reads what it counted") };
    assert_eq!(sessions.usage().fetches, 2, "neither is answered yet");
    answer(&mut sessions, &mut logs, last, 2_000, (12, 12));
    assert_eq!(sessions.usage().fetches, 1, "the first is answered, the second waits");
}
