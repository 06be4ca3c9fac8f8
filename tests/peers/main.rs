//! Peers that misbehave, in thousands, against a real broker: healthy clients are served all the while, memory stays below a
//! stated cap, who is refused or given up is told why, and in the end everything is given back.
//!
//! Asserted are behaviour and memory. Latencies are printed, and held only to a bound that a machine under any load keeps;
//! `make bench ONLY=hostile-peers` measures them.

#[path = "../native/broker.rs"]
#[allow(dead_code)]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code)]
mod client;
mod half_open;
mod healthy;
mod herd;
mod host;
mod limit;
mod soak;
mod stage;
mod unfinished;
mod unread;
mod vanishing;
