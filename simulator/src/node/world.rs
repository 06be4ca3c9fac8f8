//! The order of events.

use super::answers::Trouble;
use super::client::Connection;
use super::draw::Episode;
use super::machine::{Machine, Place};
use super::mesh::Mesh;
use super::records::Records;
use super::surroundings::Clocks;
use super::topics::Topics;
use super::workload::Desk;
use crate::check::{Check, ensure, violated};
use crate::disk::{Disk, Ticket};
use crate::figures::Figures;
use crate::rng::Rng;
use crate::schedule::Schedule;
use crate::trace::Trace;
use ringmail::config::Config;
use std::cell::Cell;
use std::rc::Rc;

/// Events past which an episode goes round in circles, for each operation, and in any case.
const EVENTS_PER_OPERATION: u64 = 2000;
const EVENTS_AT_LEAST: u64 = 2_000_000;

/// Until a shard tries again to hand over an outbox, in microseconds.
const RETRY_US: u64 = 200;

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A disk ends an operation.
    Disk {
        shard: usize,
        ticket: Ticket,
    },
    /// A shard takes what its disk has completed.
    Turn {
        life: u64,
        shard: usize,
    },
    Tick {
        life: u64,
        shard: usize,
        tick: u64,
    },
    /// A batch of messages arrives.
    Deliver {
        life: u64,
        from: usize,
        to: usize,
    },
    /// Outboxes that found their channels full are handed over.
    Retry {
        life: u64,
    },
    /// A shard has joined the mesh.
    Join {
        life: u64,
        shard: usize,
    },
    /// A client makes requests.
    Act {
        client: usize,
    },
    /// Bytes go from a client to the broker, and back.
    Up {
        client: usize,
        number: u32,
    },
    Down {
        client: usize,
        number: u32,
    },
    /// Faults come and go.
    Weather,
}

/// A client.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub connection: Option<Connection>,
    /// Whether its next requests are planned.
    pub acts: bool,
}

/// What clients do of their own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// They make requests.
    Busy,
    /// They keep their connections, and finish what they have begun.
    Quiet,
    /// They do not come back once their connections are gone.
    Leaving,
}

/// All there is.
pub(super) struct World<'a> {
    pub rng: Rng,
    pub episode: Episode,
    pub schedule: Schedule<Event>,
    pub trace: &'a mut Trace,
    pub records: Records,
    pub topics: Topics,
    pub clients: Vec<Client>,
    pub mode: Mode,
    /// The client of each connection.
    pub owners: Vec<usize>,
    pub disks: Vec<Disk>,
    /// Operations of each disk that had failed or were refused when the node was started.
    failed_before: Vec<(u64, u64)>,
    pub machine: Option<Machine>,
    life: u64,
    config: Config,
    clocks: Rc<Cell<Clocks>>,
    pub trouble: Trouble,
    /// Whether faults are over for now.
    pub calm: bool,
    /// Requests that may still be made, in all and in this round.
    pub left: u64,
    pub left_in_round: u64,
    pub audited: Vec<(u64, u64)>,
    events: u64,
    most_events: u64,
    pub figures: Figures,
}

impl<'a> World<'a> {
    pub fn new(mut rng: Rng, operations: u64, trace: &'a mut Trace) -> Self {
        let episode = Episode::draw(&mut rng);
        trace.note(0, 0, "episode", &format!("{episode:?}"));
        let config = episode.config(&mut rng);
        Self {
            topics: Topics::new(episode.topics),
            clients: (0..episode.clients).map(|_| Client::default()).collect(),
            disks: (0..episode.shards).map(|_| Disk::new(rng.fork())).collect(),
            failed_before: vec![(0, 0); episode.shards],
            rng,
            episode,
            schedule: Schedule::default(),
            trace,
            records: Records::default(),
            mode: Mode::Quiet,
            owners: Vec::new(),
            machine: None,
            life: 0,
            config,
            clocks: Rc::default(),
            trouble: Trouble::default(),
            calm: true,
            left: operations,
            left_in_round: 0,
            audited: Vec::new(),
            events: 0,
            most_events: operations * EVENTS_PER_OPERATION + EVENTS_AT_LEAST,
            figures: Figures::default(),
        }
    }

    /// Begins a life of the node, on the disks as they are.
    pub fn start(&mut self) {
        self.life += 1;
        self.set_clocks();
        self.config = self.episode.config(&mut self.rng);
        let files: Vec<_> = self.disks.iter_mut().map(Disk::files).collect();
        let mesh = Mesh::new(self.episode.shards, self.episode.channel_batches, self.episode.outbox_messages);
        let (config, clocks) = (self.config.clone(), Rc::clone(&self.clocks));
        self.failed_before =
            self.disks.iter().map(|disk| (disk.stats.failed(), disk.stats.refused)).collect();
        self.trouble = Trouble {
            failed: vec![false; self.episode.shards],
            idle_us: self.config.limits.idle_timeout.millis() * 1000,
            subscriptions: self.config.limits.subscriptions_per_connection as usize,
            ..Trouble::default()
        };
        self.trace.event(self.schedule.now_us(), 0, "start", &[("life", self.life)]);
        let machine = Machine::start(self.life, config, &files, mesh, clocks, &mut self.rng);
        self.machine = Some(machine);
        for shard in 0..self.episode.shards {
            self.recover(shard);
        }
        self.pump();
    }

