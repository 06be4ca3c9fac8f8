//! Producer ids: taken from blocks that the catalog has given to this shard, so that none is ever given out twice.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use ringmail_wire::protocol::LogId;

use super::Waiter;
use crate::node::catalog::plan::Command;
use crate::node::catalog::{CatalogError, Change};
use crate::node::logs::{Caller, Logs};

/// Those who wait for a block; one more is refused.
const WAITING: usize = 10_000;

/// Who wants an id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanting {
    /// A machine, by its log, and with what it calls that by.
    Machine { log: LogId, tag: u64 },
    /// Somebody on this shard.
    Caller(Caller),
}

/// An id for somebody, or none.
pub(super) type Given = (Wanting, Result<i64, CatalogError>);

/// The ids that a shard may give out.
#[derive(Debug, Default)]
pub(super) struct ProducerIds {
    block: Range<i64>,
    /// Whether another block was asked for.
    asked: bool,
    waiting: VecDeque<Wanting>,
    given: VecDeque<Given>,
}

impl ProducerIds {
    /// Somebody wants an id, and gets it by [`next`](Self::next).
    pub(super) fn want(&mut self, wanting: Wanting, logs: &mut Logs) {
        if self.waiting.len() >= WAITING {
            return self.given.push_back((wanting, Err(CatalogError::Busy(WAITING))));
        }
        self.waiting.push_back(wanting);
        self.give(logs);
    }

    /// The next that was given out.
    pub(super) fn next(&mut self) -> Option<Given> {
        self.given.pop_front()
    }

    /// A block has come, or none did.
    pub(super) fn allocated(&mut self, result: Result<Arc<Change>, CatalogError>, logs: &mut Logs) {
        self.asked = false;
        match result.as_deref() {
            Ok(Change::ProducerIds { first, count }) => {
                // Ids of all kinds are far below 2^63.
                self.block = *first as i64..(*first + u64::from(*count)) as i64;
            }
            Ok(change) => debug_assert!(false, "{change} gives no ids"),
            Err(error) => {
                let refused = self.waiting.drain(..).map(|wanting| (wanting, Err(error.clone())));
                self.given.extend(refused);
            }
        }
        self.give(logs);
    }

    fn give(&mut self, logs: &mut Logs) {
        while let Some(wanting) = self.waiting.front().copied() {
            let Some(id) = self.block.next() else {
                if !std::mem::replace(&mut self.asked, true) {
                    let caller = Caller::Coordinator(Waiter::ProducerIds);
                    logs.change_catalog(Command::AllocateProducerIds, caller);
                }
                return;
            };
            self.waiting.pop_front();
            self.given.push_back((wanting, Ok(id)));
        }
    }
}
