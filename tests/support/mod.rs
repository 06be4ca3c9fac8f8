//! What the tests share that end brokers in every way: clients at work, and a checker that knows every record.

pub mod book;
pub mod campaign;
pub mod findings;
pub mod load;
pub mod mount;
pub mod record;
pub mod rng;
pub mod world;
