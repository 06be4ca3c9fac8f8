//! The node: its shards in the broker's own code, from recovery to the end.

use super::executor::Executor;
use super::mesh::Mesh;
use super::socket::Socket;
use super::surroundings::{Clocks, Surroundings};
use crate::figures::Figures;
use crate::rng::Rng;
use ringmail::config::Config;
use ringmail::gateway::tasks::{self, Buffers};
use ringmail::gateway::{Protocol, SessionsUsage};
use ringmail::node::cluster::ClusterId;
use ringmail::node::logs::LogsUsage;
use ringmail::node::recovery::{Recovery, RecoveryError};
use ringmail::node::settings::{self, Ports};
use ringmail::node::shard::{Shard, Shared};
use ringmail_shards::io::{ExistingFile, IoId, IoOp, IoResult};
use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// A shard that runs.
pub(super) struct Running {
    pub shard: Shared<Surroundings>,
    pub buffers: Rc<Buffers>,
    /// Whether a turn is planned, as the disk has completed something.
    pub turn_planned: bool,
    /// Which of the planned ticks counts.
    pub tick: u64,
}

/// How far a shard is.
pub(super) enum Place {
    /// Present until it is done.
    Recovering(Option<Box<Recovery>>),
    Running(Running),
}

/// The identity of every simulated cluster.
fn cluster() -> ClusterId {
    ClusterId::new([7; 16]).expect("it does not begin with a zero or a dash")
}

/// The node between a start and an end.
pub(super) struct Machine {
    /// Counts starts, so that what was planned for an earlier one is told apart.
    pub life: u64,
    pub places: Vec<Place>,
    pub mesh: Rc<RefCell<Mesh>>,
    pub executor: Executor,
    /// Connections with something new for their clients.
    pub touched: Rc<RefCell<Vec<u32>>>,
    clocks: Rc<Cell<Clocks>>,
    config: Config,
    ports: Ports,
}

impl Machine {
    /// Starts over these files, by shard.
    pub fn start(
        life: u64,
        config: Config,
        files: &[Vec<ExistingFile>],
        mesh: Mesh,
        clocks: Rc<Cell<Clocks>>,
        rng: &mut Rng,
    ) -> Self {
        let shards = files.len() as u16;
        let wall_ms = clocks.get().wall_ms;
        let recover = |(shard, files): (u16, &Vec<ExistingFile>)| {
            let engine = super::draw::engine(settings::engine(&config, shard, rng.number()), rng);
            Place::Recovering(Some(Box::new(Recovery::new(engine, shards, files, wall_ms))))
        };
        let places = (0..).zip(files).map(recover).collect();
        Self {
            life,
            places,
            mesh: Rc::new(RefCell::new(mesh)),
            executor: Executor::default(),
            touched: Rc::default(),
            clocks,
            config,
            ports: Ports::of_native((0..shards).collect()),
        }
    }

    /// Lets the recovery of a shard go on; gives what it wants of the disk. Whether it has come to its end.
    pub fn recover(&mut self, shard: usize, wanted: &mut Vec<(IoId, IoOp)>) -> Result<bool, RecoveryError> {
        let Place::Recovering(Some(recovery)) = &mut self.places[shard] else { return Ok(false) };
        if recovery.step()? {
            self.become_shard(shard);
            return Ok(true);
        }
        while let Some(op) = recovery.next_io() {
            wanted.push(op);
        }
        Ok(false)
    }

    fn become_shard(&mut self, number: usize) {
        let surroundings = Surroundings {
            shard: number,
            clocks: Rc::clone(&self.clocks),
            mesh: Rc::clone(&self.mesh),
            connected: false,
            submitted: Vec::new(),
            completed: Default::default(),
            hurried: false,
        };
        let buffers = Rc::new(Buffers::new(self.config.limits.in_flight_per_shard.as_usize()));
        let Place::Recovering(recovery) = &mut self.places[number] else { return };
        let recovered = recovery.take().expect("it is done only once").finish();
        let shard = Shard::new(&self.config, cluster(), number as u16, &self.ports, recovered, surroundings);
        let shard = Rc::new(RefCell::new(shard));
        self.places[number] = Place::Running(Running { shard, buffers, turn_planned: false, tick: 0 });
    }

    /// An operation has ended.
    pub fn completed(&mut self, shard: usize, id: IoId, result: IoResult) {
        match &mut self.places[shard] {
            Place::Recovering(recovery) => {
                recovery.as_mut().expect("it wants nothing once it is done").complete(id, result);
            }
            Place::Running(running) => running.shard.borrow_mut().outside().completed.push_back((id, result)),
        }
    }

