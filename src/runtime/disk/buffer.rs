//! Memory that direct I/O accepts.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use bytes::Bytes;

use ringmail_shards::io::BLOCK_BYTES;

/// How much memory [`zeros`] shares, in bytes.
pub(super) const ZEROS: usize = 1 << 20;

/// A buffer that starts on a block boundary and is filled by the kernel.
#[derive(Debug)]
pub(super) struct AlignedBuffer {
    start: NonNull<u8>,
    layout: Layout,
    filled: usize,
}

// SAFETY: the buffer owns its memory, which is plain bytes.
unsafe impl Send for AlignedBuffer {}

impl AlignedBuffer {
    /// An empty buffer for `capacity` bytes.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let layout = Layout::from_size_align(capacity.max(1), BLOCK_BYTES)
            .expect("a block is a power of two, and no read exceeds isize::MAX");
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, layout, filled: 0 }
    }

    /// Bytes filled so far.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Where the kernel shall write next. At most the capacity less [`filled`](Self::filled) bytes fit.
    pub(super) fn tail(&self) -> *mut u8 {
        // SAFETY: `filled` never exceeds the capacity.
        unsafe { self.start.as_ptr().add(self.filled) }
    }

    /// Takes `count` more bytes as filled.
    ///
    /// # Safety
    /// The kernel (or somebody else) has written `count` bytes at [`tail`](Self::tail), within the capacity.
    pub(super) unsafe fn advance(&mut self, count: usize) {
        self.filled += count;
        assert!(self.filled <= self.layout.size(), "the kernel read more than was asked for");
    }

    /// The filled part, without a copy.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the first `filled` bytes were written, and nobody writes to them while `self` is shared.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.filled) }
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// [`ZEROS`] zero bytes on a block boundary, for clearing files.
pub(super) fn zeros() -> *const u8 {
    #[repr(align(4096))]
    struct Zeros([u8; ZEROS]);
    const _: () = assert!(align_of::<Zeros>() == BLOCK_BYTES);
    static SHARED: Zeros = Zeros([0; ZEROS]);
    SHARED.0.as_ptr()
}
