//! More connections than there may be: each is told, and the places come back.

use std::time::Duration;

use ringmail_wire::protocol::{Api, ErrorCode};

use crate::herd::{all_told, open, open_greeted, reset};
use crate::stage::Stage;

/// Connections that there may be, and how many come beside them.
const LIMIT: usize = 1_000;
const TOO_MANY: usize = 2_000;

/// What connections may make the broker take.
const CAP_KIB: u64 = 32 << 10;

#[test]
fn every_connection_past_the_limit_is_told_why_and_places_come_back() {
    let mut stage = Stage::set(&["limits.connections=1004"]);
    let addresses = stage.addresses();
    for _ in 0..3 {
        let mut taken = open_greeted(&addresses, LIMIT);
        let mut refused = open(&addresses, TOO_MANY, b"");
        all_told(&mut refused, ErrorCode::TooManyConnections, "limits.connections");
        taken.iter_mut().for_each(|client| client.call(Api::Ping, &()).ok::<()>());
        stage.watch(Duration::from_millis(100));
        reset(taken);
        drop(refused);
        stage.wait_for_places();
    }
    stage.clear("2,000 connections too many, three times", CAP_KIB);
}
