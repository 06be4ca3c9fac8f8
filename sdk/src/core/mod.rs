//! The client without I/O: bytes in, bytes out, time as an argument.
//!
//! [`Connection`] is the protocol; [`accumulator`] gathers records into batches. The tokio client is built
//! on them; a load generator, or a client for another runtime, can be as well.
//!
//! ```
//! use ringmail_sdk::core::{Connection, Event, Ping};
//!
//! let mut connection = Connection::new("example 1.0");
//! connection.request(&Ping, "my ping");
//! let mut sent = Vec::new();
//! connection.write_to(&mut sent)?; // a socket, in real life
//! connection.receive(&[]); // and what came back from it
//! while let Some(event) = connection.poll()? {
//!     if let Event::Answered { token, .. } = event {
//!         assert_eq!(token, "my ping");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod accumulator;
mod connection;
mod error;
mod event;
mod inflow;
mod outbox;
mod request;
#[cfg(test)]
mod tests;

pub use connection::{Connection, Unanswered};
pub use error::{BrokerError, ProtocolError};
pub use event::{Event, Fetched, ServerInfo};
pub use inflow::{MAX_FRAME_BYTES, READ_BYTES};
pub use request::{Ping, Reply, Request};

/// Slices that one vectored write is given at most.
pub const WRITE_SLICES: usize = 64;
