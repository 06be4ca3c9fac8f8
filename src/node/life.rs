//! The life of a shard, in steps that only go forward: the catalog comes to all shards, clients are served, what was taken
//! is answered on all shards, the log is closed.

use std::sync::Arc;

use super::catalog::Catalog;
use super::keeper::Keeper;
use super::message::Message;
use super::outside::Outside;
use super::shard::Shard;

/// How long the closing of a log may take before it is given up, in milliseconds. The next start then recovers as after a
/// crash: nothing that was acknowledged is lost.
const CLOSING_MS: u64 = 30_000;

/// How far a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The catalog is not on every shard yet; shard 0 waits for so many others.
    Loading(usize),
    /// It serves.
    Serving,
    /// It answers what it has taken, and takes nothing new.
    Draining {
        /// When what is still unanswered is given up, in milliseconds of the monotonic clock.
        until_ms: u64,
    },
    /// Its log is being closed.
    Closing {
        /// When that is given up.
        until_ms: u64,
    },
    /// It does nothing any more.
    Ended,
}

/// Where a shard is in its life.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) stage: Stage,
    /// Milliseconds that what was taken has to be answered in.
    grace_ms: u64,
    /// Whether it is to go down, and when it does so in any case. Until then a shard that loads goes on to load: the others may
    /// need it to come so far as to end in order.
    stop_by_ms: Option<u64>,
    /// Whether the others were told that nothing is under way here any more.
    said_drained: bool,
    /// Other shards that have said so.
    others_drained: usize,
}

impl Life {
    pub(super) fn new(grace_ms: u64) -> Self {
        let stage = Stage::Loading(0);
        Self { stage, grace_ms, stop_by_ms: None, said_drained: false, others_drained: 0 }
    }
}

impl<O: Outside> Shard<O> {
    fn enter(&mut self, stage: Stage) {
        debug_assert!(self.life.stage < stage, "a life goes forward");
        self.life.stage = stage;
        self.outside.changed();
    }

    /// Whether the catalog is not on every shard yet.
    pub fn is_loading(&self) -> bool {
        matches!(self.life.stage, Stage::Loading(_))
    }

    /// Whether clients are served.
    pub fn is_serving(&self) -> bool {
        self.life.stage == Stage::Serving
    }

    /// Whether nothing is done any more.
    pub fn has_ended(&self) -> bool {
        self.life.stage == Stage::Ended
    }

    /// Makes this shard, which is shard 0, the keeper of the catalog, and gives the catalog to all others.
    pub(super) fn keep_catalog(&mut self, catalog: Catalog, changes: usize) {
        let shared = Arc::new(catalog);
        self.logs.tell_others(|| Message::Load(Arc::clone(&shared)));
        self.logs.load_catalog(Arc::unwrap_or_clone(shared));
        self.keeper = Some(Keeper::new(changes));
        self.life.stage = Stage::Loading(usize::from(self.logs.shards()) - 1);
        self.serve_if_loaded();
    }

    /// Another shard has applied what shard 0 sent it: the whole catalog, or later a change.
    pub(super) fn applied(&mut self) {
        match (&mut self.life.stage, &mut self.keeper) {
            (Stage::Loading(others), Some(_)) => {
                *others -= 1;
                self.serve_if_loaded();
            }
            (_, Some(keeper)) => keeper.applied(&mut self.logs),
            _ => debug_assert!(false, "only the keeper hears of applied changes"),
        }
    }

    fn serve_if_loaded(&mut self) {
        if self.life.stage == Stage::Loading(0) {
            self.logs.tell_others(|| Message::Serve);
            self.serve();
        }
    }

    /// Every shard has the catalog.
    pub(super) fn serve(&mut self) {
        self.enter(Stage::Serving);
        if self.life.stop_by_ms.is_some() {
            self.drain();
        }
    }

    /// Goes down: what was taken is answered, nothing new is taken, and once that is so on all shards, the log is closed.
    /// May be called again.
    pub fn stop(&mut self) {
        self.note_time();
        self.begin_to_stop();
        self.turn();
    }

    fn begin_to_stop(&mut self) {
        let by_ms = self.sessions.now_ms() + self.life.grace_ms;
        self.life.stop_by_ms.get_or_insert(by_ms);
        if self.is_serving() {
            self.drain();
        }
    }

    fn drain(&mut self) {
        let until_ms = self.sessions.now_ms() + self.life.grace_ms;
        self.enter(Stage::Draining { until_ms });
        self.sessions.drain(&mut self.logs);
        self.coordinators.drain(&mut self.logs);
    }

    /// Another shard has nothing under way any more. It may have heard of the shutdown first.
    pub(super) fn other_drained(&mut self) {
        self.life.others_drained += 1;
        self.begin_to_stop();
    }

    /// Takes the next step on the way down, if it is time. Whether one was taken.
    pub(super) fn go_down(&mut self) -> bool {
        let now_ms = self.sessions.now_ms();
        match self.life.stage {
            Stage::Serving | Stage::Ended => return false,
            Stage::Loading(_) => {
                if self.life.stop_by_ms.is_none_or(|by_ms| now_ms < by_ms) {
                    return false;
                }
                self.close(now_ms + CLOSING_MS);
            }
            Stage::Draining { until_ms } => {
                self.say_if_drained();
                if !self.all_are_drained() {
                    if now_ms < until_ms {
                        return false;
                    }
                    let shard = self.number();
                    tracing::warn!(
                        shard,
                        "requests are unanswered after node.shutdown_grace: they are given up"
                    );
                }
                self.close(now_ms + CLOSING_MS);
            }
            Stage::Closing { until_ms } => {
                if !self.is_closed() {
                    if now_ms < until_ms {
                        return false;
                    }
                    let shard = self.number();
                    tracing::warn!(shard, "the log could not be closed in time; the next start recovers it");
                }
                self.enter(Stage::Ended);
            }
        }
        true
    }

    fn say_if_drained(&mut self) {
        if !self.life.said_drained && self.sessions.connections().is_drained() {
            self.life.said_drained = true;
            self.logs.tell_others(|| Message::Drained);
        }
    }

    /// Whether no shard has anything under way any more.
    fn all_are_drained(&self) -> bool {
        self.life.said_drained && self.life.others_drained == usize::from(self.logs.shards()) - 1
    }

    /// Cuts all connections off, and closes the log: everything becomes durable, and the next start finds it sealed.
    fn close(&mut self, until_ms: u64) {
        self.enter(Stage::Closing { until_ms });
        self.sessions.connections().cut_all();
        self.logs.engine().close();
    }

    /// Whether the log is closed, and the others have been sent what they wait for.
    fn is_closed(&mut self) -> bool {
        let shards = 0..self.logs.shards();
        self.logs.engine().is_closed() && shards.into_iter().all(|shard| !self.logs.has_mail(shard))
    }
}
