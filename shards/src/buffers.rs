//! Memory for frames: large aligned chunks, cut into frames, used again once nobody reads them.

use crate::io::BLOCK_BYTES;
use bytes::BytesMut;
use std::collections::VecDeque;

/// Frames that a chunk of the usual size holds at least.
const FRAMES_PER_CHUNK: usize = 8;

/// An empty buffer whose memory begins at a block boundary, with room for `bytes`.
pub fn aligned(bytes: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(bytes + BLOCK_BYTES);
    align(&mut buffer);
    buffer
}

fn align(buffer: &mut BytesMut) {
    let skip = buffer.as_ptr().align_offset(BLOCK_BYTES);
    buffer.resize(skip, 0);
    bytes::Buf::advance(buffer, skip);
}

/// Gives out buffers for frames. Touching fresh memory costs the kernel more than writing to it, so a chunk
/// that the tail cache and all readers have let go of is taken again.
#[derive(Debug)]
pub(crate) struct ChunkPool {
    allocate: fn(usize) -> BytesMut,
    chunk_bytes: usize,
    current: BytesMut,
    retired: VecDeque<BytesMut>,
    max_retired: usize,
}

impl ChunkPool {
    /// Chunks for frames of `frame_bytes`, of which about `held_bytes` are held by others at a time. `allocate` gives
    /// an empty aligned buffer with room for so many bytes.
    pub fn new(frame_bytes: usize, held_bytes: usize, allocate: fn(usize) -> BytesMut) -> Self {
        let chunk_bytes = frame_bytes * FRAMES_PER_CHUNK;
        Self {
            allocate,
            chunk_bytes,
            current: BytesMut::new(),
            retired: VecDeque::new(),
            max_retired: 4 + held_bytes / chunk_bytes,
        }
    }

    /// An empty aligned buffer with room for at least `bytes`; it may have much more.
    pub fn take(&mut self, bytes: usize) -> BytesMut {
        if self.current.capacity() < bytes {
            let chunk = self.chunk(bytes.max(self.chunk_bytes));
            let spent = std::mem::replace(&mut self.current, chunk);
            self.retire(spent);
        }
        std::mem::take(&mut self.current)
    }

    /// Takes back what is left of a buffer after frames were split off its front.
    pub fn give_back(&mut self, rest: BytesMut) {
        debug_assert!(rest.is_empty());
        let spent = std::mem::replace(&mut self.current, rest);
        self.retire(spent);
    }

    /// A chunk of exactly so many bytes: how frames are cut must not depend on where memory happens to lie.
    fn chunk(&mut self, bytes: usize) -> BytesMut {
        let mut chunk = self.larger_chunk(bytes);
        drop(chunk.split_off(bytes));
        chunk
    }

    fn larger_chunk(&mut self, bytes: usize) -> BytesMut {
        for k in 0..self.retired.len() {
            if self.retired[k].try_reclaim(bytes + BLOCK_BYTES) {
                let mut chunk = self.retired.remove(k).expect("k is in range");
                align(&mut chunk);
                return chunk;
            }
        }
        let chunk = (self.allocate)(bytes);
        assert!(
            chunk.capacity() >= bytes && chunk.as_ptr().align_offset(BLOCK_BYTES) == 0,
            "memory for direct I/O"
        );
        chunk
    }

    fn retire(&mut self, spent: BytesMut) {
        // A buffer that was never cut has a capacity of its own; one of 0 that owns nothing reclaims nothing.
        self.retired.push_back(spent);
        while self.retired.len() > self.max_retired {
            self.retired.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_reused() {
        let mut pool = ChunkPool::new(8192, 0, aligned);
        let mut addresses = std::collections::HashSet::new();
        for _ in 0..100 {
            let mut buffer = pool.take(8192);
            assert_eq!(buffer.as_ptr().align_offset(BLOCK_BYTES), 0);
            assert!(buffer.capacity() >= 8192);
            addresses.insert(buffer.as_ptr() as usize);
            buffer.resize(8192, 1);
            let frame = buffer.split().freeze();
            pool.give_back(buffer);
            drop(frame);
        }
        assert!(addresses.len() <= 4 * FRAMES_PER_CHUNK, "{} buffers for 100 frames", addresses.len());
    }

    #[test]
    fn memory_that_is_read_is_not_reused() {
        let mut pool = ChunkPool::new(8192, 0, aligned);
        let mut held = Vec::new();
        for k in 0..20_u8 {
            let mut buffer = pool.take(8192);
            buffer.resize(8192, k);
            held.push(buffer.split().freeze());
            pool.give_back(buffer);
        }
        for (k, frame) in held.iter().enumerate() {
            assert!(frame.iter().all(|&b| b == k as u8));
        }
    }
}
