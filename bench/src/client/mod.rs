//! The client side: one thread on one core that drives the SDK's connections over non-blocking sockets.

mod admin;
mod consumer;
mod link;
mod producer;

pub use admin::Admin;
pub use consumer::{Consumer, Received};
pub use link::wait;
pub use producer::{Acknowledged, Producer};
