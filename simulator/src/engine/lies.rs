//! Disks that break their contract, and what is promised on them: what was acknowledged is served as it was, or it is said
//! that it is damaged.
//!
//! Two things cannot be noticed there, and are allowed. What stands at the very end of what a crash has left, and nothing
//! that came later calls durable, looks like a torn write. And a deletion of which nothing is left has not happened.

use super::world::World;
use crate::check::{Check, ensure};
use crate::disk::Lies;

/// Once in so many changes of the weather a bit rots.
const ROT: u64 = 3;

impl World<'_> {
    /// How a disk lies until the weather changes.
    pub fn draw_lies(&mut self) -> Lies {
        let kinds = self.episode.lies;
        if !kinds.any() {
            return Lies::default();
        }
        let mut sometimes =
            |wanted: bool| if wanted && self.rng.one_in(2) { self.rng.pick(&[20, 100, 500]) } else { 0 };
        Lies {
            lost_write: sometimes(kinds.lost_write),
            misdirected_write: sometimes(kinds.misdirected_write),
        }
    }

    /// Now and then a bit changes by itself.
    pub fn rot(&mut self) {
        if self.episode.lies.rot && self.rng.one_in(ROT) {
            let shard = self.rng.index(self.members.len());
            self.members[shard].disk.rot();
            self.say_lies(shard);
        }
    }

    /// Lines of the trace for what a disk has done against its contract.
    pub fn say_lies(&mut self, shard: usize) {
        let member = &mut self.members[shard];
        let fresh = member.disk.lied[member.lies_said..].to_vec();
        member.lies_said += fresh.len();
        for lie in fresh {
            self.say(shard, lie.what, &[("file", lie.file.0), ("at", lie.position), ("bytes", lie.bytes)]);
        }
    }

    /// Recovery is over on a disk that has lied: what is there is right, and what is missing was reported, unless nothing
    /// tells that it ever was.
    pub fn recovered_from_lies(&mut self, shard: usize) {
        let engine = self.members[shard].engine();
        let holes = engine.holes();
        let states: Vec<_> = self
            .logs
            .values()
            .filter(|model| model.owner == shard)
            .map(|model| (model.log, engine.log_state(model.log).expect("it was just put there")))
            .collect();
        let mut gone = Vec::new();
        let mut last_there = None;
        for (log, state) in states {
            let holes: Vec<_> = holes.iter().filter(|(of, _)| *of == log).map(|(_, range)| range).collect();
            let model = self.logs.get_mut(&log).expect("it was listed");
            let lost = model.recovered_from_lies(&state, !holes.is_empty(), self.events);
            gone.extend(lost.into_iter().map(|(base, durable_at)| (durable_at, log, base)));
            // What is there says that all was durable which was so when it was appended.
            let there = model.batches.iter().rfind(|b| !holes.iter().any(|hole| hole.contains(&b.base)));
            last_there = last_there.max(there.map(|b| b.submitted));
        }
        let first_gone = gone.into_iter().min();
        let member = &mut self.members[shard];
        member.has_recovered = true;
        let unnoticed = first_gone.filter(|(at, ..)| last_there.is_some_and(|there| *at < there));
        ensure(unnoticed.is_none() || member.damage_said > 0, Check::Lost, || {
            format!(
                "gone without a word, though what came later is there: (durable at, log, offset) {unnoticed:?}"
            )
        });
    }
}
