//! One client that behaves, alone and beside thousands of peers that do not.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ringmail_wire::protocol::{Api, FRAME_HEADER_BYTES, FrameHeader, HandshakeRequest, features, put_frame};

use super::closed::{ClosedProducer, RECYCLE};
use super::context::Context;
use super::requests::{CYCLE, LATENCY, ONE_RECORD, VALUE_BYTES};
use crate::error::{Error, Result};
use crate::load::BatchCycle;
use crate::report::Outcome;

/// Peers, a quarter of each kind: as many as there may be by default, with places left for those that behave.
const PEERS: usize = 9_960;

/// The request that is begun and never finished.
const BEGUN_BYTES: usize = 1 << 20;

/// Peers that send a byte together, and the pause after that: each of them sends one a second, and the load is even.
const TOGETHER: usize = PEERS / 400;
const PAUSE: Duration = Duration::from_millis(10);

/// The ratio is of 99th percentiles: beside the peers, to alone, on the same broker; less is better.
pub fn hostile_peers(ctx: &Context) -> Result<Outcome> {
    let cycle = BatchCycle::build(CYCLE, ONE_RECORD, VALUE_BYTES);
    let broker = ctx.fresh_broker()?;
    let mut producer = ClosedProducer::create(&broker, "bench", 1, RECYCLE, &cycle, 1)?;
    let alone = producer.run(&broker, ctx.window())?;
    let peers = Peers::gather(broker.address())?;
    let beside = producer.run(&broker, ctx.window())?;
    peers.leave();

    let mut outcome = Outcome::new("hostile-peers");
    beside.report(&mut outcome, LATENCY);
    let alone_us = alone.meter.latencies().p99_us().unwrap_or(0.0);
    let beside_us = outcome.figures.p99_us.unwrap_or(f64::INFINITY);
    outcome.compare_with("p99_alone", beside_us / alone_us);
    outcome.add("alone_p50_us", alone.meter.latencies().p50_us().unwrap_or(0.0));
    outcome.add("alone_p99_us", alone_us);
    outcome.add("peers", PEERS as f64);
    broker.stop()?;
    Ok(outcome)
}

/// Connections that say nothing, break off in their handshake, are silent after it, or send a request byte by byte.
struct Peers {
    silent: Vec<TcpStream>,
    stop: Arc<AtomicBool>,
    slow: JoinHandle<()>,
}

impl Peers {
    fn gather(address: SocketAddr) -> Result<Self> {
        raise_descriptors()?;
        let hello = hello();
        let begun = [&hello[..], &begun_request()].concat();
        let mut silent = Vec::new();
        for sent in [&[], &hello[..FRAME_HEADER_BYTES], &hello[..]] {
            for _ in 0..PEERS / 4 {
                silent.push(connect(address, sent)?);
            }
        }
        let slow: Vec<_> = (0..PEERS / 4).map(|_| connect(address, &begun)).collect::<Result<_>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let slow = std::thread::spawn(move || trickle(&slow, &stopped));
        Ok(Self { silent, stop, slow })
    }

    fn leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.slow.join().expect("sending bytes does not panic");
        drop(self.silent);
    }
}

fn connect(address: SocketAddr, sent: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).map_err(Error::system("connect to the broker"))?;
    stream.set_nodelay(true).map_err(Error::system("set TCP_NODELAY"))?;
    stream.write_all(sent).map_err(Error::system("send to the broker"))?;
    Ok(stream)
}

fn trickle(peers: &[TcpStream], stopped: &AtomicBool) {
    for together in peers.chunks(TOGETHER).cycle() {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        for mut peer in together {
            // The broker may have closed the connection, which is its good right.
            let _ = peer.write(&[0]);
        }
        std::thread::sleep(PAUSE);
    }
}

fn hello() -> Vec<u8> {
    let request =
        HandshakeRequest { min_version: 1, max_version: 1, features: features::ALL, client: "hostile" };
    let mut bytes = Vec::new();
    put_frame(&mut bytes, Api::Handshake, 1, 0, &request);
    bytes
}

/// The header of a request, and a little of its body.
fn begun_request() -> Vec<u8> {
    let body = BEGUN_BYTES - FRAME_HEADER_BYTES;
    let header = FrameHeader { body, correlation: 2, api: Api::Produce as u8, version: 1, code: 0 };
    [&header.to_bytes()[..], &[0; 8]].concat()
}

/// Lets this process have a descriptor for each peer.
fn raise_descriptors() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the pointer is to a limit. If it cannot be raised, connecting says so.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
    let needed = PEERS as u64 + 100;
    if limit.rlim_cur < needed {
        return Err(Error::Usage(format!(
            "{} open files are too few: raise the limit to {needed} (ulimit -n)",
            limit.rlim_cur
        )));
    }
    Ok(())
}
