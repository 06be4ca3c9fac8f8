//! The client side: one thread on one core that drives the SDK's connections over non-blocking sockets.

mod admin;
mod consumer;
#[cfg(test)]
mod fake;
mod link;
mod patience;
mod producer;
#[cfg(test)]
mod tests;

pub use admin::Admin;
pub use consumer::{Consumer, Received};
pub use link::wait;
pub use patience::Patience;
pub use producer::{Acknowledged, Producer};
