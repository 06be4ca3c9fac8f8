//! Until when members have to be heard of, and to have given up what they were asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::MemberId;

/// The deadlines of a group's members, in milliseconds of the clock that never jumps.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    of: BTreeMap<MemberId, Timer>,
    /// By the earlier of the two.
    order: BTreeSet<(u64, MemberId)>,
}

/// The deadlines of a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    /// Until when it has to be heard of.
    pub session: u64,
    /// Until when it has to give up what it was asked for at an epoch: that epoch, and the time.
    pub rebalance: Option<(i32, u64)>,
}

impl Timer {
    fn earliest(&self) -> u64 {
        self.rebalance.map_or(self.session, |(_, at)| at.min(self.session))
    }
}

impl Timers {
    pub(super) fn get(&self, id: &MemberId) -> Option<Timer> {
        self.of.get(id).copied()
    }

    pub(super) fn set(&mut self, id: &MemberId, timer: Timer) {
        self.remove(id);
        self.of.insert(id.clone(), timer);
        self.order.insert((timer.earliest(), id.clone()));
    }

    pub(super) fn remove(&mut self, id: &MemberId) {
        if let Some(timer) = self.of.remove(id) {
            self.order.remove(&(timer.earliest(), id.clone()));
        }
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Those with a deadline that has come.
    pub(super) fn due(&self, clock_ms: u64) -> Vec<(MemberId, Timer)> {
        let due = self.order.iter().take_while(|&&(at, _)| at <= clock_ms);
        due.map(|(_, id)| (id.clone(), self.of[id])).collect()
    }
}
