//! What connections share, whatever protocol they speak.
//!
//! [`serve`] accepts connections, and [`tasks`] are the two of each: one takes what the client sends, one sends what it is owed.
//! [`Connections`] has all of one shard: what they are owed, what they wait for, whose memory it is, how they end. It does no
//! I/O. What a protocol knows of a connection is its [`Session`]; [`Sessions`] is where requests go to their protocol, and where
//! what has ended comes back to it.

mod buffers;
mod connection;
mod connections;
pub mod count;
mod ending;
mod fetch;
mod output;
mod peak;
mod protocol;
mod receive;
pub mod serve;
mod sessions;
mod shares;
pub mod tasks;

pub use connection::{Connection, Phase, Stall};
pub use connections::{Connections, Limits, Next, Received, Send};
pub use ending::{Farewell, LINGER_MS};
pub use fetch::{Asker, Fetches, Finished, Part, Wanted};
pub use output::{Output, Parts};
pub use protocol::{Protocol, Session};
pub use sessions::{Sessions, SessionsUsage};
