//! Settings of a consumer.

use std::time::Duration;

use ringmail_wire::protocol::OffsetQuery;

/// Where to begin reading a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record there is.
    Start,
    /// Behind the last record there is: only what comes from now on.
    End,
    /// At this offset.
    Offset(u64),
    /// At the first record of this time or later; milliseconds since the Unix epoch.
    Timestamp(i64),
}

impl StartAt {
    /// What to ask the broker, unless the offset is known.
    pub(super) fn query(self) -> Result<u64, OffsetQuery> {
        match self {
            Self::Offset(offset) => Ok(offset),
            Self::Start => Err(OffsetQuery::First),
            Self::End => Err(OffsetQuery::Last),
            Self::Timestamp(time) => Err(OffsetQuery::Timestamp(time)),
        }
    }
}

/// What to do if an offset is before the partition's start (its records were deleted) or past its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutOfRange {
    /// Return [`crate::Error::OffsetOutOfRange`].
    #[default]
    Fail,
    /// Go on at the first record there is.
    Earliest,
    /// Go on behind the last record there is.
    Latest,
}

/// How batches come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// The broker pushes them as they are written, as far as there is room here.
    #[default]
    Push,
    /// They are asked for, partition by partition, when the last ones were taken. An answer comes as soon as
    /// there is anything, or after this time without.
    Poll {
        /// How long the broker holds back an answer that says nothing.
        max_wait: Duration,
    },
}

/// Settings of a [`crate::Consumer`]; `..Default::default()` fills in the rest.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// Bytes of batches that may be on their way or waiting here, over all partitions. Each partition has an
    /// equal share of it, but at least 4 KiB, and may overdraw that by one batch. Default 16 MiB.
    pub buffer_bytes: usize,
    /// Whether every batch is checked: its checksum, and that its records lie within it. Default true.
    pub check_batches: bool,
    /// What to do about an offset out of range. Default [`OutOfRange::Fail`].
    pub out_of_range: OutOfRange,
    /// How batches come. Default [`Transport::Push`].
    pub transport: Transport,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            buffer_bytes: 16 << 20,
            check_batches: true,
            out_of_range: OutOfRange::default(),
            transport: Transport::default(),
        }
    }
}

/// Least share of a partition in the buffer, in bytes.
const MIN_SHARE_BYTES: usize = 4 * 1024;

impl ConsumerConfig {
    /// Bytes that one of so many partitions may have on its way.
    pub(super) fn share(&self, partitions: usize) -> u32 {
        let share = (self.buffer_bytes / partitions.max(1)).max(MIN_SHARE_BYTES);
        u32::try_from(share).unwrap_or(u32::MAX)
    }
}
