//! A record to be sent.

use ringmail_wire::batch::{Headers, HeadersBuf};

/// A record to be sent; it borrows its bytes, which are copied once, into the batch being built.
///
/// ```
/// use ringmail_sdk::{HeadersBuf, Record};
///
/// let mut headers = HeadersBuf::new();
/// headers.push(b"trace", Some(b"4711"))?;
/// let record = Record::new(b"{\"total\": 12}").key(b"order-7").headers(&headers);
/// # assert_eq!(record.headers.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// The key: records of one key go to one partition, and compaction keeps the last of them.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
    /// Milliseconds since the Unix epoch; `None` is the time of sending, which for records behind the first
    /// of a batch may be a tick of the system's coarse clock late (mostly 4 ms).
    pub timestamp: Option<i64>,
    /// The partition; `None` leaves it to the producer's [`crate::Partitioner`].
    pub partition: Option<u32>,
}

impl<'a> Record<'a> {
    /// A record of this value, without a key.
    pub fn new(value: &'a [u8]) -> Self {
        Self { value: Some(value), ..Self::default() }
    }

    /// A tombstone: where the topic is compacted, it deletes the earlier records of this key.
    pub fn tombstone(key: &'a [u8]) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    /// With this key.
    #[must_use]
    pub fn key(self, key: &'a [u8]) -> Self {
        Self { key: Some(key), ..self }
    }

    /// With these headers.
    #[must_use]
    pub fn headers(self, headers: &'a HeadersBuf) -> Self {
        Self { headers: Headers::new(headers.as_bytes()), ..self }
    }

    /// With this timestamp, milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(self, milliseconds: i64) -> Self {
        Self { timestamp: Some(milliseconds), ..self }
    }

    /// To this partition.
    #[must_use]
    pub fn partition(self, partition: u32) -> Self {
        Self { partition: Some(partition), ..self }
    }

    /// Bytes that it needs in a batch of its own, before compression.
    pub(crate) fn batch_bytes(&self) -> usize {
        use ringmail_wire::batch::{BATCH_HEADER_BYTES, SLOT_BYTES};
        BATCH_HEADER_BYTES
            + SLOT_BYTES
            + self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + self.headers.as_bytes().len()
    }
}