    fn set_clocks(&self) {
        self.clocks.set(Clocks { now_us: self.schedule.now_us(), wall_ms: self.schedule.wall_ms() });
    }

    /// Lets something happen; nothing does if there is nothing to come.
    pub fn step(&mut self) {
        let Some(event) = self.schedule.pop() else { return };
        self.set_clocks();
        self.events += 1;
        ensure(self.events < self.most_events, Check::Stuck, || {
            format!("{} events: something never ends", self.events)
        });
        self.happen(event);
        self.pump();
    }

    fn happen(&mut self, event: Event) {
        let now_us = self.schedule.now_us();
        match event {
            Event::Disk { shard, ticket } => self.disk_ended(shard, ticket),
            Event::Turn { life, shard } => {
                self.trace.event(now_us, shard as u32, "turn", &[]);
                self.with_shard(life, shard, |running| {
                    running.turn_planned = false;
                    running.shard.borrow_mut().turn();
                });
            }
            Event::Tick { life, shard, tick } => self.tick(life, shard, tick),
            Event::Deliver { life, from, to } => self.deliver(life, from, to),
            Event::Retry { life } => {
                if let Some(machine) = self.machine.as_mut().filter(|machine| machine.life == life) {
                    (0..self.episode.shards).for_each(|from| machine.mesh.borrow_mut().flush(from));
                }
            }
            Event::Join { life, shard } => {
                let stopping = self.trouble.stopping;
                self.with_shard(life, shard, |running| {
                    let mut shard = running.shard.borrow_mut();
                    shard.outside().connected = true;
                    if stopping { shard.stop() } else { shard.turn() }
                });
            }
            Event::Act { client } => self.act(client),
            Event::Up { client, number } => self.send(client, number),
            Event::Down { client, number } => self.receive(client, number),
            Event::Weather => self.weather(),
        }
    }

    fn with_shard(&mut self, life: u64, shard: usize, work: impl FnOnce(&mut super::machine::Running)) {
        let machine = self.machine.as_mut().filter(|machine| machine.life == life);
        if let Some(running) = machine.and_then(|machine| machine.running(shard)) {
            work(running);
        }
    }

    fn disk_ended(&mut self, shard: usize, ticket: Ticket) {
        let Some((id, result)) = self.disks[shard].complete(ticket) else { return };
        let failed = result.is_err();
        self.trace.event(
            self.schedule.now_us(),
            shard as u32,
            "disk",
            &[("id", id.0), ("failed", failed.into())],
        );
        let (failed, refused) = self.failed_before[shard];
        self.trouble.failed[shard] |= self.disks[shard].stats.failed() > failed;
        self.trouble.full |= self.disks[shard].stats.refused > refused;
        let Some(machine) = &mut self.machine else { return };
        machine.completed(shard, id, result);
        match &mut machine.places[shard] {
            Place::Recovering(_) => self.recover(shard),
            Place::Running(running) => {
                if !std::mem::replace(&mut running.turn_planned, true) {
                    let (life, delay) = (machine.life, self.rng.below(self.episode.turn_us));
                    self.schedule.after(delay, Event::Turn { life, shard });
                }
            }
        }
    }

    fn recover(&mut self, shard: usize) {
        let Some(machine) = &mut self.machine else { return };
        let life = machine.life;
        let mut wanted = Vec::new();
        match machine.recover(shard, &mut wanted) {
            Ok(false) => {}
            Ok(true) => {
                self.trace.event(self.schedule.now_us(), shard as u32, "recovered", &[]);
                self.schedule.after(0, Event::Tick { life, shard, tick: 0 });
                if machine.has_recovered() {
                    for shard in 0..self.episode.shards {
                        self.schedule.after(self.rng.below(500), Event::Join { life, shard });
                    }
                }
            }
            Err(error) => {
                // What has to be written before a log is used may find no room, too.
                let had_no_room = self.disks[shard].stats.refused > self.failed_before[shard].1;
                ensure(self.trouble.failed[shard] || had_no_room, Check::Lost, || {
                    format!("the log or the catalog cannot be recovered: {error}")
                });
                // The broker says so, and ends.
                self.trace.note(self.schedule.now_us(), shard as u32, "unreadable", &error.to_string());
                self.lose_node(false);
                self.calm_down();
                self.start();
            }
        }
        for (id, op) in wanted {
            let (ticket, delay) = self.disks[shard].submit(id, op);
            self.schedule.after(delay, Event::Disk { shard, ticket });
        }
    }

