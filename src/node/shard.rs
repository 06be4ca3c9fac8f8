//! One shard of the broker: its logs, its connections, its place among the other shards. It does no I/O and knows no clock
//! but through its [`Outside`].
//!
//! Everything that happens on a shard is a **turn**: something is put in (bytes of a connection, a completion of the disk,
//! messages of other shards, the passing of time), and [`Shard::turn`] carries it through to the end: operations go to the
//! disk in one system call, messages to each other shard as one, and each connection with something to send is woken once.
//! A turn never waits, so the one borrow of the shard that it takes is never in anybody's way.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use ringmail_shards::stats::ShardStats;

use super::catalog::{Change, ShardId};
use super::cluster::ClusterId;
use super::keeper::{self, Keeper};
use super::life::{Life, Stage};
use super::logs::{Caller, Logs, LogsUsage};
use super::message::Message;
use super::outside::Outside;
use super::recovery::Recovered;
use super::settings::{self, Ports};
use crate::config::Config;
use crate::coordinators::{CoordinatorSettings, Coordinators};
use crate::gateway::{Connections, Output, Received, Sessions, SessionsUsage};
use crate::node::slab::Key;

/// Rounds of input and output of the disk in one turn. What completes after them is taken in the next.
const ROUNDS: usize = 16;

/// How often a shard ticks that has something pending, and one that has nothing, in milliseconds.
const BUSY_TICK_MS: u64 = 10;
const IDLE_TICK_MS: u64 = 100;

/// A shard, as the tasks of its executor share it. Borrowed within a turn, never across a wait.
pub type Shared<O> = Rc<RefCell<Shard<O>>>;

/// A shard.
pub struct Shard<O> {
    pub(super) logs: Logs,
    pub(super) sessions: Sessions,
    pub(super) coordinators: Coordinators,
    pub(super) keeper: Option<Keeper>,
    pub(super) life: Life,
    pub(super) outside: O,
    /// When the next tick is planned for, in milliseconds of the monotonic clock.
    tick_at_ms: u64,
}

impl<O: Outside> Shard<O> {
    /// Shard `number` of as many as there are `ports`, with what it has recovered. It serves once all shards have the
    /// catalog, which shard 0 sends to the others.
    pub fn new(
        config: &Config,
        cluster: ClusterId,
        number: ShardId,
        ports: &Ports,
        recovered: Recovered,
        outside: O,
    ) -> Self {
        let in_flight = config.limits.in_flight_per_shard.as_usize();
        let mut logs =
            Logs::new(cluster, number, settings::catalog(config, ports), recovered.engine, in_flight);
        logs.tick(outside.wall_ms());
        let coordinators = Coordinators::new(CoordinatorSettings::default(), logs.engine().incarnation());
        let mut shard = Self {
            logs,
            sessions: Sessions::new(
                settings::connections(config, number, ports),
                settings::native(config, number, ports),
                settings::kafka(config, ports),
            ),
            coordinators,
            keeper: None,
            life: Life::new(config.node.shutdown_grace.millis()),
            outside,
            tick_at_ms: 0,
        };
        shard.note_time();
        if let Some((catalog, changes)) = recovered.catalog {
            shard.keep_catalog(catalog, changes);
        }
        shard
    }

    /// The number of the shard.
    pub fn number(&self) -> ShardId {
        self.logs.shard()
    }

    /// The world around it.
    pub fn outside(&mut self) -> &mut O {
        &mut self.outside
    }

    /// What is held for connections, and what waits for logs and other shards. Without connections all figures are zero once
    /// everything is answered.
    pub fn usage(&self) -> (SessionsUsage, LogsUsage) {
        (self.sessions.usage(), self.logs.usage())
    }

    /// Figures of its log.
    pub fn stats(&self) -> ShardStats {
        self.logs.stats()
    }

    /// The connections and their protocols.
    pub fn sessions(&mut self) -> &mut Sessions {
        &mut self.sessions
    }

    /// The connections, whatever they speak.
    pub fn connections(&mut self) -> &mut Connections {
        self.sessions.connections()
    }

    /// Takes what a connection has sent.
    pub fn receive(&mut self, connection: Key, bytes: &[u8]) -> Received {
        self.note_time();
        let received = self.sessions.receive(connection, bytes, &mut self.logs);
        self.turn();
        received
    }

    /// What was given for sending on a connection is sent.
    pub fn sent(&mut self, connection: Key, output: Output) {
        self.sessions.sent(connection, output);
        if self.sessions.can_resume() {
            self.turn();
        }
    }

    /// Others want the memory of what a connection has sent. Whether it was given up; not if it waits for the broker.
    pub fn give_up(&mut self, connection: Key) -> bool {
        let given_up = self.sessions.give_up(connection);
        if given_up {
            self.turn();
        }
        given_up
    }

    /// A client sends no more.
    pub fn finished(&mut self, connection: Key) {
        self.sessions.finished(connection, &mut self.logs);
        self.turn();
    }

    /// A connection has ended.
    pub fn close_connection(&mut self, connection: Key) {
        self.sessions.close(connection, &mut self.logs);
        self.turn();
    }

    /// Takes messages of another shard.
    pub fn messages(&mut self, from: ShardId, messages: Vec<Message>) {
        self.note_time();
        messages.into_iter().for_each(|message| self.message(from, message));
        self.turn();
    }

