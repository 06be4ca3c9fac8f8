//! What clients do: they connect, make requests, send and receive as their connections allow, and go.

use super::answers::Judge;
use super::client::{Connection, Request};
use super::socket::Socket;
use super::world::{Event, Mode, World};
use crate::check::{Check, ensure};
use std::rc::Rc;

/// So much before the idle timeout a request may cross the word of it, in microseconds.
const NEARLY_US: u64 = 500_000;

/// So long at most a client stays that does not read, in microseconds.
const UNREAD_US: u64 = 6_000_000;

/// Until a client that the broker does not read tries again, in microseconds.
const SEND_AGAIN_US: u64 = 300;

impl World<'_> {
    pub fn plan_down(&mut self, number: u32) {
        let client = self.owners[number as usize];
        let Some(connection) = self.clients[client].connection.as_mut().filter(|c| c.number == number) else {
            return;
        };
        if !connection.never_reads && !std::mem::replace(&mut connection.receiving, true) {
            let deaf_us = connection.deaf_until_us.saturating_sub(self.schedule.now_us());
            self.schedule.after(deaf_us + 5 + self.rng.below(60), Event::Down { client, number });
        }
    }

    /// Plans the next requests of a client.
    pub fn plan_act(&mut self, client: usize) {
        if !std::mem::replace(&mut self.clients[client].acts, true) {
            let delay = self.rng.below(self.episode.think_us);
            self.schedule.after(delay, Event::Act { client });
        }
    }

    pub fn act(&mut self, client: usize) {
        self.clients[client].acts = false;
        if self.mode == Mode::Leaving {
            return;
        }
        if let Some(connection) = self.clients[client].connection.take_if(|c| c.never_reads) {
            connection.socket.reset();
            self.abandon(connection);
        }
        if self.clients[client].connection.is_none() {
            self.connect(client);
        }
        let Some(mut connection) = self.clients[client].connection.take() else {
            // Nobody is there to connect to: later.
            self.clients[client].acts = true;
            let delay = 1000 + self.rng.below(20_000);
            return self.schedule.after(delay, Event::Act { client });
        };
        if self.mode == Mode::Busy {
            let depth = self.episode.depth as usize;
            for _ in 0..self.rng.between(1, self.episode.burst) {
                if self.left_in_round == 0
                    || connection.pending.len() >= depth
                    || !connection.takes_requests()
                {
                    break;
                }
                self.left_in_round -= 1;
                self.left = self.left.saturating_sub(1);
                self.figures.operations += 1;
                self.desk().ask(&mut connection);
            }
            if connection.may_end == Some("reset") {
                connection.socket.reset();
            }
        }
        self.plan_up(client, &mut connection);
        let goes_on = self.mode == Mode::Busy
            && connection.takes_requests()
            && (connection.pending.len() as u64) < self.episode.depth;
        if connection.never_reads {
            self.clients[client].acts = true;
            self.schedule.after(self.rng.below(UNREAD_US), Event::Act { client });
        }
        self.clients[client].connection = Some(connection);
        if goes_on && self.left_in_round > 0 {
            self.plan_act(client);
        }
    }

    fn connect(&mut self, client: usize) {
        let Some(machine) = &mut self.machine else { return };
        let shard = self.rng.index(self.episode.shards);
        let number = self.owners.len() as u32;
        let socket =
            Socket::new(number, self.episode.socket_bytes, Rc::clone(&machine.touched), self.rng.fork());
        if self.trouble.stopping || !machine.connect(shard, &socket) {
            return;
        }
        self.owners.push(client);
        let now_us = self.schedule.now_us();
        self.trace.event(
            now_us,
            shard as u32,
            "connect",
            &[("client", client as u64), ("number", number.into())],
        );
        let mut connection = Connection::new(number, shard, socket, now_us);
        let by_the_rules = self.mode != Mode::Busy;
        self.desk().greet(&mut connection, by_the_rules);
        self.clients[client].connection = Some(connection);
    }

    pub fn plan_up(&mut self, client: usize, connection: &mut Connection) {
        let wants = !connection.out.is_empty() || connection.finished_us.is_some();
        if wants && !std::mem::replace(&mut connection.sending, true) {
            let number = connection.number;
            self.schedule.after(1 + self.rng.below(40), Event::Up { client, number });
        }
    }

    pub fn send(&mut self, client: usize, number: u32) {
        let now_us = self.schedule.now_us();
        let Some(connection) = self.clients[client].connection.as_mut().filter(|c| c.number == number) else {
            return;
        };
        let most =
            if self.rng.one_in(self.episode.chop) { self.rng.between(1, 24) as usize } else { usize::MAX };
        let sent = connection.socket.send(&connection.out[..connection.out.len().min(most)]);
        connection.out.drain(..sent);
        self.trace.event(
            now_us,
            client as u32,
            "send",
            &[("bytes", sent as u64), ("left", connection.out.len() as u64)],
        );
        if sent > 0 {
            connection.was_silent |= now_us - connection.said_us + NEARLY_US >= self.trouble.idle_us;
            connection.said_us = now_us;
        }
        connection.sending = !connection.out.is_empty();
        if connection.sending {
            let delay = if sent == 0 { SEND_AGAIN_US } else { 1 + self.rng.below(40) };
            self.schedule.after(delay, Event::Up { client, number });
        } else if connection.finished_us.is_some() {
            connection.finished_us = Some(now_us);
            connection.socket.finish();
        }
    }

    pub fn receive(&mut self, client: usize, number: u32) {
        let now_us = self.schedule.now_us();
        let Some(mut connection) = self.clients[client].connection.take_if(|c| c.number == number) else {
            return;
        };
        connection.receiving = false;
        if connection.never_reads {
            self.clients[client].connection = Some(connection);
            return;
        }
        let most =
            if self.rng.one_in(self.episode.chop) { self.rng.between(1, 100) as usize } else { usize::MAX };
        let bytes = connection.socket.receive(&mut connection.inbox, most);
        self.trace.event(now_us, client as u32, "receive", &[("bytes", bytes as u64)]);
        let trouble = std::mem::take(&mut self.trouble);
        let (mut figures, mut audited) = (self.figures, std::mem::take(&mut self.audited));
        let mut desk = self.desk();
        Judge { desk: &mut desk, trouble: &trouble, figures: &mut figures, audited: &mut audited }
            .take_frames(&mut connection);
        (self.figures, self.audited, self.trouble) = (figures, audited, trouble);
        if connection.socket.has_ended() {
            return self.ended(client, connection);
        }
        if self.mode == Mode::Busy && self.rng.one_in(self.episode.deaf) {
            connection.deaf_until_us = now_us + self.rng.below(200_000);
        }
        let more = connection.socket.waiting() > 0;
        self.clients[client].connection = Some(connection);
        if more {
            self.plan_down(number);
        }
        if self.mode == Mode::Busy {
            self.plan_act(client);
        }
    }

    /// The broker has ended a connection.
    fn ended(&mut self, client: usize, connection: Connection) {
        let now_us = self.schedule.now_us();
        self.trace.event(now_us, client as u32, "ended", &[("unanswered", connection.pending.len() as u64)]);
        let may_end =
            connection.may_end.is_some() || connection.finished_us.is_some() || self.trouble.stopping;
        ensure(may_end, Check::Answer, || {
            format!("the broker ends a connection for no reason: {connection:?}")
        });
        let owed = connection.finished_us.is_some()
            && connection.may_end.is_none()
            && !self.trouble.stopping
            && !self.trouble.slow;
        ensure(!owed || connection.pending.is_empty(), Check::Answer, || {
            format!("the broker ends a connection that it owes answers: {:?}", connection.pending)
        });
        // Some leave their end open for as long as they may.
        if !self.rng.one_in(4) {
            connection.socket.finish();
        }
        self.abandon(connection);
        self.plan_act(client);
    }

    /// What a connection had under way is left to itself.
    pub fn abandon(&mut self, connection: Connection) {
        for (_, pending) in connection.pending {
            if let Request::Change { topic } = pending.request {
                self.topics.abandoned(topic);
            }
        }
    }
}
