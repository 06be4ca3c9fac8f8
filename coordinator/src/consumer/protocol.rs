//! What members of the classic protocol say to one another: subscriptions and assignments, which a group of this protocol
//! reads and writes for them. Kafka's name for it is the consumer protocol.

use ringmail_kafka::codec::{DecodeError, Reader, Writer};

use super::Partitions;
use crate::machine::Topics;

/// The newest form of both.
const NEWEST: i16 = 3;
/// The form of subscriptions from which on they say what the member has.
const OWNED: i16 = 1;
/// The form of subscriptions from which on they say as of which generation that is.
const GENERATION: i16 = 2;
/// The form of subscriptions from which on they say where the member runs.
const RACK: i16 = 3;

/// What a member wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// The form it has, in which the member understands assignments.
    pub version: i16,
    /// Topics, in order, each once.
    pub topics: Vec<String>,
    /// What the member has, of topics that there are. One that does not say it gave up all before it asked.
    pub owned: Partitions,
    /// Where it runs.
    pub rack_id: Option<String>,
}

/// Reads a subscription. Of forms that are newer than the newest, what is known is read.
///
/// # Errors
/// See [`DecodeError`].
pub(crate) fn read_subscription(metadata: &[u8], topics: &dyn Topics) -> Result<Subscription, DecodeError> {
    let mut r = Reader::new(metadata, 0, false);
    r.at_field("subscription");
    let version = version(&mut r)?;
    let mut names = Vec::new();
    for _ in 0..r.count()? {
        names.push(r.string()?.to_owned());
    }
    names.sort_unstable();
    names.dedup();
    r.nullable_blob()?;
    let owned = if version >= OWNED { read_partitions(&mut r, topics)? } else { Partitions::new() };
    if version >= GENERATION {
        r.i32()?;
    }
    let rack_id = if version >= RACK { r.nullable_string()?.map(str::to_owned) } else { None };
    Ok(Subscription { version, topics: names, owned, rack_id })
}

fn version(r: &mut Reader<'_>) -> Result<i16, DecodeError> {
    match r.i16()? {
        negative @ ..0 => Err(DecodeError::Version(negative)),
        version => Ok(version.min(NEWEST)),
    }
}

fn read_partitions(r: &mut Reader<'_>, topics: &dyn Topics) -> Result<Partitions, DecodeError> {
    let mut partitions = Partitions::new();
    for _ in 0..r.count()? {
        let topic = topics.topic(r.string()?);
        for _ in 0..r.count()? {
            let number = r.i32()?;
            partitions.extend(topic.map(|(id, _)| (id, number)));
        }
    }
    Ok(partitions)
}

/// Reads what a member was assigned, of topics that there are. No bytes are no partitions.
///
/// # Errors
/// See [`DecodeError`].
pub(crate) fn read_assignment(assignment: &[u8], topics: &dyn Topics) -> Result<Partitions, DecodeError> {
    if assignment.is_empty() {
        return Ok(Partitions::new());
    }
    let mut r = Reader::new(assignment, 0, false);
    r.at_field("assignment");
    version(&mut r)?;
    read_partitions(&mut r, topics)
}

/// Writes what a member is assigned, in this form. Topics that are gone are left out.
pub(crate) fn write_assignment(version: i16, partitions: &Partitions, topics: &dyn Topics) -> Vec<u8> {
    let lists = super::partitions::to_lists(partitions);
    let named: Vec<_> =
        lists.iter().filter_map(|list| Some((topics.name(list.topic_id)?, &list.partitions))).collect();
    let mut assignment = Vec::new();
    let mut w = Writer::new(&mut assignment, 0, false);
    w.i16(version);
    w.length(Some(named.len()));
    for (name, numbers) in named {
        w.string(name);
        w.length(Some(numbers.len()));
        numbers.iter().for_each(|&number| w.i32(number));
    }
    w.nullable_blob(None);
    assignment
}
