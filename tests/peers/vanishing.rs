//! Peers that vanish: by RST in the middle of everything, in silence, in storms, with nothing but noise.

use std::time::Duration;

use ringmail_wire::protocol::*;

use crate::client::fetch_request;
use crate::herd::{all_told, frame, hello, open, open_greeted, reset, send_what_fits};
use crate::stage::Stage;

/// What connections that come and go may make the broker take at once.
const CAP_KIB: u64 = 64 << 10;

/// The budgets of both shards for requests that have not come whole, and for answers that are not taken.
const REQUESTS_KIB: u64 = 2 * (64 << 10);
const ANSWERS_KIB: u64 = 2 * (256 << 10);

/// Connections at once in a storm, and how often it comes.
const STORM: usize = 500;
const STORMS: usize = 12;

#[test]
fn connections_reset_in_the_middle_of_everything() {
    let mut stage = Stage::set(&[]);
    let addresses = stage.addresses();
    let log = stage.logs[0];
    let mut long_poll = Vec::new();
    put_frame(&mut long_poll, Api::Fetch, 1, 0, &fetch_request(log, u64::MAX >> 1, 60_000));
    let mut subscription = Vec::new();
    let request = SubscribeRequest { subscription: 1, log, offset: 0, credit: u32::MAX };
    put_frame(&mut subscription, Api::Subscribe, 1, 0, &request);
    let begun = frame(Api::Produce, 1 << 20)[..100_000].to_vec();
    for bytes in [long_poll, subscription, begun, b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        for _ in 0..STORMS / 4 {
            let mut clients = open_greeted(&addresses, STORM);
            clients.iter_mut().for_each(|client| send_what_fits(client, &bytes));
            stage.watch(Duration::from_millis(100));
            reset(clients);
        }
    }
    stage.clear("6,000 connections reset amid requests", REQUESTS_KIB + CAP_KIB);
}

#[test]
fn storms_of_connections_closed_at_once_and_noise() {
    let mut stage = Stage::set(&[]);
    let addresses = stage.addresses();
    let noise: Vec<u8> = (0..5_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for storm in 0..STORMS {
        reset(open(&addresses, STORM, b""));
        drop(open(&addresses, STORM, &hello()));
        let mut noisy = open(&addresses, STORM, b"");
        noisy.iter_mut().for_each(|client| send_what_fits(client, &noise[storm..]));
        stage.watch(Duration::from_millis(20));
    }
    stage.clear("18,000 connections closed at once or noisy", CAP_KIB);
}

#[test]
fn clients_that_vanish_in_silence_are_ended_even_if_they_wait() {
    let mut stage = Stage::set(&["limits.idle_timeout=3 s"]);
    let addresses = stage.addresses();
    let log = stage.logs[0];
    let mut waiting = open_greeted(&addresses, STORM);
    let mut poll = Vec::new();
    // Nothing will come at this partition's end that is so large; the client says that it waits for 49 days.
    let request = FetchRequest { min_bytes: u32::MAX, max_bytes: 8 << 20, ..fetch_request(log, 0, u32::MAX) };
    put_frame(&mut poll, Api::Fetch, 1, 0, &request);
    waiting.iter_mut().for_each(|client| client.send_bytes(&poll));
    let mut silent = open_greeted(&addresses, STORM);
    stage.watch(Duration::from_secs(8));
    all_told(&mut silent, ErrorCode::IdleTimeout, "send a ping");
    for client in &mut waiting {
        client.receive().ok::<FetchResponse<'_>>();
    }
    all_told(&mut waiting, ErrorCode::IdleTimeout, "send a ping");
    drop((waiting, silent));
    stage.clear("1,000 clients that vanished in silence", ANSWERS_KIB + CAP_KIB);
}
