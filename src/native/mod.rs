//! The native protocol: a handler for each of its requests.
//!
//! [`State`] is what it keeps beside the [connections](crate::gateway::Connections) of one shard, and [`Sessions`] is both, as its
//! handlers work with them; none does I/O. A request goes from a connection's reader through [`Sessions::receive`] to its handler,
//! which asks [`Logs`](crate::node::logs::Logs); what ends later comes back through [`Sessions::outcome`]. Answers are gathered
//! per connection, and its writer is woken once a turn.

mod ending;
mod error;
mod fetch;
mod handshake;
mod metadata;
mod offsets;
mod produce;
mod readable;
mod requests;
mod session;
mod sessions;
mod subscribe;
#[cfg(test)]
mod tests;
mod topics;
mod waiter;

pub use error::{Fault, put_too_many};
pub use session::Session;
pub use sessions::{Sessions, Settings, State};
pub use waiter::{Reply, Waiter};