    fn tick(&mut self, life: u64, shard: usize, tick: u64) {
        let mut pause_ms = None;
        self.with_shard(life, shard, |running| {
            if running.tick == tick {
                running.shard.borrow_mut().tick();
                let mut shard = running.shard.borrow_mut();
                shard.outside().hurried = false;
                pause_ms = (!shard.has_ended()).then(|| shard.plan_tick());
            }
        });
        if let Some(pause_ms) = pause_ms {
            self.trace.event(self.schedule.now_us(), shard as u32, "tick", &[]);
            self.schedule.after(pause_ms * 1000, Event::Tick { life, shard, tick });
        }
    }

    fn deliver(&mut self, life: u64, from: usize, to: usize) {
        let Some(machine) = self.machine.as_mut().filter(|machine| machine.life == life) else { return };
        let Some(mail) = machine.mesh.borrow_mut().take(from, to) else { return };
        let messages = mail.len() as u64;
        self.trace.event(
            self.schedule.now_us(),
            to as u32,
            "mail",
            &[("from", from as u64), ("messages", messages)],
        );
        if let Some(running) = machine.running(to) {
            running.shard.borrow_mut().messages(from as u16, mail);
        }
    }

    /// Lets connections' tasks run, and plans what came of the last event.
    fn pump(&mut self) {
        let Some(machine) = &mut self.machine else { return };
        machine.executor.run(&mut self.rng);
        let life = machine.life;
        for shard in 0..self.episode.shards {
            let Some(running) = machine.running(shard) else { continue };
            let mut borrowed = running.shard.borrow_mut();
            let ops = std::mem::take(&mut borrowed.outside().submitted);
            if std::mem::take(&mut borrowed.outside().hurried) {
                running.tick += 1;
                let (tick, pause_ms) = (running.tick, borrowed.plan_tick());
                self.schedule.after(pause_ms * 1000, Event::Tick { life, shard, tick });
            }
            drop(borrowed);
            for (id, op) in ops {
                let (ticket, delay) = self.disks[shard].submit(id, op);
                self.schedule.after(delay, Event::Disk { shard, ticket });
            }
        }
        let mut mesh = machine.mesh.borrow_mut();
        for (from, to) in mesh.handed.drain(..) {
            self.schedule.after(1 + self.rng.below(self.episode.mesh_us), Event::Deliver { life, from, to });
        }
        if std::mem::take(&mut mesh.stalled) {
            self.schedule.after(RETRY_US, Event::Retry { life });
        }
        drop(mesh);
        let touched = std::mem::take(&mut *machine.touched.borrow_mut());
        for number in touched {
            self.plan_down(number);
        }
    }

    /// The model, for whoever makes requests or judges answers.
    pub fn desk(&mut self) -> Desk<'_> {
        Desk {
            episode: &self.episode,
            records: &mut self.records,
            topics: &mut self.topics,
            rng: &mut self.rng,
            now_us: self.schedule.now_us(),
            wall_ms: self.schedule.wall_ms(),
        }
    }

    /// The node is gone at once, and with it all connections.
    pub fn lose_node(&mut self, power: bool) {
        if let Some(machine) = self.machine.take() {
            machine.count(&mut self.figures);
        }
        for disk in &mut self.disks {
            if power { disk.cut_power() } else { disk.kill() }
        }
        for client in 0..self.clients.len() {
            if let Some(connection) = self.clients[client].connection.take() {
                self.abandon(connection);
                self.plan_act(client);
            }
        }
        self.topics.ended();
        let failed = &self.trouble.failed;
        self.records.ended(|shard| !power && !failed[usize::from(shard)]);
    }

    /// Goes on until something is so, or fails if that takes too long.
    pub fn run_until(&mut self, what: &str, within_us: u64, is_so: impl Fn(&Self) -> bool) {
        let deadline_us = self.schedule.now_us() + within_us;
        while !is_so(self) {
            if self.schedule.now_us() >= deadline_us || self.schedule.is_empty() {
                violated(Check::Stuck, format!("after {within_us} us: {what}: {}", self.describe()));
            }
            self.step();
        }
    }

    /// What everybody waits for.
    fn describe(&self) -> String {
        let connections = self.clients.iter().filter_map(|client| client.connection.as_ref());
        let clients: Vec<_> =
            connections.map(|c| (c.number, c.shard, c.open, &c.pending, c.out.len())).collect();
        let shards = self.machine.as_ref().map(Machine::describe);
        format!("{clients:?}; {shards:?}; {:?}", self.trouble)
    }
}
