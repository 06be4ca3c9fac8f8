//! The world of the node: one to four shards in the broker's own code, from recovery to the closed log, each with a
//! simulated disk; a mesh between them; and clients that speak the native protocol over connections that stall and break.
//!
//! Nothing of what a shard does is imitated: [`machine`] gives it a disk, peers, sockets and the time. What clients are told
//! is held against the model: [`records`] knows every batch that was ever sent, [`topics`] what was changed of the catalog.
//! [`world`] has the order of events, [`clients`] what clients do, [`workload`] what they ask for, [`answers`] what they may
//! be told, [`weather`] what goes wrong, [`finish`] how rounds end and what must be true then.

//!
//! What is promised, and checked:
//!
//! - Nothing is lost that was acknowledged as durable or served to anybody, whatever crash or fault; what was acknowledged as
//!   written survives the death of the process. Everything is read once more at the end of a round.
//! - Records of one connection to one partition keep their order, stand at one offset each, and are what was sent: no batch
//!   that was refused, nobody sent, or was sent elsewhere.
//! - What was deleted stays deleted, and nothing is deleted that neither a client nor a retention asked for.
//! - Every request is answered once, with a code that its case may have, or its connection ends for a reason that the model
//!   knows. A fetch that waits hears of what comes; a subscription comes to the end of its log.
//! - Topics and partitions are as they were confirmed, with the ids that they had, whichever shard is asked.
//! - Once faults are over, everything ends in time: writes resume by themselves wherever no write or sync has failed, and where
//!   one has, no write is taken until the next start.
//! - At quiet times nothing is held but connections and their subscriptions; when the clients are gone, nothing at all; when
//!   the node has ended in order, no task of a connection is left.

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
