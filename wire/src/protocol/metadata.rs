//! Metadata: topics, partitions, and where they live.

use super::LogId;
use super::codec::{DecodeError, Message, Reader, Writer};

/// `topics: [string]`; none asks for all topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataRequest<'a> {
    /// Names; those that are unknown are left out of the answer.
    pub topics: Vec<&'a str>,
}

impl<'a> Message<'a> for MetadataRequest<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.list(&self.topics, |w, t| w.string(t));
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { topics: r.list("topics", |r| r.string("topic"))? })
    }
}

/// A shard: `shard: u16, port: u16, host: string`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardInfo<'a> {
    /// Its number.
    pub shard: u16,
    /// The port that only this shard listens on.
    pub port: u16,
    /// The host to reach it at; empty means the one that the client is connected to.
    pub host: &'a str,
}

/// A partition: `log: u64, shard: u16`; its number is its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its log.
    pub log: LogId,
    /// The shard that owns it.
    pub shard: u16,
}

/// A topic: `name: string, id: u64, partitions: [PartitionInfo]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its identity; a topic that is created again gets another.
    pub id: u64,
    /// Partition 0 first.
    pub partitions: Vec<PartitionInfo>,
}

/// `shards: [ShardInfo], topics: [TopicInfo]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataResponse<'a> {
    /// All shards.
    pub shards: Vec<ShardInfo<'a>>,
    /// The topics that were asked for and exist.
    pub topics: Vec<TopicInfo<'a>>,
}

impl<'a> Message<'a> for MetadataResponse<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.list(&self.shards, |w, s| {
            w.u16(s.shard);
            w.u16(s.port);
            w.string(s.host);
        });
        w.list(&self.topics, |w, t| {
            w.string(t.name);
            w.u64(t.id);
            w.list(&t.partitions, |w, p| {
                w.u64(p.log);
                w.u16(p.shard);
            });
        });
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let shards = r.list("shards", |r| {
            Ok(ShardInfo { shard: r.u16("shard")?, port: r.u16("port")?, host: r.string("host")? })
        })?;
        let topics = r.list("topics", |r| {
            Ok(TopicInfo {
                name: r.string("name")?,
                id: r.u64("id")?,
                partitions: r.list("partitions", |r| {
                    Ok(PartitionInfo { log: r.u64("log")?, shard: r.u16("shard")? })
                })?,
            })
        })?;
        Ok(Self { shards, topics })
    }
}
