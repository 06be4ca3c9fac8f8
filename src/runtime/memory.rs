//! Memory for direct I/O, on huge pages.
//!
//! A megabyte of ordinary memory is 256 pages that the kernel has to look up, pin and describe to the device one by one;
//! on huge pages it is one piece. Measured on a virtio disk, 1 MiB at depth 4: writes cost 17 us of CPU a MiB instead of
//! 53, reads 15 instead of 70; and reads into memory that was fresh each time, 600.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::plan::Plan;

/// Bytes of a huge page.
pub const HUGE_PAGE: usize = 2 << 20;

/// Bytes of the smallest block that a pool gives; what is shorter gains little.
pub const SMALLEST_BLOCK: usize = 256 << 10;

/// Sizes of blocks: each twice the one before, up to a huge page.
const SIZES: usize = (HUGE_PAGE / SMALLEST_BLOCK).ilog2() as usize + 1;

/// Blocks from this size on are given back as soon as they are free, in bytes: a fresh one costs a page fault for 4 KiB.
#[cfg(target_env = "gnu")]
const ALONE_FROM: libc::c_int = 4 << 20;

/// Free memory that a thread's allocations may end in, in bytes.
#[cfg(target_env = "gnu")]
const KEPT_AT_THE_TOP: libc::c_int = 16 << 20;

/// What is let go together takes about this long.
const TRIM_DELAY: Duration = Duration::from_secs(1);

/// An empty buffer for `bytes` bytes, which starts at a huge page and has the kernel use such.
pub fn chunk(bytes: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(bytes.next_multiple_of(HUGE_PAGE) + HUGE_PAGE);
    let skip = buffer.as_ptr().align_offset(HUGE_PAGE);
    buffer.resize(skip, 0);
    buffer.advance(skip);
    let spare = buffer.spare_capacity_mut();
    advise(spare.as_mut_ptr().cast(), spare.len() / HUGE_PAGE * HUGE_PAGE);
    buffer
}

/// A huge page of zeros.
pub fn zeros() -> &'static [u8] {
    static ZEROS: OnceLock<Region> = OnceLock::new();
    let region = ZEROS.get_or_init(|| {
        let region = Region::new();
        // SAFETY: the region is new, and as long as a huge page.
        unsafe { region.start.write_bytes(0, HUGE_PAGE) };
        region
    });
    // SAFETY: the region was filled, is never written to again, and never freed.
    unsafe { std::slice::from_raw_parts(region.start.as_ptr(), HUGE_PAGE) }
}

/// Asks for huge pages; without them all works as well, but slower.
fn advise(start: *mut u8, length: usize) {
    // SAFETY: the advice changes how memory is mapped and not what is in it; an invalid range is refused.
    let result = unsafe { libc::madvise(start.cast(), length, libc::MADV_HUGEPAGE) };
    if result != 0 {
        tracing::debug!(error = %std::io::Error::last_os_error(), "no huge pages");
    }
}

/// Fixes from which size on the allocator takes memory from the system for one block alone, and gives it back with the block.
/// By default it raises that size up to 32 MiB as blocks are freed, and so keeps what a few large requests have left behind.
pub fn settle() {
    // SAFETY: both take numbers, and may be called at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, ALONE_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_AT_THE_TOP);
    }
}

/// Has memory that is free given back to the system in a moment, by a thread of its own: the allocator keeps what lies
/// between used blocks, and looking for it takes milliseconds. For when much was let go; calls until then add up to one.
pub fn trim_soon() {
    static PLAN: LazyLock<Plan> = LazyLock::new(Plan::new);
    if !PLAN.make() {
        return;
    }
    let trim = || {
        std::thread::sleep(TRIM_DELAY);
        PLAN.end();
        // SAFETY: it takes no pointers, and may be called on any thread.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("ringmail-trim".to_owned()).spawn(trim) {
        PLAN.end();
        tracing::debug!(%error, "memory is kept that could be given back");
    }
}

/// Blocks of up to a huge page that are used again and again. Belongs to one thread; blocks may go to any.
#[derive(Debug)]
pub struct Pool {
    /// Free blocks by size.
    free: [Vec<Block>; SIZES],
    /// Blocks that were let go of come back here, from whatever thread.
    returned: Receiver<Block>,
    returns: Sender<Block>,
    regions: usize,
    max_regions: usize,
}

/// A part of a region.
#[derive(Debug)]
struct Block {
    region: Arc<Region>,
    offset: usize,
    size: usize,
}

/// A huge page, in parts of one size.
#[derive(Debug)]
struct Region {
    start: NonNull<u8>,
}

// SAFETY: a region is plain memory; each part of it is used by the one block that stands for it.
unsafe impl Send for Region {}
// SAFETY: as above, and the region itself only gives out its address.
unsafe impl Sync for Region {}

/// A block on loan from a [`Pool`], which it goes back to when it is dropped.
#[derive(Debug)]
pub struct Loan {
    /// Present until it is dropped.
    block: Option<Block>,
    home: Sender<Block>,
}