    fn message(&mut self, from: ShardId, message: Message) {
        match message {
            Message::Ask { request, question } => self.logs.question(from, request, question),
            Message::Answer { request, outcome } => self.logs.answered(request, outcome),
            Message::Watch { log, high_watermark, last_stable } => {
                self.logs.watched_by(from, log, high_watermark, last_stable);
            }
            Message::Advanced { log } => self.logs.advanced(log),
            Message::Change { request, command } => {
                self.logs.change_catalog(command, Caller::Peer { shard: from, request });
            }
            Message::Apply(change) => self.apply(from, &change),
            Message::Applied => self.applied(),
            Message::Load(catalog) => {
                self.logs.load_catalog(Arc::unwrap_or_clone(catalog));
                self.logs.tell_shard(from, Message::Applied);
            }
            Message::Serve => self.serve(),
            Message::Dropped(logs) => self.dropped(logs),
            Message::Drained => self.other_drained(),
        }
    }

    fn apply(&mut self, from: ShardId, change: &Change) {
        keeper::apply(change, &mut self.logs);
        self.logs.tell_shard(from, Message::Applied);
    }

    fn dropped(&mut self, logs: Vec<u64>) {
        if let Some(keeper) = &mut self.keeper {
            keeper.dropped(logs, &mut self.logs);
        }
    }

    /// Time has passed. To be called when [`plan_tick`](Self::plan_tick) says.
    pub fn tick(&mut self) {
        self.note_time();
        self.logs.tick(self.outside.wall_ms());
        self.sessions.tick(&mut self.logs);
        self.coordinators.tick(&mut self.logs);
        let dropped = self.logs.take_dropped();
        match &mut self.keeper {
            _ if dropped.is_empty() => {}
            Some(keeper) => keeper.dropped(dropped, &mut self.logs),
            None => self.logs.tell_shard(0, Message::Dropped(dropped)),
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.tick(&mut self.logs);
        }
        self.turn();
    }

    /// How long until the next tick, in milliseconds; [`Outside::hurry`] interrupts the wait.
    pub fn plan_tick(&mut self) -> u64 {
        let now_ms = self.outside.clock_ms();
        self.tick_at_ms = self.tick_due(now_ms);
        self.tick_at_ms - now_ms
    }

    fn tick_due(&mut self, now_ms: u64) -> u64 {
        let busy = self.life.stage != Stage::Serving || self.logs.engine().pending_bytes() > 0;
        let latest = now_ms + if busy { BUSY_TICK_MS } else { IDLE_TICK_MS };
        let due = [self.sessions.next_deadline(), self.coordinators.next_deadline()];
        due.into_iter().flatten().min().map_or(latest, |deadline| deadline.clamp(now_ms + 1, latest))
    }

    /// Has the next tick come earlier if something is due before it.
    fn hurry_if_due(&mut self) {
        if self.tick_due(self.sessions.now_ms()) < self.tick_at_ms {
            self.tick_at_ms = 0;
            self.outside.hurry();
        }
    }

    pub(super) fn note_time(&mut self) {
        let clock_ms = self.outside.clock_ms();
        self.sessions.connections().set_now(clock_ms);
        self.coordinators.set_now(clock_ms, self.outside.wall_ms());
    }

    /// Carries everything through that was put in.
    pub fn turn(&mut self) {
        self.note_time();
        self.rounds();
        while self.go_down() {
            self.rounds();
        }
        self.outside.flush_disk();
        self.hurry_if_due();
        self.send_mail();
        self.sessions.connections().wake(&self.logs);
    }

    fn rounds(&mut self) {
        for _ in 0..ROUNDS {
            let completed = self.take_completions();
            let stepped = self.step();
            let submitted = self.submit();
            if !completed && !stepped && !submitted {
                break;
            }
        }
    }

    fn take_completions(&mut self) -> bool {
        let mut any = false;
        while let Some((id, result)) = self.outside.completed() {
            self.logs.engine().complete(id, result);
            any = true;
        }
        any
    }

    fn submit(&mut self) -> bool {
        let mut any = false;
        while let Some((id, op)) = self.logs.engine().next_io() {
            self.outside.submit(id, op);
            any = true;
        }
        any
    }

    fn step(&mut self) -> bool {
        let mut any = false;
        while let Some((caller, outcome)) = self.logs.next_outcome() {
            any = true;
            match (caller, &mut self.keeper) {
                (Caller::Native(waiter), _) => self.sessions.native_outcome(waiter, outcome, &mut self.logs),
                (Caller::Kafka(waiter), _) => self.sessions.kafka_outcome(waiter, outcome, &mut self.logs),
                (Caller::Coordinator(waiter), _) => {
                    self.coordinators.outcome(waiter, outcome, &mut self.logs);
                }
                (Caller::Keeper, Some(keeper)) => keeper.outcome(outcome, &mut self.logs),
                (caller, _) => debug_assert!(false, "{caller:?} is not told here"),
            }
        }
        while self.sessions.resume(&mut self.logs) {
            any = true;
        }
        any |= self.coordinators.go_on(&mut self.logs);
        if let Some(keeper) = &mut self.keeper {
            while let Some((command, caller)) = self.logs.next_command() {
                keeper.request(command, caller, &mut self.logs);
                any = true;
            }
        }
        self.logs.release_held();
        any
    }

    fn send_mail(&mut self) {
        let mut any = false;
        for shard in 0..self.logs.shards() {
            if self.logs.has_mail(shard) {
                // A peer that is behind gets the rest with a later turn; what may be under way to it is bounded.
                match self.outside.send(shard, self.logs.take_mail(shard)) {
                    Ok(()) => any = true,
                    Err(mail) => self.logs.put_mail_back(shard, mail),
                }
            }
        }
        if any {
            self.outside.flush_mail();
        }
    }
}
