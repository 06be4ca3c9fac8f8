//! `ringmail log dump`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use ringmail_shards::format::entry::{EntryHeader, EntryKind, PayloadCodec};
use ringmail_shards::scan::FoundFrame;

use super::{LogError, Paths, record};
use crate::offline::{OpenSegment, SegmentPath};

/// Print what segments hold, as it stands on disk
///
/// Copies and originals of what the cleaner has moved are both there, and so is what was deleted and not written over yet.
#[derive(Debug, clap::Args)]
pub(super) struct Dump {
    #[command(flatten)]
    paths: Paths,
    /// Print a line for each frame
    #[arg(long)]
    frames: bool,
    /// Print a line for each entry
    #[arg(long)]
    entries: bool,
    /// Print the records as JSON, one object a line, and nothing else
    #[arg(long, conflicts_with_all = ["frames", "entries"])]
    records: bool,
    /// Leave out what is not of this log
    #[arg(long, value_name = "ID")]
    log: Option<u64>,
}

/// What a segment holds, in figures.
#[derive(Default)]
struct Figures {
    frames: u64,
    broken: u64,
    entries: u64,
    bytes: u64,
    logs: BTreeSet<u64>,
}

impl Dump {
    pub fn run(self, out: &mut impl Write) -> Result<ExitCode, LogError> {
        for file in self.paths.find()?.iter().flatten() {
            self.segment(file, out)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn segment(&self, file: &SegmentPath, out: &mut impl Write) -> Result<(), LogError> {
        let segment = OpenSegment::open(file)?;
        let mut figures = Figures::default();
        let mut lines = Vec::new();
        segment.frames(
            |_| {},
            |frame| {
                figures.take(frame, self.log);
                if self.records {
                    self.write_records(&segment, frame, out)
                } else {
                    self.write_frame(frame, &mut lines).map_err(LogError::from)
                }
            },
        )?;
        if self.records {
            return Ok(());
        }
        let number = segment.header().map_or_else(|| "-".to_owned(), |header| header.segment.to_string());
        let Figures { frames, broken, entries, bytes, logs } = figures;
        let logs = logs.len();
        write!(out, "segment {number:>6}  {:9}  ", segment.state)?;
        write!(out, "{frames} frames, {entries} entries, {bytes} bytes, {logs} logs")?;
        if broken > 0 {
            write!(out, ", {broken} broken frames")?;
        }
        writeln!(out, "  {}", file.path.display())?;
        out.write_all(&lines)?;
        Ok(())
    }

    fn wanted<'a>(&self, frame: &'a FoundFrame) -> impl Iterator<Item = &'a (EntryHeader, usize)> {
        let log = self.log;
        frame.entries.iter().filter(move |(entry, _)| log.is_none_or(|log| log == entry.log))
    }

    fn write_frame(&self, frame: &FoundFrame, out: &mut Vec<u8>) -> io::Result<()> {
        let none = self.wanted(frame).next().is_none() && self.log.is_some();
        if none {
            return Ok(());
        }
        if self.frames {
            let header = &frame.header;
            write!(out, "  frame {}  byte {}  ", header.number, frame.position)?;
            write!(out, "{} bytes, {} entries, ", header.frame_bytes(), header.entries)?;
            write!(out, "frames to {} were durable", header.durable)?;
            match frame.wrong {
                Some(wrong) => writeln!(out, ", broken: {wrong}")?,
                None => writeln!(out)?,
            }
        }
        if self.entries {
            for (entry, at) in self.wanted(frame) {
                write!(out, "    entry  byte {}  log {}  ", frame.position + *at as u64, entry.log)?;
                writeln!(out, "{}", describe(entry))?;
            }
        }
        Ok(())
    }

    fn write_records(
        &self,
        segment: &OpenSegment,
        frame: &FoundFrame,
        out: &mut impl Write,
    ) -> Result<(), LogError> {
        let data = segment.read(frame.position, frame.header.frame_bytes() as u64)?;
        let number = frame.header.segment;
        for (entry, at) in self.wanted(frame).filter(|(entry, _)| entry.codec == PayloadCodec::Ringmail) {
            // What is broken is no record; `verify` says where it is.
            let Ok(payload) = entry.payload(data.get(*at..).unwrap_or_default()) else { continue };
            record::write_batch(number, entry.log, payload, out)?;
        }
        Ok(())
    }
}

impl Figures {
    fn take(&mut self, frame: &FoundFrame, log: Option<u64>) {
        self.frames += 1;
        self.broken += u64::from(frame.wrong.is_some());
        for (entry, _) in frame.entries.iter().filter(|(e, _)| log.is_none_or(|log| log == e.log)) {
            self.entries += 1;
            self.bytes += entry.entry_bytes() as u64;
            self.logs.insert(entry.log);
        }
    }
}

fn describe(entry: &EntryHeader) -> String {
    let base = entry.base_offset;
    let mut text = match entry.kind {
        EntryKind::Records if entry.record_count == 1 => format!("offset {base}"),
        EntryKind::Records => format!("offsets {base}-{}", entry.end_offset().saturating_sub(1)),
        EntryKind::LogStart => format!("the log begins at {base}"),
        EntryKind::Dropped => "the log is deleted".to_owned(),
        EntryKind::Lost => format!("offsets {base}-{} are given up", entry.end_offset().saturating_sub(1)),
    };
    if entry.kind == EntryKind::Records {
        let codec = match entry.codec {
            PayloadCodec::None => "no",
            PayloadCodec::Ringmail => "ringmail",
            PayloadCodec::Kafka => "kafka",
        };
        let (bytes, timestamp) = (entry.payload_bytes, entry.max_timestamp);
        text += &format!("  {bytes} bytes, {codec} batch, newest timestamp {timestamp}");
    }
    if entry.is_relocated() {
        text += ", copied by the cleaner";
    }
    text
}
