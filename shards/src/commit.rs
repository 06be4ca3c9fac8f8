//! Group commit: while frames are on their way to the disk the next one fills.
//!
//! A frame is *written* when its write and those of all frames before it have completed, and *durable* when in
//! addition all of them are synced. A frame that somebody waits for is written with dsync, which is one
//! operation of the disk and needs no second one; a frame that nobody waits for is synced later, with others.

use crate::api::{AppendError, Appended, Event, LogId, Token};
use crate::canary::{self, Canary};
use crate::format::align_up;
use crate::format::entry::{EntryHeader, EntryKind, MAX_UNSUMMED, chain_crc};
use crate::format::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::index::Place;
use crate::io::{BLOCK_BYTES, IoError, IoId, IoOp};
use crate::ops::Purpose;
use crate::shard::Shard;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// So many frames may be in flight before a next one is held back until it is large.
const SMALL_IN_FLIGHT: usize = 1;
/// So many frames may be in flight of at least [`MEDIUM_BYTES`].
const MEDIUM_IN_FLIGHT: usize = 4;
const MEDIUM_BYTES: usize = 128 << 10;
/// Milliseconds after which a write is tried again that a full disk refused.
const WRITE_AGAIN_MS: u64 = 200;

/// The frame that takes entries now.
#[derive(Debug)]
struct Filling {
    buffer: BytesMut,
    /// Where the frame begins in the buffer: after the segment's header block, if it is the segment's first.
    lead: usize,
    /// Bytes that the buffer may have.
    limit: usize,
    number: u64,
    segment: u64,
    /// Where the buffer goes, in bytes from the start of the file.
    position: u64,
    entries: u32,
    chain: u32,
    touched: Vec<(LogId, u64)>,
    sync: bool,
}

/// A frame that is full, or was needed.
#[derive(Debug)]
struct Closed {
    number: u64,
    segment: u64,
    position: u64,
    data: Bytes,
    /// Bytes of its entries.
    body: usize,
    touched: Vec<(LogId, u64)>,
    sync: bool,
}

/// A frame on its way, or written but not durable.
#[derive(Debug)]
struct Flying {
    number: u64,
    segment: u64,
    position: u64,
    data: Bytes,
    body: usize,
    io: IoId,
    /// The disk was full: when to write again.
    again_ms: Option<u64>,
    written: bool,
    synced: bool,
    /// If written with dsync: frames up to this number of the same segment become durable with it.
    covers: Option<u64>,
    touched: Vec<(LogId, u64)>,
    since_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    frame: u64,
    token: Token,
    appended: Appended,
}

/// The state of the group commit.
#[derive(Debug)]
pub(crate) struct Commit {
    next_number: u64,
    /// The number that recovery went on with, and the last frame before it that counts.
    resumed: (u64, u64),
    filling: Option<Filling>,
    closed: VecDeque<Closed>,
    flying: VecDeque<Flying>,
    unwritten: usize,
    written: u64,
    durable: u64,
    syncing: Option<(IoId, u64, u64)>,
    write_waiters: VecDeque<Waiter>,
    sync_waiters: VecDeque<Waiter>,
    pending_bytes: usize,
    unsynced_bytes: usize,
    spare_touched: Vec<Vec<(LogId, u64)>>,
    pub fenced: Option<String>,
}

impl Commit {
    /// The next frame gets `next_number`. All before it that count are durable; the last of them is `counted`.
    pub fn new(next_number: u64, counted: u64) -> Self {
        Self {
            next_number,
            resumed: (next_number, counted),
            filling: None,
            closed: VecDeque::new(),
            flying: VecDeque::new(),
            unwritten: 0,
            written: next_number - 1,
            durable: next_number - 1,
            syncing: None,
            write_waiters: VecDeque::new(),
            sync_waiters: VecDeque::new(),
            pending_bytes: 0,
            unsynced_bytes: 0,
            spare_touched: Vec::new(),
            fenced: None,
        }
    }

