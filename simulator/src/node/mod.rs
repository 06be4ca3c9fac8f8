//! The world of the node: one to four shards in the broker's own code, from recovery to the closed log, each with a
//! simulated disk; a mesh between them; and clients that speak the native protocol over connections that stall and break.
//!
//! Nothing of what a shard does is imitated: [`machine`] gives it a disk, peers, sockets and the time. What clients are told
//! is held against the model: [`records`] knows every batch that was ever sent, [`topics`] what was changed of the catalog.
//! [`world`] has the order of events, [`clients`] what clients do, [`workload`] what they ask for, [`answers`] what they may
//! be told, [`weather`] what goes wrong, [`finish`] how rounds end and what must be true then.

mod answers;
mod client;
mod clients;
mod draw;
mod executor;
mod finish;
mod machine;
mod mesh;
mod records;
mod socket;
mod surroundings;
mod topics;
mod weather;
mod workload;
mod world;

use crate::figures::Figures;
use crate::rng::Rng;
use crate::trace::Trace;

/// Runs an episode of about so many operations, and gives its figures. Unwinds with a [`crate::check::Violation`] at the
/// first promise that is broken.
pub fn run(seed: u64, operations: u64, trace: &mut Trace) -> Figures {
    world::World::new(Rng::new(seed), operations, trace).run()
}
