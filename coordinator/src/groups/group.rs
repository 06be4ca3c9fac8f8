//! A group of either protocol, and what is asked of both.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::group_admin::ListedGroup;

use super::classic::{CONSUMER, ClassicGroup, State};
use super::commit::Committer;
use super::record::Key;
use super::step::{Step, Then};
use crate::consumer::{self, ConsumerGroup};
use crate::machine::Record;

/// A group.
#[derive(Debug)]
pub(crate) enum Group {
    /// Its members agree among themselves; or it has none, and only keeps offsets.
    Classic(ClassicGroup),
    /// The broker assigns.
    Consumer(ConsumerGroup),
}

/// From when on the time runs after which offsets of a group are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// It does not run.
    Kept,
    /// Since each was committed.
    SinceCommit,
    /// Since the group has been empty, in milliseconds since the Unix epoch.
    Since(i64),
}

impl Group {
    /// The state, the type of the protocol, and the kind of group, as lists show them.
    pub(crate) fn list(&self) -> ListedGroup<'static> {
        match self {
            Self::Classic(group) => ListedGroup {
                group_id: group.id.clone().into(),
                protocol_type: group.protocol_type.clone().unwrap_or_default().into(),
                group_state: group.state.name().into(),
                group_type: "Classic".into(),
            },
            Self::Consumer(group) => ListedGroup {
                group_id: group.name().to_owned().into(),
                protocol_type: consumer::PROTOCOL_TYPE.into(),
                group_state: group.state_name().into(),
                group_type: consumer::GROUP_TYPE.into(),
            },
        }
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether nothing is lost if it is forgotten, as far as the group itself is concerned.
    pub(crate) fn is_forgettable(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_forgettable(),
            Self::Consumer(group) => group.is_gone(),
        }
    }

    /// Whether offsets may be committed by whoever says that he is `by`.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn check_commit(&mut self, by: &Committer<'_>, step: &Step<'_>) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.check_commit(by, step),
            Self::Consumer(group) => group.check_commit(by),
        }
    }

    /// Whether offsets may be read by a member with this epoch; `None` and -1 for somebody who does not say who he is.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(_) => Ok(()),
            Self::Consumer(group) => group.check_fetch(member_id, epoch),
        }
    }

    /// Whether offsets may be deleted that nobody reads.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn check_offset_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => {
                // What other members than consumers read, the broker cannot know.
                let is_known = group.protocol_type.as_deref() == Some(CONSUMER);
                if group.is_empty() || is_known { Ok(()) } else { Err(ErrorCode::NonEmptyGroup) }
            }
            Self::Consumer(_) => Ok(()),
        }
    }

    /// Whether members read the topic, or may read it.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.wants(topic),
        }
    }

    /// From when on the time runs after which its offsets are forgotten.
    pub(crate) fn retention(&self) -> Retention {
        match self {
            Self::Classic(group) => match (&group.protocol_type, group.state) {
                (None, _) => Retention::SinceCommit,
                (Some(_), State::Empty) => group.since_ms.map_or(Retention::SinceCommit, Retention::Since),
                (Some(_), State::Stable) if group.subscribed.is_some() => Retention::SinceCommit,
                (Some(_), _) => Retention::Kept,
            },
            Self::Consumer(_) => Retention::SinceCommit,
        }
    }

    /// Records that forget the group, but not its offsets.
    pub(crate) fn tombstones(&self) -> Vec<Record> {
        match self {
            Self::Classic(group) => vec![Record { key: Key::Group(&group.id).encode(), value: None }],
            Self::Consumer(group) => group.tombstones(),
        }
    }

    /// Records that say what is stored of it, but not of its offsets.
    pub(crate) fn stored_records(&self) -> Vec<Record> {
        match self {
            Self::Classic(group) => {
                let stored = group.stored.iter();
                stored
                    .map(|value| Record { key: Key::Group(&group.id).encode(), value: Some(value.to_vec()) })
                    .collect()
            }
            Self::Consumer(group) => group.snapshot(),
        }
    }

    /// When something may be due: not later than it is.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        match self {
            Self::Classic(group) => group.next_deadline(),
            Self::Consumer(group) => group.next_deadline(),
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, step: &mut Step<'_>) {
        match self {
            Self::Classic(group) => group.tick(step),
            Self::Consumer(group) => {
                let records = group.tick(step.now);
                if !records.is_empty() {
                    step.write(records, Then::Fenced(group.name().to_owned()));
                }
            }
        }
    }

    /// The sessions of its members begin, after a restart.
    pub(crate) fn start_sessions(&mut self, step: &mut Step<'_>) {
        match self {
            Self::Classic(group) => group.start_sessions(step),
            Self::Consumer(group) => group.loaded(step.now),
        }
    }
}