    /// Bytes that are not durable yet.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// All frames up to this one are durable.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// The like, of those that count: a frame that a recovery cut off was never durable.
    fn durable_for_sure(&self) -> u64 {
        let (first, counted) = self.resumed;
        if self.durable < first { counted } else { self.durable }
    }

    /// The last frame that counts before the one with this number.
    pub fn counted_before(&self, number: u64) -> u64 {
        if number == self.resumed.0 { self.resumed.1 } else { number - 1 }
    }

    /// The number of the frame that takes, or will take, the next entry.
    pub fn current_frame(&self) -> u64 {
        self.filling.as_ref().map_or(self.next_number, |f| f.number)
    }

    /// Whether nothing waits for the disk.
    pub fn is_idle(&self) -> bool {
        self.filling.is_none() && self.closed.is_empty() && self.flying.is_empty()
    }

    /// Has `token` told when the current frame is written, or durable.
    pub fn wait(&mut self, token: Token, appended: Appended, synced: bool) {
        let frame = self.current_frame();
        let waiter = Waiter { frame, token, appended };
        if synced {
            self.sync_waiters.push_back(waiter);
        } else {
            self.write_waiters.push_back(waiter);
        }
    }

    /// Has `token` told when all that was appended so far is written, or durable; `false` if it is already.
    pub fn wait_for_all(&mut self, token: Token, appended: Appended, synced: bool) -> bool {
        let frame = match &mut self.filling {
            Some(filling) => {
                filling.sync |= synced;
                filling.number
            }
            None => self.next_number - 1,
        };
        let (waiters, reached) = if synced {
            (&mut self.sync_waiters, self.durable)
        } else {
            (&mut self.write_waiters, self.written)
        };
        let wait = frame > reached;
        if wait {
            waiters.push_back(Waiter { frame, token, appended });
        }
        wait
    }

    fn should_close(&self, write_bytes: usize, max_in_flight: usize) -> bool {
        let Some(filling) = &self.filling else { return false };
        let bytes = filling.buffer.len();
        match self.unwritten {
            n if n < SMALL_IN_FLIGHT => true,
            n if n < MEDIUM_IN_FLIGHT => bytes >= MEDIUM_BYTES.min(write_bytes / 2),
            n => n < max_in_flight && bytes >= write_bytes / 2,
        }
    }
}

impl Shard {
    /// Puts an entry into the current frame. `sync` says that somebody waits until it is durable. The base offset
    /// of a batch is written into the stored bytes; it stands before what the batch's own CRC covers.
    pub(crate) fn place(
        &mut self,
        header: &EntryHeader,
        payload: &[u8],
        sync: bool,
    ) -> Result<Place, AppendError> {
        if let Some(reason) = &self.commit.fenced {
            return Err(AppendError::Fenced(reason.clone()));
        }
        if self.closing {
            // The active segment is closed: the cleaner must not begin another.
            return Err(AppendError::Closed);
        }
        self.open_frame(header)?;
        let filling = self.commit.filling.as_mut().expect("open_frame() left one");
        let at = filling.buffer.len();
        let (unsummed, summed) = payload.split_at(header.codec.unsummed());
        let mut start = [0; MAX_UNSUMMED];
        let start = &mut start[..unsummed.len()];
        start.copy_from_slice(unsummed);
        header.codec.set_base_offset(start, header.base_offset);
        let bytes = header.to_bytes(start);
        filling.buffer.extend_from_slice(&bytes);
        filling.buffer.extend_from_slice(start);
        filling.buffer.extend_from_slice(summed);
        filling.buffer.resize(at + header.entry_bytes(), 0);
        filling.chain = chain_crc(filling.chain, EntryHeader::stored_crc(&bytes));
        filling.entries += 1;
        filling.sync |= sync;
        self.commit.pending_bytes += header.entry_bytes();
        Ok(Place {
            segment: filling.segment,
            position: filling.position + at as u64,
            frame_position: filling.position + filling.lead as u64,
        })
    }

