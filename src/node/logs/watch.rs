//! Waiting for records to come: who wants to hear when a log advances.

use ahash::AHashMap;
use ringmail_shards::api::{Isolation, LogState};
use ringmail_wire::protocol::LogId;

use super::{Caller, Logs, Message, Outcome, ShardId};
use crate::{kafka, native};

/// Who wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watcher {
    /// A request or subscription of a connection.
    Native(native::Waiter),
    /// A request of a connection of Kafka's.
    Kafka(kafka::Waiter),
    /// Another shard, on behalf of whoever waits there.
    Peer(ShardId),
}

/// A log that is being watched: it has not advanced since this was made.
#[derive(Debug)]
struct Watch {
    /// What was known of the log then.
    state: LogState,
    watchers: Vec<Watcher>,
}

/// The logs that are being watched. One watch per log is open at its engine or owner, however many want to hear.
#[derive(Debug, Default)]
pub(super) struct Watches(AHashMap<LogId, Watch>);

impl Watches {
    /// Requests and subscriptions of connections that wait.
    pub(super) fn of_connections(&self) -> usize {
        let is_here = |watcher: &&Watcher| !matches!(watcher, Watcher::Peer(_));
        self.0.values().map(|watch| watch.watchers.iter().filter(is_here).count()).sum()
    }

    /// The state of a watched log of which what a reader may see is known to end at `offset`.
    pub(super) fn known_to_end_at(&self, log: LogId, offset: u64, isolation: Isolation) -> Option<LogState> {
        self.0.get(&log).map(|watch| watch.state).filter(|state| state.end_for(isolation) == offset)
    }

    /// Adds a watcher; gives whether the watch is new, and has to be opened.
    fn add(&mut self, log: LogId, state: LogState, watcher: Watcher) -> bool {
        let mut new = false;
        let watch = self.0.entry(log).or_insert_with(|| {
            new = true;
            Watch { state, watchers: Vec::new() }
        });
        if !watch.watchers.contains(&watcher) {
            watch.watchers.push(watcher);
        }
        new
    }
}

impl Logs {
    /// Has `watcher` told once when the log is past the high watermark or the last stable offset of `state`, which is what the
    /// watcher knows of it. It may be told although nothing is new.
    pub fn watch(&mut self, log: LogId, state: LogState, watcher: Watcher) {
        let Some(owner) = self.owner(log) else { return self.tell(watcher, log) };
        if owner == self.shard {
            match self.engine.log_state(log) {
                Some(now) if !is_past(now, state) => {
                    if self.watches.add(log, state, watcher) {
                        self.engine.watch(log);
                    }
                }
                _ => self.tell(watcher, log),
            }
        } else if self.watches.0.get(&log).is_some_and(|watch| is_past(watch.state, state)) {
            self.tell(watcher, log);
        } else if self.watches.add(log, state, watcher) {
            let LogState { high_watermark, last_stable, .. } = state;
            self.links[usize::from(owner)].send(Message::Watch { log, high_watermark, last_stable });
        }
    }

    /// Forgets a watcher that does not want to hear any more.
    pub fn unwatch(&mut self, log: LogId, watcher: Watcher) {
        if let Some(watch) = self.watches.0.get_mut(&log)
            && let Some(place) = watch.watchers.iter().position(|other| *other == watcher)
        {
            watch.watchers.swap_remove(place);
        }
    }

    /// A watched log has advanced, or is gone: all watchers are told.
    pub fn advanced(&mut self, log: LogId) {
        if let Some(watch) = self.watches.0.remove(&log) {
            watch.watchers.into_iter().for_each(|watcher| self.tell(watcher, log));
        }
    }

    fn tell(&mut self, watcher: Watcher, log: LogId) {
        match watcher {
            Watcher::Native(waiter) => self.ended.push_back((Caller::Native(waiter), Outcome::Advanced)),
            Watcher::Kafka(waiter) => self.ended.push_back((Caller::Kafka(waiter), Outcome::Advanced)),
            Watcher::Peer(shard) => self.links[usize::from(shard)].send(Message::Advanced { log }),
        }
    }
}

/// Whether a reader may see more in `now` than in `known`.
fn is_past(now: LogState, known: LogState) -> bool {
    now.high_watermark > known.high_watermark || now.last_stable > known.last_stable
}
