//! The mesh of shards in memory, with the bounds of the real one: from each shard to each other an outbox and a channel of
//! batches, in order.

use ringmail::node::message::Message;
use std::collections::VecDeque;

/// What is on its way from one shard to another.
#[derive(Debug, Default)]
struct Way {
    outbox: Vec<Message>,
    channel: VecDeque<Vec<Message>>,
}

/// The mesh.
#[derive(Debug)]
pub(super) struct Mesh {
    shards: usize,
    ways: Vec<Way>,
    channel_batches: usize,
    outbox_messages: usize,
    /// From which shard to which batches were handed over since this was emptied.
    pub handed: Vec<(usize, usize)>,
    /// Whether an outbox could not be handed over.
    pub stalled: bool,
}

impl Mesh {
    pub fn new(shards: usize, channel_batches: usize, outbox_messages: usize) -> Self {
        let ways = (0..shards * shards).map(|_| Way::default()).collect();
        Self { shards, ways, channel_batches, outbox_messages, handed: Vec::new(), stalled: false }
    }

    /// Puts messages into an outbox: all or none; more than it holds if it is empty.
    pub fn send(&mut self, from: usize, to: usize, mail: Vec<Message>) -> Result<(), Vec<Message>> {
        let outbox = &mut self.ways[from * self.shards + to].outbox;
        if outbox.is_empty() {
            *outbox = mail;
        } else if outbox.len() + mail.len() > self.outbox_messages {
            return Err(mail);
        } else {
            outbox.extend(mail);
        }
        Ok(())
    }

    /// Hands over the outboxes of a shard, as far as the channels have room.
    pub fn flush(&mut self, from: usize) {
        for to in 0..self.shards {
            let way = &mut self.ways[from * self.shards + to];
            if way.outbox.is_empty() {
                continue;
            }
            if way.channel.len() < self.channel_batches {
                way.channel.push_back(std::mem::take(&mut way.outbox));
                self.handed.push((from, to));
            } else {
                self.stalled = true;
            }
        }
    }

    /// The next batch from one shard to another.
    pub fn take(&mut self, from: usize, to: usize) -> Option<Vec<Message>> {
        self.ways[from * self.shards + to].channel.pop_front()
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.ways.iter().all(|way| way.outbox.is_empty() && way.channel.is_empty())
    }
}
