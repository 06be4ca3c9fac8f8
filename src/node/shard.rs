//! One shard of the broker: its logs, its connections, its disk, and its place among the other shards.
//!
//! Everything that happens on a shard is a **turn**: something is put in (bytes of a connection, a completion of the disk,
//! messages of other shards, the passing of time), and [`Shard::turn`] carries it through to the end: operations go to the
//! disk in one system call, messages to each other shard as one, and each connection with something to send is woken once.
//! A turn never waits, so the one borrow of the shard that it takes is never in anybody's way.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::catalog::{Catalog, CatalogLimits, Change, ShardId};
use super::keeper::{self, Keeper};
use super::logs::{Caller, Logs};
use super::message::Message;
use crate::native::{Output, Received, Sessions};
use crate::node::slab::Key;
use crate::runtime::disk::Disk;
use crate::runtime::mesh::{Full, Mesh};
use crate::runtime::shutdown::Shutdown;
use crate::runtime::task::Notify;
use crate::runtime::timer::{Monotonic, now_ms};

/// Rounds of input and output of the disk in one turn. What completes after them is taken in the next.
const ROUNDS: usize = 16;

/// How often a shard ticks that has something pending, and one that has nothing, in milliseconds.
const BUSY_TICK_MS: u64 = 10;
const IDLE_TICK_MS: u64 = 100;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// A shard, as the tasks of its executor share it. Borrowed within a turn, never across a wait.
pub type Shared = Rc<RefCell<Shard>>;

/// How far a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The catalog is not on every shard yet; shard 0 waits for so many others.
    Loading(usize),
    /// It serves.
    Serving,
    /// It answers what it has taken, and takes nothing new.
    Draining {
        /// Other shards that have nothing under way any more.
        drained: usize,
        /// Whether this one has said so.
        said: bool,
    },
    /// Its log is being closed.
    Closing,
    /// It does nothing any more.
    Ended,
}

/// A shard.
pub struct Shard {
    logs: Logs,
    sessions: Sessions,
    keeper: Option<Keeper>,
    disk: Disk,
    mesh: Option<Mesh<Message>>,
    clock: Monotonic,
    stage: Stage,
    /// Told when the stage changes.
    changed: Rc<Notify>,
    /// When the next tick is planned for.
    tick_at_ms: u64,
    /// Told when a tick is due before that.
    hurry: Rc<Notify>,
    shutdown: Shutdown,
}

impl Shard {
    /// A shard whose log has recovered. Shard 0 keeps the catalog, within `limits`.
    pub fn new(logs: Logs, sessions: Sessions, disk: Disk, shutdown: Shutdown) -> Self {
        Self {
            logs,
            sessions,
            keeper: None,
            disk,
            mesh: None,
            clock: Monotonic::start(),
            stage: Stage::Loading(0),
            changed: Rc::new(Notify::new()),
            tick_at_ms: 0,
            hurry: Rc::new(Notify::new()),
            shutdown,
        }
    }

    /// Connects the shard with the others.
    pub fn connect(&mut self, mesh: Mesh<Message>) {
        self.mesh = Some(mesh);
        self.turn();
    }

    /// Makes this shard, which is shard 0, the keeper of the catalog, and gives the catalog to all others.
    pub fn keep_catalog(&mut self, catalog: Catalog, changes: usize, limits: CatalogLimits) {
        let others = usize::from(self.logs.shards()) - 1;
        let shared = Arc::new(catalog);
        self.logs.tell_others(|| Message::Load(Arc::clone(&shared)));
        self.logs.load_catalog(Arc::unwrap_or_clone(shared));
        self.keeper = Some(Keeper::new(limits, changes));
        self.loading(others);
        self.turn();
    }

    fn loading(&mut self, others: usize) {
        self.stage = Stage::Loading(others);
        if others == 0 {
            self.logs.tell_others(|| Message::Serve);
            self.enter(Stage::Serving);
        }
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.changed.notify_all();
    }

    /// Whether the catalog is not on every shard yet.
    pub fn is_loading(&self) -> bool {
        matches!(self.stage, Stage::Loading(_))
    }

    /// Whether clients are served.
    pub fn is_serving(&self) -> bool {
        self.stage == Stage::Serving
    }

    /// Told whenever [`is_serving`](Self::is_serving), [`is_drained`](Self::is_drained) or [`is_closed`](Self::is_closed) may
    /// have changed.
    pub fn changed(&self) -> Rc<Notify> {
        Rc::clone(&self.changed)
    }