    /// Notes that the current frame moves the log's end to `end`, for when the frame is durable.
    pub(crate) fn touch(&mut self, log: LogId, end: u64) {
        let filling = self.commit.filling.as_mut().expect("an entry was placed");
        let state = self.logs.get_mut(&log).expect("the log was appended to");
        if state.touched.0 == filling.number {
            filling.touched[state.touched.1 as usize].1 = end;
        } else {
            state.touched = (filling.number, filling.touched.len() as u32);
            filling.touched.push((log, end));
        }
    }

    /// Makes sure that the current frame has room for an entry.
    fn open_frame(&mut self, entry: &EntryHeader) -> Result<(), AppendError> {
        let bytes = entry.entry_bytes();
        if let Some(filling) = &self.commit.filling {
            if filling.buffer.len() + bytes <= filling.limit {
                return Ok(());
            }
            self.close_frame();
        }
        let essential = self.logs.get(&entry.log).is_some_and(|log| log.config.essential);
        let frees_space = entry.kind != EntryKind::Records || entry.is_relocated() || essential;
        let room = self.segment_for(align_up(FRAME_HEADER_BYTES + bytes, BLOCK_BYTES), frees_space)?;
        let (segment, position, first) = room;
        let lead = if first { BLOCK_BYTES } else { 0 };
        let least = lead + align_up(FRAME_HEADER_BYTES + bytes, BLOCK_BYTES);
        let mut buffer = self.pool.take(least);
        let limit = least.max(self.config.write_bytes.min(buffer.capacity()) & !(BLOCK_BYTES - 1));
        buffer.resize(lead + FRAME_HEADER_BYTES, 0);
        let number = self.commit.next_number;
        self.commit.next_number += 1;
        self.commit.filling = Some(Filling {
            buffer,
            lead,
            limit,
            number,
            segment,
            position,
            entries: 0,
            chain: 0,
            touched: self.commit.spare_touched.pop().unwrap_or_default(),
            sync: false,
        });
        Ok(())
    }

    /// Closes the current frame: it takes its place in the segment and in the tail cache, and waits to be written.
    pub(crate) fn close_frame(&mut self) {
        let Some(mut filling) = self.commit.filling.take() else { return };
        let body = filling.buffer.len() - filling.lead - FRAME_HEADER_BYTES;
        let header = FrameHeader {
            shard: self.config.shard,
            entries: filling.entries,
            segment: filling.segment,
            number: filling.number,
            body_bytes: body as u32,
            entries_crc: filling.chain,
            durable: self.commit.durable_for_sure(),
            incarnation: self.config.incarnation,
            position: filling.position + filling.lead as u64,
        };
        let segment = self.segments.get_mut(filling.segment).expect("frames are in known segments");
        if filling.lead > 0 {
            filling.buffer[..BLOCK_BYTES].copy_from_slice(&segment.header_block(self.config.shard));
        }
        let padded = align_up(filling.buffer.len(), BLOCK_BYTES);
        filling.buffer.resize(padded, 0);
        filling.buffer[filling.lead..filling.lead + FRAME_HEADER_BYTES].copy_from_slice(&header.to_bytes());
        let data = filling.buffer.split().freeze();
        self.pool.give_back(filling.buffer);
        segment.position = filling.position + data.len() as u64;
        segment.last_frame = filling.number;
        self.tail.push(filling.segment, filling.position, data.clone());
        self.commit.closed.push_back(Closed {
            number: filling.number,
            segment: filling.segment,
            position: filling.position,
            data,
            body,
            touched: filling.touched,
            sync: filling.sync,
        });
        self.stats.frames += 1;
        self.upkeep.window_bytes += padded as u64;
    }

