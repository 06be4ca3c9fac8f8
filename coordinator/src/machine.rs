//! What a coordinator takes and gives.
//!
//! The host owns the log. It gives the machine all records of the log at the start ([`Machine::replay`]), then requests and the
//! passing of time, and carries out the [`Effects`]:
//!
//! 1. It appends each [`Write`] in order. One that is refused, because the disk is full for instance, changes nothing: the
//!    machine hears of it by [`Machine::written`] and answers accordingly.
//! 2. One that was taken is given to [`Machine::replay`] record by record, at once, and only that changes what a restart would
//!    find: state that is stored is changed in one place, whether it is new or is read back. Then comes [`Machine::written`].
//! 3. Answers are sent once all that was written before them is durable, those to questions too: so nobody is told what a
//!    crash could take back. If the log fails, they become errors, and the machine is asked nothing more.
//!
//! So a machine never changes stored state when it decides, and needs nothing to take back.

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::messages::{Request, Response};

/// A request that is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// A request, with what is known of it.
#[derive(Debug)]
pub struct Call<'a> {
    /// By which it is answered, exactly once.
    pub id: CallId,
    /// The version of request and answer.
    pub version: i16,
    /// What the client calls itself; empty if it does not say.
    pub client_id: &'a str,
    /// The client's address, as Kafka writes it: `/127.0.0.1`.
    pub client_host: &'a str,
    /// Bits that nobody can guess, for ids that are given out.
    pub random: Uuid,
    /// What is asked. Only requests that concern a key of the machine's log get here.
    pub request: Request<'a>,
}

/// The time, as it is for all that happens at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never jumps; for timeouts.
    pub clock_ms: u64,
    /// Milliseconds since the Unix epoch, by a clock that may jump; for what is stored.
    pub wall_ms: i64,
}

/// A record to be stored. The forms of keys and values are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` is a tombstone: the key is forgotten.
    pub value: Option<Vec<u8>>,
}

/// The producer of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// Records that are stored together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Comes back by [`Machine::written`]. 0 if nothing is to be done then.
    pub tag: u64,
    /// In order.
    pub records: Vec<Record>,
    /// If they are part of a transaction, whose: then they count once its marker is in the log.
    pub producer: Option<Producer>,
}

/// Why something was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// Too much is under way, or the disk is full: the client may try again.
    Unavailable,
    /// The records are larger than a batch may be.
    TooLarge,
    /// The producer's epoch is not the newest any more.
    Fenced,
}

/// Markers that end a transaction: to be written into each of the partitions, on whichever shard they are. The host says
/// [`Machine::marked`] for each partition, once its marker is durable or its topic is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markers {
    /// Comes back with each.
    pub tag: u64,
    /// Whose transaction.
    pub producer: Producer,
    /// The epoch of the coordinator: how often its partition was loaded.
    pub coordinator_epoch: i32,
    /// Whether it is committed, or aborted.
    pub commit: bool,
    /// Topic and partition, those of internal topics too.
    pub partitions: Vec<(String, i32)>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// To be appended, in order.
    pub writes: Vec<Write>,
    /// To be sent once all that was written before is durable, whether the writes of the same step were taken or refused: an
    /// answer that depends on that is added by [`Machine::written`].
    pub answers: Vec<(CallId, Response<'static>)>,
    /// To be spread, once all before is durable.
    pub markers: Vec<Markers>,
    /// For each a producer id that was never given out is to be handed over, by [`Machine::producer_id`] with this tag.
    pub producer_ids: Vec<u64>,
}

/// A stored record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed<'a> {
    /// Its offset in the log.
    pub offset: u64,
    /// When it was stored, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Whose transaction it is part of: it counts once [`Machine::replay_marker`] says so.
    pub producer: Option<Producer>,
    /// The key.
    pub key: &'a [u8],
    /// The value; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// The topics of the broker, for whoever has to know whether there is one.
pub trait Topics {
    /// Id and number of partitions of a topic.
    fn topic(&self, name: &str) -> Option<(Uuid, i32)>;
    /// The name of the topic of this id.
    fn name(&self, id: Uuid) -> Option<&str>;
    /// All names of topics that are not internal, in their order.
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_>;
    /// A number that grows whenever topics change.
    fn version(&self) -> u64;
}

/// A coordinator of what is in one log.
pub trait Machine: std::fmt::Debug {
    /// Takes a record, read back or just appended. A record that cannot be understood is passed over, and told to the log.
    fn replay(&mut self, record: Replayed<'_>);

    /// Takes the end of a transaction in this log, read back or just appended. In the latter case whatever waits for it may
    /// go on.
    fn replay_marker(&mut self, producer: Producer, commit: bool, now: Now, effects: &mut Effects);

    /// All records are replayed: from now on there are requests. This is the `epoch`th time that the log was loaded.
    fn loaded(&mut self, epoch: i32, now: Now, effects: &mut Effects);

    /// Takes a request.
    fn request(&mut self, call: Call<'_>, topics: &dyn Topics, now: Now, effects: &mut Effects);

    /// A write was taken, and replayed, or refused.
    fn written(
        &mut self,
        tag: u64,
        result: Result<(), WriteError>,
        topics: &dyn Topics,
        now: Now,
        effects: &mut Effects,
    );

    /// A producer id that was asked for by [`Effects::producer_ids`], durably taken out of the numbers that there are; or there
    /// is none now. Machines that ask for none leave this out.
    fn producer_id(
        &mut self,
        _tag: u64,
        _id: Result<i64, WriteError>,
        _topics: &dyn Topics,
        _now: Now,
        _effects: &mut Effects,
    ) {
    }

    /// A partition has its marker.
    fn marked(&mut self, tag: u64, topic: &str, partition: i32, now: Now, effects: &mut Effects);

    /// Whoever asked is gone; an answer, if it is given, goes nowhere.
    fn forget(&mut self, call: CallId);

    /// A topic was deleted.
    fn topic_deleted(&mut self, name: &str, id: Uuid, now: Now, effects: &mut Effects);

    /// Time has passed.
    fn tick(&mut self, topics: &dyn Topics, now: Now, effects: &mut Effects);

    /// When something is due, in milliseconds of the clock that never jumps.
    fn next_deadline(&self) -> Option<u64>;

    /// Writes that say all there is to say, so that all records before them can go; `None` if that is not possible now, as a
    /// transaction is open.
    fn snapshot(&self) -> Option<Vec<Write>>;
}
