//! Ports that a broker can have again after it was killed.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Where to look: below the ports that the kernel gives to clients, which would take one while the broker is away.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;
/// The ports of a broker: the one that its shards share, and one for each of two.
const OF_A_BROKER: u16 = 3;

/// Ports in a row that nobody listens at.
pub struct Ports(u16);

impl Ports {
    pub fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Test processes that run at the same time begin at different places.
        let begin = process::id() * 100;
        let places = u32::from((LAST - FIRST) / OF_A_BROKER);
        for _ in 0..places {
            let place = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into()) % places;
            let first = FIRST + place as u16 * OF_A_BROKER;
            if (first..first + OF_A_BROKER).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Self(first);
            }
        }
        panic!("no {OF_A_BROKER} ports in a row are free between {FIRST} and {LAST}");
    }

    /// The address of the port that shards share.
    pub fn shared_address(&self) -> String {
        format!("127.0.0.1:{}", self.0)
    }

    /// The port of the first shard.
    pub fn first_of_shards(&self) -> u16 {
        self.0 + 1
    }
}
