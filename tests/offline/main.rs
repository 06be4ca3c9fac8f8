//! Damage to the data directory of a real broker: what `ringmail log verify` and `ringmail log dump` say of each kind, and what
//! a broker that is started on it says and serves.

#[path = "../native/broker.rs"]
#[allow(dead_code)]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "../offline_repair/store.rs"]
#[allow(dead_code)]
mod store;

mod kinds;
mod serve;
mod verify;
