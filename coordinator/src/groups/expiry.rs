//! Offsets that nobody has asked for in a long time, and groups of which nothing is left.

use super::Groups;
use super::group::{Group, Retention};
use super::offsets::{Offset, tombstone};
use super::settings::EXPIRY_STEP;
use super::step::Step;
use crate::machine::{Record, Topics};

/// How far a round over all groups has come.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// When it goes on, or the next begins.
    pub(crate) at_ms: u64,
    /// The last group that was looked at; `None` if the next round has not begun.
    last: Option<String>,
}

/// Until a round goes on, in milliseconds: others have their turn meanwhile.
const PAUSE_MS: u64 = 1;

impl Groups {
    /// Looks at some of the groups, if it is time.
    pub(super) fn expire(&mut self, topics: &dyn Topics, step: &mut Step<'_>) {
        if step.now.clock_ms < self.round.at_ms {
            return;
        }
        let mut looked_at = 0;
        while looked_at < EXPIRY_STEP {
            let Some(id) = self.directory.after(self.round.last.as_deref()).map(ToOwned::to_owned) else {
                self.round.last = None;
                self.round.at_ms = step.now.clock_ms + step.settings.offsets_retention_check_interval_ms;
                return;
            };
            let group = self.directory.get(&id).expect("it was found just now");
            let (records, seen) = self.expired(&id, group, topics, step);
            looked_at += 1 + seen;
            step.note(records);
            self.round.last = Some(id);
        }
        self.round.at_ms = step.now.clock_ms + PAUSE_MS;
    }

    /// Records that forget what of a group has expired, and how many offsets it has.
    fn expired(&self, id: &str, group: &Group, topics: &dyn Topics, step: &Step<'_>) -> (Vec<Record>, usize) {
        let retention = (group.retention(), step.settings.retention_ms());
        let (mut records, mut seen) = (Vec::new(), 0);
        for (topic, partitions) in self.offsets.of(id).into_iter().flatten() {
            let current = topics.topic(topic).map(|(id, _)| id);
            let is_read = group.is_subscribed_to(topic);
            for (&partition, offset) in partitions {
                seen += 1;
                let is_old = !is_read && has_expired(offset, retention, step.now.wall_ms);
                let is_spared = self.offsets.is_unstable(id, topic, partition);
                if (is_old || !offset.is_of(current)) && !is_spared {
                    records.push(tombstone(id, topic, partition));
                }
            }
        }
        if records.len() == seen && group.is_empty() && !self.offsets.has_open(id) {
            records.extend(group.tombstones());
        }
        (records, seen)
    }
}

fn has_expired(offset: &Offset, (retention, retention_ms): (Retention, i64), now_ms: i64) -> bool {
    let since = match retention {
        Retention::Kept => return false,
        Retention::SinceCommit => offset.committed_ms,
        Retention::Since(since_ms) => since_ms,
    };
    let expires_ms = offset.expires_ms.unwrap_or_else(|| since.saturating_add(retention_ms));
    expires_ms <= now_ms
}
