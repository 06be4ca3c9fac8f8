//! What a shard needs of the world around it. The broker gives it the real one ([`super::host`]), a simulation one of its
//! own, so that the code of the shard is the same in both.

use ringmail_shards::io::{IoId, IoOp, IoResult};

use super::catalog::ShardId;
use super::message::Message;

/// The world around one shard. Nothing here waits.
pub trait Outside {
    /// Milliseconds of a clock that never jumps, from any origin; for deadlines.
    fn clock_ms(&self) -> u64;

    /// Milliseconds since 1970 by the wall clock, which may jump; for timestamps and retention.
    fn wall_ms(&self) -> u64;

    /// Takes an operation for the disk, to be begun by [`flush_disk`](Self::flush_disk) at the latest.
    fn submit(&mut self, id: IoId, op: IoOp);

    /// An operation that has ended, if there is one.
    fn completed(&mut self) -> Option<(IoId, IoResult)>;

    /// Begins all operations that were submitted. If the disk cannot be used at all, this has the broker stop.
    fn flush_disk(&mut self);

    /// Takes messages for the shard `to`, another one: all, or none. It takes none before the shards are connected.
    ///
    /// # Errors
    /// Gives the messages back if `to` is too far behind; they are to be offered again later.
    fn send(&mut self, to: ShardId, mail: Vec<Message>) -> Result<(), Vec<Message>>;

    /// Hands over what was sent.
    fn flush_mail(&mut self);

    /// The shard's [life](super::life) has gone a step further.
    fn changed(&mut self);

    /// A tick is due earlier than [`plan_tick`](super::shard::Shard::plan_tick) said.
    fn hurry(&mut self);
}
