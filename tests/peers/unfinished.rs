//! Requests that are announced, begun, and never finished: neither their memory nor their number keeps others waiting.

use std::time::Duration;

use ringmail_wire::protocol::{Api, ErrorCode};

use crate::herd::{frame, has_heard, open_greeted, reset, send_what_fits};
use crate::stage::{CONNECTION_KIB, Stage};

/// Memory for requests that have not come whole, on both shards: twice limits.in_flight_per_shard.
const RECEIVE_KIB: u64 = 2 * (64 << 10);

/// Everything else than that and connections: answers on their way.
const OTHER_KIB: u64 = 32 << 10;

/// Sends the beginning of a request of 16 MiB on each of many connections.
fn begin_requests(what: &str, peers: usize, begun: usize) {
    let mut stage = Stage::set(&["limits.connections=10100"]);
    let mut clients = open_greeted(&stage.addresses(), peers);
    let bytes = &frame(Api::Produce, 16 << 20)[..begun];
    for client in &mut clients {
        send_what_fits(client, bytes);
    }
    stage.watch(Duration::from_secs(3));
    // One byte more of each: what was put aside is not to be mistaken.
    for client in &mut clients {
        send_what_fits(client, b"x");
    }
    stage.watch(Duration::from_secs(1));
    let mut given_up = 0;
    for client in &mut clients {
        if has_heard(client) {
            let frame = client.receive();
            assert_eq!(frame.error(), ErrorCode::Overloaded, "{}", frame.words());
            assert!(frame.words().contains("send requests whole"), "{}", frame.words());
            given_up += 1;
        }
    }
    reset(clients);
    stage.clear(
        &format!("{what}, {given_up} of them given up"),
        RECEIVE_KIB + peers as u64 * CONNECTION_KIB + OTHER_KIB,
    );
}

#[test]
fn requests_begun_by_few_bytes() {
    begin_requests("3,000 requests of 16 MiB, 100 bytes of each", 3_000, 100);
}

#[test]
fn requests_begun_by_more_than_is_put_aside() {
    begin_requests("2,000 requests of 16 MiB, 6 KiB of each", 2_000, 6 << 10);
}

#[test]
fn requests_that_all_but_come_whole() {
    begin_requests("40 requests of 16 MiB, 8 MiB of each", 40, 8 << 20);
}

#[test]
fn requests_of_which_each_holds_what_the_others_lack() {
    begin_requests("400 requests of 16 MiB, 400 KiB of each", 400, 400 << 10);
}

#[test]
fn requests_begun_by_every_connection_there_may_be() {
    begin_requests("9,900 requests of 16 MiB, 30 KiB of each", 9_900, 30 << 10);
}
