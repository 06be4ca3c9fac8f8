//! A bare server and its client over the loopback interface: what the network stack and one core each side can do when
//! nothing is computed, checked or stored.
//!
//! A frame is a 4-byte little-endian length of what follows it, then that many bytes. Every frame is answered by a fixed
//! number of bytes.

mod client;
mod server;

use std::time::{Duration, Instant};

use super::{Probe, Tally, on_core};
use crate::error::Result;
use crate::load::{Meter, Window};
use client::Client;
use server::Server;

/// Length of the field before each frame, in bytes.
const LENGTH_FIELD: usize = 4;
/// Not counted at the start of a probe.
const WARM_UP: Duration = Duration::from_millis(150);

/// What goes to and fro.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    /// Bytes of a frame with its length field.
    frame: usize,
    /// Bytes of the answer to a frame.
    answer: usize,
    /// Frames that the client keeps in flight.
    in_flight: usize,
    /// Whether both sides write all that they have at once, or every frame and answer alone.
    gathered: bool,
}

pub fn bandwidth(probe: &Probe) -> Result<Tally> {
    const FRAME: usize = 64 << 10;
    const IN_FLIGHT: usize = 4 << 20;
    let meter =
        run(probe, Exchange { frame: FRAME, answer: 16, in_flight: IN_FLIGHT / FRAME, gathered: true })?;
    Ok(Tally { per_second: meter.bytes_per_s(), latencies: meter.latencies().clone() })
}

pub fn requests(probe: &Probe) -> Result<Tally> {
    small_requests(probe, 256, true)
}

pub fn requests_each(probe: &Probe) -> Result<Tally> {
    small_requests(probe, 256, false)
}

pub fn round_trip(probe: &Probe) -> Result<Tally> {
    small_requests(probe, 1, true)
}

fn small_requests(probe: &Probe, in_flight: usize, gathered: bool) -> Result<Tally> {
    let meter = run(probe, Exchange { frame: 128, answer: 128, in_flight, gathered })?;
    Ok(Tally { per_second: meter.records_per_s(), latencies: meter.latencies().clone() })
}

fn run(probe: &Probe, exchange: Exchange) -> Result<Meter> {
    let server = Server::start(probe.cores.broker, exchange)?;
    let meter = on_core(probe.cores.client, || {
        let window = Window::new(Instant::now(), WARM_UP, probe.length);
        Client::connect(server.address(), exchange)?.run(window)
    })?;
    server.join()?;
    Ok(meter)
}
