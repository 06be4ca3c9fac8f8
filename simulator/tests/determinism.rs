//! A seed is all there is to a run.

use ringmail_simulator::run::{World, episode};
use ringmail_simulator::trace::Show;

fn hash(world: World, seed: u64) -> u64 {
    episode(world, seed, 400, Show::Nothing).expect("no promise is broken").hash
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    for &world in World::ALL {
        let first: Vec<u64> = (1..=6).map(|seed| hash(world, seed)).collect();
        // In a thread of its own: nothing of the process counts.
        let again = std::thread::spawn(move || (1..=6).map(|seed| hash(world, seed)).collect::<Vec<u64>>());
        assert_eq!(first, again.join().expect("no panic"), "{}", world.name());
        let different: std::collections::BTreeSet<u64> = first.iter().copied().collect();
        assert_eq!(different.len(), first.len(), "{}: {first:x?}", world.name());
    }
}

/// What failed once, by world and seed: each was a defect that only the simulator shows.
#[test]
fn seeds_that_failed_pass() {
    let pinned = [
        // Frames behind one that was never durable were kept.
        (World::Engine, 337),
        (World::Engine, 200_059),
        // A deleted log came back from a copy of the cleaner.
        (World::Engine, 597),
        // Retention by bytes let go of too much after an interrupted cleaning.
        (World::Engine, 102_050),
        // Frames in a spare file were reported as damage.
        (World::Engine, 2_074),
        // What was read ahead in vain answered later reads.
        (World::Engine, 1_594),
        (World::Engine, 201_310),
        // A file was removed while a sync of it was under way.
        (World::Engine, 203_692),
        // A deletion was refused while the cleaner wrote.
        (World::Engine, 1_000_053),
        // Of the newest segment only its footer was left, and the file was taken for a spare one.
        (World::Engine, 10_463),
        // That durable frames before the first one of a segment were missing was not reported.
        (World::Engine, 11_095),
        // Frames that an earlier start had cut off were then reported as missing.
        (World::Engine, 17_527),
        // A long poll that had counted enough believed another one that there was nothing, and was answered so.
        (World::Node, 781_011),
        // A frame that went to another file had that taken for its segment, and the segment's file for a spare one.
        (World::Engine, 81_887),
        // A first block that was being written anew when the power was cut was reported as damaged.
        (World::Engine, 82_327),
        // Frames that were cut off counted after a start that found the segment behind them empty.
        (World::Engine, 731_000_195),
        // What had been cut off came back: its segment had lost its footer, and the next segment, which told of that, was cleaned.
        (World::Engine, 20_271_783),
        // A guess which frame was the last before a segment that lacked its first block counted as knowledge.
        (World::Engine, 20_262_162),
    ];
    for (world, seed) in pinned {
        if let Err(violation) = episode(world, seed, 4000, Show::Nothing) {
            panic!("{} {seed}: {}: {}", world.name(), violation.check, violation.words);
        }
    }
}
