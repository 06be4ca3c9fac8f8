//! Consumer groups and transactions: the state machines of their coordinators. No I/O, no clock, no randomness.
//!
//! A coordinator keeps what it must not forget as records of a log, one log for each partition of an internal topic
//! (`__consumer_offsets`, `__transaction_state`), in the forms that Kafka gives them. What it is made of, and what its host
//! does for it, is in [`machine`].

#![forbid(unsafe_code)]

pub mod consumer;
pub mod groups;
pub mod machine;
mod partition;
pub mod transactions;

pub use partition::partition_for;
