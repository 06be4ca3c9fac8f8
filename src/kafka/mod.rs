//! Kafka's protocol: a handler for each of its requests.
//!
//! [`State`] is what it keeps beside the [connections](crate::gateway::Connections) of one shard, and [`Sessions`] is both, as
//! its handlers work with them; none does I/O. Each shard is a broker of its own towards the clients ([`cluster`]).
//!
//! # How a handler is written
//!
//! A handler is a method of [`Sessions`] in the file of its subject, named in the one match of `requests.rs`, and in
//! [`versions::OFFERED`], the list of what is offered. It takes a [`Request`](requests::Request) and
//! [`Logs`](crate::node::logs::Logs), and gives a [`Handled`](requests::Handled):
//!
//! - It decodes the body, which is borrowed from where it was received: `let body = T::decode(request.header.version,
//!   request.body)?`. What does not decode ends the connection, as Kafka does it; the `?` is all there is to write.
//! - **At once**: `self.answer(&request.reply, &response)`, and `Ok(Handled::Done)`.
//! - **Later**: the [`Reply`] is kept in whatever is being waited for: in a [`Waiter`] itself, if that is one thing, else in a
//!   table of [`State`] whose key is in the waiter. The waiter goes along to [`Logs`](crate::node::logs::Logs) as
//!   `Caller::Kafka(waiter)`, comes back in `Sessions::outcome`, and there the reply is answered. In any case: also when the
//!   broker goes down (`Sessions::drain` ends what only waits), and after the connection is gone, when answering does nothing.
//!   What is kept for a connection beside that ends in `Sessions::close`.
//! - **Busy**: `Ok(Handled::Busy(shard))` if nothing was done because that shard has no room: the request is handled anew once
//!   there is some. Until then nothing more of the connection is read.
//! - **No answer**: `self.answer_nothing(&request.reply)`.
//!
//! That the request counts for its connection until it is answered, and that answers leave in the order of the requests, is
//! not the handler's concern. A request that is not answered at once **mutes** its connection: nothing after it is taken until it
//! is answered. Produce alone does not, as producers send several at a time ([`session`]).

pub mod broker_configs;
mod changes;
pub mod cluster;
mod configs;
mod coordinate;
mod ending;
mod error;
mod fetch;
mod leader_epoch;
mod list_offsets;
mod metadata;
mod partitions;
mod pieces;
mod placement;
mod produce;
mod producers;
mod requests;
mod sasl;
mod session;
mod sessions;
#[cfg(test)]
pub(crate) mod tests;
mod topics;
mod versions;
mod waiter;

pub use session::Session;
pub use sessions::{Sessions, Settings, State};
pub use waiter::{Reply, Waiter};
