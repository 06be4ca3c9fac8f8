//! How rounds end: everybody gets what he waits for, everything is read once more, the node ends and starts again.

use super::client::{Asked, Fetch, Request};
use super::machine::Machine;
use super::records::Status;
use super::topics::Fate;
use super::world::{Event, Mode, World};
use crate::check::{Check, ensure, violated};
use ringmail_wire::protocol::{Api, ListOffsetsQuery, ListOffsetsRequest, LogId, OffsetQuery};

const SECOND_US: u64 = 1_000_000;

/// Without faults everything that was asked for is answered within this, in microseconds.
const SETTLED_WITHIN_US: u64 = 60 * SECOND_US;

/// The node starts, and stops, within this: less than the grace that it has for clients who do not read.
const STARTED_WITHIN_US: u64 = 60 * SECOND_US;
const STOPPED_WITHIN_US: u64 = 4 * SECOND_US;

/// What is left behind by connections is gone within this: longer than the answers to a client may take that is gone.
const IDLE_WITHIN_US: u64 = 60 * SECOND_US;

/// After so long without faults everything goes on that can: a shard asks a disk that was full for room once a second.
const QUIET_US: u64 = 2 * SECOND_US;

/// Credit for subscriptions that are to come to the end of their logs.
const AMPLE_CREDIT: u32 = 64 << 20;

/// Logs that are read in one request of the final look.
const LOGS_AT_ONCE: usize = 4;

/// Rounds of the final look, past which it goes round in circles.
const LOOKS: usize = 10_000;

/// How the node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Kill,
    PowerCut,
    Stop,
}

