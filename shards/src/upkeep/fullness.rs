//! A disk without room: noticed when it refuses something, and over when it takes something again.

use crate::api::Event;
use crate::io::IoError;
use crate::shard::Shard;

impl Shard {
    pub(crate) fn note_write_refused(&mut self) {
        self.upkeep.write_refused = true;
        self.upkeep.full_by_write |= self.upkeep.full_since.is_none();
        self.note_full();
    }

    /// Whether this is a start at which there is one spare segment, and nobody knows yet whether the disk has room for another.
    /// That shows within milliseconds; producers that waited for the broker would have taken the spare by then.
    pub(crate) fn may_need_last_spare(&self) -> bool {
        let another_is_due = self.config.spare_segments > 1 && !self.upkeep.tried_to_create;
        self.active.is_none() && self.segments.spares.len() == 1 && another_is_due
    }

    /// The disk has refused something for want of room.
    pub(super) fn note_full(&mut self) {
        if self.upkeep.full_since.is_none() {
            self.events.push_back(Event::Full(true));
        }
        self.upkeep.full_since = Some(self.now_ms);
    }

    /// A file could not be created. For want of room: what can free some goes on. For another reason, such as too few descriptors,
    /// appends wait for the next attempt.
    pub(super) fn note_not_created(&mut self, error: &IoError) {
        if *error == IoError::Full {
            return self.note_full();
        }
        if self.upkeep.create_failed.is_none() {
            tracing::error!(%error, "no further segment can be created: writes wait once the ones there are full; it is tried again");
        }
        self.upkeep.create_failed = Some(self.now_ms);
    }

    pub(super) fn no_longer_full(&mut self) {
        self.upkeep.full_by_write = false;
        if self.upkeep.full_since.take().is_some() {
            self.events.push_back(Event::Full(false));
        }
    }

    /// Closing does not wait until somebody has made room.
    pub(super) fn give_up_on_a_full_disk(&mut self) {
        let stuck = self.upkeep.write_refused || self.segments.without_file().next().is_some();
        if self.upkeep.is_full() && stuck {
            self.fence("the disk is full, and the log was being closed".into());
        } else if self.upkeep.create_failed.is_some() && stuck {
            self.fence("no further segment could be created, and the log was being closed".into());
        }
    }
}
