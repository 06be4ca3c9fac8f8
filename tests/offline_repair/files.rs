//! Files that are no segments of the shard, and directories that cannot be repaired.

use std::fs;

use crate::quarantined;
use crate::repaired;
use crate::store::{End, Store, damage, ringmail, start};

const FOREIGN: &str = "00000000000000f0.seg";

#[test]
fn a_directory_without_damage_is_left_as_it_is() {
    let store = Store::new(End::Stopped);
    let before = store.files();
    for apply in [false, true] {
        assert_eq!(store.repair(apply), (0, "no damage\n".to_owned()));
    }
    assert!(before == store.files());
}

#[test]
fn empty_short_and_strange_files_are_moved() {
    for content in [Vec::new(), b"notes".to_vec(), vec![0xab; 40_000]] {
        let (store, said, lost) = repaired(End::Stopped, |store| {
            fs::write(store.shard(1).join(FOREIGN), &content).unwrap();
        });
        assert_eq!(lost, 0, "{said}");
        assert_eq!(quarantined(&store.shard(1)), [content], "{said}");
        assert!(!store.shard(1).join(FOREIGN).exists());
    }
}

#[test]
fn a_segment_of_another_shard_is_moved() {
    let (store, said, lost) = repaired(End::Stopped, |store| {
        fs::copy(&store.segments(0)[0], store.shard(1).join(FOREIGN)).unwrap();
    });
    assert_eq!(lost, 0);
    assert!(said.contains("the segment is of shard 0"), "{said}");
    assert_eq!(quarantined(&store.shard(1)).len(), 1);
}

#[test]
fn of_two_files_of_a_segment_the_whole_one_stays() {
    let (store, said, lost) = repaired(End::Stopped, |store| {
        let path = &store.segments(1)[1];
        fs::copy(path, store.shard(1).join(FOREIGN)).unwrap();
        damage(path, |bytes| bytes[200_000..300_000].fill(0xee));
    });
    assert_eq!(lost, 0, "{said}");
    assert!(store.shard(1).join(FOREIGN).exists());
}

#[test]
fn two_damaged_files_of_a_segment_make_up_for_each_other() {
    let (_, said, lost) = repaired(End::Stopped, |store| {
        let path = &store.segments(1)[1];
        let copy = store.shard(1).join(FOREIGN);
        fs::copy(path, &copy).unwrap();
        damage(path, |bytes| bytes[100_000..200_000].fill(0xee));
        damage(&copy, |bytes| bytes[300_000..400_000].fill(0xee));
    });
    assert_eq!(lost, 0, "{said}");
}

#[test]
fn a_broker_that_runs_is_not_repaired() {
    let store = Store::new(End::Stopped);
    let broker = start(&store.data());
    for apply in [false, true] {
        let (code, said) = store.repair(apply);
        assert_eq!((code, said.lines().count()), (1, 1), "{said}");
        assert!(said.contains(&format!("is in use by the broker with process id {}", broker.id())), "{said}");
    }
}

#[test]
fn what_is_no_data_directory_is_named() {
    let store = Store::new(End::Stopped);
    let shard = store.shard(0);
    for (path, code) in [(shard.to_str().unwrap(), 2), ("/nowhere", 1)] {
        let (found, said) = ringmail(&["log", "repair", path]);
        assert_eq!((found, said.lines().count()), (code, 1), "{said}");
        assert!(said.starts_with("ringmail: ") && said.contains(path), "{said}");
    }
}

#[test]
fn the_catalog_is_never_given_up() {
    let store = Store::new(End::Stopped);
    let frames = crate::store::frames(&store.segments(0)[0]);
    let of_catalog = frames.iter().flat_map(|f| &f.entries).find(|(entry, _)| entry.log == 0).unwrap().1;
    damage(&store.segments(0)[0], |bytes| bytes[of_catalog + 100] ^= 1);
    let (code, said) = store.repair(true);
    assert_eq!(code, 1);
    assert!(said.contains("lost: shard 0, the catalog: ") && said.contains("still damaged"), "{said}");
    let refused = crate::broker::refused(&store.data(), &[]);
    assert_eq!(refused.status.code(), Some(1));
}
