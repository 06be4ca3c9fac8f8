//! How shards end, and what they have to bring back when they start.

use super::draw::{shard_config, speed};
use super::member::{End, Stage};
use super::world::{Event, World};
use crate::check::{Check, ensure, violated};
use crate::disk::Faults;
use ringmail_shards::format::ends::Ends;
use ringmail_shards::io::ExistingFile;
use ringmail_shards::shard::Shard;

/// Milliseconds by which a clock jumps at most.
const JUMP_MS: u64 = 600_000;
/// Microseconds between changes of the weather at most.
const WEATHER_US: u64 = 120_000;

impl World<'_> {
    /// Plans the next thing that goes wrong.
    pub fn plan_trouble(&mut self) {
        let delay = self.rng.below(2 * self.episode.crash_every_ms * 1000);
        self.schedule.after(delay, Event::Trouble);
    }

    /// Something goes wrong.
    pub fn trouble(&mut self) {
        if self.calm {
            return;
        }
        let kinds = self.episode.kinds;
        let shard = self.rng.index(self.members.len());
        match self.rng.below(4) {
            0 if kinds.kill => self.crash(shard, End::Killed),
            1 if kinds.power_cut => self.crash(shard, End::PowerCut),
            2 if kinds.close => self.close(shard),
            3 if kinds.clock => {
                let ms = self.rng.between(0, 2 * JUMP_MS) as i64 - JUMP_MS as i64;
                self.figures.clock_jumps += 1;
                self.say(shard, "clock", &[("jump", ms as u64)]);
                self.schedule.jump(ms);
            }
            _ => {}
        }
        self.plan_trouble();
    }

    /// Faults of disks come and go.
    pub fn weather(&mut self) {
        if self.calm {
            return;
        }
        let kinds = self.episode.kinds;
        for shard in 0..self.members.len() {
            let rng = &mut self.rng;
            let mut sometimes = |wanted: bool, chances: &[u64]| {
                if wanted && rng.one_in(3) { rng.pick(chances) } else { 0 }
            };
            let faults = Faults {
                read_error: sometimes(kinds.read_error, &[5, 50, 500]),
                write_error: sometimes(kinds.write_error, &[20, 200, 1000]),
                sync_error: sometimes(kinds.sync_error, &[10, 100, 500]),
                create_error: sometimes(kinds.create_error, &[2, 20]),
                no_room: sometimes(kinds.full, &[2, 20, 200]),
                full: kinds.full && rng.one_in(3),
                speed: speed(kinds.slow, rng),
                ..Faults::default()
            };
            let faults = Faults { lies: self.draw_lies(), ..faults };
            let room = self.rng.below(4) * self.members[shard].config.segment_bytes;
            let limited = kinds.full && self.rng.one_in(3);
            let disk = &mut self.members[shard].disk;
            disk.faults = faults;
            disk.capacity = if limited { disk.used_bytes() + room } else { u64::MAX };
            self.trace.note(
                self.schedule.now_us(),
                shard as u32,
                "weather",
                &format!("{faults:?}, limited: {limited}"),
            );
        }
        self.rot();
        let delay = self.rng.between(1000, WEATHER_US);
        self.schedule.after(delay, Event::Weather);
    }

    /// Faults are over, for good.
    pub fn calm_down(&mut self) {
        self.calm = true;
        for member in &mut self.members {
            member.disk.faults = Faults::default();
            member.disk.capacity = u64::MAX;
        }
    }

    /// Somebody has noticed that a shard takes no more writes, and restarts it.
    pub fn repair(&mut self, shard: usize, boot: u64) {
        if self.members[shard].boot != boot {
            return;
        }
        match self.members[shard].stage {
            Stage::Serving if self.rng.one_in(2) => self.close(shard),
            Stage::Serving | Stage::Recovering => self.crash(shard, End::Killed),
            Stage::Down | Stage::Closing => {}
        }
    }

    /// The process of a shard ends in an orderly way.
    pub fn close(&mut self, shard: usize) {
        if self.members[shard].stage != Stage::Serving {
            return;
        }
        self.say(shard, "close", &[]);
        self.observe_all(shard);
        self.members[shard].stage = Stage::Closing;
        self.members[shard].engine().close();
        self.plan_turn(shard);
    }

    /// Ends the process of a shard that was being closed, once it is.
    pub fn go_on_closing(&mut self, shard: usize) {
        let member = &mut self.members[shard];
        if member.stage != Stage::Closing || !member.engine().is_closed() {
            return;
        }
        ensure(member.waiting.is_empty(), Check::Forgotten, || {
            format!("the shard is closed, and these were not answered: {:?}", member.waiting)
        });
        let end = if member.fenced { End::Killed } else { End::Closed };
        self.crash(shard, end);
    }

    /// A shard ends.
    pub fn crash(&mut self, shard: usize, how: End) {
        let stage = self.members[shard].stage;
        if stage == Stage::Down {
            return;
        }
        self.observe_all(shard);
        match how {
            End::Killed => self.figures.kills += 1,
            End::PowerCut => self.figures.power_cuts += 1,
            End::Closed => self.figures.closes += 1,
        }
        self.figures.interrupted_recoveries += u64::from(stage == Stage::Recovering);
        self.say(
            shard,
            "ends",
            &[("how", how as u64), ("recovering", u64::from(stage == Stage::Recovering))],
        );
        let member = &mut self.members[shard];
        let stats = member.engine().stats();
        self.figures.recycled += stats.recycled_segments;
        self.figures.cleaned_bytes += stats.cleaned_bytes;
        match how {
            End::PowerCut => member.disk.cut_power(),
            End::Killed | End::Closed => member.disk.kill(),
        }
        member.ended = match (stage, member.ended, how) {
            // What an orderly end or a recovery has left survives whatever comes.
            (Stage::Recovering, End::Killed, End::PowerCut) => End::PowerCut,
            (Stage::Recovering, before, _) => before,
            _ => how,
        };
        member.shard = None;
        member.stage = Stage::Down;
        member.boot += 1;
        member.turn_due = false;
        let waiting = std::mem::take(&mut member.waiting).into_values().map(|(caller, _)| caller);
        let watching = std::mem::take(&mut member.watches).into_values().flat_map(|(_, callers)| callers);
        let callers: Vec<_> = waiting.chain(watching).collect();
        let boot = member.boot;
        for caller in callers {
            self.answer_in(shard, caller, 500);
        }
        self.gone.retain(|_, model| model.owner != shard);
        for worker in (0..self.workers.len()).filter(|k| self.workers[*k].home == shard).collect::<Vec<_>>() {
            self.lose_connection(worker);
        }
        let delay = self.rng.below(10_000);
        self.schedule.after(delay, Event::Start { shard, boot });
    }

    /// A client's shard is gone: whatever it waited for, it will ask again.
    fn lose_connection(&mut self, worker: usize) {
        if !self.workers[worker].idle {
            self.workers[worker].asks += 1;
            self.workers[worker].request += 1;
            let (asks, delay) = (self.workers[worker].asks, self.rng.below(5000));
            self.schedule.after(delay, Event::Ask { worker, asks });
        }
    }

    /// A shard starts.
    pub fn start(&mut self, shard: usize) {
        let wall_ms = self.schedule.wall_ms();
        let member = &mut self.members[shard];
        let incarnation = self.rng.number();
        if self.rng.one_in(4) {
            member.config = shard_config(shard as u16, &mut self.rng);
        }
        member.config.incarnation = incarnation;
        (member.fenced, member.full) = (false, false);
        // A recovery that was cut short may have mended what it has reported: the next finds nothing to say.
        if std::mem::take(&mut member.has_recovered) {
            member.damage_said = 0;
        }
        member.failed_before = member.disk.stats.failed();
        member.refused_before = member.disk.stats.refused;
        let files = member.disk.files();
        member.shard = Some(Shard::open(member.config.clone(), &files, wall_ms));
        member.stage = Stage::Recovering;
        let (boot, now_us) = (member.boot, self.schedule.now_us());
        self.trace.event(now_us, shard as u32, "start", &[("files", files.len() as u64)]);
        // Not for the hash: it tells of an address in memory.
        self.trace.remark(now_us, shard as u32, "configuration", || format!("{:?}", member.config));
        for ExistingFile { file, bytes } in files {
            let contents = self.members[shard].disk.contents(file).unwrap_or_default();
            self.trace.remark(self.schedule.now_us(), shard as u32, "file", || {
                format!("{:x}, {bytes} bytes: {:?}", file.0, Ends::read(contents, contents, bytes, None))
            });
        }
        self.plan_turn(shard);
        self.schedule.after(0, Event::Tick { shard, boot });
    }

    /// Recovery is over: what is there?
    pub fn recovered(&mut self, shard: usize) {
        self.say(shard, "ready", &[]);
        let member = &mut self.members[shard];
        ensure(member.stage == Stage::Recovering, Check::Answer, || format!("shard {shard} is ready twice"));
        member.stage = Stage::Serving;
        // A failed sync may lose what was written without a power cut, too.
        let failed_syncs = member.disk.stats.failed_syncs;
        let sync_failed = std::mem::replace(&mut member.failed_syncs_before, failed_syncs) != failed_syncs;
        let killed = member.ended == End::Killed && !sync_failed;
        let closed = member.ended == End::Closed;
        let lied = member.was_lied_to();
        let engine = member.shard.as_mut().expect("it has just become ready");
        for log in engine.logs() {
            if self.logs.get(&log).is_some_and(|model| model.owner == shard) {
                continue;
            }
            let Some(dropped) = member.dropped.get(&log) else {
                violated(Check::Phantom, format!("shard {shard} has log {log}, which was never its own"));
            };
            // On a disk that lies the deletion may be gone without a trace: nothing missing tells of it.
            ensure(!dropped.durable || lied, Check::Deleted, || {
                format!("log {log} is back, though its deletion was durable")
            });
        }
        let stored = !member.full;
        for (&log, dropped) in &mut member.dropped {
            if engine.log_state(log).is_some() {
                engine.drop_log(log);
                *dropped = super::member::Dropped { stored, durable: false };
            } else {
                dropped.durable = true;
            }
        }
        for model in self.logs.values().filter(|model| model.owner == shard) {
            engine.put_log(model.log, model.config);
        }
        if lied {
            self.recovered_from_lies(shard);
        } else {
            let engine = self.members[shard].engine();
            for model in self.logs.values_mut().filter(|model| model.owner == shard) {
                let state = engine.log_state(model.log).expect("it was just put there");
                model.recovered(&state, killed, closed, self.events);
            }
        }
        self.plan_turn(shard);
    }
}
