//! An allocator that counts, so that what an input costs in memory can be held against a limit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting the bytes of each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    // Signed: a thread may free what another has allocated.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn allocated(bytes: usize) {
    LIVE.set(LIVE.get() + bytes as isize);
    PEAK.set(PEAK.get().max(LIVE.get()));
    LARGEST.set(LARGEST.get().max(bytes));
}

fn freed(bytes: usize) {
    LIVE.set(LIVE.get() - bytes as isize);
}

// SAFETY: every call goes on to the system's allocator unchanged; counting does not touch the memory, and its
// thread locals need neither allocation nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // For a moment both may be there: counted as if they always were.
        allocated(bytes);
        freed(layout.size());
        // SAFETY: `pointer` came from the system's allocator with this layout; the promises about `bytes` are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: `alloc` got `pointer` from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What some work took on this thread, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The most that was held at once, beyond what was held before.
    pub peak: usize,
    /// The largest single allocation.
    pub largest: usize,
    /// What is still held; below 0 if memory of before was freed.
    pub kept: isize,
}

/// Does `work` and says what it took. Measurements may be nested.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Usage) {
    let before = LIVE.get();
    let (outer_peak, outer_largest) = (PEAK.replace(before), LARGEST.replace(0));
    let result = work();
    let usage = Usage {
        peak: (PEAK.get() - before).unsigned_abs(),
        largest: LARGEST.get(),
        kept: LIVE.get() - before,
    };
    PEAK.set(PEAK.get().max(outer_peak));
    LARGEST.set(LARGEST.get().max(outer_largest));
    (result, usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_largest_and_kept_are_told_apart() {
        let (kept, outer) = measure(|| {
            let (_, inner) = measure(|| drop(vec![1_u8; 1000]));
            assert_eq!(inner, Usage { peak: 1000, largest: 1000, kept: 0 });
            let first = vec![2_u8; 300];
            drop((vec![3_u8; 400], first));
            vec![0_u8; 50]
        });
        assert_eq!(outer, Usage { peak: 1000, largest: 1000, kept: 50 });
        drop(kept);
    }

    #[test]
    fn growing_counts_old_and_new() {
        let (_, usage) = measure(|| {
            let mut bytes = Vec::<u8>::with_capacity(100);
            bytes.reserve_exact(200);
            bytes.push(1);
        });
        assert_eq!(usage, Usage { peak: 300, largest: 200, kept: 0 });
    }
}
