//! What is stored of a group, in the forms of Kafka's records.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringmail_kafka::codec::{Blob, DecodeError, Reader, Str, Tags, Wire, Writer};
use ringmail_kafka::messages::consumer_groups::TopicPartitions;

use super::Partitions;
use super::member::{ClassicMember, CurrentAssignment, MemberId, MemberMetadata, MemberState};
use super::partitions::{from_lists, to_lists};
use super::pattern::ResolvedPattern;
use crate::machine::Record;

/// A change of what is stored of a group: a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The group's epoch, and a digest of the topics that it was raised for; `None`: there is no such group any more.
    Group(Option<(i32, i64)>),
    /// What groups of older releases stored of topics: nothing that matters here.
    Topics,
    /// What a member said of itself; `None`: it is gone.
    Member(MemberId, Option<MemberMetadata>),
    /// The epoch of the target assignment.
    TargetEpoch(Option<i32>),
    /// What a member is to have.
    Target(MemberId, Option<Partitions>),
    /// How far a member is.
    Current(MemberId, Option<CurrentAssignment>),
    /// The topics that match a pattern; `None`: nobody asks for it any more.
    Pattern(String, Option<ResolvedPattern>),
}

const GROUP: i16 = 3;
const TOPICS: i16 = 4;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const PATTERN: i16 = 16;

/// The one version of each value. Later releases add to them by tagged fields.
const VERSION: i16 = 0;

/// The tag of the digest of the topics.
const TAG_DIGEST: u32 = 0;
/// The tag of what a member of the classic protocol said.
const TAG_CLASSIC: u32 = 0;

/// Whether a record with this key is one of a group of this protocol.
pub fn is_of_consumer_groups(key: &[u8]) -> bool {
    let kind = key.first_chunk().map(|kind| i16::from_be_bytes(*kind));
    kind.is_some_and(|kind| matches!(kind, GROUP..=CURRENT | PATTERN))
}

/// Reads a record: the name of the group, and what changes.
///
/// # Errors
/// See [`DecodeError`]; [`DecodeError::Version`] if it is of another kind or of a newer form.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<(String, Change), DecodeError> {
    let mut r = Reader::new(key, VERSION, false);
    r.at_field("key");
    let kind = r.i16()?;
    if !is_of_consumer_groups(key) {
        return Err(DecodeError::Version(kind));
    }
    let group = r.string()?.to_owned();
    let mut name = || r.string();
    let change = match kind {
        GROUP => Change::Group(read(value, |r| {
            let epoch = r.i32()?;
            let mut digest = 0;
            r.tags(|tag, r| {
                if tag == TAG_DIGEST {
                    digest = r.i64()?;
                }
                Ok(())
            })?;
            Ok((epoch, digest))
        })?),
        TOPICS => Change::Topics,
        MEMBER => Change::Member(name()?.into(), read(value, read_metadata)?),
        TARGET_EPOCH => Change::TargetEpoch(read(value, Reader::i32)?),
        TARGET => Change::Target(name()?.into(), read(value, read_partitions)?),
        CURRENT => Change::Current(name()?.into(), read(value, read_current)?),
        _ => Change::Pattern(name()?.to_owned(), read(value, read_pattern)?),
    };
    Ok((group, change))
}

impl Change {
    /// The record that says it, for the group of this name.
    pub fn encode(&self, group: &str) -> Record {
        let (kind, name, value) = match self {
            Self::Group(value) => (GROUP, None, value.map(|(epoch, digest)| group_value(epoch, digest))),
            Self::Topics => (TOPICS, None, None),
            Self::Member(id, value) => (MEMBER, Some(&**id), value.as_ref().map(metadata_value)),
            Self::TargetEpoch(value) => {
                let encoded = value.map(|epoch| write(|w| w.i32(epoch)));
                (TARGET_EPOCH, None, encoded)
            }
            Self::Target(id, value) => {
                let encoded = value.as_ref().map(|target| write(|w| to_lists(target).write(w)));
                (TARGET, Some(&**id), encoded)
            }
            Self::Current(id, value) => (CURRENT, Some(&**id), value.as_ref().map(current_value)),
            Self::Pattern(text, value) => (PATTERN, Some(text.as_str()), value.as_ref().map(pattern_value)),
        };
        Record { key: key(kind, group, name), value }
    }
}

fn key(kind: i16, group: &str, name: Option<&str>) -> Vec<u8> {
    let mut key = Vec::new();
    let mut w = Writer::new(&mut key, VERSION, false);
    w.i16(kind);
    w.string(group);
    if let Some(name) = name {
        w.string(name);
    }
    key
}

/// Reads a value of the version that this release knows.
fn read<'a, T>(
    value: Option<&'a [u8]>,
    fields: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    let Some(value) = value else { return Ok(None) };
    let mut r = Reader::new(value, VERSION, true);
    r.at_field("value");
    match r.i16()? {
        VERSION => fields(&mut r).map(Some),
        other => Err(DecodeError::Version(other)),
    }
}

/// Writes a value: its version, its fields, and the mark of no tagged ones.
fn write(fields: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    write_tagged(fields, |_, _| ())
}

