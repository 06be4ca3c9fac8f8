//! Bytes that wait to be sent: small ones together, large batches where they are.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A batch below this many bytes is copied: a slice of its own in a vectored write costs more.
const COPY_BELOW_BYTES: usize = 4096;
/// Sent small bytes are given up from this many on, even while others wait behind them.
const COMPACT_BYTES: usize = 64 * 1024;

#[derive(Debug)]
enum Segment {
    /// So many of the small bytes.
    Small(usize),
    Large(Bytes),
}

/// A queue of bytes in the order of the stream.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    small: Vec<u8>,
    small_sent: usize,
    segments: VecDeque<Segment>,
    queued: u64,
    sent: u64,
}

impl Outbox {
    /// Appends what `write` appends.
    pub fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.small.len();
        write(&mut self.small);
        let added = self.small.len() - before;
        self.queued += added as u64;
        match self.segments.back_mut() {
            Some(Segment::Small(length)) => *length += added,
            _ => self.segments.push_back(Segment::Small(added)),
        }
    }

    /// Appends `bytes`, without copying them if they are many.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW_BYTES {
            return self.put(|out| out.extend_from_slice(&bytes));
        }
        self.queued += bytes.len() as u64;
        self.segments.push_back(Segment::Large(bytes));
    }

    /// Position in the stream after all that was put.
    pub fn queued_end(&self) -> u64 {
        self.queued
    }

    /// Position in the stream after all that was sent.
    pub fn sent_end(&self) -> u64 {
        self.sent
    }

    /// Fills `slices` with the bytes to send next and says how many it filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut small = &self.small[self.small_sent..];
        let mut filled = 0;
        for (slot, segment) in slices.iter_mut().zip(&self.segments) {
            *slot = match segment {
                Segment::Small(length) => {
                    let (bytes, rest) = small.split_at(*length);
                    small = rest;
                    IoSlice::new(bytes)
                }
                Segment::Large(bytes) => IoSlice::new(bytes),
            };
            filled += 1;
        }
        filled
    }

    /// Takes away the first `n` bytes: they are sent.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn consume(&mut self, mut n: usize) {
        self.sent += n as u64;
        while n > 0 {
            let segment = self.segments.front_mut().expect("no more can be sent than was queued");
            let (taken, left) = match segment {
                Segment::Small(length) => {
                    let taken = n.min(*length);
                    *length -= taken;
                    self.small_sent += taken;
                    (taken, *length)
                }
                Segment::Large(bytes) => {
                    let taken = n.min(bytes.len());
                    bytes.advance(taken);
                    (taken, bytes.len())
                }
            };
            n -= taken;
            if left == 0 {
                self.segments.pop_front();
            }
        }
        self.compact();
    }

    fn compact(&mut self) {
        if self.small_sent == self.small.len() {
            self.small.clear();
            self.small_sent = 0;
        } else if self.small_sent >= COMPACT_BYTES {
            self.small.drain(..self.small_sent);
            self.small_sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while outbox.sent_end() < outbox.queued_end() {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = outbox.slices(&mut slices);
            let bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.iter().copied()).take(step).collect();
            assert!(!bytes.is_empty());
            all.extend_from_slice(&bytes);
            outbox.consume(bytes.len());
        }
        all
    }

    #[test]
    fn bytes_leave_in_order_however_they_are_taken() {
        for step in [1, 7, 4096, 100_000] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for k in 0..40_usize {
                let bytes: Vec<u8> = (0..k * 311).map(|n| (n + k) as u8).collect();
                expected.extend_from_slice(&[k as u8; 3]);
                expected.extend_from_slice(&bytes);
                outbox.put(|out| out.extend_from_slice(&[k as u8; 3]));
                outbox.put_bytes(bytes.into());
            }
            assert_eq!(drain(&mut outbox, step), expected);
            assert!(outbox.segments.is_empty() && outbox.small.is_empty());
        }
    }

    #[test]
    fn sent_small_bytes_are_given_up_while_others_wait() {
        let mut outbox = Outbox::default();
        for _ in 0..1000 {
            outbox.put(|out| out.extend_from_slice(&[1; 1000]));
            outbox.consume(999);
        }
        assert!(outbox.small.len() <= 2 * COMPACT_BYTES, "{}", outbox.small.len());
    }
}