impl World<'_> {
    /// The whole episode.
    pub fn run(mut self) -> crate::figures::Figures {
        self.schedule.after(0, Event::Weather);
        self.start();
        (0..self.clients.len()).for_each(|client| self.plan_act(client));
        while self.left > 0 {
            self.round();
            if self.episode.crash && !self.rng.one_in(4) {
                let ending = if self.rng.one_in(2) { Ending::Kill } else { Ending::PowerCut };
                self.end_abruptly(ending);
            } else {
                self.settle();
                self.audit();
                if self.rng.one_in(2) {
                    self.leave();
                }
                if self.rng.one_in(2) {
                    self.stop();
                    self.restart(Ending::Stop);
                }
            }
        }
        self.calm_down();
        self.settle();
        self.audit();
        self.leave();
        self.stop();
        self.restart(Ending::PowerCut);
        self.settle();
        self.audit();
        for disk in &self.disks {
            self.figures.disks += disk.stats;
        }
        self.figures.served = self.records.served;
        self.figures.hash = self.trace.hash();
        self.figures
    }

    /// Clients make requests, while faults come and go.
    fn round(&mut self) {
        self.calm = false;
        self.mode = Mode::Busy;
        self.left_in_round = self.episode.round.min(self.left);
        (0..self.clients.len()).for_each(|client| self.plan_act(client));
        self.run_until("requests are made", u64::MAX / 2, |world| world.left_in_round == 0);
    }

    /// Kills the node, or cuts its power, at any moment; at times again while it starts.
    fn end_abruptly(&mut self, ending: Ending) {
        for _ in 0..self.rng.below(400) {
            self.step();
        }
        self.crash(ending);
        while self.rng.one_in(3) {
            self.start();
            for _ in 0..self.rng.below(60) {
                self.step();
            }
            self.figures.interrupted_recoveries += 1;
            let ending = if self.rng.one_in(2) { Ending::Kill } else { Ending::PowerCut };
            self.crash(ending);
        }
        self.restart_here();
        if self.rng.one_in(2) {
            self.settle();
            self.audit();
        }
    }

    fn crash(&mut self, ending: Ending) {
        self.trace.note(self.schedule.now_us(), 0, "end", &format!("{ending:?}"));
        match ending {
            Ending::PowerCut => self.figures.power_cuts += 1,
            Ending::Kill => self.figures.kills += 1,
            Ending::Stop => {}
        }
        self.lose_node(ending == Ending::PowerCut);
    }

    /// Ends what has stopped, and starts it again.
    fn restart(&mut self, ending: Ending) {
        self.crash(ending);
        self.restart_here();
    }

    fn restart_here(&mut self) {
        self.calm_down();
        self.mode = Mode::Quiet;
        self.start();
        if self.rng.one_in(6) {
            // It is stopped before it serves, or soon after.
            for _ in 0..self.rng.below(150) {
                self.step();
            }
            self.stop();
            self.crash(Ending::Stop);
            self.start();
        }
        self.run_until("the node serves", STARTED_WITHIN_US, |world| {
            world.machine.as_ref().is_some_and(|machine| machine.is_serving())
        });
    }

    /// Without faults, everything is answered, and subscriptions come to the end of their logs.
    fn settle(&mut self) {
        self.calm_down();
        self.mode = Mode::Quiet;
        self.trace.event(self.schedule.now_us(), 0, "settle", &[]);
        for client in 0..self.clients.len() {
            self.plan_act(client);
            if let Some(connection) = &mut self.clients[client].connection {
                connection.deaf_until_us = 0;
            }
            // Who does not read goes without a word.
            if let Some(connection) = self.clients[client].connection.take_if(|c| c.never_reads) {
                connection.socket.reset();
                self.abandon(connection);
            }
        }
        self.run_until("requests are answered", SETTLED_WITHIN_US, |world| {
            world.clients.iter().all(|client| {
                client.connection.as_ref().is_none_or(|c| c.pending.is_empty() && c.out.is_empty())
            })
        });
        // What a client has begun that is gone, and what is written without haste, comes to its end too.
        let until_us = self.schedule.now_us() + QUIET_US;
        self.run_until("it is quiet", 2 * QUIET_US, |world| world.schedule.now_us() >= until_us);
        self.run_until("every budget is given back", IDLE_WITHIN_US, |world| {
            world.machine.as_ref().is_some_and(|machine| machine.is_at_rest())
        });
        self.feed_subscriptions();
    }

    fn feed_subscriptions(&mut self) {
        for client in 0..self.clients.len() {
            let connection = &mut self.clients[client].connection;
            let Some(mut connection) = connection.take_if(|c| c.takes_requests()) else { continue };
            let hungry: Vec<u32> =
                connection.subscriptions.iter().filter(|(_, s)| s.started).map(|(id, _)| *id).collect();
            for subscription in hungry {
                self.desk().grant(&mut connection, subscription, AMPLE_CREDIT);
            }
            self.plan_up(client, &mut connection);
            self.clients[client].connection = Some(connection);
        }
        self.run_until("subscriptions are at the ends of their logs", SETTLED_WITHIN_US, |world| {
            let connections = world.clients.iter().filter_map(|client| client.connection.as_ref());
            connections
                .filter(|connection| connection.takes_requests())
                .flat_map(|connection| connection.subscriptions.values())
                .all(|subscription| {
                    let log = &world.records.logs[&subscription.log];
                    !subscription.started
                        || log.status != Status::Live
                        || subscription.offset >= log.durable_end
                })
        });
    }

    /// Reads everything once more.
    fn audit(&mut self) {
        self.look_at_topics();
        self.write_again();
        self.look_at_ends();
        let live = |(log, state): (&LogId, &super::records::Log)| {
            (state.status == Status::Live).then_some((*log, state.start))
        };
        let mut left: Vec<(LogId, u64)> = self.records.logs.iter().filter_map(live).collect();
        for _ in 0..LOOKS {
            left.retain(|(log, next)| *next < self.records.logs[log].durable_end);
            if left.is_empty() {
                return self.check_written();
            }
            let batch: Vec<_> = left.iter().take(LOGS_AT_ONCE).copied().collect();
            self.read_on(&batch);
            for (log, next) in std::mem::take(&mut self.audited) {
                if let Some(entry) = left.iter_mut().find(|entry| entry.0 == log) {
                    entry.1 = next;
                }
            }
            // Retention may have overtaken the look.
            left.iter_mut().for_each(|(log, next)| *next = (*next).max(self.records.logs[log].start));
        }
        violated(Check::Stuck, format!("the last look does not come to the ends of {left:?}"));
    }

    /// Once faults are over, writes go on by themselves wherever no write or sync has failed.
    fn write_again(&mut self) {
        self.trouble.fenced = self.machine.as_ref().map(Machine::fenced);
        for shard in 0..self.episode.shards as u16 {
            let mut logs = self.records.logs.iter().filter(|(_, state)| state.shard == shard);
            let log = logs.find(|(_, state)| state.status == Status::Live).map(|(log, _)| *log);
            if let Some(log) = log {
                self.ask_quietly(|desk, connection| desk.write(connection, log));
            }
        }
        self.trouble.fenced = None;
    }

    /// One client, connected and at rest.
    fn quiet_client(&mut self) -> usize {
        let is_quiet = |client: &super::world::Client| {
            client.connection.as_ref().is_some_and(|c| c.takes_requests() && c.pending.is_empty())
        };
        self.run_until("a client is connected", SETTLED_WITHIN_US, |world| {
            world.clients.iter().any(is_quiet)
        });
        let first = self.rng.index(self.clients.len());
        let order = (0..self.clients.len()).map(|k| (first + k) % self.clients.len());
        order
            .into_iter()
            .find(|client| is_quiet(&self.clients[*client]))
            .expect("there is one, it was waited for")
    }

    /// Has a client ask something, and waits for the answer. A connection may end meanwhile, having been idle: then another
    /// one asks.
    fn ask_quietly(&mut self, ask: impl Fn(&mut super::workload::Desk<'_>, &mut super::client::Connection)) {
        for _ in 0..LOOKS {
            let client = self.quiet_client();
            let mut connection = self.clients[client].connection.take().expect("a quiet client is connected");
            let number = connection.number;
            ask(&mut self.desk(), &mut connection);
            self.figures.operations += 1;
            self.plan_up(client, &mut connection);
            self.clients[client].connection = Some(connection);
            self.run_until("the last look is answered", SETTLED_WITHIN_US, |world| {
                world.clients[client].connection.as_ref().is_none_or(|c| c.pending.is_empty())
            });
            if self.clients[client].connection.as_ref().is_some_and(|c| c.number == number) {
                return;
            }
        }
        violated(Check::Stuck, "every connection ends before its answer");
    }

    fn look_at_topics(&mut self) {
        let unknown = |world: &Self| {
            world.topics.topics.iter().any(|t| matches!(t.change, Some((_, Fate::Unknown | Fate::Pending))))
        };
        for _ in 0..LOOKS {
            self.ask_quietly(|desk, connection| desk.metadata(connection, true));
            if !unknown(self) {
                return;
            }
        }
        violated(Check::Stuck, "what became of a change of the catalog cannot be told");
    }

    fn look_at_ends(&mut self) {
        let live = self.records.logs.iter().filter(|(_, state)| state.status == Status::Live);
        let live: Vec<_> = live.map(|(log, state)| (*log, state.known())).collect();
        let questions = |log| {
            [(Asked::First, OffsetQuery::First), (Asked::Last, OffsetQuery::Last)]
                .map(|(asked, query)| (log, asked, query))
        };
        let all: Vec<_> = live
            .iter()
            .flat_map(|(log, known)| questions(*log).map(|(log, asked, query)| (log, *known, asked, query)))
            .collect();
        self.ask_quietly(|desk, connection| {
            let body = ListOffsetsRequest {
                queries: all
                    .iter()
                    .map(|(log, _, _, query)| ListOffsetsQuery { log: *log, query: *query })
                    .collect(),
            };
            let queries = all.iter().map(|(log, known, asked, _)| (*log, *known, *asked)).collect();
            connection.ask(Api::ListOffsets, &body, Request::Offsets { queries }, desk.now_us);
        });
    }

    fn read_on(&mut self, logs: &[(LogId, u64)]) {
        self.ask_quietly(|desk, connection| {
            let parts =
                logs.iter().map(|(log, next)| (*log, *next, desk.records.log(*log).known())).collect();
            let fetch = Fetch { parts, max_wait_ms: 0, min_bytes: 0, max_bytes: 1 << 20, audit: true };
            desk.send_fetch(connection, fetch);
        });
    }

    /// What was written is durable by now.
    fn check_written(&self) {
        for (number, log) in &self.records.logs {
            let sound = !self.trouble.failed[usize::from(log.shard)]
                && log.status == Status::Live
                && !self.trouble.full;
            ensure(!sound || log.durable_end >= log.written_end, Check::Lost, || {
                format!(
                    "log {number} ends at {}, {} was acknowledged as written",
                    log.durable_end, log.written_end
                )
            });
        }
    }

    /// All clients go; then nothing is held for any.
    fn leave(&mut self) {
        self.mode = Mode::Leaving;
        let now_us = self.schedule.now_us();
        self.trace.event(now_us, 0, "leave", &[]);
        for client in 0..self.clients.len() {
            let Some(mut connection) = self.clients[client].connection.take() else { continue };
            if self.rng.one_in(2) {
                connection.socket.reset();
                self.abandon(connection);
            } else {
                connection.finished_us.get_or_insert(now_us);
                self.plan_up(client, &mut connection);
                self.clients[client].connection = Some(connection);
            }
        }
        self.run_until("connections are gone", IDLE_WITHIN_US, |world| {
            world.clients.iter().all(|client| client.connection.is_none())
                && world.machine.as_ref().is_some_and(|machine| machine.is_idle())
        });
        self.mode = Mode::Quiet;
        (0..self.clients.len()).for_each(|client| self.plan_act(client));
    }

    /// Ends the node in order.
    fn stop(&mut self) {
        self.figures.closes += 1;
        self.trouble.stopping = true;
        self.trace.event(self.schedule.now_us(), 0, "stop", &[]);
        let first = self.rng.index(self.episode.shards);
        for k in 0..self.episode.shards {
            let number = (first + k) % self.episode.shards;
            let machine = self.machine.as_mut().expect("the node runs");
            // One that starts hears of it once it has joined the others.
            if let Some(running) = machine.running(number)
                && running.shard.borrow_mut().outside().connected
            {
                running.shard.borrow_mut().stop();
            }
            for _ in 0..self.rng.below(5) {
                self.step();
            }
        }
        self.run_until("the node stops", STOPPED_WITHIN_US, |world| {
            world.machine.as_ref().is_some_and(|machine| machine.has_ended())
        });
        self.run_until("the connections end with the node", SECOND_US, |world| {
            world.machine.as_ref().is_some_and(|machine| machine.executor.running() == 0)
        });
        for (shard, disk) in self.disks.iter().enumerate() {
            let sound = !self.trouble.failed[shard];
            ensure(!sound || disk.in_flight() == 0, Check::Stuck, || {
                format!("the disk of shard {shard} is at work after the end")
            });
        }
        let sound = (0..).zip(&self.trouble.failed).filter(|(_, failed)| !**failed).map(|(shard, _)| shard);
        sound.for_each(|shard| self.records.closed(shard));
    }
}
