//! The real world around a shard: its disk, the mesh of all shards, the clocks of the machine.

use std::rc::Rc;

use ringmail_shards::io::{IoId, IoOp, IoResult};

use super::catalog::ShardId;
use super::message::Message;
use super::outside::Outside;
use crate::runtime::disk::Disk;
use crate::runtime::mesh::{Full, Mesh};
use crate::runtime::shutdown::Shutdown;
use crate::runtime::task::Notify;
use crate::runtime::timer::{Monotonic, now_ms};

const NANOS_PER_MILLI: u64 = 1_000_000;

/// What a shard of the broker runs on.
pub struct Host {
    shard: ShardId,
    disk: Disk,
    mesh: Option<Mesh<Message>>,
    clock: Monotonic,
    changed: Rc<Notify>,
    hurry: Rc<Notify>,
    shutdown: Shutdown,
}

impl Host {
    /// A shard's surroundings before it is connected with the others. An unusable disk requests the `shutdown`.
    pub fn new(shard: ShardId, disk: Disk, shutdown: Shutdown) -> Self {
        Self {
            shard,
            disk,
            mesh: None,
            clock: Monotonic::start(),
            changed: Rc::new(Notify::new()),
            hurry: Rc::new(Notify::new()),
            shutdown,
        }
    }

    /// Connects the shard with the others.
    pub fn connect(&mut self, mesh: Mesh<Message>) {
        self.mesh = Some(mesh);
    }

    /// Disconnects the shard; gives the mesh, which is to be closed.
    pub fn disconnect(&mut self) -> Option<Mesh<Message>> {
        self.mesh.take()
    }

    /// Told at every step of the shard's life.
    pub fn step(&self) -> Rc<Notify> {
        Rc::clone(&self.changed)
    }

    /// Told when a tick is due earlier than was planned.
    pub fn early_tick(&self) -> Rc<Notify> {
        Rc::clone(&self.hurry)
    }

    /// Ends when the disk may have completed something.
    pub fn disk_ready(&self) -> impl Future<Output = ()> + use<> {
        self.disk.ready()
    }
}

impl Outside for Host {
    fn clock_ms(&self) -> u64 {
        self.clock.now_ns() / NANOS_PER_MILLI
    }

    fn wall_ms(&self) -> u64 {
        now_ms()
    }

    fn submit(&mut self, id: IoId, op: IoOp) {
        self.disk.submit(id, op);
    }

    fn completed(&mut self) -> Option<(IoId, IoResult)> {
        self.disk.poll()
    }

    fn flush_disk(&mut self) {
        if let Err(error) = self.disk.flush() {
            tracing::error!(shard = self.shard, %error, "the disk cannot be used any more: stopping");
            self.shutdown.request();
        }
    }

    fn send(&mut self, to: ShardId, mail: Vec<Message>) -> Result<(), Vec<Message>> {
        match &self.mesh {
            Some(mesh) => mesh.send_batch(to.into(), mail).map_err(|Full(mail)| mail),
            None => Err(mail),
        }
    }

    fn flush_mail(&mut self) {
        if let Some(mesh) = &self.mesh {
            mesh.flush();
        }
    }

    fn changed(&mut self) {
        self.changed.notify_all();
    }

    fn hurry(&mut self) {
        self.hurry.notify_one();
    }
}
