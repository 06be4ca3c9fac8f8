//! Ten thousand connections that never get as far as a request.

use std::time::{Duration, Instant};

use ringmail_wire::protocol::{Api, ErrorCode};

use crate::herd::{all_told, frame, hello, open, open_greeted, reset, send_what_fits};
use crate::stage::{CONNECTION_KIB, Stage};

/// Of each of four kinds.
const EACH: usize = 2_500;

/// Everything else that ten thousand connections may make the broker take, beside the connections: answers on their way.
const OTHER_KIB: u64 = 16 << 10;

/// How long bytes come one by one.
const TRICKLE: Duration = Duration::from_secs(5);

#[test]
fn ten_thousand_half_open_connections() {
    let mut stage = Stage::set(&[
        "limits.connections=10100",
        "limits.handshake_timeout=12 s",
        "limits.idle_timeout=12 s",
    ]);
    let addresses = stage.addresses();
    let mut mute = open(&addresses, EACH, b"");
    let mut begun = open(&addresses, EACH, &hello()[..7]);
    let mut silent = open_greeted(&addresses, EACH);
    let mut slow = open_greeted(&addresses, EACH);
    stage.wait_for_connections(4 * EACH);
    let bytes = frame(Api::Produce, 100 << 10);
    let trickle = Instant::now();
    for byte in bytes.chunks(1) {
        if trickle.elapsed() >= TRICKLE {
            break;
        }
        slow.iter_mut().for_each(|client| send_what_fits(client, byte));
        stage.watch(Duration::from_secs(1));
    }
    all_told(&mut mute, ErrorCode::IdleTimeout, "no handshake came within 12000 ms");
    all_told(&mut begun, ErrorCode::IdleTimeout, "no handshake came within 12000 ms");
    all_told(&mut silent, ErrorCode::IdleTimeout, "send a ping");
    stage.watch(Duration::ZERO);
    all_told(&mut slow, ErrorCode::IdleTimeout, "send a ping");
    stage.watch(Duration::ZERO);
    for clients in [mute, begun, silent, slow] {
        reset(clients);
    }
    stage.clear("10,000 half-open connections", 4 * EACH as u64 * CONNECTION_KIB + OTHER_KIB);
}