fn write_tagged(
    fields: impl FnOnce(&mut Writer<'_>),
    tagged: impl FnOnce(&mut Writer<'_>, &mut Tags),
) -> Vec<u8> {
    let mut value = Vec::new();
    let mut w = Writer::new(&mut value, VERSION, true);
    w.i16(VERSION);
    fields(&mut w);
    let mut tags = Tags::new();
    tagged(&mut w, &mut tags);
    tags.finish(&mut w);
    value
}

fn group_value(epoch: i32, digest: i64) -> Vec<u8> {
    write_tagged(
        |w| w.i32(epoch),
        |w, tags| {
            if digest != 0 {
                tags.put(w, TAG_DIGEST, &digest);
            }
        },
    )
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn read_strings(r: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    Ok(Vec::<Str<'_>>::read(r)?.into_iter().map(Str::into_owned).collect())
}

fn write_strings<'a>(w: &mut Writer<'_>, texts: impl ExactSizeIterator<Item = &'a String>) {
    w.length(Some(texts.len()));
    texts.for_each(|text| w.string(text));
}

fn read_metadata(r: &mut Reader<'_>) -> Result<MemberMetadata, DecodeError> {
    let mut about = MemberMetadata {
        instance_id: owned(r.nullable_string()?),
        rack_id: owned(r.nullable_string()?),
        client_id: r.string()?.to_owned(),
        client_host: r.string()?.to_owned(),
        names: read_strings(r)?,
        pattern: owned(r.nullable_string()?).filter(|pattern| !pattern.is_empty()),
        rebalance_timeout_ms: r.i32()?,
        assignor: owned(r.nullable_string()?),
        classic: None,
    };
    r.tags(|tag, r| {
        if tag == TAG_CLASSIC {
            about.classic = read_classic(r)?;
        }
        Ok(())
    })?;
    Ok(about)
}

fn read_classic(r: &mut Reader<'_>) -> Result<Option<ClassicMember>, DecodeError> {
    if r.i8()? < 0 {
        return Ok(None);
    }
    let session_timeout_ms = r.i32()?;
    let mut protocols = Vec::new();
    for _ in 0..r.count()? {
        protocols.push((r.string()?.to_owned(), r.blob()?.to_owned()));
        r.skip_tags()?;
    }
    r.skip_tags()?;
    Ok(Some(ClassicMember { session_timeout_ms, protocols }))
}

/// A member of the classic protocol, as a tagged field.
struct ClassicField<'m>(&'m ClassicMember);

impl<'a> Wire<'a> for ClassicField<'_> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        // Read by `read_classic`, which owns what it returns.
        Err(DecodeError::Null(r.field()))
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.i8(1);
        w.i32(self.0.session_timeout_ms);
        w.length(Some(self.0.protocols.len()));
        for (name, metadata) in &self.0.protocols {
            w.string(name);
            Blob::Borrowed(metadata).write(w);
            w.no_tags();
        }
        w.no_tags();
    }
}

fn metadata_value(about: &MemberMetadata) -> Vec<u8> {
    write_tagged(
        |w| {
            w.nullable_string(about.instance_id.as_deref());
            w.nullable_string(about.rack_id.as_deref());
            w.string(&about.client_id);
            w.string(&about.client_host);
            write_strings(w, about.names.iter());
            w.nullable_string(about.pattern.as_deref());
            w.i32(about.rebalance_timeout_ms);
            w.nullable_string(about.assignor.as_deref());
        },
        |w, tags| {
            if let Some(classic) = &about.classic {
                tags.put(w, TAG_CLASSIC, &ClassicField(classic));
            }
        },
    )
}

fn read_partitions(r: &mut Reader<'_>) -> Result<Partitions, DecodeError> {
    Ok(from_lists(&Vec::<TopicPartitions>::read(r)?))
}

fn read_current(r: &mut Reader<'_>) -> Result<CurrentAssignment, DecodeError> {
    Ok(CurrentAssignment {
        epoch: r.i32()?,
        previous_epoch: r.i32()?,
        state: MemberState::from_number(r.i8()?),
        assigned: read_partitions(r)?,
        revoking: read_partitions(r)?,
    })
}

fn current_value(current: &CurrentAssignment) -> Vec<u8> {
    write(|w| {
        w.i32(current.epoch);
        w.i32(current.previous_epoch);
        w.i8(current.state as i8);
        to_lists(&current.assigned).write(w);
        to_lists(&current.revoking).write(w);
    })
}

fn read_pattern(r: &mut Reader<'_>) -> Result<ResolvedPattern, DecodeError> {
    let topics: BTreeSet<String> = read_strings(r)?.into_iter().collect();
    Ok(ResolvedPattern { topics: Arc::new(topics), version: r.i64()?, timestamp_ms: r.i64()? })
}

fn pattern_value(pattern: &ResolvedPattern) -> Vec<u8> {
    write(|w| {
        write_strings(w, pattern.topics.iter());
        w.i64(pattern.version);
        w.i64(pattern.timestamp_ms);
    })
}
