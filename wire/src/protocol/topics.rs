//! Topics: create, alter, delete, list, describe, delete records.

use super::LogId;
use super::codec::{DecodeError, Message, Reader, Writer};

/// Where the value of a configuration entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ConfigSource {
    /// The broker's configuration, or its built-in default.
    Default = 0,
    /// Set on the topic.
    Topic = 1,
}

/// A configuration entry of a topic: `key: string, value: string`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigEntry<'a> {
    /// Its name, such as `retention.ms`.
    pub key: &'a str,
    /// Its value; in an alter request, empty sets it back to the default.
    pub value: &'a str,
}

fn put_config(w: &mut Writer<'_>, config: &[ConfigEntry<'_>]) {
    w.list(config, |w, c| {
        w.string(c.key);
        w.string(c.value);
    });
}

fn get_config<'a>(r: &mut Reader<'a>) -> Result<Vec<ConfigEntry<'a>>, DecodeError> {
    r.list("config", |r| Ok(ConfigEntry { key: r.string("key")?, value: r.string("value")? }))
}

/// `partitions: u32, name: string, config: [ConfigEntry]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopicRequest<'a> {
    /// How many partitions; 0 takes the broker's default.
    pub partitions: u32,
    /// The topic's name: 1 to 249 of `a-z A-Z 0-9 . _ -`, not `.` or `..`.
    pub name: &'a str,
    /// Entries that differ from the default.
    pub config: Vec<ConfigEntry<'a>>,
}

impl<'a> Message<'a> for CreateTopicRequest<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.partitions);
        w.string(self.name);
        put_config(w, &self.config);
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { partitions: r.u32("partitions")?, name: r.string("name")?, config: get_config(r)? })
    }
}

/// The answer to create: `id: u64, partitions: u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicCreated {
    /// The topic's identity.
    pub id: u64,
    /// How many partitions it has.
    pub partitions: u32,
}

impl Message<'_> for TopicCreated {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.id);
        w.u32(self.partitions);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { id: r.u64("id")?, partitions: r.u32("partitions")? })
    }
}

/// `partitions: u32, name: string, config: [ConfigEntry]`. The answer is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterTopicRequest<'a> {
    /// The new partition count, not below the present one; 0 leaves it.
    pub partitions: u32,
    /// The topic's name.
    pub name: &'a str,
    /// Entries to set; an empty value sets the default.
    pub config: Vec<ConfigEntry<'a>>,
}

impl<'a> Message<'a> for AlterTopicRequest<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.partitions);
        w.string(self.name);
        put_config(w, &self.config);
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { partitions: r.u32("partitions")?, name: r.string("name")?, config: get_config(r)? })
    }
}

macro_rules! by_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a> {
            /// The topic's name.
            pub name: &'a str,
        }

        impl<'a> Message<'a> for $name<'a> {
            fn encode(&self, w: &mut Writer<'_>) {
                w.string(self.name);
            }

            fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
                Ok(Self { name: r.string("name")? })
            }
        }
    };
}

by_name!(
    /// `name: string`. The answer is empty.
    DeleteTopicRequest
);
by_name!(
    /// `name: string`.
    DescribeTopicRequest
);

/// Nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTopicsRequest;

impl Message<'_> for ListTopicsRequest {
    fn encode(&self, _: &mut Writer<'_>) {}

    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// A topic in a list: `name: string, partitions: u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions it has.
    pub partitions: u32,
}

/// `topics: [ListedTopic]`, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListTopicsResponse<'a> {
    /// All topics.
    pub topics: Vec<ListedTopic<'a>>,
}

impl<'a> Message<'a> for ListTopicsResponse<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.list(&self.topics, |w, t| {
            w.string(t.name);
            w.u32(t.partitions);
        });
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topics = r.list("topics", |r| {
            Ok(ListedTopic { name: r.string("name")?, partitions: r.u32("partitions")? })
        })?;
        Ok(Self { topics })
    }
}

/// A partition in a description: `log: u64, shard: u16, log_start: u64, high_watermark: u64, bytes: u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescribedPartition {
    /// Its log.
    pub log: LogId,
    /// The shard that owns it.
    pub shard: u16,
    /// The first offset that can be read.
    pub log_start: u64,
    /// The offset after the last one that can be read.
    pub high_watermark: u64,
    /// Bytes of its batches on disk.
    pub bytes: u64,
}

/// `id: u64, config: [(key: string, value: string, source: u8)], partitions: [DescribedPartition]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeTopicResponse<'a> {
    /// The topic's identity.
    pub id: u64,
    /// The entries that have an effect, and those that the topic has set, with the value that holds and where that comes from.
    pub config: Vec<(ConfigEntry<'a>, ConfigSource)>,
    /// Partition 0 first.
    pub partitions: Vec<DescribedPartition>,
}

impl<'a> Message<'a> for DescribeTopicResponse<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.id);
        w.list(&self.config, |w, (c, source)| {
            w.string(c.key);
            w.string(c.value);
            w.u8(*source as u8);
        });
        w.list(&self.partitions, |w, p| {
            w.u64(p.log);
            w.u16(p.shard);
            w.u64(p.log_start);
            w.u64(p.high_watermark);
            w.u64(p.bytes);
        });
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = r.u64("id")?;
        let config = r.list("config", |r| {
            let entry = ConfigEntry { key: r.string("key")?, value: r.string("value")? };
            match r.u8("source")? {
                0 => Ok((entry, ConfigSource::Default)),
                1 => Ok((entry, ConfigSource::Topic)),
                n => Err(DecodeError::Value("source", n.into())),
            }
        })?;
        let partitions = r.list("partitions", |r| {
            Ok(DescribedPartition {
                log: r.u64("log")?,
                shard: r.u16("shard")?,
                log_start: r.u64("log_start")?,
                high_watermark: r.u64("high_watermark")?,
                bytes: r.u64("bytes")?,
            })
        })?;
        Ok(Self { id, config, partitions })
    }
}

/// `log: u64, before: u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteRecordsRequest {
    /// The partition's log.
    pub log: LogId,
    /// Records before this offset go; `u64::MAX` means all there are.
    pub before: u64,
}

impl Message<'_> for DeleteRecordsRequest {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.log);
        w.u64(self.before);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { log: r.u64("log")?, before: r.u64("before")? })
    }
}

/// `log_start: u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteRecordsResponse {
    /// The first offset that can now be read.
    pub log_start: u64,
}

impl Message<'_> for DeleteRecordsResponse {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.log_start);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { log_start: r.u64("log_start")? })
    }
}
