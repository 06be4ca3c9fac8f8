//! The order of events.

use super::draw::{Episode, LieKinds, shard_config};
use super::member::{Caller, Member, Stage};
use super::mesh::Mesh;
use super::model::ModelLog;
use super::workload::{Request, Worker};
use crate::check::{Check, ensure, violated};
use crate::disk::Ticket;
use crate::figures::Figures;
use crate::rng::Rng;
use crate::schedule::Schedule;
use crate::trace::Trace;
use ringmail_shards::api::{LogId, ReadData, ReadError, Token};
use std::collections::BTreeMap;

/// Milliseconds between ticks of a shard that has nothing pending.
const IDLE_TICK_MS: u64 = 100;
/// Events past which an episode goes round in circles, for each operation.
const EVENTS_PER_OPERATION: u64 = 2000;
/// Events that any episode may take.
const EVENTS_AT_LEAST: u64 = 1_000_000;

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A client makes its next request.
    Ask {
        worker: usize,
        asks: u64,
    },
    /// A request has come over the mesh.
    Arrive {
        to: usize,
        boot: u64,
        caller: Caller,
        request: Request,
    },
    /// A client's request is answered.
    Answered {
        caller: Caller,
    },
    /// A client has waited long enough for records.
    WatchOver {
        caller: Caller,
    },
    /// A shard takes what was put in.
    Turn {
        shard: usize,
        boot: u64,
    },
    Tick {
        shard: usize,
        boot: u64,
    },
    Disk {
        shard: usize,
        ticket: Ticket,
    },
    /// Something goes wrong, somewhere.
    Trouble,
    /// Faults of disks come and go.
    Weather,
    Start {
        shard: usize,
        boot: u64,
    },
    /// Somebody sees to a shard that takes no more writes.
    Repair {
        shard: usize,
        boot: u64,
    },
}

/// All there is.
pub(super) struct World<'a> {
    pub rng: Rng,
    pub episode: Episode,
    pub schedule: Schedule<Event>,
    pub trace: &'a mut Trace,
    pub members: Vec<Member>,
    pub mesh: Mesh,
    pub workers: Vec<Worker>,
    pub logs: BTreeMap<LogId, ModelLog>,
    /// Deleted logs that are still being read.
    pub gone: BTreeMap<LogId, ModelLog>,
    pub next_log: LogId,
    pub next_token: u64,
    /// Counts records, so that no two are alike.
    pub records: u64,
    /// Requests that may still be made.
    pub left: u64,
    /// Whether faults are over, for good.
    pub calm: bool,
    pub events: u64,
    /// What the final inspection was told.
    pub answers: BTreeMap<Token, Option<Result<ReadData, ReadError>>>,
    pub figures: Figures,
}

impl<'a> World<'a> {
    pub fn new(mut rng: Rng, lying: bool, operations: u64, trace: &'a mut Trace) -> Self {
        let mut episode = Episode::draw(&mut rng);
        episode.lies = if lying { LieKinds::draw(&mut rng) } else { LieKinds::default() };
        trace.note(0, 0, "episode", &format!("{episode:?}"));
        let members: Vec<Member> = (0..episode.shards)
            .map(|shard| Member::new(shard_config(shard as u16, &mut rng), &mut rng))
            .collect();
        let workers = (0..episode.workers).map(|k| Worker::new(k % episode.shards)).collect();
        Self {
            mesh: Mesh::new(episode.shards),
            episode,
            schedule: Schedule::default(),
            trace,
            members,
            workers,
            logs: BTreeMap::new(),
            gone: BTreeMap::new(),
            answers: BTreeMap::new(),
            next_log: 1,
            next_token: 1,
            records: 0,
            left: operations,
            calm: false,
            events: 0,
            figures: Figures::default(),
            rng,
        }
    }

    pub fn run(mut self) -> Figures {
        let limit = EVENTS_AT_LEAST + self.left * EVENTS_PER_OPERATION;
        for shard in 0..self.members.len() {
            for _ in 0..self.episode.logs_per_shard {
                self.create_log(shard);
            }
            self.start(shard);
        }
        for worker in 0..self.workers.len() {
            let delay = self.rng.below(1000);
            self.schedule.after(delay, Event::Ask { worker, asks: 0 });
        }
        self.schedule.after(0, Event::Weather);
        self.plan_trouble();
        while self.left > 0 {
            self.step();
            ensure(self.events < limit, Check::Stuck, || format!("{} requests are never made", self.left));
        }
        self.finish();
        self.figures.hash = self.trace.hash();
        self.figures
    }