    /// Hands out the writes and syncs that are due.
    pub(crate) fn pump_commit(&mut self) {
        if self.commit.fenced.is_some() {
            return;
        }
        self.write_again();
        while self.commit.unwritten < self.config.writes_in_flight {
            if self.commit.closed.is_empty() {
                if !self.commit.should_close(self.config.write_bytes, self.config.writes_in_flight) {
                    break;
                }
                self.close_frame();
            }
            if !self.write_frame() {
                break;
            }
        }
        self.sync_what_is_due();
    }

    /// Writes the oldest closed frame; `false` if its segment has no file yet.
    fn write_frame(&mut self) -> bool {
        let Some(frame) = self.commit.closed.front() else { return false };
        let file = self.segments.get(frame.segment).and_then(|s| s.file);
        let Some(file) = file else { return false };
        let frame = self.commit.closed.pop_front().expect("front() was there");
        let op = IoOp::Write { file, position: frame.position, data: frame.data.clone(), dsync: frame.sync };
        let io = self.ops.push(op, Purpose::Frame);
        self.stats.syncs += u64::from(frame.sync);
        self.commit.unwritten += 1;
        self.commit.flying.push_back(Flying {
            number: frame.number,
            segment: frame.segment,
            position: frame.position,
            data: frame.data,
            body: frame.body,
            io,
            again_ms: None,
            written: false,
            synced: false,
            covers: frame.sync.then_some(self.commit.written),
            touched: frame.touched,
            since_ms: self.now_ms,
        });
        true
    }

    /// Writes again what a full disk refused.
    fn write_again(&mut self) {
        let now = self.now_ms;
        for frame in self.commit.flying.iter_mut().filter(|f| f.again_ms.is_some_and(|at| at <= now)) {
            let Some(file) = self.segments.get(frame.segment).and_then(|s| s.file) else { continue };
            let (position, data, dsync) = (frame.position, frame.data.clone(), frame.covers.is_some());
            frame.io = self.ops.push(IoOp::Write { file, position, data, dsync }, Purpose::Frame);
            frame.again_ms = None;
        }
    }

    /// Syncs written frames that were not written with dsync, if somebody waits or it has been long enough.
    fn sync_what_is_due(&mut self) {
        let Some(front) = self.commit.flying.front() else { return };
        if self.commit.syncing.is_some() || !front.written || front.synced {
            return;
        }
        let due = !self.commit.sync_waiters.is_empty()
            || self.closing
            || self.now_ms.saturating_sub(front.since_ms) >= self.config.lazy_sync_ms
            || self.commit.unsynced_bytes >= self.config.max_pending_bytes / 4;
        let (segment, written) = (front.segment, self.commit.written);
        let file = self.segments.get(segment).and_then(|s| s.file);
        if let (true, Some(file)) = (due, file) {
            let io = self.ops.push(IoOp::Sync { file }, Purpose::Sync);
            self.stats.syncs += 1;
            self.commit.syncing = Some((io, segment, written));
        }
    }

    /// A frame's write has completed.
    pub(crate) fn frame_written(&mut self, io: IoId, result: Result<(), IoError>) {
        let commit = &mut self.commit;
        let Some(at) = commit.flying.iter().position(|f| f.io == io) else { return };
        match result {
            Ok(()) => self.upkeep.write_refused = false,
            // Room for the data was allocated, but the file system may need some for itself. Nothing is lost by waiting.
            Err(IoError::Full) => {
                commit.flying[at].again_ms = Some(self.now_ms + WRITE_AGAIN_MS);
                return self.note_write_refused();
            }
            Err(error) => return self.fence(format!("a write failed: {error}")),
        }
        commit.unwritten -= 1;
        commit.flying[at].written = true;
        if canary::on(Canary::ServeUnsynced) {
            let ends = commit.flying[at].touched.iter();
            ends.for_each(|(log, end)| {
                _ = self.logs.get_mut(log).map(|l| l.high_watermark = l.high_watermark.max(*end))
            });
        }
        let (number, segment, covers) =
            (commit.flying[at].number, commit.flying[at].segment, commit.flying[at].covers);
        if let Some(covers) = covers {
            commit.mark_synced(segment, covers);
            commit.mark_synced_one(number);
        } else {
            commit.unsynced_bytes += commit.flying[at].body;
        }
        self.advance();
    }

