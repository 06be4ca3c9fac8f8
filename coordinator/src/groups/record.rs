//! The records of `__consumer_offsets` that tell of offsets and of groups of the classic protocol, in Kafka's forms.
//!
//! A key begins with its version, which says what it is the key of; a value begins with the version of its own form. Values
//! from version 4 on are flexible ([`ringmail_kafka::codec`]).

use ringmail_kafka::codec::{DecodeError, Reader, Tags, Uuid, Writer};

/// The last version of keys that stand for an offset; 0 and 1 are the same.
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
/// The version of values from which on they are flexible.
const FLEXIBLE: i16 = 4;
const NEWEST_VALUE: i16 = 4;
/// Without a topic's id, a form that the oldest tools understand is written.
const OFFSET_VALUE: i16 = 3;
/// The one form that says when an offset expires.
const EXPIRING_OFFSET_VALUE: i16 = 1;
const GROUP_VALUE: i16 = 3;
const TOPIC_ID_TAG: u32 = 0;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// The offset of a group in a partition.
    Offset {
        /// The group.
        group: &'a str,
        /// The topic.
        topic: &'a str,
        /// The partition.
        partition: i32,
    },
    /// A group of the classic protocol.
    Group(&'a str),
    /// Something else; keys of groups of the new protocol are among these.
    Other(i16),
}

impl<'a> Key<'a> {
    /// Reads a key.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, 0, false);
        r.at_field("key");
        match r.i16()? {
            0..=OFFSET_KEY => {
                Ok(Self::Offset { group: r.string()?, topic: r.string()?, partition: r.i32()? })
            }
            GROUP_KEY => r.string().map(Self::Group),
            other => Ok(Self::Other(other)),
        }
    }

    /// The key's bytes.
    ///
    /// # Panics
    /// For [`Key::Other`], of which it does not know the form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out, 0, false);
        match self {
            Self::Offset { group, topic, partition } => {
                w.i16(OFFSET_KEY);
                w.string(group);
                w.string(topic);
                w.i32(*partition);
            }
            Self::Group(group) => {
                w.i16(GROUP_KEY);
                w.string(group);
            }
            Self::Other(version) => {
                unreachable!("keys of version {version} are written by those who know them")
            }
        }
        out
    }
}

/// Reads the version of a value, and gives a reader of the rest.
fn value(bytes: &[u8]) -> Result<Reader<'_>, DecodeError> {
    let mut r = Reader::new(bytes, 0, false);
    r.at_field("version");
    match r.i16()? {
        version @ 0..=NEWEST_VALUE => Ok(Reader::new(r.rest(), version, version >= FLEXIBLE)),
        version => Err(DecodeError::Value("version", version.into())),
    }
}

/// How far a group is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetValue<'a> {
    /// The offset of the next record.
    pub offset: i64,
    /// The leader's epoch of the last one; -1 if it is not known.
    pub leader_epoch: i32,
    /// The group's own note.
    pub metadata: &'a str,
    /// When it was committed, in milliseconds since the Unix epoch.
    pub committed_ms: i64,
    /// When it expires; `None` if that follows from the group.
    pub expires_ms: Option<i64>,
    /// The topic that had the name at the time; zero if it is not known.
    pub topic_id: Uuid,
}

