//! The native protocol: connections, and a handler for each of its requests.
//!
//! [`Sessions`] is the state of all connections of one shard and does no I/O; [`tasks`] are the two of a connection, and [`serve`]
//! accepts connections. A request goes from a connection's reader through [`Sessions::receive`] to its handler, which asks
//! [`Logs`](crate::node::logs::Logs); what ends later comes back through [`Sessions::outcome`]. Answers are gathered per
//! connection, and its writer is woken once a turn.

mod buffers;
mod connection;
pub mod count;
mod ending;
mod error;
mod fetch;
mod handshake;
mod metadata;
mod offsets;
mod output;
mod peak;
mod produce;
mod receive;
mod requests;
pub mod serve;
mod sessions;
mod shares;
mod subscribe;
pub mod tasks;
#[cfg(test)]
mod tests;
mod topics;
mod waiter;

pub use error::Fault;
pub use output::{Output, Parts};
pub use sessions::{Next, Received, Send, Sessions, SessionsUsage, Settings};
pub use waiter::{Reply, Waiter};
