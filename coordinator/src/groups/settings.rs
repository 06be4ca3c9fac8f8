//! What can be set, and what cannot.

/// The most groups of one partition of `__consumer_offsets`.
pub const MAX_GROUPS: usize = 1 << 17;

/// The most members of a group, whatever `group.max.size` says.
pub const MAX_MEMBERS: usize = 1 << 16;

/// The most clients of a group that have been given a member id and have not come back with it.
pub const MAX_PENDING_MEMBERS: usize = 1 << 13;

/// The most bytes that the members of a group bring along, together: their ids, and what they would tell an assignor.
pub const MAX_MEMBERS_BYTES: usize = 32 << 20;

/// The most bytes of a name: more do not fit into a record's key.
pub const MAX_NAME_BYTES: usize = i16::MAX as usize;

/// The most bytes of a group instance id.
pub const MAX_INSTANCE_ID_BYTES: usize = 249;

/// How many bytes of what a client calls itself stand in the member ids that it is given.
pub const MAX_CLIENT_ID_BYTES: usize = 255;

/// How long a new member is waited for that has no answer to its JoinGroup: it cannot send heartbeats before.
pub const NEW_MEMBER_TIMEOUT_MS: u64 = 5 * 60 * 1000;

/// The most offsets that are looked at, and removed, in one step of the expiry.
pub const EXPIRY_STEP: usize = 4096;

/// Bytes of keys and values after which another write begins, where they need not be stored together.
pub const WRITE_BYTES: usize = 256 << 10;

/// The settings of a broker that concern groups, under Kafka's names and with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `group.min.session.timeout.ms`
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long the first members of a group wait for more.
    pub group_initial_rebalance_delay_ms: u64,
    /// `group.max.size`: the most members of a group.
    pub group_max_size: usize,
    /// `group.consumer.session.timeout.ms`: how long a member of the new protocol may be silent.
    pub group_consumer_session_timeout_ms: u64,
    /// `group.consumer.heartbeat.interval.ms`: how often such a member is to be heard of.
    pub group_consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.max.size`: the most members of a group of the new protocol.
    pub group_consumer_max_size: usize,
    /// `offset.metadata.max.bytes`: the most bytes of a note that stands beside an offset.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`: how long the offsets of a group without members are kept.
    pub offsets_retention_minutes: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            group_min_session_timeout_ms: 6000,
            group_max_session_timeout_ms: 30 * 60 * 1000,
            group_initial_rebalance_delay_ms: 3000,
            group_max_size: i32::MAX as usize,
            group_consumer_session_timeout_ms: 45_000,
            group_consumer_heartbeat_interval_ms: 5_000,
            group_consumer_max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4096,
            offsets_retention_minutes: 7 * 24 * 60,
            offsets_retention_check_interval_ms: 10 * 60 * 1000,
        }
    }
}

impl Settings {
    /// The most members of a group.
    pub(crate) fn max_members(&self) -> usize {
        self.group_max_size.min(MAX_MEMBERS)
    }

    /// What concerns groups of the new protocol.
    pub(crate) fn consumer(&self) -> crate::consumer::Settings {
        crate::consumer::Settings {
            session_timeout_ms: self.group_consumer_session_timeout_ms,
            heartbeat_interval_ms: self.group_consumer_heartbeat_interval_ms,
            max_size: self.group_consumer_max_size.min(MAX_MEMBERS),
        }
    }

    /// How long offsets are kept, in milliseconds.
    pub(crate) fn retention_ms(&self) -> i64 {
        self.offsets_retention_minutes.saturating_mul(60_000)
    }
}
