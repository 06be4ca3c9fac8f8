//! Answers and pushes that are asked for and never read.

use std::time::Duration;

use ringmail_wire::protocol::*;
use socket2::SockRef;

use crate::client::fetch_request;
use crate::herd::{hello, open, reset, send_what_fits};
use crate::stage::Stage;

/// Bytes of a record of which there are enough that every peer is owed a lot.
const VALUE_BYTES: usize = 250 << 10;
const VALUES: usize = 64;

/// Peers that do not read.
const PEERS: usize = 300;

/// What answers that are not taken may hold on both shards, and one batch beyond it for each peer.
const UNSENT_KIB: u64 = 2 * (256 << 10) + (PEERS * VALUE_BYTES / 1024) as u64;

/// Memory for reads on both shards, which is kept for the next ones.
const READS_KIB: u64 = 2 * (32 << 10);

/// What fetches that wait may hold on both shards.
const FETCHES_KIB: u64 = 2 * (64 << 10);

/// What else peers may make the broker take.
const OTHER_KIB: u64 = 32 << 10;

/// The smallest receive window, so that what is owed stays with the broker.
const WINDOW: usize = 4 << 10;

fn never_read(what: &str, cap_kib: u64, requests: impl Fn(LogId) -> Vec<u8>) {
    let mut stage = Stage::set(&["limits.connections=10100"]);
    let mut producer = stage.broker.client();
    let logs = producer.create("large", 2);
    let value = "v".repeat(VALUE_BYTES);
    for number in 0..VALUES {
        producer.produce(logs[number % 2], &[&value]);
    }
    let mut clients = open(&stage.addresses(), PEERS, &hello());
    for (number, client) in clients.iter_mut().enumerate() {
        client.receive().ok::<HandshakeResponse<'_>>();
        SockRef::from(&client.stream).set_recv_buffer_size(WINDOW).expect("a socket option");
        send_what_fits(client, &requests(logs[number % 2]));
    }
    stage.watch(Duration::from_secs(5));
    reset(clients);
    drop(producer);
    stage.keeps(READS_KIB);
    stage.clear(what, READS_KIB + cap_kib + OTHER_KIB);
}

#[test]
fn fetches_whose_answers_are_never_read() {
    never_read("300 peers that fetch and do not read", UNSENT_KIB, |log| {
        let mut bytes = Vec::new();
        for correlation in 0..64 {
            let partitions = vec![FetchPartition { log, offset: 0, max_bytes: 8 << 20 }];
            let request = FetchRequest { max_bytes: 8 << 20, partitions, ..fetch_request(log, 0, 0) };
            put_frame(&mut bytes, Api::Fetch, correlation, 0, &request);
        }
        bytes
    });
}

#[test]
fn subscriptions_whose_pushes_are_never_read() {
    never_read("300 peers that subscribe and do not read", UNSENT_KIB, |log| {
        let mut bytes = Vec::new();
        for subscription in 0..8 {
            let request = SubscribeRequest { subscription, log, offset: 0, credit: u32::MAX };
            put_frame(&mut bytes, Api::Subscribe, subscription, 0, &request);
        }
        bytes
    });
}

#[test]
fn long_polls_without_number() {
    // Each asks for more waiting than it may have; the answers that it gets fit into its window.
    never_read("300 peers with a thousand long polls each", FETCHES_KIB + UNSENT_KIB, |log| {
        let mut bytes = Vec::new();
        for correlation in 0..1_000 {
            let partitions = vec![FetchPartition { log, offset: 0, max_bytes: 1 << 20 }; 100];
            let request =
                FetchRequest { max_wait_ms: u32::MAX, min_bytes: u32::MAX, max_bytes: u32::MAX, partitions };
            put_frame(&mut bytes, Api::Fetch, correlation, 0, &request);
        }
        bytes
    });
}
