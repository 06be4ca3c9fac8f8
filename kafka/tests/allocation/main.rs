//! What reading may cost in memory: a body that lies about its lists, or a batch that lies about its records, gets next to
//! none, and the largest body a bounded amount.

#[path = "../messages/bodies.rs"]
mod bodies;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bodies::{Side, body, encode_again, everything};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use ringmail_kafka::api::Api;
use ringmail_kafka::batch::Compression;
use ringmail_kafka::codec::MAX_LIST_ITEMS;
use ringmail_kafka::frame::RequestHeader;
use ringmail_kafka::messages::{Request, Response};

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

fn peak_of_decoding(side: Side, api: Api, version: i16, body: &[u8]) -> usize {
    match side {
        Side::Request => peak_of(|| drop(Request::decode(api, version, body))),
        Side::Response => peak_of(|| drop(Response::decode(api, version, body))),
    }
}

/// More than any honest body of a few hundred bytes takes.
const LITTLE: usize = 32 << 10;

/// `0x7fffffff`, as a count and as a varint.
const COUNTS: [&[u8]; 2] = [&[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x07]];

#[test]
fn counts_that_lie_take_no_memory() {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let mut lies = 0;
    for (side, api, version) in everything() {
        let body = body(&mut rng, side, api, version);
        for at in 0..body.len() {
            for count in COUNTS {
                let mut lie = body.clone();
                let end = (at + count.len()).min(lie.len());
                lie[at..end].copy_from_slice(&count[..end - at]);
                let peak = peak_of_decoding(side, api, version, &lie);
                assert!(peak <= LITTLE, "{side:?} {api:?} {version}: {peak} bytes with a count at {at}");
                lies += 1;
            }
        }
    }
    assert!(lies > 20_000, "{lies} lies");
}

#[test]
fn bodies_that_are_cut_short_or_changed() {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[4; 32]);
    for (side, api, version) in everything() {
        let body = body(&mut rng, side, api, version);
        // Every byte has a meaning: without its last one a body is not whole.
        for end in 0..body.len() {
            assert_eq!(
                encode_again(side, api, version, &body[..end]),
                None,
                "{side:?} {api:?} {version} {end}"
            );
        }
        for _ in 0..200 {
            let mut changed = body.clone();
            for _ in 0..rng.random_range(1..5) {
                if !changed.is_empty() {
                    let at = rng.random_range(0..changed.len());
                    changed[at] = rng.random();
                }
            }
            let peak = peak_of_decoding(side, api, version, &changed);
            assert!(peak <= LITTLE, "{side:?} {api:?} {version}: {peak} bytes");
            // What decodes also encodes, to a body that decodes to the same.
            if let Some(encoded) = encode_again(side, api, version, &changed) {
                assert_eq!(encode_again(side, api, version, &encoded), Some(encoded));
            }
        }
    }
}

#[test]
fn the_most_items_that_a_request_may_have() {
    const BODY_BYTES: usize = 8 << 20;
    let mut most = 0;
    for api in Api::ALL {
        let version = api.info().last;
        let flexible = api.is_flexible(version);
        for at in 0..40 {
            let mut body = vec![u8::from(flexible); BODY_BYTES];
            let count = MAX_LIST_ITEMS.to_be_bytes();
            body[at..at + 4].copy_from_slice(if flexible { &[0x81, 0x80, 0x10, 1] } else { &count });
            most = most.max(peak_of_decoding(Side::Request, *api, version, &body));
        }
    }
    assert!((8 << 20..80 << 20).contains(&most), "{most} bytes");
}

#[test]
fn headers_take_no_memory() {
    for key in -1..100_i16 {
        for version in -1..20_i16 {
            let frame = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0x7f; 40]].concat();
            let peak = peak_of(|| {
                let _ = RequestHeader::parse(&frame);
            });
            assert_eq!(peak, 0);
        }
    }
}

#[test]
fn records_that_lie_about_their_size() {
    // A block of snappy that claims a gigabyte; alone, and in a frame.
    let block = [0x80, 0x80, 0x80, 0x80, 0x04, 0x00, 0x00];
    let frame = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x07"[..], &block].concat();
    // A frame of zstd whose header claims four gigabytes.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00];
    for (compression, stored) in
        [(Compression::Snappy, &block[..]), (Compression::Snappy, &frame), (Compression::Zstd, &zstd)]
    {
        let peak = peak_of(|| {
            // The empty block of zstd decodes to nothing, which is not an error of its own.
            let _ = compression.decompress(stored, usize::MAX >> 1, &mut Vec::new());
        });
        assert!(peak <= LITTLE, "{compression:?}: {peak} bytes");
    }
}