    /// The connections.
    pub fn sessions(&mut self) -> &mut Sessions {
        &mut self.sessions
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
            Message::Watch { log, high_watermark } => self.logs.watched_by(from, log, high_watermark),
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
            Message::Serve => self.enter(Stage::Serving),
            Message::Dropped(logs) => self.dropped(logs),
            Message::Drained => self.other_drained(),
        }
    }

    fn apply(&mut self, from: ShardId, change: &Change) {
        keeper::apply(change, &mut self.logs);
        self.logs.tell_shard(from, Message::Applied);
    }

    fn applied(&mut self) {
        match (self.stage, &mut self.keeper) {
            (Stage::Loading(others), _) => self.loading(others - 1),
            (_, Some(keeper)) => keeper.applied(&mut self.logs),
            _ => debug_assert!(false, "only the keeper hears of applied changes"),
        }
    }

    fn dropped(&mut self, logs: Vec<u64>) {
        if let Some(keeper) = &mut self.keeper {
            keeper.dropped(logs, &mut self.logs);
        }
    }

    /// Time has passed. To be called when [`plan_tick`](Self::plan_tick) says.
    pub fn tick(&mut self) {
        self.note_time();
        self.logs.engine().tick(now_ms());
        self.sessions.tick(&mut self.logs);
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

    /// How long until the next tick, in milliseconds; what is to interrupt the wait is [`hurry`](Self::hurry).
    pub fn plan_tick(&mut self) -> u64 {
        let now_ms = self.clock_ms();
        self.tick_at_ms = self.tick_due(now_ms);
        self.tick_at_ms - now_ms
    }

    /// Told when a tick is due earlier than was planned.
    pub fn hurry(&self) -> Rc<Notify> {
        Rc::clone(&self.hurry)
    }

    fn tick_due(&mut self, now_ms: u64) -> u64 {
        let busy = self.stage != Stage::Serving || self.logs.engine().pending_bytes() > 0;
        let latest = now_ms + if busy { BUSY_TICK_MS } else { IDLE_TICK_MS };
        self.sessions.next_deadline().map_or(latest, |deadline| deadline.clamp(now_ms + 1, latest))
    }

    /// Has the next tick come earlier if something is due before it.
    fn hurry_if_due(&mut self) {
        if self.tick_due(self.sessions.now_ms()) < self.tick_at_ms {
            self.tick_at_ms = 0;
            self.hurry.notify_one();
        }
    }

    fn clock_ms(&self) -> u64 {
        self.clock.now_ns() / NANOS_PER_MILLI
    }

    fn note_time(&mut self) {
        let now_ms = self.clock_ms();
        self.sessions.set_now(now_ms);
    }

    /// Carries everything through that was put in.
    pub fn turn(&mut self) {
        self.note_time();
        for _ in 0..ROUNDS {
            let completed = self.take_completions();
            let stepped = self.step();
            let submitted = self.submit();
            if !completed && !stepped && !submitted {
                break;
            }
        }
        if let Err(error) = self.disk.flush() {
            tracing::error!(shard = self.logs.shard(), %error, "the disk cannot be used any more: stopping");
            self.shutdown.request();
        }
        self.look_whether_drained();
        self.hurry_if_due();
        self.send_mail();
        self.sessions.wake(&self.logs);
    }

    fn take_completions(&mut self) -> bool {
        let mut any = false;
        while let Some((id, result)) = self.disk.poll() {
            self.logs.engine().complete(id, result);
            any = true;
        }
        any
    }

    fn submit(&mut self) -> bool {
        let mut any = false;
        while let Some((id, op)) = self.logs.engine().next_io() {
            self.disk.submit(id, op);
            any = true;
        }
        any
    }

    fn step(&mut self) -> bool {
        let mut any = false;
        while let Some((caller, outcome)) = self.logs.next_outcome() {
            any = true;
            match (caller, &mut self.keeper) {
                (Caller::Native(waiter), _) => self.sessions.outcome(waiter, outcome, &mut self.logs),
                (Caller::Keeper, Some(keeper)) => keeper.outcome(outcome, &mut self.logs),
                (caller, _) => debug_assert!(false, "{caller:?} is not told here"),
            }
        }
        while self.sessions.resume(&mut self.logs) {
            any = true;
        }
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
        let Some(mesh) = &self.mesh else { return };
        let mut any = false;
        for shard in 0..self.logs.shards() {
            if self.logs.has_mail(shard) {
                any = true;
                // A peer that is behind gets the rest with a later turn; what may be under way to it is bounded.
                if let Err(Full(mail)) = mesh.send_batch(shard.into(), self.logs.take_mail(shard)) {
                    self.logs.put_mail_back(shard, mail);
                }
            }
        }
        if any {
            mesh.flush();
        }
    }

    /// Begins to go down: what was taken is answered, nothing new is taken.
    pub fn drain(&mut self) {
        if matches!(self.stage, Stage::Loading(_) | Stage::Serving) {
            self.note_time();
            self.enter(Stage::Draining { drained: 0, said: false });
            self.sessions.drain(&mut self.logs);
            self.turn();
        }
    }

    fn look_whether_drained(&mut self) {
        if let Stage::Draining { drained, said: false } = self.stage
            && self.sessions.is_drained()
        {
            self.stage = Stage::Draining { drained, said: true };
            self.logs.tell_others(|| Message::Drained);
            self.changed.notify_all();
        }
    }

    fn other_drained(&mut self) {
        // It may have heard of the shutdown first.
        self.drain();
        if let Stage::Draining { drained, said } = self.stage {
            self.enter(Stage::Draining { drained: drained + 1, said });
        }
    }

    /// Whether no shard has anything under way any more.
    pub fn is_drained(&self) -> bool {
        let others = usize::from(self.logs.shards()) - 1;
        matches!(self.stage, Stage::Draining { drained, said: true } if drained == others)
    }

    /// Cuts all connections off, and closes the log: everything becomes durable, and the next start finds it sealed.
    pub fn close(&mut self) {
        self.enter(Stage::Closing);
        self.sessions.cut_all();
        self.logs.engine().close();
        self.turn();
    }

    /// Whether the log is closed.
    pub fn is_closed(&mut self) -> bool {
        self.logs.engine().is_closed()
    }

    /// Ends when the disk may have completed something.
    pub fn disk_ready(&self) -> impl Future<Output = ()> + use<> {
        self.disk.ready()
    }

    /// Does nothing any more; gives the mesh, which is to be closed.
    pub fn end(&mut self) -> Option<Mesh<Message>> {
        self.enter(Stage::Ended);
        self.mesh.take()
    }

    /// Whether nothing is done any more.
    pub fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// The number of the shard.
    pub fn number(&self) -> ShardId {
        self.logs.shard()
    }
}