    /// One event.
    pub fn step(&mut self) {
        self.events += 1;
        let event = self.schedule.pop().unwrap_or_else(|| violated(Check::Stuck, "nothing happens any more"));
        match event {
            Event::Ask { worker, asks } => self.ask(worker, asks),
            Event::Arrive { to, boot, caller, request } => self.arrive(to, boot, caller, request),
            Event::Answered { caller } => self.answered(caller),
            Event::WatchOver { caller } => self.watch_over(caller),
            Event::Turn { shard, boot } => self.turn(shard, boot),
            Event::Tick { shard, boot } => self.tick(shard, boot),
            Event::Disk { shard, ticket } => self.disk_done(shard, ticket),
            Event::Trouble => self.trouble(),
            Event::Weather => self.weather(),
            Event::Repair { shard, boot } => self.repair(shard, boot),
            Event::Start { shard, boot } => {
                if self.members[shard].boot == boot && self.members[shard].stage == Stage::Down {
                    self.start(shard);
                }
            }
        }
    }

    pub fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    /// A line of the trace.
    pub fn say(&mut self, shard: usize, what: &'static str, particulars: &[(&'static str, u64)]) {
        self.trace.event(self.schedule.now_us(), shard as u32, what, particulars);
    }

    /// Has the shard take its turn soon: several inputs may come together until then.
    pub fn plan_turn(&mut self, shard: usize) {
        let member = &mut self.members[shard];
        if member.stage != Stage::Down && !std::mem::replace(&mut member.turn_due, true) {
            let delay = self.rng.below(15);
            self.schedule.after(delay, Event::Turn { shard, boot: member.boot });
        }
    }

    fn turn(&mut self, shard: usize, boot: u64) {
        if self.members[shard].boot == boot {
            self.members[shard].turn_due = false;
            self.pump(shard);
        }
    }

    /// Hands over what the engine wants of its disk, and takes what it says.
    pub fn pump(&mut self, shard: usize) {
        let member = &mut self.members[shard];
        while let Some((id, op)) = member.shard.as_mut().and_then(|engine| engine.next_io()) {
            let (ticket, delay) = member.disk.submit(id, op);
            self.schedule.after(delay, Event::Disk { shard, ticket });
        }
        self.take_events(shard);
        self.check_turn(shard);
    }

    /// Takes what the engine says.
    pub fn take_events(&mut self, shard: usize) {
        while let Some(event) = self.members[shard].shard.as_mut().and_then(|engine| engine.next_event()) {
            self.take_event(shard, event);
        }
    }

    fn disk_done(&mut self, shard: usize, ticket: Ticket) {
        let member = &mut self.members[shard];
        // A crash may have ended it.
        let Some((id, result)) = member.disk.complete(ticket) else { return };
        let failed = u64::from(result.is_err());
        member.engine().complete(id, result);
        self.say_lies(shard);
        self.say(shard, "disk", &[("io", id.0), ("failed", failed)]);
        self.plan_turn(shard);
    }

    fn tick(&mut self, shard: usize, boot: u64) {
        let wall_ms = self.schedule.wall_ms();
        let member = &mut self.members[shard];
        if member.boot != boot || member.stage == Stage::Down {
            return;
        }
        for log in self.logs.values_mut().filter(|log| log.owner == shard) {
            if let Some(ms) = log.config.retention_ms {
                log.oldest_kept_ms = log.oldest_kept_ms.max(wall_ms.saturating_sub(ms) as i64);
            }
        }
        member.engine().tick(wall_ms);
        self.say(shard, "tick", &[("wall_ms", wall_ms)]);
        self.pump(shard);
        self.observe_all(shard);
        let busy = self.members[shard].shard.as_ref().is_some_and(|engine| engine.pending_bytes() > 0);
        let next = if busy { self.episode.busy_tick_ms } else { IDLE_TICK_MS };
        self.schedule.after(next * 1000, Event::Tick { shard, boot });
        self.go_on_closing(shard);
    }
}