    /// A sync has completed.
    pub(crate) fn synced(&mut self, result: Result<(), IoError>) {
        let Some((_, segment, covers)) = self.commit.syncing.take() else { return };
        if let Err(error) = result
            && !canary::on(Canary::IgnoreFailedSync)
        {
            // After a failed fdatasync the kernel may drop the dirty state: a second one that succeeds
            // proves nothing (the fsyncgate lesson). So nothing more is promised.
            return self.fence(format!("a sync failed: {error}"));
        }
        self.commit.mark_synced(segment, covers);
        self.advance();
    }

    /// Tells those who waited for what is now written or durable.
    fn advance(&mut self) {
        if self.commit.fenced.is_some() {
            // A later sync that succeeds says nothing of what the failed one was to make durable.
            return;
        }
        let written = self
            .commit
            .flying
            .iter()
            .take_while(|f| f.written)
            .last()
            .map_or(self.commit.written, |f| f.number);
        self.commit.written = self.commit.written.max(written);
        while self.commit.flying.front().is_some_and(|f| f.written && f.synced) {
            let frame = self.commit.flying.pop_front().expect("front() was there");
            self.frame_durable(frame);
        }
        let Commit { write_waiters, sync_waiters, written, durable, .. } = &mut self.commit;
        let synced = if canary::on(Canary::AckBeforeSync) { *written } else { *durable };
        for (waiters, reached) in [(write_waiters, *written), (sync_waiters, synced)] {
            while waiters.front().is_some_and(|w| w.frame <= reached) {
                let Waiter { token, appended, .. } = waiters.pop_front().expect("front() was there");
                self.events.push_back(Event::Appended { token, appended });
            }
        }
    }

    fn frame_durable(&mut self, mut frame: Flying) {
        self.commit.durable = frame.number;
        self.commit.pending_bytes = self.commit.pending_bytes.saturating_sub(frame.body);
        if frame.covers.is_none() {
            self.commit.unsynced_bytes = self.commit.unsynced_bytes.saturating_sub(frame.body);
        }
        for &(log, end) in &frame.touched {
            let Some(state) = self.logs.get_mut(&log) else { continue };
            state.durable_to(end);
            if std::mem::take(&mut state.watched) && !canary::on(Canary::LoseWaiter) {
                self.events.push_back(Event::Advanced { log });
            }
        }
        frame.touched.clear();
        if self.commit.spare_touched.len() < self.config.writes_in_flight {
            self.commit.spare_touched.push(frame.touched);
        }
        self.work_due = true;
    }

    /// The log takes no more writes, and nothing that waits is promised any more.
    pub(crate) fn fence(&mut self, reason: String) {
        if self.commit.fenced.is_some() {
            return;
        }
        let commit = &mut self.commit;
        for waiter in commit.write_waiters.drain(..).chain(commit.sync_waiters.drain(..)) {
            let error = AppendError::Fenced(reason.clone());
            self.events.push_back(Event::AppendFailed { token: waiter.token, error });
        }
        commit.filling = None;
        commit.closed.clear();
        commit.fenced = Some(reason.clone());
        self.events.push_back(Event::Fenced { reason });
    }
}

impl Commit {
    fn mark_synced(&mut self, segment: u64, covers: u64) {
        for frame in self.flying.iter_mut().filter(|f| f.segment == segment && f.number <= covers) {
            frame.synced |= frame.written;
        }
    }

    fn mark_synced_one(&mut self, number: u64) {
        if let Some(frame) = self.flying.iter_mut().find(|f| f.number == number) {
            frame.synced = true;
        }
    }
}
