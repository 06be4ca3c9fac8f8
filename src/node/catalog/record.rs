//! How the catalog stands in its log: JSON in the values of ordinary records.
//!
//! A change, or a snapshot of everything, is one **entry**. Its JSON is cut into parts that fit a batch; each part is one
//! record in a batch of its own, whose headers say what it belongs to. An entry counts once its last part is there: one that
//! was cut short by a crash was never confirmed to anybody, and is left out.

use ringmail_wire::batch::{Batch, BatchBuilder, BatchError, Compression, Headers, HeadersBuf};

use super::{Catalog, CatalogMismatch, Change};

/// Bytes of JSON in one record.
const PART_BYTES: usize = 256 << 10;

/// Bytes of the largest batch that [`encode`] makes: a part and what stands around it.
pub const LARGEST_BATCH: usize = PART_BYTES + (4 << 10);

const KIND: &[u8] = b"kind";
const PART: &[u8] = b"part";
const PARTS: &[u8] = b"parts";

/// What one entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A change to what came before.
    Change(&'a Change),
    /// All there is; what came before no longer matters.
    Snapshot(&'a Catalog),
}

/// The batches of an entry, to be appended in this order. `now_ms` is their timestamp.
pub fn encode(entry: Entry<'_>, now_ms: i64) -> Vec<Vec<u8>> {
    let (kind, json) = match entry {
        Entry::Change(change) => ("change", serde_json::to_vec(change)),
        Entry::Snapshot(catalog) => ("snapshot", serde_json::to_vec(catalog)),
    };
    let json = json.expect("the catalog has string keys and finite numbers only");
    let parts = json.chunks(PART_BYTES);
    let count = parts.len();
    parts.enumerate().map(|(index, part)| encode_part(kind, index, count, part, now_ms)).collect()
}

fn encode_part(kind: &str, index: usize, count: usize, json: &[u8], now_ms: i64) -> Vec<u8> {
    let mut headers = HeadersBuf::new();
    for (name, value) in [(KIND, kind), (PART, &index.to_string()), (PARTS, &count.to_string())] {
        headers.push(name, Some(value.as_bytes())).expect("names and values are a few letters");
    }
    let mut builder = BatchBuilder::new(LARGEST_BATCH, Compression::None);
    builder.push(now_ms, None, Some(json), headers.as_bytes()).expect("a part fits the largest batch");
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

/// Why the catalog's log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A batch that is none.
    #[error("{0}")]
    Batch(#[from] BatchError),
    /// A record that this version does not know.
    #[error("the record at offset {0} is not one of the catalog's: it may be of a newer version of Ringmail")]
    Foreign(u64),
    /// JSON that does not say what it should.
    #[error("the record at offset {offset} cannot be read: {reason}")]
    Json {
        /// Where.
        offset: u64,
        /// What the parser says.
        reason: String,
    },
    /// Changes that do not follow from each other.
    #[error("the record at offset {offset} does not fit those before it: {mismatch}")]
    Mismatch {
        /// Where.
        offset: u64,
        /// What does not fit.
        mismatch: CatalogMismatch,
    },
}

/// Reads the catalog back from its log.
#[derive(Debug, Default)]
pub struct Replay {
    catalog: Catalog,
    /// Changes since the last snapshot.
    changes: usize,
    /// The parts so far of an entry that is not complete.
    partial: Vec<u8>,
    /// The part that comes next, and how many there are.
    expected: (usize, usize),
}

impl Replay {
    /// Takes a batch; they come in the order of the log, from its start.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn batch(&mut self, batch: &Batch<'_>) -> Result<(), ReplayError> {
        let mut scratch = Vec::new();
        for record in batch.open(&mut scratch)?.iter() {
            let foreign = || ReplayError::Foreign(record.offset);
            let part = Part::read(record.headers, record.value).ok_or_else(foreign)?;
            self.part(&part, record.offset)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Part<'_>, offset: u64) -> Result<(), ReplayError> {
        if part.index == 0 {
            self.partial.clear();
            self.expected = (0, part.count);
        }
        // The rest of an entry whose beginning is before the log's start, or was never written.
        if self.expected != (part.index, part.count) {
            return Ok(());
        }
        self.partial.extend_from_slice(part.json);
        self.expected.0 += 1;
        if self.expected.0 == part.count { self.complete(part.kind, offset) } else { Ok(()) }
    }

    fn complete(&mut self, kind: Kind, offset: u64) -> Result<(), ReplayError> {
        let json = std::mem::take(&mut self.partial);
        let unreadable = |error: serde_json::Error| ReplayError::Json { offset, reason: error.to_string() };
        match kind {
            Kind::Snapshot => {
                self.catalog = serde_json::from_slice(&json).map_err(unreadable)?;
                self.changes = 0;
            }
            Kind::Change => {
                let change = serde_json::from_slice(&json).map_err(unreadable)?;
                let applied = self.catalog.apply(&change);
                applied.map_err(|mismatch| ReplayError::Mismatch { offset, mismatch })?;
                self.changes += 1;
            }
        }
        Ok(())
    }

    /// What has been read, and the number of changes since the last snapshot.
    pub fn finish(self) -> (Catalog, usize) {
        (self.catalog, self.changes)
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Change,
    Snapshot,
}

struct Part<'a> {
    kind: Kind,
    index: usize,
    count: usize,
    json: &'a [u8],
}

impl<'a> Part<'a> {
    fn read(headers: Headers<'a>, value: Option<&'a [u8]>) -> Option<Self> {
        let (mut kind, mut index, mut count) = (None, None, None);
        for header in headers {
            let (name, value) = header.ok()?;
            let value = std::str::from_utf8(value?).ok()?;
            match name {
                KIND => kind = Some(value),
                PART => index = value.parse().ok(),
                PARTS => count = value.parse().ok(),
                _ => return None,
            }
        }
        let kind = match kind? {
            "change" => Kind::Change,
            "snapshot" => Kind::Snapshot,
            _ => return None,
        };
        Some(Self { kind, index: index?, count: count?, json: value? })
    }
}
