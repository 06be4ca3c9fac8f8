//! Memory that direct I/O accepts.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use bytes::Bytes;
use ringmail_shards::io::BLOCK_BYTES;

use crate::runtime::memory::{Loan, Pool};

/// A buffer that starts on a block boundary and is filled by the kernel.
#[derive(Debug)]
pub(super) struct AlignedBuffer {
    memory: Memory,
    capacity: usize,
    filled: usize,
}

#[derive(Debug)]
enum Memory {
    Pooled(Loan),
    Owned(Owned),
}

/// Memory from the allocator.
#[derive(Debug)]
struct Owned {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory, which is plain bytes.
unsafe impl Send for Owned {}

impl AlignedBuffer {
    /// An empty buffer for `capacity` bytes, from the pool if that has a block for it.
    pub(super) fn new(capacity: usize, pool: &mut Pool) -> Self {
        let memory = match pool.take(capacity) {
            Some(loan) => Memory::Pooled(loan),
            None => Memory::Owned(Owned::new(capacity)),
        };
        Self { memory, capacity, filled: 0 }
    }

    fn start(&self) -> NonNull<u8> {
        match &self.memory {
            Memory::Pooled(loan) => loan.start(),
            Memory::Owned(owned) => owned.start,
        }
    }

    /// Bytes filled so far.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Where the kernel shall write next. At most the capacity less [`filled`](Self::filled) bytes fit.
    pub(super) fn tail(&self) -> *mut u8 {
        // SAFETY: `filled` never exceeds the capacity.
        unsafe { self.start().add(self.filled).as_ptr() }
    }

    /// Takes `count` more bytes as filled.
    ///
    /// # Safety
    /// The kernel (or somebody else) has written `count` bytes at [`tail`](Self::tail).
    pub(super) unsafe fn advance(&mut self, count: usize) {
        self.filled += count;
        assert!(self.filled <= self.capacity, "the kernel read more than was asked for");
    }

    /// The filled part, without a copy.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the first `filled` bytes were written, and nobody writes to them while `self` is shared.
        unsafe { std::slice::from_raw_parts(self.start().as_ptr(), self.filled) }
    }
}

impl Owned {
    fn new(capacity: usize) -> Self {
        let layout = Layout::from_size_align(capacity.max(1), BLOCK_BYTES)
            .expect("a block is a power of two, and no read exceeds isize::MAX");
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, layout }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}
