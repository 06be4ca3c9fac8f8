//! What reading may cost in memory: a body that lies about its lists, or a batch that lies about its heap, gets
//! next to none, and an honest body a bounded multiple of its own size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ringmail_wire::batch::{Batch, BatchBuilder, BatchError, CRC_START, Compression, MAX_HEAP_BYTES};
use ringmail_wire::crc::crc32c;
use ringmail_wire::protocol::*;

/// The system's allocator, counting the bytes of each thread.
struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator unchanged; counting does not touch the memory, and its
// thread locals need neither allocation nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get().wrapping_add(layout.size()));
        PEAK.set(PEAK.get().max(LIVE.get()));
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get().wrapping_sub(layout.size()));
        // SAFETY: `alloc` got `pointer` from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `work` holds at the worst moment.
fn peak_of(work: impl FnOnce()) -> usize {
    // Far from 0, so that memory of other threads that is freed here does not wrap around.
    const BASE: usize = 1 << 40;
    LIVE.set(BASE);
    PEAK.set(BASE);
    work();
    PEAK.get() - BASE
}

/// The most that reading `body` as any of the messages that have lists takes.
fn peak_of_decoding(body: &[u8]) -> usize {
    fn peak<'a, M: Message<'a>>(body: &'a [u8]) -> usize {
        peak_of(|| drop(M::from_body(body)))
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

/// Zeros, but for the count of a list after so many of them.
fn body_with_count(at: usize, count: u32, bytes: usize) -> Vec<u8> {
    let mut body = vec![0; bytes];
    body[at..at + 4].copy_from_slice(&count.to_le_bytes());
    body
}

/// Where the messages have the counts of their lists if the fields before them are 0 or empty.
const COUNTS_AT: [usize; 5] = [0, 4, 6, 8, 12];

#[test]
fn a_count_that_lies_takes_no_memory() {
    for at in COUNTS_AT {
        for count in [u32::MAX, MAX_LIST_ITEMS] {
            for bytes in [at + 4, at + 5, at + 104] {
                let peak = peak_of_decoding(&body_with_count(at, count, bytes));
                assert!(
                    peak <= 4 << 10,
                    "{peak} bytes for a body of {bytes} with a count of {count} at {at}"
                );
            }
        }
    }
}

#[test]
fn a_body_of_the_smallest_items_takes_no_more_than_two_frames() {
    const FRAME_BYTES: usize = 16 << 20;
    for at in COUNTS_AT {
        let peak = peak_of_decoding(&body_with_count(at, MAX_LIST_ITEMS, FRAME_BYTES));
        assert!(peak <= 2 * FRAME_BYTES, "{peak} bytes for a body of {FRAME_BYTES} with a count at {at}");
    }
}

#[test]
fn a_heap_that_lies_about_its_length_takes_no_memory() {
    for compression in [Compression::Lz4, Compression::Zstd] {
        let mut builder = BatchBuilder::new(1 << 20, compression);
        builder.push(0, None, Some(&[b'x'; 1000]), &[]).unwrap();
        let mut bytes = Vec::new();
        builder.finish_into(&mut bytes);
        // Slot and header agree on the largest value there can be; only the heap itself does not.
        bytes[44..48].copy_from_slice(&MAX_HEAP_BYTES.to_le_bytes());
        bytes[56..60].copy_from_slice(&MAX_HEAP_BYTES.to_le_bytes());
        let crc = crc32c(&bytes[CRC_START..]).to_le_bytes();
        bytes[12..16].copy_from_slice(&crc);
        let batch = Batch::parse(&bytes).unwrap();
        batch.check().unwrap();
        let peak = peak_of(|| {
            let mut scratch = Vec::new();
            assert!(matches!(batch.open(&mut scratch), Err(BatchError::Decompress)));
        });
        assert!(peak <= 4 << 10, "{compression:?}: {peak} bytes");
    }
}
