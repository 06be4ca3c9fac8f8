//! What must be true once all faults are over.

use super::member::{End, Stage, Waiting};
use super::world::World;
use crate::check::{Check, ensure, violated};
use ringmail_shards::api::{Answer, AppendError, Isolation, LogId, ReadData, ReadError};
use std::collections::BTreeMap;

/// Microseconds within which everything settles that faults have left behind.
const SETTLE_US: u64 = 60_000_000;
/// Microseconds within which space comes back.
const CLEAN_US: u64 = 20_000_000;
/// And so many more for each file that there is: they are removed one by one.
const REMOVE_US: u64 = 200_000;
/// Segments that an empty shard may have: the active one, the newest sealed one, and one that is being sealed.
const SEGMENTS_LEFT: u64 = 3;
/// Files that it may keep beyond those and twice its spare segments.
const FILES_LEFT: usize = 8;

impl World<'_> {
    /// Lets everything end, then looks at all there is: as it is, after a last crash, and after everything was deleted.
    pub fn finish(&mut self) {
        self.calm_down();
        for shard in 0..self.members.len() {
            if self.members[shard].fenced {
                self.crash(shard, End::Killed);
            }
        }
        self.settle();
        self.read_everything();
        for shard in 0..self.members.len() {
            match self.rng.below(3) {
                0 => self.close(shard),
                1 => self.crash(shard, End::Killed),
                _ => self.crash(shard, End::PowerCut),
            }
        }
        self.settle();
        self.read_everything();
        self.delete_everything();
        for member in &self.members {
            self.figures.disks += member.disk.stats;
        }
    }

    fn settle(&mut self) {
        let until = self.schedule.now_us() + SETTLE_US;
        while let Some(why) = self.unsettled() {
            ensure(self.schedule.now_us() < until, Check::Stuck, || format!("without faults, still: {why}"));
            self.step();
        }
        for shard in 0..self.members.len() {
            self.observe_all(shard);
        }
        for model in self.logs.values() {
            ensure(model.high_watermark == model.end, Check::Stuck, || {
                format!("log {}: {}", model.log, model.place())
            });
        }
    }

    /// What is still going on, if anything is.
    fn unsettled(&self) -> Option<String> {
        if let Some(k) = self.workers.iter().position(|worker| !worker.idle) {
            let waits =
                self.members.iter().flat_map(|m| m.waiting.values()).find(|(caller, _)| caller.worker == k);
            return Some(format!("client {k} waits: {waits:?}"));
        }
        for (shard, member) in self.members.iter().enumerate() {
            if !member.serves() {
                return Some(format!("shard {shard} is {:?}", member.stage));
            }
            let pending = member.shard.as_ref().map_or(0, |engine| engine.pending_bytes());
            if pending > 0 || !member.waiting.is_empty() {
                return Some(format!(
                    "{pending} bytes are pending on shard {shard}, and {:?}",
                    member.waiting
                ));
            }
        }
        None
    }

    fn read_everything(&mut self) {
        let logs: Vec<(LogId, usize)> = self.logs.values().map(|model| (model.log, model.owner)).collect();
        for (log, shard) in logs {
            self.observe(shard, log);
            let mut at = self.logs[&log].start;
            let max_bytes = self.rng.pick(&[1 << 10, 64 << 10, 256 << 10]);
            while at < self.logs[&log].high_watermark {
                let data = self.inspect(shard, log, at, max_bytes);
                if matches!(data, Err(ReadError::OutOfRange { .. })) {
                    // Retention may let it go meanwhile.
                    self.observe(shard, log);
                    let before = std::mem::replace(&mut at, self.logs[&log].start);
                    ensure(before < at, Check::Lost, || format!("log {log} at {at} is out of range"));
                    continue;
                }
                if matches!(data, Err(ReadError::Damaged { .. })) && self.members[shard].was_lied_to() {
                    self.figures.damaged_reads += 1;
                    at = self.logs[&log].batch_end(at);
                    continue;
                }
                let data =
                    data.unwrap_or_else(|error| violated(Check::Lost, format!("log {log} at {at}: {error}")));
                self.figures.served += self.logs[&log].check_read(at, max_bytes, &data);
                ensure(data.next_offset > at, Check::Answer, || {
                    format!("log {log}: a read at {at} gives nothing")
                });
                at = data.next_offset;
                self.observe(shard, log);
                at = at.max(self.logs[&log].start);
            }
        }
    }

    /// A read, driven to its end.
    fn inspect(
        &mut self,
        shard: usize,
        log: LogId,
        offset: u64,
        max_bytes: usize,
    ) -> Result<ReadData, ReadError> {
        let token = self.token();
        match self.members[shard].engine().read(log, offset, max_bytes, Isolation::Uncommitted, token) {
            Answer::Now(result) => return result,
            Answer::Later => {}
        }
        self.answers.insert(token, None);
        self.plan_turn(shard);
        let until = self.schedule.now_us() + SETTLE_US;
        loop {
            if self.answers.get(&token).is_some_and(Option::is_some) {
                return self.answers.remove(&token).flatten().expect("it was just there");
            }
            ensure(self.schedule.now_us() < until, Check::Forgotten, || {
                format!("log {log}: a read at {offset} never ends")
            });
            self.step();
        }
    }

    /// What nothing needs any more comes back.
    fn delete_everything(&mut self) {
        let mut tokens = BTreeMap::new();
        let logs: Vec<(LogId, usize)> = self.logs.values().map(|model| (model.log, model.owner)).collect();
        for (log, shard) in logs {
            let token = self.token();
            let mut start = self.members[shard].engine().delete_records(log, u64::MAX, token);
            let until = self.schedule.now_us() + CLEAN_US;
            while matches!(start, Err(AppendError::Overloaded(_))) && self.schedule.now_us() < until {
                // The cleaner writes too.
                self.step();
                start = self.members[shard].engine().delete_records(log, u64::MAX, token);
            }
            let start = start.unwrap_or_else(|error| violated(Check::Answer, format!("log {log}: {error}")));
            self.logs.get_mut(&log).expect("it was listed").start_asked = start;
            tokens.insert(token, shard);
            let caller = super::member::Caller { worker: 0, request: u64::MAX };
            self.members[shard].waiting.insert(token, (caller, Waiting::Delete { log, start }));
            self.plan_turn(shard);
        }
        let files = self.members.iter().map(|m| m.disk.file_count() as u64).max().unwrap_or(0);
        let until = self.schedule.now_us() + CLEAN_US + files * REMOVE_US;
        while self.schedule.now_us() < until
            && self.members.iter().any(|m| !m.waiting.is_empty() || !is_small(m) && !m.was_lied_to())
        {
            self.step();
        }
        for (shard, member) in self.members.iter().enumerate() {
            let stats = member.shard.as_ref().expect("all shards run").stats();
            ensure(member.waiting.is_empty(), Check::Stuck, || {
                format!("shard {shard} waits: {:?}", member.waiting)
            });
            // What is damaged is left alone.
            ensure(is_small(member) || member.was_lied_to(), Check::Bounds, || {
                format!("shard {shard} is empty, and has {} files: {stats:?}", member.disk.file_count())
            });
            ensure(member.stage == Stage::Serving, Check::Stuck, || {
                format!("shard {shard} is {:?}", member.stage)
            });
        }
    }
}

fn is_small(member: &super::member::Member) -> bool {
    let files = 2 * member.config.spare_segments + FILES_LEFT;
    let segments = member.shard.as_ref().map_or(u64::MAX, |engine| engine.stats().segments);
    segments <= SEGMENTS_LEFT && member.disk.file_count() <= files
}
