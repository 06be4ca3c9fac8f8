//! What is asked of coordinators: on the shard that owns their log, or through messages; and what coordinators do with the logs
//! that are theirs.

use ringmail_kafka::messages::Response;
use ringmail_shards::api::{AppendError, Appended, Origin, Payload};
use ringmail_wire::protocol::{Acks, LogId};

use super::{Caller, Logs, Outcome, Question};
use crate::coordinators::{CoordinatorQuestion, Errand};
use crate::node::catalog::{CatalogError, Change, Topic};

impl Logs {
    /// Asks the coordinator over a log; the caller is told by [`Outcome::Coordinated`].
    pub fn coordinate(&mut self, question: CoordinatorQuestion, caller: Caller) {
        match self.owner(question.log) {
            Some(owner) if owner != self.shard => {
                let bytes = question.bytes();
                self.ask(owner, Question::Coordinate(question), bytes, caller);
            }
            // The coordinators of this shard know which logs are theirs.
            _ => self.errands.push_back((caller, Errand::Ask(question))),
        }
    }

    /// Asks for a producer id; the caller is told by [`Outcome::ProducerId`].
    pub fn want_producer_id(&mut self, caller: Caller) {
        self.errands.push_back((caller, Errand::ProducerId));
    }

    /// Appends a batch that the broker has made to a log of this shard; the caller is told once it is durable.
    ///
    /// # Errors
    /// If that was not begun.
    pub fn append_own(&mut self, log: LogId, batch: &[u8], caller: Caller) -> Result<Appended, AppendError> {
        self.append_here(log, Payload::Kafka(batch, Origin::Broker), Acks::Synced, caller)
    }

    /// A marker is stored, or could not be.
    pub fn marked(&mut self, caller: Caller, result: Result<Appended, AppendError>) {
        self.ended.push_back((caller, Outcome::Appended(result)));
    }

    /// The next thing that coordinators of this shard are to do, and for whom.
    pub fn next_errand(&mut self) -> Option<(Caller, Errand)> {
        self.errands.pop_front()
    }

    /// A coordinator has answered.
    pub fn coordinated(&mut self, caller: Caller, response: Response<'static>) {
        self.ended.push_back((caller, Outcome::Coordinated(Box::new(response))));
    }

    /// A producer id was given out, or none could be.
    pub fn gave_producer_id(&mut self, caller: Caller, id: Result<i64, CatalogError>) {
        self.ended.push_back((caller, Outcome::ProducerId(id)));
    }

    /// How often the catalog has changed here.
    pub fn catalog_version(&self) -> u64 {
        self.catalog_version
    }

    /// Names and ids of topics that were deleted since the last time.
    pub fn take_deleted_topics(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.deleted_topics)
    }

    /// The name and id of the topic that a change deletes, if it does.
    pub(super) fn deleted_topic(&self, change: &Change) -> Option<(String, u64)> {
        match change {
            Change::Deleted { name } => self.catalog.topic(name).map(|topic| (name.clone(), topic.id)),
            _ => None,
        }
    }

    /// The log of a partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<LogId> {
        let partition = usize::try_from(partition).ok()?;
        self.catalog.topic(topic)?.partitions.get(partition).map(|partition| partition.log)
    }

    /// The logs of a topic that are on this shard.
    pub fn own_partitions(&self, topic: &str) -> impl Iterator<Item = LogId> {
        let partitions = self.catalog.topic(topic).map_or(&[][..], |topic: &Topic| &topic.partitions);
        partitions.iter().filter(|partition| partition.shard == self.shard).map(|partition| partition.log)
    }
}
