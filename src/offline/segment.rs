//! One segment file: what it holds, and its frames.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::Bytes;
use ringmail_shards::format::ends::{Ends, HEAD_BYTES};
use ringmail_shards::format::footer::{LogSnapshot, Row, TRAILER_BYTES, Trailer};
use ringmail_shards::format::segment::{FirstBlock, SegmentHeader};
use ringmail_shards::io::{BLOCK_BYTES, FileId, IoId};
use ringmail_shards::scan::{FoundFrame, Scan};

use super::files::{OfflineError, SegmentPath};

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It holds nothing, and waits to be used.
    Spare,
    /// It takes frames, or was not sealed when the broker ended.
    Open,
    /// Its footer says what is in it.
    Sealed,
    /// What it holds cannot be known.
    Damaged,
    /// It is of another version of the format.
    OtherVersion(u16),
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Spare => f.pad("spare"),
            Self::Open => f.pad("open"),
            Self::Sealed => f.pad("sealed"),
            Self::Damaged => f.pad("damaged"),
            Self::OtherVersion(version) => f.pad(&format!("version {version}")),
        }
    }
}

/// A segment file, opened for reading.
#[derive(Debug)]
pub struct OpenSegment {
    /// Where it is.
    pub path: PathBuf,
    /// How far it has come.
    pub state: State,
    /// Its ends.
    pub ends: Ends,
    /// Rows and snapshot of its footer, if it is sealed.
    pub directory: Option<(Vec<Row>, Vec<LogSnapshot>)>,
    /// Its first block.
    pub first_block: Vec<u8>,
    /// Its last bytes, as long as a trailer.
    pub trailer_bytes: Vec<u8>,
    file: File,
    /// Its size, in whole blocks, in bytes.
    pub bytes: u64,
}

impl OpenSegment {
    /// Opens a file and reads its ends.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(file: &SegmentPath) -> Result<Self, OfflineError> {
        Self::open_file(file).map_err(OfflineError::read(&file.path))
    }

    fn open_file(SegmentPath { path, .. }: &SegmentPath) -> io::Result<Self> {
        let file = File::open(path)?;
        // All that a shard writes is whole blocks.
        let bytes = file.metadata()?.len() & !(BLOCK_BYTES as u64 - 1);
        let head = read(&file, 0, bytes.min(HEAD_BYTES as u64))?;
        let tail_bytes = bytes.min(BLOCK_BYTES as u64);
        let tail = read(&file, bytes - tail_bytes, tail_bytes)?;
        let ends = Ends::read(&head, &tail, bytes, None);
        let directory = match ends.trailer {
            Some(t) => t.directory(&read(&file, bytes - t.directory_bytes, t.directory_bytes)?),
            None => None,
        };
        let state = match ends.first {
            FirstBlock::OtherVersion(version) => State::OtherVersion(version),
            _ if ends.is_spare() => State::Spare,
            _ if directory.is_some() => State::Sealed,
            _ if ends.header.is_some() => State::Open,
            _ => State::Damaged,
        };
        Ok(Self {
            path: path.clone(),
            state,
            ends,
            directory,
            first_block: head[..head.len().min(BLOCK_BYTES)].to_vec(),
            trailer_bytes: tail[tail.len().saturating_sub(TRAILER_BYTES)..].to_vec(),
            file,
            bytes,
        })
    }

    /// Its header, or what stands in for it.
    pub fn header(&self) -> Option<SegmentHeader> {
        self.ends.header.filter(|_| matches!(self.state, State::Open | State::Sealed))
    }

    /// Whether the file ends in what is no footer's end: a file that was never sealed ends in zeros, one that was used
    /// again in the footer of what it held before.
    pub fn has_broken_trailer(&self) -> bool {
        self.trailer_bytes.iter().any(|byte| *byte != 0) && Trailer::parse(&self.trailer_bytes).is_none()
    }

    /// Where its frames end, in bytes from the start of the file.
    pub fn frames_end(&self) -> u64 {
        match (self.state, self.ends.trailer) {
            (State::Sealed, Some(trailer)) => self.bytes - trailer.footer_bytes,
            _ => self.bytes,
        }
    }

    /// Reads a part of the file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, position: u64, bytes: u64) -> Result<Vec<u8>, OfflineError> {
        let bytes = bytes.min(self.bytes.saturating_sub(position));
        read(&self.file, position, bytes).map_err(OfflineError::read(&self.path))
    }

    /// Gives every frame to `each`, and how many bytes were looked at to `progress`.
    ///
    /// # Errors
    /// If the file cannot be read, or `each` fails.
    pub fn frames<E: From<OfflineError>>(
        &self,
        mut progress: impl FnMut(u64),
        mut each: impl FnMut(&FoundFrame) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(header) = self.header() else { return Ok(()) };
        let last = match (self.state, self.ends.trailer) {
            (State::Sealed, Some(trailer)) => trailer.last_frame,
            _ => u64::MAX,
        };
        let mut scan = Scan::new(FileId(0), header.segment, header.incarnation, self.frames_end());
        while let Some((position, length)) = scan.next_read() {
            let id = IoId(position);
            scan.reading(id);
            scan.take(id, Bytes::from(self.read(position, length as u64)?));
            progress(length as u64);
            while let Some(frame) = scan.next_frame() {
                // Behind the last frame of a sealed segment stands what was cut off when it was sealed.
                if frame.header.number <= last {
                    each(&frame)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the broker has begun to use the file for something else since it was opened.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn was_used_again(&self) -> Result<bool, OfflineError> {
        let length = self.first_block.len() as u64;
        let now = read(&self.file, 0, length).map_err(OfflineError::read(&self.path))?;
        Ok(now != self.first_block)
    }
}

fn read(file: &File, position: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; bytes as usize];
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], position + filled as u64) {
            // The file was cut short meanwhile.
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}
