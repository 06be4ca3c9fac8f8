//! TCP: listeners that shards share or own, and streams that read and write without a copy.

mod listen;
mod stream;
#[cfg(test)]
mod tests;

pub use listen::{BindError, Listener, ListenerSeat, bind, bind_shared};
pub use stream::{Stream, StreamReader, StreamWriter};
