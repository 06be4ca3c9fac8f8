//! Groups of the new protocol (KIP-848): the broker assigns, members follow at their own pace.
//!
//! A [`ConsumerGroup`] is the machine of one group. It decides from what is stored ([`State`]) and says what is to be stored
//! in turn; only [`ConsumerGroup::apply`] changes it. A heartbeat goes through these, each with a file of its own:
//!
//! 1. `heartbeat`: is the request sound, is the member who it says, and is its epoch the right one?
//! 2. `advance`: did what the members want change, or the topics (`subscription`, `pattern`)? Then the group's epoch grows,
//!    and all get a new target (`assign`).
//! 3. `reconcile`: the member goes a step from what it has to its target. It gives up first, and is given only what nobody
//!    else has: so no partition is ever with two members.
//!
//! Members of the classic protocol can be among the others while a group changes over (`classic`, `protocol`).
//!
//! Epochs say how far things are: the group's is that of the newest change, the target's that of the newest assignment, a
//! member's that of the assignment that it follows. What a member with another epoch than the stored one says is refused.

mod advance;
pub mod assign;
mod classic;
mod describe;
mod fence;
mod heartbeat;
mod member;
mod partitions;
pub(crate) mod pattern;
pub(crate) mod protocol;
mod reconcile;
mod record;
mod refusal;
mod state;
mod subscription;
mod timers;

use ringmail_kafka::messages::consumer_groups::ConsumerGroupHeartbeatResponse;

pub use assign::Assignor;
pub(crate) use classic::Joined;
pub use describe::{GROUP_TYPE, PROTOCOL_TYPE};
pub use heartbeat::{begins_group, check};
pub use member::{AWAY, ClassicMember, CurrentAssignment, Member, MemberId, MemberMetadata, MemberState};
pub use partitions::{Partition, Partitions};
pub use pattern::{MAX_PATTERNS, ResolvedPattern};
pub use record::{Change, decode, is_of_consumer_groups};
pub use refusal::Refusal;
pub use state::State;

use crate::machine::{Now, Record};
use timers::{Timer, Timers};

/// What can be set for groups of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a member may be silent, in milliseconds.
    pub session_timeout_ms: u64,
    /// How often members are to be heard of, in milliseconds.
    pub heartbeat_interval_ms: i32,
    /// The most members of a group.
    pub max_size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { session_timeout_ms: 45_000, heartbeat_interval_ms: 5_000, max_size: usize::MAX }
    }
}

/// What is to be done about a heartbeat.
#[derive(Debug)]
pub struct Decision {
    /// To be stored together; if there are none the answer can be sent at once.
    pub records: Vec<Record>,
    /// Whose heartbeat it is: once the records are stored, [`ConsumerGroup::confirm`] starts its clocks.
    pub member: MemberId,
    /// To be sent once the records are stored.
    pub answer: ConsumerGroupHeartbeatResponse<'static>,
}

/// A group of the new protocol.
#[derive(Debug, Clone)]
pub struct ConsumerGroup {
    name: String,
    settings: Settings,
    state: State,
    timers: Timers,
    looked: Looked,
}

/// The last look at the topics.
#[derive(Debug, Clone, Copy, Default)]
struct Looked {
    /// Their version, if nothing followed from it.
    version: Option<u64>,
    /// When it was, in milliseconds of the clock that never jumps.
    at: Option<u64>,
}

/// How long a refused fencing waits until it is tried again, in milliseconds.
const RETRY_MS: u64 = 1_000;

impl ConsumerGroup {
    /// A group of which nothing is stored yet.
    pub fn new(name: &str, settings: Settings) -> Self {
        Self {
            name: name.to_owned(),
            settings,
            state: State::default(),
            timers: Timers::default(),
            looked: Looked::default(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.state.members.is_empty()
    }

    /// What is stored of it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes what has been stored.
    pub fn apply(&mut self, change: Change) {
        if let Change::Member(id, None) = &change {
            self.timers.remove(id);
        }
        self.state.apply(change);
    }

    /// Whether nothing is stored of it any more: it can be forgotten.
    pub fn is_gone(&self) -> bool {
        self.state == State::default()
    }

    /// All has been read back: members have as long as if they had just been heard of.
    pub fn loaded(&mut self, now: Now) {
        let members: Vec<MemberId> = self.state.members.keys().cloned().collect();
        members.iter().for_each(|id| self.confirm(id, now));
    }

    /// What a member was answered is stored: its clocks start. Of a member that left this changes nothing.
    pub fn confirm(&mut self, id: &MemberId, now: Now) {
        let Some(Member { about, current }) = self.state.members.get(id) else { return };
        let session = now.clock_ms.saturating_add(self.session_timeout_ms(about));
        // What was asked for at the same epoch must be given up by the same time, however often the member is heard of.
        let running = self.timers.get(id).and_then(|timer| timer.rebalance);
        let rebalance = match current.state {
            _ if about.classic.is_some() => running,
            MemberState::UnrevokedPartitions if current.epoch != AWAY => {
                running.filter(|&(epoch, _)| epoch == current.epoch).or_else(|| {
                    let timeout = u64::try_from(about.rebalance_timeout_ms).unwrap_or_default();
                    Some((current.epoch, now.clock_ms.saturating_add(timeout)))
                })
            }
            _ => None,
        };
        self.timers.set(id, Timer { session, rebalance });
    }

    fn session_timeout_ms(&self, about: &MemberMetadata) -> u64 {
        let own = about.classic.as_ref().and_then(|classic| u64::try_from(classic.session_timeout_ms).ok());
        own.unwrap_or(self.settings.session_timeout_ms)
    }

    /// When something is due, in milliseconds of the clock that never jumps.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next()
    }

    /// Records that say all there is to say.
    pub fn snapshot(&self) -> Vec<Record> {
        self.encode(&self.state.snapshot())
    }

    /// Records that leave nothing of the group.
    pub fn tombstones(&self) -> Vec<Record> {
        self.encode(&self.state.tombstones())
    }

    fn encode(&self, changes: &[Change]) -> Vec<Record> {
        changes.iter().map(|change| change.encode(&self.name)).collect()
    }
}