    pub fn running(&mut self, shard: usize) -> Option<&mut Running> {
        match &mut self.places[shard] {
            Place::Running(running) => Some(running),
            Place::Recovering(_) => None,
        }
    }

    /// Whether all shards have recovered.
    pub fn has_recovered(&self) -> bool {
        self.places.iter().all(|place| matches!(place, Place::Running(_)))
    }

    fn all(&self, is: impl Fn(&Shard<Surroundings>) -> bool) -> bool {
        self.places.iter().all(|place| match place {
            Place::Running(running) => is(&running.shard.borrow()),
            Place::Recovering(_) => false,
        })
    }

    /// Whether all shards serve.
    pub fn is_serving(&self) -> bool {
        self.all(Shard::is_serving)
    }

    /// Whether all shards have ended.
    pub fn has_ended(&self) -> bool {
        self.all(Shard::has_ended)
    }

    /// Takes on a connection, if the shard serves.
    pub fn connect(&mut self, shard: usize, socket: &Socket) -> bool {
        let Place::Running(Running { shard, buffers, .. }) = &self.places[shard] else { return false };
        if !shard.borrow().is_serving() {
            return false;
        }
        let connection =
            shard.borrow_mut().sessions().open(Protocol::Native, String::new(), Ipv4Addr::LOCALHOST.into());
        let (reader, writer) = socket.server_ends();
        self.executor.spawn(tasks::read(Rc::clone(shard), Rc::clone(buffers), connection, reader));
        self.executor.spawn(tasks::write(Rc::clone(shard), connection, writer));
        true
    }

    /// Whether nothing is held for connections any more.
    pub fn is_idle(&self) -> bool {
        let idle = |place: &Place| match place {
            Place::Running(Running { shard, buffers, .. }) => {
                shard.borrow().usage() == Default::default() && buffers.used() == 0
            }
            Place::Recovering(_) => true,
        };
        self.executor.running() == 0 && self.mesh.borrow().is_empty() && self.places.iter().all(idle)
    }

    /// Adds what the shards' logs count to the figures of the run.
    pub fn count(&self, figures: &mut Figures) {
        for place in &self.places {
            let Place::Running(running) = place else { continue };
            let stats = running.shard.borrow().stats();
            figures.fences += u64::from(stats.fenced);
            figures.recycled += stats.recycled_segments;
            figures.cleaned_bytes += stats.cleaned_bytes;
        }
    }

    /// By shard, whether its log takes no more writes.
    pub fn fenced(&self) -> Vec<bool> {
        let is_fenced = |place: &Place| match place {
            Place::Running(running) => running.shard.borrow().stats().fenced,
            Place::Recovering(_) => false,
        };
        self.places.iter().map(is_fenced).collect()
    }

    /// Whether every request is answered and every answer taken: then nothing is held but connections and subscriptions, of
    /// which each has one watcher at most.
    pub fn is_at_rest(&self) -> bool {
        let at_rest = |place: &Place| match place {
            Place::Running(Running { shard, buffers, .. }) => {
                let (sessions, logs) = shard.borrow().usage();
                let SessionsUsage { connections, subscriptions, .. } = sessions;
                let only = SessionsUsage { connections, subscriptions, ..SessionsUsage::default() };
                let waits = LogsUsage { watchers: logs.watchers, ..LogsUsage::default() };
                sessions == only && logs == waits && logs.watchers <= subscriptions && buffers.used() == 0
            }
            Place::Recovering(_) => false,
        };
        self.mesh.borrow().is_empty() && self.places.iter().all(at_rest)
    }

    /// How far each shard is, and what it holds.
    pub fn describe(&self) -> Vec<String> {
        let describe = |place: &Place| match place {
            Place::Recovering(_) => "recovering".to_owned(),
            Place::Running(Running { shard, buffers, .. }) => {
                let shard = shard.borrow();
                let stage = (shard.is_loading(), shard.is_serving(), shard.has_ended());
                format!(
                    "loading, serving, ended: {stage:?}, {:?}, {} bytes of buffers",
                    shard.usage(),
                    buffers.used()
                )
            }
        };
        let mail = format!("mail on its way: {}", !self.mesh.borrow().is_empty());
        self.places.iter().map(describe).chain([mail]).collect()
    }
}
