//! Stored records as JSON, one object a line.

use std::io::{self, Write};

use ringmail_wire::batch::{Batch, Record};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::cli::consume::json::put_record;

/// Writes every record of a stored batch and a newline after each; nothing if it is no batch.
pub(super) fn write_batch(segment: u64, log: u64, payload: &[u8], out: &mut impl Write) -> io::Result<()> {
    let Ok(batch) = Batch::parse(payload) else { return Ok(()) };
    let mut scratch = Vec::new();
    let Ok(open) = batch.open(&mut scratch) else { return Ok(()) };
    for record in open.iter() {
        serde_json::to_writer(&mut *out, &Stored { segment, log, record })?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

struct Stored<'a> {
    segment: u64,
    log: u64,
    record: Record<'a>,
}

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = &self.record;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("segment", &self.segment)?;
        map.serialize_entry("log", &self.log)?;
        put_record(&mut map, record)?;
        map.end()
    }
}
