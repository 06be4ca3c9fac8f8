//! The world around one simulated shard.

use super::mesh::Mesh;
use ringmail::node::catalog::ShardId;
use ringmail::node::message::Message;
use ringmail::node::outside::Outside;
use ringmail_shards::io::{IoId, IoOp, IoResult};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// What the clocks of the machine show.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clocks {
    /// Microseconds of simulated time.
    pub now_us: u64,
    /// Milliseconds of the wall clock.
    pub wall_ms: u64,
}

/// The world around one shard: what it wants of it is taken from here after each turn.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub shard: usize,
    pub clocks: Rc<Cell<Clocks>>,
    pub mesh: Rc<RefCell<Mesh>>,
    /// Whether the shard is connected with the others.
    pub connected: bool,
    /// Operations that are not with the disk yet.
    pub submitted: Vec<(IoId, IoOp)>,
    /// Operations that have ended, and were not taken.
    pub completed: VecDeque<(IoId, IoResult)>,
    /// Whether the next tick is to come at once.
    pub hurried: bool,
}

impl Outside for Surroundings {
    fn clock_ms(&self) -> u64 {
        self.clocks.get().now_us / 1000
    }

    fn wall_ms(&self) -> u64 {
        self.clocks.get().wall_ms
    }

    fn submit(&mut self, id: IoId, op: IoOp) {
        self.submitted.push((id, op));
    }

    fn completed(&mut self) -> Option<(IoId, IoResult)> {
        self.completed.pop_front()
    }

    fn flush_disk(&mut self) {}

    fn send(&mut self, to: ShardId, mail: Vec<Message>) -> Result<(), Vec<Message>> {
        if !self.connected {
            return Err(mail);
        }
        self.mesh.borrow_mut().send(self.shard, to.into(), mail)
    }

    fn flush_mail(&mut self) {
        self.mesh.borrow_mut().flush(self.shard);
    }

    fn changed(&mut self) {}

    fn hurry(&mut self) {
        self.hurried = true;
    }
}
