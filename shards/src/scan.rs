//! Scanning a segment: from bytes to frames. Whoever scans makes the reads that [`Scan::next_read`] asks for, names each by
//! [`Scan::reading`], hands over what they give by [`Scan::take`], and then takes the frames.

use crate::damage::Damage;
use crate::format::entry::EntryError;
use crate::format::frame::{FoundEntry, FrameHeader, walk};
use crate::io::{BLOCK_BYTES, FileId, IoId};
use bytes::Bytes;
use std::collections::VecDeque;

const READ_BYTES: u64 = 2 << 20;
const READS_AT_ONCE: usize = 4;

/// A frame that was found.
#[derive(Debug)]
pub struct FoundFrame {
    /// The file.
    pub file: FileId,
    /// Its header.
    pub header: FrameHeader,
    /// In bytes from the start of the file.
    pub position: u64,
    /// Its whole entries.
    pub entries: Vec<FoundEntry>,
    /// What is wrong with it, if anything is.
    pub wrong: Option<EntryError>,
    /// Where the frame before it ended, if that was in this segment.
    gap_from: Option<u64>,
}

impl FoundFrame {
    /// The damage in the frame, if there is any.
    pub fn damage(&self) -> Option<Damage> {
        let wrong = self.wrong?;
        Some(Damage {
            file: self.file,
            segment: Some(self.header.segment),
            position: self.position,
            bytes: self.header.frame_bytes() as u64,
            reason: format!("frame {}: {wrong}", self.header.number),
        })
    }

    /// The damage before the frame: frames from `expected` on are missing.
    pub fn gap_before(&self, expected: u64) -> Damage {
        let from = self.gap_from.unwrap_or(BLOCK_BYTES as u64);
        Damage {
            file: self.file,
            segment: Some(self.header.segment),
            position: from,
            bytes: self.position.saturating_sub(from),
            reason: format!("frames {expected} to {} are missing", self.header.number - 1),
        }
    }
}

/// The scan of one segment: reads in order, several at once.
#[derive(Debug)]
pub struct Scan {
    /// The file.
    pub file: FileId,
    segment: u64,
    incarnation: u64,
    end: u64,
    next_read: u64,
    reads: VecDeque<(IoId, Option<Bytes>)>,
    /// Bytes that were read and not looked at, and where they begin in the file.
    held: Vec<u8>,
    held_at: u64,
    looked: usize,
    last_number: u64,
    last_end: Option<u64>,
}

impl Scan {
    /// Of the frames of `segment` in the first `bytes` of `file`.
    pub fn new(file: FileId, segment: u64, incarnation: u64, bytes: u64) -> Self {
        Self {
            file,
            segment,
            incarnation,
            end: bytes,
            next_read: BLOCK_BYTES as u64,
            reads: VecDeque::new(),
            held: Vec::new(),
            held_at: BLOCK_BYTES as u64,
            looked: 0,
            last_number: 0,
            last_end: None,
        }
    }

    /// The next read to make, if it is time for one.
    pub fn next_read(&mut self) -> Option<(u64, usize)> {
        if self.reads.len() >= READS_AT_ONCE || self.next_read >= self.end {
            return None;
        }
        let position = self.next_read;
        let length = READ_BYTES.min(self.end - position);
        self.next_read += length;
        Some((position, length as usize))
    }

    /// The read that was last given out has this name.
    pub fn reading(&mut self, id: IoId) {
        self.reads.push_back((id, None));
    }

    /// A read has ended.
    pub fn take(&mut self, id: IoId, data: Bytes) {
        if let Some(read) = self.reads.iter_mut().find(|r| r.0 == id) {
            read.1 = Some(data);
        }
        while let Some((_, Some(_))) = self.reads.front() {
            let Some((_, Some(data))) = self.reads.pop_front() else { break };
            self.held.drain(..self.looked);
            self.held_at += self.looked as u64;
            self.looked = 0;
            self.held.extend_from_slice(&data);
        }
    }

    fn all_read(&self) -> bool {
        self.reads.is_empty() && self.next_read >= self.end
    }

    /// Whether all was looked at.
    pub fn is_over(&self) -> bool {
        self.all_read() && self.looked >= self.held.len()
    }

    /// The next frame in what was read.
    pub fn next_frame(&mut self) -> Option<FoundFrame> {
        while let Some(bytes) = self.held.get(self.looked..).filter(|b| b.len() >= BLOCK_BYTES) {
            let header = FrameHeader::parse(bytes)
                .filter(|h| h.segment == self.segment && h.incarnation == self.incarnation)
                .filter(|h| h.position == self.held_at + self.looked as u64)
                .filter(|h| h.number > self.last_number);
            let Some(header) = header else {
                self.looked += BLOCK_BYTES;
                continue;
            };
            let length = header.frame_bytes();
            if bytes.len() < length && !self.all_read() {
                return None;
            }
            let position = self.held_at + self.looked as u64;
            let (entries, wrong) = walk(&header, &bytes[..length.min(bytes.len())]);
            let frame = FoundFrame {
                file: self.file,
                header,
                position,
                entries,
                wrong,
                gap_from: self.last_end.filter(|&end| end < position),
            };
            // Behind a broken frame the next one is looked for block by block.
            self.looked += if wrong.is_none() { length } else { BLOCK_BYTES };
            self.last_number = header.number;
            self.last_end = Some((position + length as u64).min(self.end));
            return Some(frame);
        }
        if self.all_read() {
            self.looked = self.held.len();
        }
        None
    }
}
