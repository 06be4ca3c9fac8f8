//! Faults that come and go.

use super::draw::speed;
use super::world::{Event, World};
use crate::disk::Faults;

impl World<'_> {
    pub fn weather(&mut self) {
        self.schedule.after(20_000 + self.rng.below(200_000), Event::Weather);
        if self.calm {
            return;
        }
        let episode = &self.episode;
        let (failing, full, slow, clock) = (episode.failing, episode.full, episode.slow, episode.clock);
        for shard in 0..self.disks.len() {
            let rng = &mut self.rng;
            let mut faults = Faults { speed: speed(slow, rng), ..Faults::default() };
            self.trouble.slow |= slow;
            if failing && rng.one_in(3) {
                faults.read_error = if rng.one_in(2) { 10 } else { 0 };
                faults.write_error = if rng.one_in(4) { 100 } else { 0 };
                faults.sync_error = if rng.one_in(4) { 50 } else { 0 };
                faults.create_error = if rng.one_in(2) { 2 } else { 0 };
            }
            if full && rng.one_in(3) {
                faults.full = true;
                faults.no_room = if rng.one_in(2) { 200 } else { 0 };
            }
            self.disks[shard].faults = faults;
        }
        if clock && self.rng.one_in(4) {
            let ms = self.rng.between(0, 1_200_000) as i64 - 600_000;
            self.schedule.jump(ms);
            self.figures.clock_jumps += 1;
        }
    }

    /// Faults are over.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.disks.iter_mut().for_each(|disk| disk.faults = Faults::default());
    }
}
