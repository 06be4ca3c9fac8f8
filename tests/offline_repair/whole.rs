//! Damage that costs nothing: all records are lifted.

use ringmail_shards::io::BLOCK_BYTES;

use crate::store::{End, Store, damage, frames};
use crate::{quarantined, repaired};

/// Destroys parts of a segment of each shard, and expects that nothing is lost.
#[track_caller]
fn costs_nothing(end: End, segment: usize, change: impl Fn(&mut Vec<u8>)) -> (Store, String) {
    let (store, said, lost) = repaired(end, |store| {
        for shard in 0..2 {
            damage(&store.segments(shard)[segment], &change);
        }
    });
    assert_eq!(lost, 0, "{said}");
    assert!(said.contains(", 0 lost"), "{said}");
    (store, said)
}

#[test]
fn a_first_block() {
    for with in [0, 0xee] {
        let (store, said) = costs_nothing(End::Stopped, 0, |bytes| bytes[..BLOCK_BYTES].fill(with));
        assert!(said.contains("the first block is damaged"), "{said}");
        assert!(said.starts_with("damaged: ") && said.contains("\nlifted: "), "{said}");
        assert!(said.contains("topic orders, partition ") && said.contains("2 segments repaired"), "{said}");
        let kept = quarantined(&store.shard(0));
        assert!(kept.len() == 1 && kept[0][..BLOCK_BYTES].iter().all(|byte| *byte == with));
    }
}

#[test]
fn the_directory_of_a_footer() {
    for with in [0, 0xee] {
        let (store, said, lost) = repaired_or_clean(|bytes| {
            let directory = bytes.len() - BLOCK_BYTES;
            bytes[directory..].fill(with);
        });
        assert_eq!(lost, 0, "{said}");
        assert!(quarantined(&store.shard(0)).is_empty(), "{said}");
    }
}

/// A footer that is only zeros is that of a segment that was never sealed: no damage at all.
fn repaired_or_clean(change: impl Fn(&mut Vec<u8>)) -> (Store, String, usize) {
    let store = Store::new(End::Stopped);
    let before = crate::all_of(&store);
    (0..2).for_each(|shard| damage(&store.segments(shard)[1], &change));
    let (code, said) = store.repair(true);
    assert_eq!(code, 0, "{said}");
    crate::check(&store, &before, &Default::default());
    (store, said, 0)
}

#[test]
fn the_sections_of_a_footer() {
    costs_nothing(End::Stopped, 1, |bytes| {
        let sections = bytes.len() - 2 * BLOCK_BYTES;
        bytes[sections..sections + 600].fill(0xee);
    });
}

#[test]
fn headers_of_frames() {
    for end in [End::Stopped, End::Killed] {
        let (_, said, lost) = repaired(end, |store| {
            for shard in 0..2 {
                let path = &store.segments(shard)[1];
                let frames = frames(path);
                damage(path, |bytes| {
                    for frame in frames.iter().skip(3).step_by(5).take(6) {
                        bytes[frame.at + 20] ^= 0x40;
                    }
                });
            }
        });
        assert_eq!(lost, 0, "{said}");
    }
}

#[test]
fn headers_of_frames_one_after_another_and_the_footer_with_them() {
    let (_, said, lost) = repaired(End::Stopped, |store| {
        for shard in 0..2 {
            let path = &store.segments(shard)[1];
            let frames = frames(path);
            damage(path, |bytes| {
                frames[7..12].iter().for_each(|frame| bytes[frame.at] ^= 1);
                let footer = bytes.len() - 3 * BLOCK_BYTES;
                bytes[footer..].fill(0xee);
            });
        }
    });
    assert_eq!(lost, 0, "{said}");
}

#[test]
fn everything_that_says_what_a_sealed_file_holds() {
    let (_, said, lost) = repaired(End::Stopped, |store| {
        let path = &store.segments(1)[1];
        damage(path, |bytes| {
            bytes[..BLOCK_BYTES].fill(0xee);
            bytes[BLOCK_BYTES] ^= 1;
            let trailer = bytes.len() - 64;
            bytes[trailer..].fill(0xee);
        });
    });
    assert_eq!(lost, 0, "{said}");
}

#[test]
fn first_blocks_that_are_zeros_and_no_footer() {
    // So a file looks that was allocated and never written; here frames stand in it.
    let (_, said, lost) = repaired(End::Stopped, |store| {
        let path = &store.segments(1)[1];
        let first = frames(path)[0].bytes;
        damage(path, |bytes| {
            bytes[..BLOCK_BYTES + first].fill(0);
            let directory = bytes.len() - BLOCK_BYTES;
            bytes[directory..].fill(0);
        });
    });
    assert!((1..=18).contains(&lost), "the records of the first frame: {said}");
}
