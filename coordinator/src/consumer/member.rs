//! A member: what it said of itself, and how far it is on the way to what it is to have.

use std::sync::Arc;

use super::Partitions;

/// What a member is called, once and for all.
pub type MemberId = Arc<str>;

/// The epoch of a static member that went, but will come back.
pub const AWAY: i32 = -2;

/// A member, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// What it said of itself.
    pub about: MemberMetadata,
    /// How far it is.
    pub current: CurrentAssignment,
}

/// What a member said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Of a static member: what stays when the process starts anew.
    pub instance_id: Option<String>,
    /// Where it runs. Kept and shown, of no effect: there is one copy of each partition.
    pub rack_id: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Its address.
    pub client_host: String,
    /// The topics that it wants, in order, each once.
    pub names: Vec<String>,
    /// A pattern of topics that it wants, too; never empty.
    pub pattern: Option<String>,
    /// How long it may take to give partitions up, in milliseconds.
    pub rebalance_timeout_ms: i32,
    /// The assignor that it would like.
    pub assignor: Option<String>,
    /// Of a member that speaks the classic protocol.
    pub classic: Option<ClassicMember>,
}

impl Default for MemberMetadata {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            names: Vec::new(),
            pattern: None,
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
        }
    }
}

impl MemberMetadata {
    /// How many bytes it takes, as far as the member decides that.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.instance_id, &self.rack_id, &self.pattern].into_iter().flatten();
        let texts = texts.chain([&self.client_id, &self.client_host]).chain(&self.names);
        let protocols = self.classic.iter().flat_map(|classic| &classic.protocols);
        texts.map(String::len).sum::<usize>()
            + protocols.map(|(name, data)| name.len() + data.len()).sum::<usize>()
    }

    /// Whether both want the same topics.
    pub(super) fn wants_as(&self, other: &Self) -> bool {
        self.names == other.names && self.pattern == other.pattern
    }
}

/// What a member of the classic protocol said besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMember {
    /// How long it may be silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// Its assignors and what it told them.
    pub protocols: Vec<(String, Vec<u8>)>,
}

/// How far a member is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CurrentAssignment {
    /// Its epoch: the one of the newest assignment that it follows.
    pub epoch: i32,
    /// The one before: the answer that told the new one may have been lost.
    pub previous_epoch: i32,
    /// What it is waiting for.
    pub state: MemberState,
    /// What it may have.
    pub assigned: Partitions,
    /// What it has to give up, and is not known to have given up.
    pub revoking: Partitions,
}

/// What a member is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i8)]
pub enum MemberState {
    /// Nothing: it has what it is to have as of its epoch.
    #[default]
    Stable = 0,
    /// It has to give partitions up.
    UnrevokedPartitions = 1,
    /// Others have to give partitions up.
    UnreleasedPartitions = 2,
    /// Stored by a newer release: it is brought to what it is to have from what it has.
    Unknown = 127,
}

impl MemberState {
    /// The state of this number.
    pub(super) fn from_number(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}