impl Pool {
    /// A pool that grows to `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        let (returns, returned) = channel();
        Self { free: Default::default(), returned, returns, regions: 0, max_regions: max_bytes / HUGE_PAGE }
    }

    /// A block for `bytes` bytes, if that is a size to pool and the pool has one left.
    pub fn take(&mut self, bytes: usize) -> Option<Loan> {
        if bytes <= SMALLEST_BLOCK / 2 || bytes > HUGE_PAGE {
            return None;
        }
        let size = bytes.next_power_of_two().max(SMALLEST_BLOCK);
        for block in self.returned.try_iter() {
            self.free[class(block.size)].push(block);
        }
        if self.free[class(size)].is_empty() {
            self.grow(size);
        }
        let block = self.free[class(size)].pop()?;
        Some(Loan { block: Some(block), home: self.returns.clone() })
    }

    fn grow(&mut self, size: usize) {
        if self.regions == self.max_regions && !self.give_up_a_region(size) {
            return;
        }
        self.regions += 1;
        let region = Arc::new(Region::new());
        let offsets = (0..HUGE_PAGE).step_by(size);
        self.free[class(size)].extend(offsets.map(|offset| Block { region: region.clone(), offset, size }));
    }

    /// Frees a region of blocks of another size that are all free, if there is one.
    fn give_up_a_region(&mut self, size: usize) -> bool {
        for blocks in self.free.iter_mut() {
            let Some(whole) = blocks.iter().find(|block| block.size != size && is_whole(block, blocks))
            else {
                continue;
            };
            let region = Arc::as_ptr(&whole.region);
            blocks.retain(|block| !std::ptr::eq(Arc::as_ptr(&block.region), region));
            self.regions -= 1;
            return true;
        }
        false
    }
}

/// Whether all parts of a block's region are among `free`.
fn is_whole(block: &Block, free: &[Block]) -> bool {
    free.iter().filter(|other| Arc::ptr_eq(&other.region, &block.region)).count() == HUGE_PAGE / block.size
}

/// The place of a size among [`SIZES`].
fn class(size: usize) -> usize {
    (size / SMALLEST_BLOCK).ilog2() as usize
}

impl Region {
    const LAYOUT: Layout = match Layout::from_size_align(HUGE_PAGE, HUGE_PAGE) {
        Ok(layout) => layout,
        Err(_) => panic!("a huge page is a power of two"),
    };

    fn new() -> Self {
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(Self::LAYOUT) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(Self::LAYOUT));
        advise(start.as_ptr(), HUGE_PAGE);
        Self { start }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and no block is left.
        unsafe { dealloc(self.start.as_ptr(), Self::LAYOUT) }
    }
}

impl Loan {
    /// Where the block starts: a multiple of its size. It is at least as long as was asked for, holds arbitrary bytes,
    /// and belongs to this loan alone.
    pub fn start(&self) -> NonNull<u8> {
        let block = self.block.as_ref().expect("present until it is dropped");
        // SAFETY: the block lies within its region.
        unsafe { block.region.start.add(block.offset) }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // Without a pool to go home to, the block ends here.
        let _ = self.home.send(self.block.take().expect("dropped once"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_start_at_a_huge_page_and_have_room() {
        for bytes in [1, HUGE_PAGE, 3 * HUGE_PAGE + 1] {
            let chunk = chunk(bytes);
            assert!(chunk.as_ptr().addr().is_multiple_of(HUGE_PAGE));
            assert!(chunk.is_empty() && chunk.capacity() >= bytes);
        }
    }

    #[test]
    fn blocks_are_distinct_and_come_back() {
        let mut pool = Pool::new(2 * HUGE_PAGE);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let loans: Vec<Loan> = (0..4).map(|_| pool.take(1 << 20).unwrap()).collect();
            let starts: std::collections::BTreeSet<usize> =
                loans.iter().map(|loan| loan.start().addr().get()).collect();
            assert_eq!(starts.len(), 4);
            assert!(starts.iter().all(|start| start.is_multiple_of(1 << 20)));
            seen.extend(starts);
            assert!(pool.take(1 << 20).is_none(), "the pool has an end");
            std::thread::spawn(move || drop(loans)).join().unwrap();
        }
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn other_sizes_take_over_what_is_free() {
        let mut pool = Pool::new(HUGE_PAGE);
        let large = pool.take(HUGE_PAGE).unwrap();
        assert!(pool.take(SMALLEST_BLOCK).is_none());
        drop(large);
        let small: Vec<_> = (0..8).map(|_| pool.take(SMALLEST_BLOCK - 1).unwrap()).collect();
        assert!(pool.take(SMALLEST_BLOCK).is_none());
        drop(small);
        assert!(pool.take(1 << 20).is_some());
    }

    #[test]
    fn sizes_that_gain_nothing_are_not_pooled_and_loans_outlive_the_pool() {
        let mut pool = Pool::new(16 * HUGE_PAGE);
        assert!(pool.take(4096).is_none());
        assert!(pool.take(HUGE_PAGE + 1).is_none());
        let loan = pool.take(HUGE_PAGE).unwrap();
        drop(pool);
        // SAFETY: the loan has a huge page to itself.
        unsafe { loan.start().write_bytes(1, HUGE_PAGE) };
    }
}
