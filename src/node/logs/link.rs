//! The way to one other shard: what is to be sent, and how much is under way.

use crate::node::message::Message;

/// The smallest window, in bytes: with many shards, each still lets a large batch pass.
const SMALLEST_WINDOW: usize = 1 << 20;

/// The sending half of what connects two shards.
#[derive(Debug)]
pub(super) struct Link {
    outbox: Vec<Message>,
    /// Bytes of questions without an answer.
    unanswered: usize,
    window: usize,
}

impl Link {
    /// A link on which about `window` bytes may wait for answers.
    pub(super) fn new(window: usize) -> Self {
        Self { outbox: Vec::new(), unanswered: 0, window: window.max(SMALLEST_WINDOW) }
    }

    /// About how many bytes more may be sent to be appended.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.window.saturating_sub(self.unanswered)
    }

    /// Bytes of questions without an answer.
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Adds a message that has no answer.
    pub(super) fn send(&mut self, message: Message) {
        self.outbox.push(message);
    }

    /// Adds a question, which counts for `bytes` until it is answered.
    pub(super) fn ask(&mut self, message: Message, bytes: usize) {
        self.unanswered += bytes;
        self.outbox.push(message);
    }

    /// A question that counted for `bytes` was answered.
    pub(super) fn answered(&mut self, bytes: usize) {
        self.unanswered -= bytes;
    }

    /// Whether there is something to send.
    pub(super) fn has_mail(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Takes what is to be sent.
    pub(super) fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.outbox)
    }

    /// Takes back what could not be sent; it goes before everything else.
    pub(super) fn put_back(&mut self, mut mail: Vec<Message>) {
        mail.append(&mut self.outbox);
        self.outbox = mail;
    }
}
