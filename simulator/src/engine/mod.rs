//! The world of the engine: several shards, each on a machine of its own, clients at each of them, and a mesh between.
//!
//! A client asks the shard that it is connected to; if the log is another's, the request travels over the mesh and so does
//! the answer. Whatever the engine says is held against the model ([`model`]), which is a list of batches for each log.
//! [`world`] has the order of events, [`workload`] what clients ask for, [`answers`] what they are told, [`crash`] how
//! shards end and start, [`finish`] what must be true once all faults are over, [`lies`] what is promised on disks that lie.

mod answers;
mod crash;
mod draw;
mod finish;
mod lies;
mod member;
mod mesh;
mod model;
mod workload;
mod world;

use crate::figures::Figures;
use crate::rng::Rng;
use crate::trace::Trace;

/// Of so many seeds in a row one has disks that break their contract ([`lies`]).
pub const LYING_SEEDS: u64 = 8;

/// Runs an episode of about so many operations, and gives its figures. Unwinds with a [`crate::check::Violation`] at the
/// first promise that is broken.
pub fn run(seed: u64, operations: u64, trace: &mut Trace) -> Figures {
    let lying = seed % LYING_SEEDS == LYING_SEEDS - 1;
    world::World::new(Rng::new(seed), lying, operations, trace).run()
}
