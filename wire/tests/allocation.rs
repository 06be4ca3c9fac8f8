//! What decoding may cost in memory: a body that lies about its lists gets none, and an honest one a bounded
//! multiple of its own size. This binary has one test, since its allocator counts the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ringmail_wire::protocol::*;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator unchanged; counting does not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `alloc` got `pointer` from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that were allocated at the worst moment while every message was decoded from `body`.
fn peak_of_decoding(body: &[u8]) -> usize {
    fn peak<'a, M: Message<'a>>(body: &'a [u8]) -> usize {
        let before = LIVE.load(Relaxed);
        PEAK.store(before, Relaxed);
        drop(M::from_body(body));
        PEAK.load(Relaxed) - before
    }
    let lists = [
        peak::<MetadataRequest>(body),
        peak::<MetadataResponse>(body),
        peak::<CreateTopicRequest>(body),
        peak::<AlterTopicRequest>(body),
        peak::<ListTopicsResponse>(body),
        peak::<DescribeTopicResponse>(body),
        peak::<FetchRequest>(body),
        peak::<FetchResponse>(body),
        peak::<ListOffsetsRequest>(body),
        peak::<ListOffsetsResponse>(body),
    ];
    lists.into_iter().max().expect("there are messages with lists")
}

/// Where the counts of lists stand: after 0, 4, 6, 8 or 12 bytes, and 4 further on where another is empty.
const COUNTS_AT: [usize; 6] = [0, 4, 6, 8, 10, 12];

#[test]
fn decoding_takes_memory_for_what_is_there() {
    for at in COUNTS_AT {
        for (count, tail) in [u32::MAX, MAX_LIST_ITEMS].into_iter().flat_map(|n| [(n, 0), (n, 1), (n, 100)]) {
            let mut body = vec![0; at];
            body.extend_from_slice(&count.to_le_bytes());
            body.resize(body.len() + tail, 0);
            let peak = peak_of_decoding(&body);
            assert!(peak <= 4 << 10, "{peak} bytes for {tail} after a count of {count} at {at}");
        }
    }

    const FRAME: usize = 16 << 20;
    for at in COUNTS_AT {
        let mut body = vec![0; FRAME];
        body[at..at + 4].copy_from_slice(&MAX_LIST_ITEMS.to_le_bytes());
        let peak = peak_of_decoding(&body);
        assert!(peak <= 2 * FRAME, "{peak} bytes for a body of {FRAME} with a count at {at}");
    }
}
