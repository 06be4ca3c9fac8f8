//! Bodies of messages: against two other implementations, byte for byte, and against whatever comes.

mod bodies;
mod captured;
mod others;