impl<'a> OffsetValue<'a> {
    /// Reads a value.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = value(bytes)?;
        let mut read = Self {
            offset: r.i64()?,
            leader_epoch: if r.version() >= 3 { r.i32()? } else { -1 },
            metadata: r.string()?,
            committed_ms: r.i64()?,
            expires_ms: None,
            topic_id: Uuid::ZERO,
        };
        if r.version() == EXPIRING_OFFSET_VALUE {
            read.expires_ms = Some(r.i64()?).filter(|&at| at >= 0);
        }
        r.tags(|tag, r| {
            if tag == TOPIC_ID_TAG {
                read.topic_id = r.uuid()?;
            }
            Ok(())
        })?;
        Ok(read)
    }

    /// The value's bytes, in the oldest form that says it all.
    pub fn encode(&self) -> Vec<u8> {
        let version = match self.expires_ms {
            Some(_) => EXPIRING_OFFSET_VALUE,
            None if self.topic_id.is_zero() => OFFSET_VALUE,
            None => NEWEST_VALUE,
        };
        let mut out = version.to_be_bytes().to_vec();
        let mut w = Writer::new(&mut out, version, version >= FLEXIBLE);
        w.i64(self.offset);
        if version >= 3 {
            w.i32(self.leader_epoch);
        }
        w.string(self.metadata);
        w.i64(self.committed_ms);
        if let Some(at) = self.expires_ms {
            w.i64(at);
        }
        let mut tags = Tags::new();
        if !self.topic_id.is_zero() {
            tags.put(&w, TOPIC_ID_TAG, &self.topic_id);
        }
        tags.finish(&mut w);
        out
    }
}

/// A group of the classic protocol, as it is after its members have been assigned their parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupValue<'a> {
    /// What kind of group it is, `consumer` mostly; empty for one that has never had members.
    pub protocol_type: &'a str,
    /// Which generation its members are.
    pub generation: i32,
    /// The assignor that they have agreed on.
    pub protocol: Option<&'a str>,
    /// The member that assigns.
    pub leader: Option<&'a str>,
    /// Since when it is as it is, in milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// The members.
    pub members: Vec<MemberValue<'a>>,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberValue<'a> {
    /// The id that it was given.
    pub id: &'a str,
    /// The id that it has given itself, if it is a static member.
    pub instance_id: Option<&'a str>,
    /// What the client calls itself.
    pub client_id: &'a str,
    /// Where the client is.
    pub client_host: &'a str,
    /// How long it may take to join again, in milliseconds.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// What it has told the assignor.
    pub subscription: &'a [u8],
    /// What it was assigned.
    pub assignment: &'a [u8],
}

impl<'a> GroupValue<'a> {
    /// Reads a value.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = value(bytes)?;
        let mut read = Self {
            protocol_type: r.string()?,
            generation: r.i32()?,
            protocol: r.nullable_string()?,
            leader: r.nullable_string()?,
            since_ms: None,
            members: Vec::new(),
        };
        if r.version() >= 2 {
            read.since_ms = Some(r.i64()?).filter(|&at| at >= 0);
        }
        for _ in 0..r.count()? {
            read.members.push(MemberValue::read(&mut r)?);
        }
        r.skip_tags()?;
        Ok(read)
    }

    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = GROUP_VALUE.to_be_bytes().to_vec();
        let mut w = Writer::new(&mut out, GROUP_VALUE, GROUP_VALUE >= FLEXIBLE);
        w.string(self.protocol_type);
        w.i32(self.generation);
        w.nullable_string(self.protocol);
        w.nullable_string(self.leader);
        w.i64(self.since_ms.unwrap_or(-1));
        w.length(Some(self.members.len()));
        for member in &self.members {
            member.write(&mut w);
        }
        w.no_tags();
        out
    }
}

impl<'a> MemberValue<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = r.string()?;
        let instance_id = if r.version() >= 3 { r.nullable_string()? } else { None };
        let (client_id, client_host) = (r.string()?, r.string()?);
        let rebalance = if r.version() >= 1 { r.i32()? } else { -1 };
        let session_timeout_ms = r.i32()?;
        let (subscription, assignment) = (r.blob()?, r.blob()?);
        r.skip_tags()?;
        Ok(Self {
            id,
            instance_id,
            client_id,
            client_host,
            // Members from before there was a time of its own for that had that of the session.
            rebalance_timeout_ms: if rebalance < 0 { session_timeout_ms } else { rebalance },
            session_timeout_ms,
            subscription,
            assignment,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.string(self.id);
        w.nullable_string(self.instance_id);
        w.string(self.client_id);
        w.string(self.client_host);
        w.i32(self.rebalance_timeout_ms);
        w.i32(self.session_timeout_ms);
        w.nullable_blob(Some(self.subscription));
        w.nullable_blob(Some(self.assignment));
        w.no_tags();
    }
}
